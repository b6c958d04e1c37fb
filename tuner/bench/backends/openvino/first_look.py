"""One look at a model on its device: its faults, inputs, state, and how its time depends on the data.

Responsible for facts that a user should hear before anything is measured. Must not measure configurations.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import openvino as ov

from tuner.bench.backends.openvino.member import fill
from tuner.bench.model_behaviour import StateKept, TimeDependsOnData
from tuner.bench.protocol import Clock
from tuner.model.inputs import random_inputs
from tuner.model.spec import ModelSpec
from tuner.model.state import state_variables, steps_between_resets

DATA_SETS = 4
"""Number of random inputs whose times are compared."""
PASSES, REPEATS = 3, 3
"""Number of passes, and of timings of each input in a pass: the fastest counts, which other processes disturb least."""
TIMED_S = 0.001
"""Shortest timing in seconds: shorter inferences are repeated, since a single one differs by half for no reason."""
LONGEST_PROBE_S = 1.0
"""Longest time in seconds for the comparison of inputs; slower models are not compared."""
DATA_RATIO = 1.25
"""Ratio of the times of two inputs from which the time depends on the data, if every pass agrees.

It also has to exceed the square of the largest ratio between passes over the same input, which is the host's doing.
"""
LONGEST_CONVERSATION_S = 2.0
"""Time in seconds of the steps between two resets of a state from which a window becomes long by them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstLook:
    """Facts that a few inferences on the device show."""

    inference_s: float
    """Seconds of the second inference; the first one also fills caches."""
    state: StateKept | None
    """State of the model; None for a model without one."""
    data: TimeDependsOnData | None
    """Times on different random inputs; None if they do not differ, or were not compared."""


def look(
    compiled: ov.CompiledModel, model: ov.Model, spec: ModelSpec, *, device: str, seed: int, clock: Clock
) -> FirstLook:
    """Runs a compiled model a few times and returns what they show."""
    request = compiled.create_infer_request()
    fill(request, compiled, model, spec, seed)
    request.infer()
    before = clock()
    request.infer()
    inference_s = clock() - before
    state = _state_kept(request, model, spec, clock)
    data = _data_times(compiled, model, spec, seed, inference_s) if device == "CPU" else None
    return FirstLook(inference_s=inference_s, state=state, data=data)


def _state_kept(request: ov.InferRequest, model: ov.Model, spec: ModelSpec, clock: Clock) -> StateKept | None:
    steps = steps_between_resets(model, spec)
    if steps is None:
        return None
    request.reset_state()
    taken: list[float] = []
    while len(taken) < steps and sum(taken) < LONGEST_CONVERSATION_S:
        before = clock()
        request.infer()
        taken.append(clock() - before)
    request.reset_state()
    return StateKept(
        variables=tuple(state_variables(model)),
        steps=steps,
        is_stated=bool(spec.steps),
        timed_steps=len(taken),
        step_s=statistics.fmean(taken),
    )


def _data_times(
    compiled: ov.CompiledModel, model: ov.Model, spec: ModelSpec, seed: int, inference_s: float
) -> TimeDependsOnData | None:
    """Returns the times if an inference takes more CPU time on some random inputs than on others, else None.

    The time of all threads of this process counts: other processes change it less than the time on the wall.
    """
    each = max(1, math.ceil(TIMED_S / max(inference_s, 1e-6)))
    if inference_s * each * DATA_SETS * (PASSES * REPEATS + 1) > LONGEST_PROBE_S:
        return None
    feeds = [random_inputs(model, spec, seed + i) for i in range(DATA_SETS)]
    request = compiled.create_infer_request()
    is_stateful = bool(state_variables(model))

    def seconds(feed: list[ov.Tensor]) -> float:
        if is_stateful:
            request.reset_state()
        before = time.process_time()
        for _ in range(each):
            request.infer(feed)
        return (time.process_time() - before) / each

    tensors = [[ov.Tensor(array) for array in feed] for feed in feeds]
    for feed in tensors:
        seconds(feed)
    passes = []
    for _ in range(PASSES):
        rounds = [[seconds(feed) for feed in tensors] for _ in range(REPEATS)]
        passes.append([min(column) for column in zip(*rounds, strict=True)])
    found = depends_on_data(passes)
    return None if found is None else TimeDependsOnData(fastest_s=found[0], slowest_s=found[1])


def depends_on_data(passes: Sequence[Sequence[float]]) -> tuple[float, float] | None:
    """Returns the seconds on the fastest and the slowest input, or None if their difference may be the host's doing.

    Each pass has the seconds on each input. The inputs of the first pass that differ most have to differ in every pass.
    """
    slow, fast = passes[0].index(max(passes[0])), passes[0].index(min(passes[0]))
    ratio = min(found[slow] / found[fast] for found in passes)
    noise = max(max(same) / min(same) for same in zip(*passes, strict=True))
    if ratio < max(DATA_RATIO, noise * noise):
        return None
    return statistics.fmean(found[fast] for found in passes), statistics.fmean(found[slow] for found in passes)


def weight_bytes(model: ov.Model) -> int:
    """Returns the size of the model's constants in bytes, from types and shapes; their data is not touched."""
    constants = (operation.output(0) for operation in model.get_ops() if operation.get_type_name() == "Constant")
    return sum(port.element_type.bitwidth * math.prod(port.shape) // 8 for port in constants)
