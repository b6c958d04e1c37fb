from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openvino import opset13

from tuner.errors import ModelError
from tuner.model.inputs import random_inputs
from tuner.model.read import read
from tuner.model.spec import InputSpec, ModelSpec

pytestmark = pytest.mark.openvino


def identity(*types: openvino.Type) -> openvino.Model:
    """One input of each type, [1, 500], named a, b, c."""
    parameters = [opset13.parameter([1, 500], kind, name=chr(ord("a") + index)) for index, kind in enumerate(types)]
    model = openvino.Model([opset13.concat([node, node], 0) for node in parameters], parameters, "identity")
    for port, node in zip(model.inputs, parameters, strict=True):
        port.get_tensor().set_names({node.get_friendly_name()})
    return model


def spec(**inputs: InputSpec) -> ModelSpec:
    return ModelSpec(path="unused", folder=Path(), inputs=inputs)


@pytest.mark.parametrize("kind", ["f16", "f32", "f64"])
def test_floats_lie_in_the_range_without_its_end(kind: str) -> None:
    model = identity(getattr(openvino.Type, kind))
    (default,) = random_inputs(model, spec(), 0)
    (wide,) = random_inputs(model, spec(a=InputSpec(range=(-3.0, 5.0))), 0)
    assert default.dtype == np.dtype(kind.replace("f", "float"))
    assert default.min() >= 0
    assert default.max() < 1
    assert wide.min() < -1
    assert 3 < wide.max() < 5


@pytest.mark.parametrize("kind", ["i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64"])
def test_integers_take_both_ends_of_the_range(kind: str) -> None:
    model = identity(getattr(openvino.Type, kind))
    (default,) = random_inputs(model, spec(), 0)
    (wide,) = random_inputs(model, spec(a=InputSpec(range=(2.5, 7))), 0)
    assert set(default.ravel()) == {0, 1}
    assert set(wide.ravel()) == {3, 4, 5, 6, 7}
    assert default.dtype == model.inputs[0].get_element_type().to_dtype()


def test_booleans_are_both() -> None:
    (values,) = random_inputs(identity(openvino.Type.boolean), spec(), 0)
    assert values.dtype == np.bool_
    assert set(values.ravel()) == {False, True}


def test_arrays_come_in_the_order_of_the_inputs_and_one_seed_gives_one_set() -> None:
    model = identity(openvino.Type.f32, openvino.Type.i32, openvino.Type.f32)
    first, again, other = (random_inputs(model, spec(), seed) for seed in (1, 1, 2))
    assert [array.dtype.kind for array in first] == ["f", "i", "f"]
    for one, two, three in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one, two)
        assert not np.array_equal(one, three)
    assert not np.array_equal(first[0], first[2])


def test_bf16_arrays_pass_through_the_runtime_unchanged(core: openvino.Core) -> None:
    model = identity(openvino.Type.bf16)
    (bits,) = random_inputs(model, spec(), 0)
    values = (bits.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    assert values.min() >= 0
    assert 0.9 < values.max() < 1
    result = core.compile_model(model, "CPU")([bits])[0]
    np.testing.assert_array_equal(result[:1].view(np.uint16), bits.view(np.uint16))


def test_a_range_that_holds_no_value_of_the_type_is_refused() -> None:
    for limits in ((0.2, 0.8), (300, 400)):
        with pytest.raises(ModelError, match="holds none it can take") as caught:
            random_inputs(identity(openvino.Type.u8), spec(a=InputSpec(range=limits)), 0)
        assert "0 to 255" in caught.value.advice


@given(low=st.integers(-128, 300), width=st.integers(0, 300))
def test_a_range_either_gives_values_within_it_or_is_refused(low: int, width: int) -> None:
    limits = (low, low + width)
    model = identity(openvino.Type.u8)
    try:
        (values,) = random_inputs(model, spec(a=InputSpec(range=limits)), 0)
    except ModelError:
        assert low < 0 or low + width > 255
    else:
        assert low <= values.min() <= values.max() <= low + width


def test_an_empty_range_of_floats_is_a_constant() -> None:
    (values,) = random_inputs(identity(openvino.Type.f32), spec(a=InputSpec(range=(0.5, 0.5))), 0)
    assert set(values.ravel()) == {0.5}


def test_strings_are_refused() -> None:
    x = opset13.parameter([1], openvino.Type.string, name="text")
    model = openvino.Model([opset13.result(x)], [x], "text")
    with pytest.raises(ModelError, match="input 'text' has element type string"):
        random_inputs(model, spec(), 0)


def test_a_batch_is_filled_with_different_samples(core: openvino.Core) -> None:
    mlp = ModelSpec(path="builtin:mlp", folder=Path())
    (batch,) = random_inputs(read(core, mlp, batch_size=3), mlp, 0)
    assert batch.shape == (3, 64)
    assert not np.array_equal(batch[0], batch[1])
