"""How an input is named in files and messages, and how OpenVINO is told which one is meant."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import openvino
import pytest
import yaml
from openvino import opset13

from tuner.model.inputs import random_inputs
from tuner.model.ports import call_keys, input_name, yaml_key
from tuner.model.read import batch_axes, find_faults, read
from tuner.model.spec import InputSpec, ModelSpec

pytestmark = pytest.mark.openvino
Save = Callable[..., ModelSpec]
ALIASES = ["a,b", "7", "scope/x:0", "node"]


@pytest.fixture
def nameless(save: Save) -> Callable[..., ModelSpec]:
    """Two inputs whose tensors have no names, as IRs of old converters have them."""
    a, b = (opset13.parameter([1, 4], np.float32, name=name) for name in ("INPUT0", "INPUT1"))
    model = openvino.Model([opset13.subtract(a, b)], [a, b], "nameless")

    def make(**fields: object) -> ModelSpec:
        spec = save(model, **fields)
        file = spec.folder / spec.path
        file.write_text(re.sub(r' (names|output_names)="[^"]*"', "", file.read_text()))
        return spec

    return make


@pytest.fixture
def aliased(save: Save) -> Callable[..., ModelSpec]:
    """One input with several names, of which none is plain text for YAML and for OpenVINO at once."""
    x = opset13.parameter([-1, 4, 2], np.float32, name="node")
    x.output(0).set_names({"a,b", "7", "scope/x:0"})
    model = openvino.Model([opset13.relu(x)], [x], "aliased")
    return lambda **fields: save(model, **fields)


def test_a_nameless_input_is_named_by_its_node_and_called_by_its_index(
    core: openvino.Core, nameless: Callable[..., ModelSpec]
) -> None:
    spec = nameless(inputs={"INPUT1": InputSpec(layout="NC", range=(5, 5))})
    model = read(core, spec, batch_size=3)
    assert [input_name(port) for port in model.inputs] == ["INPUT0", "INPUT1"]
    assert [list(port.shape) for port in model.inputs] == [[3, 4], [3, 4]]
    keys = call_keys(model.inputs, ["INPUT0", "INPUT1"])
    assert keys == {"INPUT0": 0, "INPUT1": 1}
    model.reshape({key: [2, 4] for key in keys.values()})
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    feed = dict(zip(keys.values(), random_inputs(model, spec, 0), strict=True))
    answer = compiled.create_infer_request().infer(feed)[0]
    np.testing.assert_array_equal(answer, feed[0] - 5)


@pytest.mark.parametrize("alias", ALIASES)
def test_any_alias_carries_layout_and_range_and_reaches_openvino(
    core: openvino.Core, aliased: Callable[..., ModelSpec], alias: str
) -> None:
    spec = aliased(inputs={alias: InputSpec(shape=(2, 4, 2), layout="??N", range=(3, 3))})
    assert find_faults(core, spec) == []
    model = read(core, spec)
    assert batch_axes(model, spec) == {"7": 2}
    assert np.all(random_inputs(model, spec, 0)[0] == 3)
    (key,) = call_keys(model.inputs, [alias]).values()
    assert key == (0 if alias == "node" else alias)
    model.reshape({key: [1, 4, 2]})
    core.compile_model(model, "CPU").create_infer_request().infer({key: np.ones((1, 4, 2), np.float32)})


def test_two_names_of_one_input_are_a_fault(core: openvino.Core, aliased: Callable[..., ModelSpec]) -> None:
    (fault,) = find_faults(core, aliased(inputs={"7": InputSpec(shape=(1, 4, 2)), "node": InputSpec(range=(0, 9))}))
    assert fault.at == ("inputs", "node")
    assert "'node' and '7' are names of one input" in fault.message


def test_lines_to_add_are_yaml_for_every_name(core: openvino.Core, aliased: Callable[..., ModelSpec]) -> None:
    (fault,) = find_faults(core, aliased())
    assert fault.advice.startswith('Write `inputs: {"7": {shape: [1, 4, 2]}}`')
    (fault,) = find_faults(core, aliased(inputs={"scope/x:0": InputSpec()}))
    assert 'inputs: {"scope/x:0": {shape:' in fault.advice


@pytest.mark.parametrize(
    "name", [*ALIASES, "x", "1e3", "0o17", "yes", "~", "", "- a", "{b}", "#c", 'd"e', "é: f", "a\n"]
)
def test_a_key_reads_back_as_the_name(name: str) -> None:
    assert yaml.safe_load(f"inputs: {{{yaml_key(name)}: {{shape: [1]}}}}") == {"inputs": {name: {"shape": [1]}}}
