"""The seam between search and measurement: the `Bench` protocol and the values that cross it.

Responsible for values that are frozen and can be written as JSON. Must not import OpenVINO, Optuna or a module that
measures.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

PropertyValue = str | int | float | bool
Clock = Callable[[], float]
"""Returns monotonic seconds from an arbitrary origin."""
Api = Literal["async", "sync"]
Calls = Literal["async", "sync", "by_requests"]
"""Way in which an application calls a configuration.

`by_requests` calls one request synchronously and several requests asynchronously. It serves configurations whose number
of requests is known only after compiling.
"""
Affinity = Literal["shared", "split"]
"""CPUs of the replicas: all replicas share the same CPUs, or each replica has a part of its own."""
Phase = Literal["baselines", "calibration", "search", "race", "final", "confirm", "measure"]


@dataclass(frozen=True, kw_only=True, eq=False)
class DeploymentConfig:
    """One complete choice of device, properties, batch size, requests and processes.

    Two configurations are equal if their `key`s are equal; `1` and `True` differ. The class has no slots because `key`
    is computed once and cached: it is read in every comparison and every dictionary.
    """

    device: str
    properties: Mapping[str, PropertyValue] = field(default_factory=dict)
    batch_size: int = 1
    infer_requests: int | None = None
    """Number of requests in flight. None: the number that the compiled model suggests."""
    api: Calls = "async"
    variant: str = "default"
    replicas: int = 1
    """Number of identical processes that serve at the same time."""
    affinity: Affinity = "shared"

    @cached_property
    def key(self) -> str:
        """Canonical JSON of every field: the identity of the request, not of what the device makes of it."""
        return json.dumps(
            {
                "device": self.device,
                "properties": dict(self.properties),
                "batch_size": self.batch_size,
                "infer_requests": self.infer_requests,
                "api": self.api,
                "variant": self.variant,
                "replicas": self.replicas,
                "affinity": self.affinity,
            },
            sort_keys=True,
        )

    @property
    def properties_key(self) -> str:
        """Canonical JSON of the fields that decide what the device reports, whatever the batch and the requests."""
        return json.dumps([self.device, dict(self.properties), self.variant], sort_keys=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DeploymentConfig) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        words = [f"{name}={value}" for name, value in sorted(self.properties.items())]
        words.append(f"batch_size={self.batch_size}")
        if self.infer_requests is not None:
            words.append(f"infer_requests={self.infer_requests}")
        if self.replicas > 1:
            words += [f"replicas={self.replicas}", f"affinity={self.affinity}"]
        return " ".join(words)


def api_of(calls: Calls, requests: int) -> Api:
    """Returns the API that `calls` means with `requests` requests in flight."""
    if calls == "by_requests":
        return "sync" if requests == 1 else "async"
    return calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Resources that the deployment gives a model, and its background load. None: those of this process."""

    cpus: float | None = None
    """CPU quota of each replica, in CPUs."""
    cpuset: tuple[int, ...] | None = None
    """Numbers of the CPUs that the replicas share or split."""
    memory_bytes: int | None = None
    """Memory limit of each replica."""
    replicas: int = 1
    background: str | None = None
    """Shell command that runs on the host during every measurement."""

    @property
    def has_limits(self) -> bool:
        """True if the limits need control groups."""
        return self.cpus is not None or self.memory_bytes is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """Effective configuration: what the device made of a request. `key` is its identity.

    `properties` holds the values that the compiled model reports, as strings, without properties that only report. A
    property that cannot be read back has the requested value.
    """

    properties: Mapping[str, str]
    batch_size: int
    infer_requests: int
    api: Api = "async"
    variant: str = "default"
    replicas: int = 1
    affinity: Affinity = "shared"

    @classmethod
    def of(cls, config: DeploymentConfig, properties: Mapping[str, str], *, suggested: int) -> Effective:
        """Returns the effective configuration of `config` on a device that reports `properties`.

        `suggested` requests are in flight if `config` names no number; synchronous calls always have one.
        """
        requests = 1 if config.api == "sync" else config.infer_requests or suggested
        return cls(
            properties=properties,
            batch_size=config.batch_size,
            infer_requests=requests,
            api=api_of(config.api, requests),
            variant=config.variant,
            replicas=config.replicas,
            affinity=config.affinity,
        )

    @property
    def key(self) -> str:
        """16 hexadecimal digits that are equal for equal effective configurations."""
        content = [sorted(self.properties.items()), self.batch_size, self.infer_requests, self.api, self.variant]
        if self.replicas > 1:
            content += [self.replicas, self.affinity]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


class FailureKind(enum.StrEnum):
    """Stage or resource at which a configuration failed."""

    COMPILE = "compile"
    RUNTIME = "runtime"
    TIMEOUT = "timeout"
    CRASH = "crash"
    MEMORY = "memory"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Reason why a configuration cannot be used, as data. `message` is one line."""

    kind: FailureKind
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLoad:
    """Activity of the host during one stretch of time; None or 0 if the host does not report it."""

    steal_pct: float = 0.0
    """CPU time taken by the hypervisor, in per cent of all usable CPUs."""
    other_cpu_pct: float = 0.0
    """CPU time used by processes that do not measure, in per cent of all usable CPUs."""
    own_cpu_pct: float = 0.0
    """CPU time used by the measuring processes, in per cent of all usable CPUs."""
    pressure_pct: float | None = None
    """Wall time in which a task of the host waited for a CPU, in per cent; includes the member's own threads."""
    frequency_mhz: float | None = None
    """Mean frequency of at most eight CPUs at the end of the stretch."""
    thermal_throttles: int = 0
    """Number of times that CPUs were slowed down because of heat."""
    quota_throttles: int = 0
    """Number of scheduler periods in which this process had used up its CPU quota; no disturbance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
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
class Served:
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
class Window(HostLoad):
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
    served: Served | None = None
    """Statistics of the open loop; None for a closed loop."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Parts of a session's wall time, in seconds; the rest of `Session.wall_s` is overhead of the tuner."""

    start_s: float = 0.0
    compile_s: float = 0.0
    warm_up_s: float = 0.0
    timed_s: float = 0.0
    """Seconds of all turns: dropped ramp, window and drain."""
    lost_s: float = 0.0
    """Seconds of attempts that ended with a crashed process; the session then began again without the member."""

    @property
    def total_s(self) -> float:
        """Sum of all parts in seconds."""
        return self.start_s + self.compile_s + self.warm_up_s + self.timed_s + self.lost_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One run of several configurations; `members[i]` is the result of `lineup[i]`."""

    lineup: tuple[DeploymentConfig, ...]
    members: tuple[Windows | Failure, ...]
    started_unix_s: float
    wall_s: float
    costs: Costs
    process: str
    """Names of the worker processes; sessions with the same name shared their processes."""

    def items(self) -> Iterator[tuple[DeploymentConfig, Windows | Failure]]:
        """Returns each configuration with its result, in the order of the lineup."""
        return zip(self.lineup, self.members, strict=True)

    def ran(self) -> list[tuple[DeploymentConfig, Windows]]:
        """Returns the configurations that did not fail, each with its windows."""
        return [(config, member) for config, member in self.items() if isinstance(member, Windows)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPlan:
    """Parameters of one session."""

    phase: Phase
    seed: int
    blocks: int
    """Number of blocks; every member has one window in each block."""
    window_s: float = 0.4
    warm_up_s: float = 0.5
    """Seconds of warm-up of each member; 0 if every turn is a cold start."""
    steady_tolerance: float = 0.10
    """Log-range within which three warm-up windows are steady: max(10 %, 3.3 window sd), see tuner/README.md."""
    drop_s: float = 0.1
    """Seconds at the start of every turn that do not count: queues fill, caches warm."""
    max_window_s: float = 3.0
    """Longest window; a member that cannot run each request four times in it is too slow for the budget."""
    is_fresh: bool = False
    """True if every process is new and nothing stays resident (baselines, confirmation)."""
    has_reference: bool = True
    """True if the first member is the reference, without which the others cannot be compared."""
    compile_limit_s: float = 120.0
    """Seconds after which a compile counts as hung."""
    hang_limit_s: float = 15.0
    """Seconds beyond its planned time after which an inference step counts as hung."""
    load: Load | None = None
    """Arrival process of the open loop. None: closed loop."""
    enough: Callable[[Sequence[Windows | Failure]], bool] | None = field(default=None, compare=False, repr=False)
    """Called between blocks with the results so far; True ends the session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """Facts of the model and its device, read after one real inference."""

    inputs: Sequence[Mapping[str, Any]]
    precision: str
    """Default INFERENCE_PRECISION_HINT of the device, or `unreadable`."""
    device_properties: Sequence[str]
    device_name: str
    batch_legal: bool
    batch_reason: str


class Bench(Protocol):
    """Measures configurations, on hardware or simulated."""

    def resolve(self, config: DeploymentConfig) -> Effective | Failure:
        """Compiles a configuration and reads back what the device made of it, without timing."""

    def measure(self, lineup: Sequence[DeploymentConfig], plan: SessionPlan) -> Session:
        """Runs one session; `lineup[0]` is the reference and may stay resident.

        A member that fails has its `Failure` at its index. Raises `HostError` if this host can measure no member.
        """
