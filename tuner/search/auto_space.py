"""The automatic space: what is worth trying on this device and host.

Responsible for a table of parameters and their values. Must not ask the device, the host or the search.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from tuner.bench.own_parameters import OWN_PARAMETERS
from tuner.bench.value import Value
from tuner.errors import InputError
from tuner.study.space import Parameter, Space

REQUESTS_PER_STREAM = 8
"""Largest number of requests for each stream: tiny models gain up to 4 to 8, more requests only add latency."""

OPEN_REQUESTS_PER_STREAM = 2
"""Largest number of requests for each stream where requests arrive by themselves.

An arrival waits in a queue anyhow: more requests in flight only move the wait behind `start_async`.
"""

LANES = {"GPU": 8, "NPU": 4}
"""Number of requests that run at once on devices without CPUs: useful streams of a GPU, an NPU's suggestion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceFacts:
    """The facts about study, model, device and host that decide the automatic space."""

    device: str
    """Device as the study names it, such as `CPU`, `GPU.0` or `AUTO:GPU,CPU`."""
    cpus: int
    """Number of CPUs that this process may use, by its affinity and its quota."""
    is_latency: bool = False
    """True if each caller sends one request at a time and waits for its answer."""
    callers: int = 1
    """Largest number of such callers."""
    is_open: bool = False
    """True if requests arrive by themselves."""
    is_batch_legal: bool = False
    """True if a batch gives each sample the result that it has alone."""
    batch_limit: int = 32
    """Largest batch size that is tried (tuner/README.md, search)."""
    has_smt: bool = False
    """True if the CPUs have several hardware threads each."""
    is_hybrid: bool = False
    """True if the host has performance and efficiency cores."""
    device_properties: Collection[str] = ()
    """Names of the properties that the device says can be set."""
    replicas: int = 1
    """Largest number of processes that share the host."""

    @property
    def kind(self) -> str:
        """Kind of the device, such as `CPU`, `GPU` or `AUTO`."""
        return self.device.split(":")[0].split(".")[0]

    @property
    def is_cpu(self) -> bool:
        """True if the device is the CPU itself."""
        return self.kind == "CPU"

    @property
    def lanes(self) -> int:
        """Number of requests that can run at once."""
        return LANES.get(self.kind, self.cpus)

    @property
    def requests_per_stream(self) -> int:
        """Largest number of requests for each stream."""
        return OPEN_REQUESTS_PER_STREAM if self.is_open else REQUESTS_PER_STREAM


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    name: str
    values: Callable[[SpaceFacts], tuple[Value, ...]]
    applies: Callable[[SpaceFacts], bool]


_ROWS = (
    _Row(
        name="PERFORMANCE_HINT",
        values=lambda f: ("LATENCY", "THROUGHPUT", *(("CUMULATIVE_THROUGHPUT",) if f.kind == "AUTO" else ())),
        applies=lambda f: f.kind in ("AUTO", "MULTI", "HETERO"),
    ),
    _Row(
        # With one request in flight a second stream only takes threads away; fewer threads do the same. With as many
        # streams as callers none of them waits for another.
        name="NUM_STREAMS",
        values=lambda f: _counts(min(f.lanes, f.callers) if f.is_latency else f.lanes),
        applies=lambda f: f.is_cpu or (f.kind == "GPU" and "NUM_STREAMS" in f.device_properties),
    ),
    _Row(name="INFERENCE_NUM_THREADS", values=lambda f: _counts(f.cpus), applies=lambda f: f.is_cpu),
    _Row(
        name="ENABLE_CPU_PINNING",
        values=lambda _: (True, False),
        applies=lambda f: f.is_cpu and sys.platform == "linux",
    ),
    _Row(
        name="ENABLE_HYPER_THREADING",
        values=lambda _: (True, False),
        applies=lambda f: f.is_cpu and f.has_smt,
    ),
    _Row(
        name="SCHEDULING_CORE_TYPE",
        values=lambda _: ("ANY_CORE", "PCORE_ONLY", "ECORE_ONLY"),
        applies=lambda f: f.is_cpu and f.is_hybrid,
    ),
    *(
        _Row(name=row.name, values=lambda _, row=row: row.words, applies=lambda f: f.is_cpu and f.replicas > 1)  # type: ignore[misc]
        for row in OWN_PARAMETERS.values()
        if row.is_for_replicas
    ),
    _Row(
        name="batch_size",
        values=lambda f: _powers_of_two(f.batch_limit),
        applies=lambda f: f.is_batch_legal and not (f.is_latency or f.is_open),
    ),
    _Row(
        name="infer_requests",
        values=lambda f: (f.callers,) if f.is_latency else _counts(f.lanes, times=f.requests_per_stream),
        applies=lambda _: True,
    ),
)


def auto_space(facts: SpaceFacts) -> Space:
    """Returns the space that `space: auto` means for a study on a host."""
    return Space(parameters=tuple(Parameter(name=r.name, values=r.values(facts)) for r in _ROWS if r.applies(facts)))


def extend(space: Space, parameters: Sequence[Parameter]) -> Space:
    """Returns the space with more parameters; a parameter that the space has is replaced where it stands.

    A parameter moves to the end if its `when` names a parameter that would stand below it. Raises `InputError` if the
    named parameter does not exist.
    """
    found = list(space.parameters)
    for parameter in parameters:
        names = [p.name for p in found]
        position = names.index(parameter.name) if parameter.name in names else len(names)
        missing = sorted(parameter.when.keys() - set(names))
        if missing:
            advice = f"take it out of `when`, or name one of {', '.join(names)}"
            raise InputError(f"{parameter.name} depends on {missing[0]}, which is not in the space", advice=advice)
        if not parameter.when.keys() <= set(names[:position]):
            del found[position]
            position = len(found)
        found[position : position + 1] = [parameter]
    return Space(parameters=tuple(found))


def read_value(text: str, parameter: Parameter) -> Value:
    """Returns the parameter's value that is written as `text`, else the number in the text, else the first value.

    The number may be none of the parameter's values; `Space.nearest` replaces it.
    """
    for value in parameter.values:
        if str(value).lower() == text.lower():
            return value
    return int(text) if text.isdecimal() else parameter.values[0]


def _powers_of_two(limit: int) -> tuple[int, ...]:
    return tuple(1 << n for n in range(limit.bit_length()))


def _counts(limit: int, *, times: int = 1) -> tuple[int, ...]:
    """Returns the powers of two up to `limit * times`, with the limit, its half, its quarter and its doubles.

    12 CPUs give 1, 2, 3, 4, 6, 8, 12: streams that do not divide the CPUs get uneven threads.
    """
    most = limit * times
    own = {limit // 4, limit // 2, *(limit << n for n in range(times.bit_length()))}
    return tuple(sorted({n for n in own if 1 <= n <= most} | set(_powers_of_two(most))))
