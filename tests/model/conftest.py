"""What the tests of models share: one core, small models in memory, real models from installed packages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
from openvino import opset13

from tuner.errors import ModelError
from tuner.model.locate import locate
from tuner.model.spec import InputSpec, ModelSpec

SaveModel = Callable[[openvino.Model], ModelSpec]


@pytest.fixture(scope="session")
def core() -> openvino.Core:
    return openvino.Core()


@pytest.fixture
def save(tmp_path: Path) -> SaveModel:
    """Writes a model built in memory as .xml and .bin, in f32, and returns its specification."""

    def save_model(model: openvino.Model, **fields: Any) -> ModelSpec:
        openvino.save_model(model, tmp_path / "model.xml", compress_to_fp16=False)
        return ModelSpec(path="model.xml", folder=tmp_path, **fields)

    return save_model


@pytest.fixture
def weights() -> Callable[..., np.ndarray]:
    """Seeded f32 constants of a shape."""
    rng = np.random.default_rng(1)
    return lambda *shape: rng.standard_normal(shape).astype(np.float32)


@pytest.fixture
def cnn(weights: Callable[..., np.ndarray]) -> openvino.Model:
    """[1,3,8,8] -> [1,5]: convolution, pooling over the picture, dense layer."""
    x = opset13.parameter([1, 3, 8, 8], np.float32, name="picture")
    node = opset13.convolution(x, opset13.constant(weights(4, 3, 3, 3)), [1, 1], [0, 0], [0, 0], [1, 1])
    node = opset13.reduce_mean(opset13.relu(node), opset13.constant([2, 3]), keep_dims=False)
    node = opset13.matmul(node, opset13.constant(weights(4, 5)), False, False)
    model = openvino.Model([node], [x], "cnn")
    model.outputs[0].get_tensor().set_names({"score"})
    return model


@pytest.fixture(scope="session")
def package_spec() -> Callable[..., ModelSpec]:
    """A real model out of an installed package; a missing package fails the test with the command that installs it."""

    def spec(path: str, inputs: dict[str, InputSpec] | None = None, **fields: Any) -> ModelSpec:
        found = ModelSpec(path=f"package:{path}", folder=Path(), inputs=inputs or {}, **fields)
        try:
            locate(found)
        except ModelError as error:
            pytest.fail(f"{error}. {error.advice}")
        return found

    return spec
