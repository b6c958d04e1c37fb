"""Proves that a model may be batched, or says why not.

`reshape` to a batch fails on some models and silently gives wrong results on others. The proof: each of B different
samples must give the same result in the batch as alone. Must not know anything about speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tuner.errors import ModelError
from tuner.model.batch_difference import TOLERANCE, DifferenceCheck, are_telling, difference, is_exact, worst
from tuner.model.files.openvino_error import first_line
from tuner.model.inputs import Array, random_inputs
from tuner.model.ports import input_name, input_spec
from tuner.model.read import batch_axes, read
from tuner.model.spec import ModelSpec
from tuner.model.state import state_variables

if TYPE_CHECKING:
    import openvino

SEED = 0
"""Seed of the random inputs; any other would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchProof:
    """States whether a batch is legal, with the reason in a user's words."""

    is_legal: bool
    reason: str


def prove_batch(core: openvino.Core, spec: ModelSpec, batch_size: int, *, device: str = "CPU") -> BatchProof:
    """Returns whether `batch_size` samples in one request give the results of one sample each, in f32 on `device`.

    Raises ModelError if the model cannot be read at batch size 1, and RuntimeError if it does not run.
    """
    if batch_size == 1:
        return _legal("batch size 1 is the model as it is")
    proof = _prove(core, spec, batch_size, device)
    if proof.is_legal or not spec.assume_batch_legal:
        return proof
    ignored = "assume_batch_legal is ignored: it stands in for outputs that prove nothing, and these refute the batch"
    return _illegal(f"{proof.reason}; {ignored}")


def _prove(core: openvino.Core, spec: ModelSpec, batch_size: int, device: str) -> BatchProof:
    model = read(core, spec)
    axes = batch_axes(model, spec)
    refusal = _refuse_axes(model, axes)
    if refusal:
        return _illegal(refusal)
    one = random_inputs(model, spec, SEED)
    steps = 2 if state_variables(model) else 1
    try:
        batched_model = read(core, spec, batch_size=batch_size)
        batched = _compile(core, batched_model, device).create_infer_request()
        stacked = random_inputs(batched_model, spec, SEED)
        samples = _split(model, axes, stacked, one)
        joined = [_join(column, axis) for column, axis in _columns(model, axes, samples)]
        together = _infer(batched, joined, steps)
    except ModelError as error:
        return _illegal(
            f"the model cannot be reshaped to batch size {batch_size}: {_cause(error)}{_other_inputs(model, axes)}"
            f"{_guessed_inputs(model, spec, axes)}"
        )
    except RuntimeError as error:
        guessed = _guessed_inputs(model, spec, axes)
        return _illegal(f"the model does not run at batch size {batch_size}: {first_line(error)}{guessed}")
    single = _compile(core, model, device)
    # One request for each sample: a model with variables would remember the sample before.
    alone = [_infer(single.create_infer_request(), sample, steps) for sample in samples]

    def run_copies(sample: int) -> list[Array]:
        copies = [samples[sample]] * batch_size
        joined = [_join(column, axis) for column, axis in _columns(model, axes, copies)]
        return _infer(_compile(core, batched_model, device).create_infer_request(), joined, steps)

    def run_default() -> list[list[Array]]:
        compiled = core.compile_model(model, device, {})
        return [_infer(compiled.create_infer_request(), sample, steps) for sample in samples]

    check = DifferenceCheck(alone=alone, run_copies=run_copies, run_default=run_default, given=spec.batch_tolerance)
    return _compare(model, alone, together, batch_size, check, assume_legal=spec.assume_batch_legal)


def _refuse_axes(model: openvino.Model, axes: dict[str, int]) -> str:
    if not axes:
        return "no input carries a batch: none has 1 as its first dimension, and no layout marks an axis with N"
    for port in model.inputs:
        axis = axes.get(input_name(port))
        if axis is not None and port.shape[axis] != 1:
            return f"input {input_name(port)!r} already has {port.shape[axis]} at its batch axis at batch size 1"
    return ""


def _other_inputs(model: openvino.Model, axes: dict[str, int]) -> str:
    names = [input_name(port) for port in model.inputs if input_name(port) not in axes]
    if not names:
        return ""
    listed = ", ".join(map(repr, names))
    return f" (taken to carry no batch: {listed}; if that is wrong, mark the axis with N in the input's layout)"


def _guessed_inputs(model: openvino.Model, spec: ModelSpec, axes: dict[str, int]) -> str:
    """Returns words on inputs that are taken for a batch only because their first length is 1."""
    guessed = [
        f"{input_name(port)!r} {list(port.shape)}"
        for port in model.inputs
        if input_name(port) in axes and input_spec(port, spec).layout is None and port.node.layout.empty
    ]
    if not guessed or len(model.inputs) == 1:
        return ""
    return f" (taken to carry the batch: {', '.join(guessed)}; if that is wrong, give the input a layout without N)"


def _compile(core: openvino.Core, model: openvino.Model, device: str) -> openvino.CompiledModel:
    # In bf16, the default of CPUs that have it, a right batch may differ by more than a wrong one.
    return core.compile_model(model, device, {"INFERENCE_PRECISION_HINT": "f32"})


def _split(model: openvino.Model, axes: dict[str, int], stacked: list[Array], rest: list[Array]) -> list[list[Array]]:
    """Returns samples, each a list of arrays in the order of the inputs; inputs without a batch repeat in all."""
    count = next(
        array.shape[axes[input_name(port)]]
        for port, array in zip(model.inputs, stacked, strict=True)
        if input_name(port) in axes
    )
    samples: list[list[Array]] = []
    for index in range(count):
        sample = []
        for port, many, one in zip(model.inputs, stacked, rest, strict=True):
            axis = axes.get(input_name(port))
            sample.append(one if axis is None else np.ascontiguousarray(np.take(many, [index], axis=axis)))
        samples.append(sample)
    return samples


def _columns(
    model: openvino.Model, axes: dict[str, int], samples: list[list[Array]]
) -> list[tuple[list[Array], int | None]]:
    names = [input_name(port) for port in model.inputs]
    return [([sample[index] for sample in samples], axes.get(name)) for index, name in enumerate(names)]


def _join(column: list[Array], axis: int | None) -> Array:
    return column[0] if axis is None else np.concatenate(column, axis=axis)


def _infer(request: openvino.InferRequest, inputs: Sequence[Array], steps: int) -> list[Array]:
    """Returns the results of the last of `steps` inferences: what a state mixes shows in the second one."""
    for _ in range(steps):
        results = request.infer(list(inputs))
    return [_decoded(results[index], request.model_outputs[index]) for index in range(len(results))]


def _decoded(array: Array, port: Any) -> Array:
    if port.get_element_type().to_string() == "bf16":
        return (array.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return array


def _compare(
    model: openvino.Model,
    alone: list[list[Array]],
    together: list[Array],
    batch_size: int,
    check: DifferenceCheck,
    *,
    assume_legal: bool,
) -> BatchProof:
    """Compares outputs: each carries the batch and matches, or does not depend on it; at least one carries it."""
    carriers = 0
    is_telling = False
    kept: list[str] = []
    for index, batched in enumerate(together):
        name = _output_name(model, index)
        singles = [sample[index] for sample in alone]
        if any(not np.all(np.isfinite(np.asarray(single, np.float64))) for single in singles):
            return _illegal(f"output {name!r} is not a finite number for random inputs, so that values prove nothing")
        candidates = _carrying_axes(singles[0].shape, batched.shape, batch_size)
        if candidates:
            carriers += 1
            found = min((worst(singles, batched, axis) for axis in candidates), key=lambda one: one.value)
            if found.value > TOLERANCE or (found.value and is_exact(batched)):
                is_equal, words = check.compare(index, name, found, batch_size)
                if not is_equal:
                    return _illegal(words)
                kept.append(words)
            is_telling = is_telling or are_telling(singles)
        elif batched.shape != singles[0].shape:
            return _illegal(
                f"output {name!r} has no axis for {batch_size} samples: its shape is {list(singles[0].shape)} for one "
                f"and {list(batched.shape)} for the batch, so the samples are mixed within another axis"
            )
        elif max(difference(single, batched) for single in singles) > max(TOLERANCE, check.given or 0.0):
            return _illegal(f"output {name!r} keeps the shape of one sample but depends on all of them")
    if not carriers:
        return _illegal(f"no output has an axis for {batch_size} samples")
    if is_telling:
        within = "".join(f", {words}" for words in kept)
        return _legal(f"each of {batch_size} different samples gives in the batch the result it gives alone{within}")
    alike = "the model gives the same result for different inputs, so that values prove nothing"
    if assume_legal:
        return _legal(f"assumed, not proved: the shapes fit, but {alike} (assume_batch_legal)")
    return _illegal(f"{alike}; where you know that batching is right, set model: {{assume_batch_legal: true}}")


def _carrying_axes(single: tuple[int, ...], batched: tuple[int, ...], batch_size: int) -> list[int]:
    """Returns the axes that grow from 1 to the batch size while all others stay, unlike 100 boxes to 400."""
    if len(single) != len(batched):
        return []
    return [
        axis
        for axis in range(len(single))
        if single[axis] == 1
        and batched[axis] == batch_size
        and single[:axis] == batched[:axis]
        and single[axis + 1 :] == batched[axis + 1 :]
    ]


def _output_name(model: openvino.Model, index: int) -> str:
    port = model.outputs[index]
    names: set[str] = port.get_names()
    return min(names) if names else str(port.node.get_friendly_name())


def _cause(error: ModelError) -> str:
    return first_line(error.__cause__) if error.__cause__ is not None else str(error)


def _legal(reason: str) -> BatchProof:
    return BatchProof(is_legal=True, reason=reason)


def _illegal(reason: str) -> BatchProof:
    return BatchProof(is_legal=False, reason=reason)
