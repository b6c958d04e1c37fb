"""Values that say what was measured: windows, sessions, their costs and what the host did meanwhile.

Every value is frozen and can be written as JSON. Must not import OpenVINO or Optuna.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tuner.bench.configuration import DeploymentConfig, Effective, Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class HostActivity:
    """Activity of the host during one stretch of time; None or 0 if the host does not report it."""

    steal_pct: float = 0.0
    """CPU time taken by the hypervisor, in per cent of all usable CPUs."""
    other_cpu_pct: float = 0.0
    """CPU time used by processes that do not measure, in per cent of all usable CPUs."""
    own_cpu_pct: float = 0.0
    """CPU time used by the measuring processes, in per cent of all usable CPUs."""
    pressure_pct: float | None = None
    """Wall time (%) in which a task of the host waited for a CPU; includes the member's own threads."""
    frequency_mhz: float | None = None
    """Mean frequency of at most eight CPUs at the end of the stretch."""
    thermal_throttles: int = 0
    """Number of times that CPUs were slowed down because of heat."""
    quota_throttles: int = 0
    """Number of scheduler periods in which this process had used up its CPU quota; no disturbance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivalProcess:
    """Arrival process of an open loop: requests arrive independently of the server.

    Without an arrival process the loop is closed: a request starts when another one has ended.
    """

    pattern: str
    """Name of a row of `arrivals.LOADS`."""
    rate_per_s: float | None = None
    """Offered requests per second. None: each member's largest rate within the limits `keep` is searched."""
    keep: tuple[tuple[str, float], ...] = ()
    """Pairs of a metric and its upper limit that the searched rate must keep."""
    lag_limit_ms: float | None = None
    """Upper limit of the generator's lag (99th percentile). None: a share of the latency of the window."""

    @property
    def finds_max(self) -> bool:
        """True if the largest rate is searched."""
        return self.rate_per_s is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Arrival times of one window; equal seeds give equal times, scaled by the rate."""

    pattern: str
    rate_per_s: float
    seed: int
    part: int = 0
    """Index of the replica that serves these arrivals."""
    parts: int = 1
    """Number of replicas; each serves every `parts`-th arrival, beginning with number `part`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLoopStats:
    """Statistics of the requests that arrived in one window of an open loop.

    Latencies of such a window count from the intended arrival. A request that never ran counts with its age at the end.
    """

    rate_per_s: float
    """Offered requests per second."""
    arrivals: int
    waiting: int
    """Number of arrivals that were not completed when the window ended."""
    unserved: int
    """Number of arrivals that were never completed because the drain after the window reached its cap."""
    lag_p99_ms: float
    """99th percentile of the delay that the generator itself added to the start of a request."""
    is_late: bool = False
    """True if the lag is too large for the latencies of this window to be valid."""
    capacity_per_s: float = 0.0
    """Requests/s of the closed loop during the member's warm-up; 0 if not measured."""
    low_per_s: float = 0.0
    """Lower end of the bracket of the largest rate after this window; 0 without a search."""
    high_per_s: float = 0.0
    """Upper end of the bracket of the largest rate after this window; 0 without a search."""
    is_kept: bool | None = None
    """True if this rate kept the limits; None without a search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window(HostActivity):
    """One timed stretch of steady inference by one member, with the activity of the host.

    `samples` completed within `duration_s`; every request's latency is in `latency_counts`
    (bucket -> requests, see `tuner.bench.histogram`) and summed in `latency_sum_ms`.
    """

    block: int
    turn: int
    started_s: float
    """Seconds from the beginning of the session."""
    duration_s: float
    samples: int
    latency_counts: Mapping[int, int]
    latency_sum_ms: float
    cpu_s: float | None = None
    """CPU time of all threads of the member's process for these samples; None in old records."""
    peak_memory_bytes: int | None = None
    """Peak memory of the process until the end of the turn; None if other members share the process."""
    energy_j: float | None = None
    """Energy of the CPU packages for these samples, other processes included; None if unreadable."""
    compile_s: float | None = None
    """Duration of `compile_model`; this and the next three fields need a cold start in every turn."""
    load_s: float | None = None
    """Duration from reading the model's file to a request that can be started, compiling included."""
    first_inference_s: float | None = None
    """Duration of the first request of the process."""
    load_cached_s: float | None = None
    """Duration as `load_s`, in another new process, with a filled model cache; None if not asked for."""
    served: OpenLoopStats | None = None
    """Statistics of the open loop; None for a closed loop."""
    callers: int | None = None
    """Number of synchronous callers; None if the configuration itself decides how many requests are in flight."""

    @property
    def timed_s(self) -> float:
        """Seconds of the turn that were timed: the cold start, if any, and the steady stretch."""
        return self.duration_s + sum(s or 0.0 for s in (self.load_s, self.first_inference_s, self.load_cached_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Result of one member of a session."""

    effective: Effective
    windows: tuple[Window, ...]
    compile_s: float
    is_steady: bool = True
    """False if the warm-up had at least three windows and reached its cap before three agreed."""


ON_DISK = {"configurations": "lineup", "wasted_s": "lost_s"}
"""Names that fields have in sessions.jsonl, where they differ: files of every version have these."""


def name_on_disk(field: str) -> str:
    """Returns the key of a field of Costs or Session in sessions.jsonl."""
    return ON_DISK.get(field, field)


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Parts of a session's wall time, in seconds; the rest of `Session.wall_s` is overhead of the tuner."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"alias_generator": name_on_disk}

    start_s: float = 0.0
    compile_s: float = 0.0
    warm_up_s: float = 0.0
    timed_s: float = 0.0
    """Seconds of all turns: dropped ramp, window and drain."""
    wasted_s: float = 0.0
    """Seconds of attempts that ended with a crashed process; the session then began again without the member."""

    @property
    def total_s(self) -> float:
        """Sum of all parts in seconds."""
        return self.start_s + self.compile_s + self.warm_up_s + self.timed_s + self.wasted_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One run of several configurations; `members[i]` is the result of `configurations[i]`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"alias_generator": name_on_disk}

    configurations: tuple[DeploymentConfig, ...]
    members: tuple[Windows | Failure, ...]
    started_unix_s: float
    wall_s: float
    costs: Costs
    process: str
    """Names of the worker processes; sessions with the same name shared their processes."""

    def items(self) -> Iterator[tuple[DeploymentConfig, Windows | Failure]]:
        """Returns each configuration with its result, in the order of the configurations."""
        return zip(self.configurations, self.members, strict=True)

    def ran(self) -> list[tuple[DeploymentConfig, Windows]]:
        """Returns the configurations that did not fail, each with its windows."""
        return [(config, member) for config, member in self.items() if isinstance(member, Windows)]
