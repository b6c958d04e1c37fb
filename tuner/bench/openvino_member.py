"""A compiled configuration as it is measured: what it reports of itself, its filled requests, and one turn of them.

Knows OpenVINO's compiled models; who is compiled when is the backend's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import openvino as ov

from tuner.bench.loop import Turn, run_async, run_sync
from tuner.bench.openvino_device import PASSING_DOWN
from tuner.bench.protocol import SETTLE_CAP_S, Clock, DeploymentConfig, Effective
from tuner.model.inputs import random_inputs
from tuner.model.property_text import as_text
from tuner.model.spec import ModelSpec

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
"""Read back but no part of what the device does: reporting, and hints whose effect shows in other properties."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A compiled configuration with its requests filled; `run(window_s, drop_s, max_s, tail_s)` takes one turn."""

    config: DeploymentConfig
    effective: Effective
    compiled: ov.CompiledModel
    run: Callable[[float, float, float, float], Turn]
    queue: ov.AsyncInferQueue | None = None
    """None where calls are synchronous."""
    requests: Sequence[ov.InferRequest] = ()


def read_property(compiled: ov.CompiledModel, name: str) -> str:
    """As text; `unreadable` where the compiled model does not tell."""
    try:
        return as_text(compiled.get_property(name))
    except RuntimeError:
        return "unreadable"


def read_effective(compiled: ov.CompiledModel, config: DeploymentConfig) -> Effective:
    """What came back, as strings. What cannot be read back counts with the value asked for."""
    if config.device.startswith(PASSING_DOWN):
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
    """Creates and fills every request; `clock` times its turns."""
    effective = read_effective(compiled, config)
    if effective.api == "sync":
        request = compiled.create_infer_request()
        fill(request, compiled, model, spec, seed)
        return Member(
            config=config,
            effective=effective,
            compiled=compiled,
            run=lambda window_s, drop_s, max_s, tail_s: run_sync(
                request, window_s=window_s, drop_s=drop_s, max_s=max_s, clock=clock, tail_s=tail_s
            ),
        )
    queue = ov.AsyncInferQueue(compiled, effective.infer_requests)
    requests = [queue[i] for i in range(len(queue))]
    for i, request in enumerate(requests):
        fill(request, compiled, model, spec, seed + i)
    return Member(
        config=config,
        effective=effective,
        compiled=compiled,
        run=lambda window_s, drop_s, max_s, tail_s: run_async(
            queue, requests, window_s=window_s, drop_s=drop_s, max_s=max_s, clock=clock, tail_s=tail_s
        ),
        queue=queue,
        requests=requests,
    )


def fill(request: ov.InferRequest, compiled: ov.CompiledModel, model: ov.Model, spec: ModelSpec, seed: int) -> None:
    """Each request gets tensors of its own: shared inputs may be cached and flatter the figures (openvino.md)."""
    for port, array in zip(compiled.inputs, random_inputs(model, spec, seed), strict=True):
        request.set_tensor(port, ov.Tensor(array))


def settle(member: Member, clock: Clock) -> None:
    """The first inference of every request, and AUTO's decision for its final device. Raises RuntimeError where it does
    not settle within SETTLE_CAP_S."""
    member.run(0.0, 0.0, 0.0, 0.0)
    if member.config.device.split(":")[0] != "AUTO":
        return
    seen: list[str] = []
    deadline = clock() + SETTLE_CAP_S
    while clock() < deadline:
        member.run(0.1, 0.0, 1.0, 0.0)
        seen.append(as_text(member.compiled.get_property("EXECUTION_DEVICES")))
        if len(seen) >= 3 and len(set(seen[-3:])) == 1 and "(CPU)" not in seen[-1]:
            return
    raise RuntimeError(f"{member.config.device} did not settle on a device within {SETTLE_CAP_S:.0f} s")
