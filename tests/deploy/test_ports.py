"""What a call may give, what a caller gets, and which batches can be divided among callers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
from openvino import opset13 as ops

from tuner.deploy.ports import Inputs, Outputs, Ports, ports_of
from tuner.errors import InputError
from tuner.model.read import read
from tuner.model.spec import InputSpec, ModelSpec

pytestmark = pytest.mark.openvino


def ports_at(
    core: openvino.Core, folder: Path, model: openvino.Model, *, batch_size: int = 4, **inputs: InputSpec
) -> Ports:
    openvino.save_model(model, folder / "m.xml", compress_to_fp16=False)
    spec = ModelSpec(path="m.xml", folder=folder, inputs=inputs)
    batched = read(core, spec, batch_size=batch_size)
    return ports_of(batched, core.compile_model(batched, "CPU"), spec, batch_size)


def scaled() -> openvino.Model:
    """y = relu(x) * s, where s carries no batch."""
    x, s = ops.parameter([1, 3], np.float32, name="x"), ops.parameter([2], np.int32, name="s")
    factor = ops.convert(ops.reduce_sum(s, 0, keep_dims=False), "f32")
    y = ops.multiply(ops.relu(x), factor)
    x.output(0).set_names({"x", "x_too"})
    s.output(0).set_names({"s"})
    y.output(0).set_names({"y", "y_too"})
    return openvino.Model([y, factor], [x, s], "scaled")


@pytest.fixture
def ports(core: openvino.Core, tmp_path: Path) -> Ports:
    return ports_at(
        core, tmp_path, scaled(), x=InputSpec(shape=(1, 3), layout="N?"), s=InputSpec(shape=(2,), layout="?")
    )


X, S = np.ones((4, 3), np.float32), np.ones(2, np.int32)


@pytest.mark.parametrize(
    "given", [{"x": X, "s": S}, {"x_too": X, "s": S}, {0: X, 1: S}, [X, S], (X, S), {"x": X.tolist(), "s": S}]
)
def test_inputs_are_given_by_any_name_by_index_or_in_order(ports: Ports, given: Inputs) -> None:
    arrays, samples = ports.accept(given, copy=False)
    assert samples == 4
    np.testing.assert_array_equal(arrays[0], X)
    np.testing.assert_array_equal(arrays[1], S)
    assert [array.dtype for array in arrays] == [np.float32, np.int32]


def test_fewer_samples_than_the_batch_are_counted(ports: Ports) -> None:
    assert ports.accept([X[:3], S], copy=False)[1] == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"x": X}, r"the input 's' is missing: each call gives all inputs, 's' takes int32 \[2\]"),
        ({"x": X, "s": S, "z": S}, "unknown inputs 'z'; the model has x, s"),
        ([X], "1 arrays for 2 inputs: x, s"),
        (X, "1 arrays for 2 inputs: x, s"),
        ([X[:, :2], S], r"shape \[4, 2\] for the input 'x': 'x' takes float32 \[4, 3\], or fewer on axis 0"),
        ([np.ones((5, 3)), S], r"shape \[5, 3\] for the input 'x'"),
        ([X[:0], S], r"shape \[0, 3\] for the input 'x'"),
        ([X[0], S], r"shape \[3\] for the input 'x'"),
        ([X, S[:1]], r"shape \[1\] for the input 's': 's' takes int32 \[2\]$"),
        ([X, S.astype(np.float32)], "float32 values for the input 's': convert them"),
        ([X, "text"], "values for the input 's': convert them"),
        ([X, [[1], [1, 2]]], "no array for the input 's'"),
    ],
)
def test_what_is_wrong_with_a_call_is_said_with_what_is_right(ports: Ports, given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ports.accept(given, copy=False)


def test_copies_are_the_callers_to_overwrite(ports: Ports) -> None:
    own = X.copy()
    (kept, _), _ = ports.accept([own, S], copy=True)
    own[:] = 9
    assert kept.max() == 1
    assert ports.accept([own, S], copy=False)[0][0] is own


def test_calls_share_a_batch_where_what_carries_no_batch_is_the_same(ports: Ports) -> None:
    assert ports.may_share([X[:1], S], [X[:2] * 5, S.copy()])
    assert not ports.may_share([X[:1], S], [X[:1], S + 1])


def test_an_output_grows_with_the_batch_or_stays(ports: Ports) -> None:
    assert ports.one_piece == ""
    assert (ports.outputs[0].name, ports.outputs[0].axis) == ("y", 0)
    assert ports.outputs[1].axis is None
    assert ports.outputs[0].part(1, 2, 4) == (slice(1, 3),)
    assert ports.outputs[0].part(0, 4, 4) == ports.outputs[1].part(1, 2, 4) == ()


def test_outputs_are_found_by_every_name_and_by_index(ports: Ports) -> None:
    outputs = Outputs(ports.outputs, [X, S])
    assert outputs["y"] is outputs["y_too"] is outputs[0] is X
    assert outputs[1] is outputs[-1] is S
    assert list(outputs) == [port.name for port in ports.outputs]
    with pytest.raises(KeyError, match="nonsense"):
        outputs["nonsense"]
    with pytest.raises(IndexError):
        outputs[2]


def test_an_output_that_folds_the_samples_into_another_axis_cannot_be_divided(
    core: openvino.Core, tmp_path: Path
) -> None:
    x = ops.parameter([1, 3], np.float32, name="x")
    x.output(0).set_names({"x"})
    y = ops.reshape(ops.relu(x), ops.constant(np.array([1, -1])), special_zero=False)
    y.output(0).set_names({"y"})
    ports = ports_at(core, tmp_path, openvino.Model([y], [x], "folds"), x=InputSpec(shape=(1, 3), layout="N?"))
    with pytest.raises(InputError, match="2 samples for a batch of 4, and output 'y' has no axis for the samples"):
        ports.accept([X[:2]], copy=False)


def test_an_output_whose_shape_depends_on_the_data_cannot_be_divided(core: openvino.Core, tmp_path: Path) -> None:
    x = ops.parameter([1, 3], np.float32, name="x")
    x.output(0).set_names({"x"})
    y = ops.non_zero(ops.relu(x))
    y.output(0).set_names({"y"})
    ports = ports_at(core, tmp_path, openvino.Model([y], [x], "open"), x=InputSpec(shape=(1, 3), layout="N?"))
    assert ports.accept([X], copy=False)[1] == 4
    with pytest.raises(InputError, match="1 samples for a batch of 4, and the shape of output 'y' depends on the data"):
        ports.accept([X[:1]], copy=False)


def test_a_batch_of_one_is_always_whole(core: openvino.Core, tmp_path: Path) -> None:
    spec = InputSpec(shape=(1, 3), layout="N?")
    ports = ports_at(core, tmp_path, scaled(), batch_size=1, x=spec, s=InputSpec(shape=(2,), layout="?"))
    assert ports.accept([X[:1], S], copy=False)[1] == 1
    with pytest.raises(InputError, match=r"'x' takes float32 \[1, 3\]$"):
        ports.accept([X, S], copy=False)


def test_bf16_is_taken_as_its_bits_alone(core: openvino.Core, tmp_path: Path) -> None:
    x = ops.parameter([1, 3], openvino.Type.bf16, name="x")
    x.output(0).set_names({"x"})
    ports = ports_at(core, tmp_path, openvino.Model([ops.relu(x)], [x], "bf16"), batch_size=1)
    assert ports.accept([np.ones((1, 3), np.float16)], copy=False)[1] == 1
    with pytest.raises(InputError, match="takes bf16: an array of float16 that holds its bits"):
        ports.accept([X[:1]], copy=False)
