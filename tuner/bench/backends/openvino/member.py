"""A compiled configuration of OpenVINO: what it reports, its filled requests, and one turn of them.

Responsible for compiled models. Must not decide which configuration is compiled when.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import openvino as ov

from tuner.bench.configuration import DeploymentConfig, Effective
from tuner.bench.loadgen.callers import run_callers
from tuner.bench.loadgen.closed_loop import (
    EmptyingQueue,
    EmptyingRequest,
    Queue,
    SyncRequest,
    Turn,
    run_async,
)
from tuner.bench.protocol import Clock
from tuner.bench.turn import TurnPlan
from tuner.model.device import is_composed
from tuner.model.inputs import random_inputs
from tuner.model.property_text import as_text
from tuner.model.spec import ModelSpec
from tuner.model.state import steps_between_resets

SETTLE_CAP_S = 30.0
"""Longest time in seconds that AUTO needs to settle on a device.

AUTO serves its first requests on the CPU; the chosen device has compiled well within this time (tuner/README.md).
"""

REPORTING = {
    "SUPPORTED_PROPERTIES",
    "NETWORK_NAME",
    "OPTIMAL_NUMBER_OF_INFER_REQUESTS",
    "EXECUTION_DEVICES",
    "RUNTIME_REQUIREMENTS",
    "LOADED_FROM_CACHE",
    "PERFORMANCE_HINT",
    "PERFORMANCE_HINT_NUM_REQUESTS",
    "PERF_COUNT",
    "LOG_LEVEL",
    "MULTI_DEVICE_PRIORITIES",
    "DEVICE_PROPERTIES",
    "MODEL_PRIORITY",
}
"""Properties that are no part of the effective configuration: reports, and hints that show in other properties."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A compiled configuration with its requests filled; `run` takes one closed-loop turn."""

    config: DeploymentConfig
    effective: Effective
    compiled: ov.CompiledModel
    run: Callable[[TurnPlan], Turn]
    queue: Queue | None = None
    """Queue of the requests; None for synchronous calls."""
    requests: Sequence[ov.InferRequest] = ()

    @property
    def settle_s(self) -> float:
        """Seconds that the device may need to settle, beyond one run of each request."""
        return SETTLE_CAP_S if self.config.device.split(":")[0] == "AUTO" else 0.0


def read_property(compiled: ov.CompiledModel, name: str) -> str:
    """Returns a property as text, or `unreadable` if the compiled model does not report it."""
    try:
        return as_text(compiled.get_property(name))
    except RuntimeError:
        return "unreadable"


def read_effective(compiled: ov.CompiledModel, config: DeploymentConfig) -> Effective:
    """Returns what the compiled model reports; an unreadable property has the requested value."""
    if is_composed(config.device):
        properties = {name: str(value) for name, value in config.properties.items()}
    else:
        names = {str(name) for name in compiled.get_property("SUPPORTED_PROPERTIES")} - REPORTING
        properties = {name: read_property(compiled, name) for name in sorted(names)}
        unread = config.properties.keys() - properties.keys() - REPORTING
        properties |= {name: str(config.properties[name]) for name in sorted(unread)}
    suggested = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
    return Effective.of(config, properties, suggested=suggested)


def open_member(
    compiled: ov.CompiledModel, model: ov.Model, config: DeploymentConfig, spec: ModelSpec, *, seed: int, clock: Clock
) -> Member:
    """Creates and fills every request of a member; `clock` times its turns.

    The requests of a model with a state empty it in a fixed rhythm, and each turn counts whole conversations.
    """
    effective = read_effective(compiled, config)
    steps = steps_between_resets(model, spec)
    cycle = steps or 1
    if effective.api == "sync":
        callers: list[SyncRequest] = []
        for i in range(effective.infer_requests):
            request = compiled.create_infer_request()
            fill(request, compiled, model, spec, seed + i)
            callers.append(request if steps is None else EmptyingRequest(request, steps))
        # Idle threads end with the member, the last reference to the pool.
        pool = ThreadPoolExecutor(max_workers=len(callers), thread_name_prefix="caller")
        return Member(
            config=config,
            effective=effective,
            compiled=compiled,
            run=lambda plan: run_callers(callers[: plan.callers], plan, clock=clock, pool=pool, cycle=cycle),
        )
    bare = ov.AsyncInferQueue(compiled, effective.infer_requests)
    requests = [bare[i] for i in range(len(bare))]
    queue: Queue = bare if steps is None else EmptyingQueue(bare, requests, steps)
    for i, request in enumerate(requests):
        fill(request, compiled, model, spec, seed + i)
    return Member(
        config=config,
        effective=effective,
        compiled=compiled,
        run=lambda plan: run_async(queue, requests, plan, clock=clock, cycle=cycle),
        queue=queue,
        requests=requests,
    )


def fill(request: ov.InferRequest, compiled: ov.CompiledModel, model: ov.Model, spec: ModelSpec, seed: int) -> None:
    """Fills a request with tensors of its own; shared ones may be cached and flatter the figures (tuner/README.md)."""
    for port, array in zip(compiled.inputs, random_inputs(model, spec, seed), strict=True):
        request.set_tensor(port, ov.Tensor(array))


def settle(member: Member, clock: Clock) -> None:
    """Runs every request once and waits until AUTO has chosen its final device.

    Raises RuntimeError if AUTO does not settle within SETTLE_CAP_S.
    """
    member.run(TurnPlan(window_s=0.0))
    if not member.settle_s:
        return
    seen: list[str] = []
    deadline = clock() + member.settle_s
    while clock() < deadline:
        member.run(TurnPlan(window_s=0.1, max_s=1.0))
        seen.append(as_text(member.compiled.get_property("EXECUTION_DEVICES")))
        if len(seen) >= 3 and len(set(seen[-3:])) == 1 and "(CPU)" not in seen[-1]:
            return
    raise RuntimeError(f"{member.config.device} did not settle on a device within {member.settle_s:.0f} s")
