"""Makes random inputs for a model: seeded, in the ranges that its specification allows.

Responsible for element types and ranges. Must not know what the data is used for.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tuner.errors import ModelError
from tuner.model.ports import input_name, input_spec
from tuner.model.spec import ModelSpec

if TYPE_CHECKING:
    import openvino

Array = np.ndarray[Any, np.dtype[Any]]

FLOATS: dict[str, type[np.floating[Any]]] = {"f16": np.float16, "f32": np.float32, "f64": np.float64}
INTEGERS: dict[str, type[np.integer[Any]]] = {
    "i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64,
    "u8": np.uint8, "u16": np.uint16, "u32": np.uint32, "u64": np.uint64,
}  # fmt: skip


def random_inputs(model: openvino.Model, spec: ModelSpec, seed: int) -> list[Array]:
    """Returns one array of the static shape for each input, in the model's order; a seed gives the same data.

    Floats lie in [low, high), integers from low to high, both included; booleans are False for 0 and True for 1. An
    array for a bf16 input is float16 by name and bf16 by bits, which is how OpenVINO's own tensors of that type look in
    numpy. Raises ModelError for element types without random values (strings) and ranges that do not fit.
    """
    rng = np.random.default_rng(seed)
    arrays = []
    for port in model.inputs:
        low, high = input_spec(port, spec).range
        kind = port.get_element_type().to_string()
        message, advice = refusal(input_name(port), kind, low, high)
        if message:
            raise ModelError(message, advice=advice)
        arrays.append(_random(rng, kind, tuple(port.shape), low, high))
    return arrays


def refusal(name: str, kind: str, low: float, high: float) -> tuple[str, str]:
    """Returns why an element type has no random values in a range, and what to do; empty if it has."""
    first, last = math.ceil(low), math.floor(high)
    if kind == "boolean" and (first > last or first > 1 or last < 0):
        return (
            f"input {name!r} is true or false; the range {low:g} to {high:g} holds neither 0 nor 1",
            "Write `value: true`, `value: false`, or leave the range out for both.",
        )
    if kind in INTEGERS:
        limits = np.iinfo(INTEGERS[kind])
        if first > last or first < limits.min or last > limits.max:
            return (
                f"input {name!r} takes {kind} values; the range {low:g} to {high:g} holds none it can take",
                f"Give it a range within {limits.min} to {limits.max}, as `range: [0, 255]`.",
            )
    elif kind not in FLOATS and kind not in ("bf16", "boolean"):
        return (
            f"input {name!r} has element type {kind}, for which no random data can be made",
            "Use a model with float, integer or boolean inputs: cut the text preprocessing off.",
        )
    return "", ""


def _random(rng: np.random.Generator, kind: str, shape: tuple[int, ...], low: float, high: float) -> Array:
    if kind in FLOATS:
        return _floats(rng, FLOATS[kind], shape, low, high)
    if kind == "bf16":
        bits = _floats(rng, np.float32, shape, low, high).view(np.uint32) >> 16
        return bits.astype(np.uint16).view(np.float16)
    if kind in INTEGERS:
        return rng.integers(math.ceil(low), math.floor(high), size=shape, dtype=INTEGERS[kind], endpoint=True)
    return rng.integers(max(0, math.ceil(low)), min(1, math.floor(high)) + 1, size=shape).astype(np.bool_)


def _floats(
    rng: np.random.Generator, kind: type[np.floating[Any]], shape: tuple[int, ...], low: float, high: float
) -> Array:
    values = (rng.random(shape) * (high - low) + low).astype(kind)
    if high <= low:
        return values
    # Rounding to fewer bits may reach the end that the range excludes.
    return np.asarray(np.minimum(values, np.nextafter(kind(high), kind(low))))
