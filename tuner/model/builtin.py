"""Builds the models that come with the package in memory, the same on every host.

Must not know where other models come from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tuner.model.core import operations

if TYPE_CHECKING:
    import openvino

UNITS = 64
"""Width of each layer: an inference takes 14 us on one thread, so that examples and tests are quick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Builtin:
    """Describes how to build a model."""

    build: Callable[[], openvino.Model]
    version: int
    """Number that changes whenever the built model does; it is part of the model's hash."""
    about: str


def build_mlp() -> openvino.Model:
    """Builds three layers of MatMul and ReLU from `x` [1, 64] to `y` [1, 64], f32, for any batch size."""
    import openvino

    opset13 = operations()
    rng = np.random.default_rng(0)
    x = opset13.parameter([1, UNITS], np.float32, name="x")
    node = x
    for _ in range(3):
        # He et al. 2015: sqrt(2 / inputs) keeps the size of activations through ReLU layers.
        weights = rng.standard_normal((UNITS, UNITS)) * np.sqrt(2 / UNITS)
        node = opset13.relu(opset13.matmul(node, opset13.constant(weights.astype(np.float32)), False, False))
    model = openvino.Model([node], [x], "mlp")
    model.inputs[0].get_tensor().set_names({"x"})
    model.outputs[0].get_tensor().set_names({"y"})
    return model


BUILTINS = {"mlp": Builtin(build=build_mlp, version=1, about="three 64 x 64 MatMul + ReLU layers")}
