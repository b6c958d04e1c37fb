"""A deployment answers under every name that an input has, or has not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
from openvino import opset13 as ops

from tuner.deploy.best import Best, BestInput
from tuner.deploy.deployment import Deployment
from tuner.errors import InputError, ModelError

pytestmark = pytest.mark.openvino

MakeBest = Callable[..., Best]
X = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
NAMES = [("node", set()), ("x", {"x", "also"}), ("a,b", {"a,b", "c"}), ("scope/in:0", {"scope/in:0"}), ("0", {"0"})]


def doubles(names: set[str]) -> openvino.Model:
    x = ops.parameter([1, 3], np.float32, name="node")
    x.output(0).set_names(names)
    return openvino.Model([ops.multiply(x, ops.constant(np.float32(2)))], [x], "doubles")


@pytest.fixture
def compile_model(core: openvino.Core, make_best: MakeBest, tmp_path: Path) -> Callable[..., Deployment]:
    def compile_here(model: openvino.Model, batch_size: int = 2, **inputs: BestInput) -> Deployment:
        openvino.save_model(model, tmp_path / "m.xml", compress_to_fp16=False)
        return make_best(path="m.xml", inputs=inputs, batch_size=batch_size).compile(core=core)

    return compile_here


@pytest.mark.parametrize(("name", "names"), NAMES)
def test_a_call_is_answered_under_every_name_by_index_and_in_order(
    compile_model: Callable[..., Deployment], name: str, names: set[str]
) -> None:
    one = {name: BestInput(shape=(1, 3), layout="N?", batch_axis=0)}
    with compile_model(doubles(names), **one) as deployment:
        for key in (name, *sorted(names), "node", 0):
            np.testing.assert_array_equal(deployment.infer({key: X})[0], 2 * X)
        np.testing.assert_array_equal(deployment.infer([X])[0], 2 * X)
        np.testing.assert_array_equal(asyncio.run(deployment.ainfer({name: X}))[0], 2 * X)
        futures = [deployment.submit({name: X[row : row + 1]}) for row in (0, 1)]
        np.testing.assert_array_equal(np.concatenate([future.result(60)[0] for future in futures]), 2 * X)
        with pytest.raises(InputError, match="unknown inputs 'nonsense'; the model has"):
            deployment.infer({name: X, "nonsense": X})
        with pytest.raises(InputError, match="unknown inputs 'nonsense'"):
            deployment.infer({"nonsense": X})
        if names:
            with pytest.raises(InputError, match="given twice: also as "):
                deployment.infer({name: X, "node": X})


def test_a_scalar_is_an_input_as_any_other(compile_model: Callable[..., Deployment]) -> None:
    s = ops.parameter([], np.float32, name="s")
    model = openvino.Model([ops.multiply(s, ops.constant(np.float32(2)))], [s], "scalar")
    with compile_model(model, batch_size=1, s=BestInput(shape=(), batch_axis=None)) as deployment:
        assert [float(deployment.infer(given)[0]) for given in ({"s": 3}, [3.0], np.float32(3))] == [6, 6, 6]


def test_an_input_of_text_is_refused_with_what_takes_it(compile_model: Callable[..., Deployment]) -> None:
    t = ops.parameter([1], openvino.Type.string, name="t")
    model = openvino.Model([ops.result(t)], [t], "text")
    with compile_model(model, batch_size=1) as deployment:
        for call in (deployment.infer, deployment.submit):
            with pytest.raises((InputError, ModelError), match="takes text: use `infer_request"):
                call({"t": ["a"]})


def test_each_call_of_a_model_with_variables_starts_from_the_initial_state(
    compile_model: Callable[..., Deployment],
) -> None:
    x = ops.parameter([1, 3], np.float32, name="x")
    before = ops.read_value(ops.constant(np.zeros((1, 3), np.float32)), "sum", np.float32, [1, 3])
    total = ops.add(before, x)
    model = openvino.Model([ops.result(total)], [ops.assign(total, "sum")], [x], "sums")
    given: Any = BestInput(shape=(1, 3), batch_axis=0)
    with compile_model(model, batch_size=1, x=given) as deployment:
        for _ in range(3):
            np.testing.assert_array_equal(deployment.infer({"x": X[:1]})[0], X[:1])
            np.testing.assert_array_equal(deployment.submit([X[:1]]).result(60)[0], X[:1])
