"""The automatic space: what is worth trying on this device and host, and what to try first.

Judges from facts it is given; must not ask the device, the host or the search. The rows and the seeds follow
measurements: hints leave most on the table with few requests, batch 1, pinned replicas and CPU quotas.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from tuner.bench.value import Value
from tuner.errors import InputError
from tuner.study.space import Parameter, Space

REQUESTS_PER_STREAM = 8
"""Tiny models still gain from 4 to 8 requests a stream; larger numbers only add latency."""

OPEN_REQUESTS_PER_STREAM = 2
"""What arrives by itself waits in a queue anyhow: more requests only move the wait behind `start_async`."""

LANES = {"GPU": 8, "NPU": 4}
"""Requests that run at once where CPUs do not say: streams worth asking of a GPU, what an NPU suggests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    device: str
    """The kind: `CPU`, `GPU`, `AUTO`."""
    is_latency: bool
    is_open: bool
    cpus: int
    is_batch_legal: bool
    batch_limit: int
    has_smt: bool
    is_hybrid: bool
    device_properties: Collection[str]
    replicas: int

    @property
    def lanes(self) -> int:
        return LANES.get(self.device, self.cpus)

    @property
    def requests_per_stream(self) -> int:
        return OPEN_REQUESTS_PER_STREAM if self.is_open else REQUESTS_PER_STREAM


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    name: str
    values: Callable[[_Facts], tuple[Value, ...]]
    applies: Callable[[_Facts], bool]


def _is_cpu(facts: _Facts) -> bool:
    return facts.device == "CPU"


_ROWS = (
    _Row(
        name="PERFORMANCE_HINT",
        values=lambda f: ("LATENCY", "THROUGHPUT", *(("CUMULATIVE_THROUGHPUT",) if f.device == "AUTO" else ())),
        applies=lambda f: f.device in ("AUTO", "MULTI", "HETERO"),
    ),
    _Row(
        # With one request in flight a second stream only takes threads away; fewer threads say the same.
        name="NUM_STREAMS",
        values=lambda f: (1,) if f.is_latency else _counts(f.lanes),
        applies=lambda f: _is_cpu(f) or (f.device == "GPU" and "NUM_STREAMS" in f.device_properties),
    ),
    _Row(name="INFERENCE_NUM_THREADS", values=lambda f: _counts(f.cpus), applies=_is_cpu),
    _Row(
        name="ENABLE_CPU_PINNING",
        values=lambda _: (True, False),
        applies=lambda f: _is_cpu(f) and sys.platform == "linux",
    ),
    _Row(
        name="ENABLE_HYPER_THREADING",
        values=lambda _: (True, False),
        applies=lambda f: _is_cpu(f) and f.has_smt,
    ),
    _Row(
        name="SCHEDULING_CORE_TYPE",
        values=lambda _: ("ANY_CORE", "PCORE_ONLY", "ECORE_ONLY"),
        applies=lambda f: _is_cpu(f) and f.is_hybrid,
    ),
    _Row(name="affinity", values=lambda _: ("shared", "split"), applies=lambda f: _is_cpu(f) and f.replicas > 1),
    _Row(
        name="batch_size",
        values=lambda f: _powers_of_two(f.batch_limit),
        applies=lambda f: f.is_batch_legal and not (f.is_latency or f.is_open),
    ),
    _Row(
        name="infer_requests",
        values=lambda f: (1,) if f.is_latency else _counts(f.lanes, times=f.requests_per_stream),
        applies=lambda _: True,
    ),
)


def auto_space(
    *,
    device: str,
    is_latency: bool,
    is_open: bool = False,
    cpus: int,
    is_batch_legal: bool,
    batch_limit: int = 32,
    has_smt: bool,
    is_hybrid: bool,
    device_properties: Collection[str],
    replicas: int = 1,
) -> Space:
    """What `space: auto` means here.

    `is_latency`: one request at a time; `is_open`: requests arrive by themselves. `cpus`: that this process may use, by
    affinity and quota. `device_properties`: the names the device says can be set. `replicas`: the most that share the
    host.
    """
    facts = _Facts(
        device=device.split(":")[0].split(".")[0],
        is_latency=is_latency,
        is_open=is_open,
        cpus=cpus,
        is_batch_legal=is_batch_legal,
        batch_limit=batch_limit,
        has_smt=has_smt,
        is_hybrid=is_hybrid,
        device_properties=device_properties,
        replicas=replicas,
    )
    return Space(parameters=tuple(Parameter(name=r.name, values=r.values(facts)) for r in _ROWS if r.applies(facts)))


def extend(space: Space, parameters: Sequence[Parameter]) -> Space:
    """`extends: auto`: a parameter of the same name replaces in its place, others follow.

    One whose `when` needs a parameter that would stand below it moves to the end. Raises `InputError` where there is no
    such parameter.
    """
    found = list(space.parameters)
    for parameter in parameters:
        names = [p.name for p in found]
        place = names.index(parameter.name) if parameter.name in names else len(names)
        missing = sorted(parameter.when.keys() - set(names))
        if missing:
            advice = f"take it out of `when`, or name one of {', '.join(names)}"
            raise InputError(f"{parameter.name} depends on {missing[0]}, which is not in the space", advice=advice)
        if not parameter.when.keys() <= set(names[:place]):
            del found[place]
            place = len(found)
        found[place : place + 1] = [parameter]
    return Space(parameters=tuple(found))


def read_value(text: str, parameter: Parameter) -> Value:
    """The value that reads like `text`; else the number it is, which the space may round; else the first."""
    for value in parameter.values:
        if str(value).lower() == text.lower():
            return value
    return int(text) if text.isdecimal() else parameter.values[0]


def _powers_of_two(limit: int) -> tuple[int, ...]:
    return tuple(1 << n for n in range(limit.bit_length()))


def _counts(limit: int, *, times: int = 1) -> tuple[int, ...]:
    """Powers of two up to `limit * times`, with `limit`, its half and quarter, and its doubles up to that.

    On 12 CPUs 1, 2, 3, 4, 6, 8, 12: streams that do not divide the CPUs get uneven threads.
    """
    most = limit * times
    own = {limit // 4, limit // 2, *(limit << n for n in range(times.bit_length()))}
    return tuple(sorted({n for n in own if 1 <= n <= most} | set(_powers_of_two(most))))
