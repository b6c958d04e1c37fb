"""The one seam: what search may ask of measurement, and the values that cross it.

Knows neither OpenVINO nor Optuna; every value is frozen and can be written as JSON.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

PropertyValue = str | int | float | bool
Clock = Callable[[], float]
"""Seconds from an arbitrary origin, monotonic."""
SETTLE_CAP_S = 30.0
"""AUTO serves its first requests on the CPU; the chosen device has compiled well within this (openvino.md)."""
Api = Literal["async", "sync"]
Calls = Literal["async", "sync", "by_requests"]
"""How a configuration is to be called. by_requests: one request synchronously, several asynchronously, where how many
there are is known only once the model is compiled."""
Affinity = Literal["shared", "split"]
"""Replicas all use the same CPUs, or each a part of its own."""
Phase = Literal["baselines", "calibration", "search", "race", "final", "confirm", "measure"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DeploymentConfig:
    """One complete choice. Equal when every field is, with `1` and `True` kept apart."""

    device: str
    properties: Mapping[str, PropertyValue] = field(default_factory=dict)
    batch_size: int = 1
    infer_requests: int | None = None
    """None: as many as the compiled model suggests."""
    api: Calls = "async"
    variant: str = "default"
    replicas: int = 1
    """Identical processes that serve at the same time."""
    affinity: Affinity = "shared"

    @property
    def key(self) -> str:
        """Canonical JSON of every field: the identity of the *request*."""
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
    """What `calls` comes to with so many requests in flight."""
    if calls == "by_requests":
        return "sync" if requests == 1 else "async"
    return calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What the deployment gives a model, and what runs beside it. None: what this process has."""

    cpus: float | None = None
    """CPU quota of each replica, in CPUs."""
    cpuset: tuple[int, ...] | None = None
    """The CPUs that all replicas share, or split among them."""
    memory_bytes: int | None = None
    """Of each replica."""
    replicas: int = 1
    background: str | None = None
    """A shell command that loads the host while everything is measured."""

    @property
    def has_limits(self) -> bool:
        """Whether control groups are needed."""
        return self.cpus is not None or self.memory_bytes is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """What the device made of a configuration; `key` is the configuration's identity.

    `properties` holds what the compiled model reports, as strings, without pure reporting; for properties
    that cannot be read back it holds the requested value.
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
        """`config` where the device reports these properties; `suggested` requests are in flight where it names none,
        and one where calls are synchronous."""
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
        content = [sorted(self.properties.items()), self.batch_size, self.infer_requests, self.api, self.variant]
        if self.replicas > 1:
            content += [self.replicas, self.affinity]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


class FailureKind(enum.StrEnum):
    COMPILE = "compile"
    RUNTIME = "runtime"
    TIMEOUT = "timeout"
    CRASH = "crash"
    MEMORY = "memory"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A candidate that cannot be used: data, not an exception. `message` is one line."""

    kind: FailureKind
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLoad:
    """What else the host did during one stretch of time. Where it does not tell: None, or nothing counted."""

    steal_pct: float = 0.0
    """CPU time taken by the hypervisor, of all the CPUs that may be used."""
    other_cpu_pct: float = 0.0
    """CPU time used by processes other than those that measure, of all the CPUs that may be used."""
    own_cpu_pct: float = 0.0
    """CPU time used by those that measure, of all the CPUs that may be used."""
    pressure_pct: float | None = None
    """Wall time in which some task of the host waited for a CPU; a member's own threads wait too."""
    frequency_mhz: float | None = None
    """At the end of the stretch, the mean of at most eight CPUs."""
    thermal_throttles: int = 0
    """How often CPUs were slowed down because they were too hot."""
    quota_throttles: int = 0
    """Scheduler periods in which this process had used up its CPU quota: what a quota does, no disturbance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Requests that arrive by themselves, whatever the server does. Without one the loop is closed: a request starts
    when another has ended."""

    pattern: str
    """A row of LOADS."""
    rate_per_s: float | None = None
    """None: every member's largest rate that keeps `keep` is looked for, window by window."""
    keep: tuple[tuple[str, float], ...] = ()
    """Metric -> at most; what a rate has to keep where it is looked for."""
    lag_limit_ms: float | None = None
    """How late the generator may start requests (99th percentile). None: a share of what the window measured."""

    @property
    def finds_max(self) -> bool:
        return self.rate_per_s is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """When the requests of one window arrive: the same for the same seed, stretched by the rate."""

    pattern: str
    rate_per_s: float
    seed: int
    part: int = 0
    parts: int = 1
    """Of several replicas each serves every `parts`-th arrival, beginning with that of number `part`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What came of the requests that arrived in one window. Its latencies then count from the intended arrival, those
    of requests that never ran with their age at the end."""

    rate_per_s: float
    """What was offered."""
    arrivals: int
    waiting: int
    """Of these, not completed when the window ended."""
    unserved: int
    """Of these, never completed: the drain after the window had reached its cap."""
    lag_p99_ms: float
    """How much later than it could a request was started: the generator's own doing."""
    is_late: bool = False
    """Whether that is too much for the latencies of this window to be believed."""
    capacity_per_s: float = 0.0
    """Requests/s of the closed loop while this member warmed up; 0 where nobody looked."""
    low_per_s: float = 0.0
    high_per_s: float = 0.0
    """Where the largest rate lies, after this window; 0 where it is not looked for."""
    is_kept: bool | None = None
    """Whether this rate kept the limits; None where it is not looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window(HostLoad):
    """One timed stretch of steady inference by one member, and what the host did meanwhile.

    `samples` completed within `duration_s`; every request's latency is in `latency_counts`
    (bucket -> requests, see `tuner.bench.histogram`) and summed in `latency_sum_ms`.
    """

    block: int
    turn: int
    started_s: float
    """Since the session began."""
    duration_s: float
    samples: int
    latency_counts: Mapping[int, int]
    latency_sum_ms: float
    cpu_s: float | None = None
    """CPU time of the member's process, all its threads, for these samples; None in old records."""
    peak_memory_bytes: int | None = None
    """The most that the process has had in memory until then; None where the member shares it with others."""
    energy_j: float | None = None
    """What the CPU packages used for these samples, whatever else ran on them; None where that cannot be read."""
    compile_s: float | None = None
    """As the next three only where every turn is a start in a new process: `compile_model` alone."""
    load_s: float | None = None
    """From the model's file to a request that can be started, compiling included."""
    first_inference_s: float | None = None
    """Of the first request of the process."""
    load_cached_s: float | None = None
    """As `load_s`, in another new process, from a model cache filled before; None where nobody asked for it."""
    served: Served | None = None
    """Only where requests arrived by themselves."""

    @property
    def timed_s(self) -> float:
        """What was timed in the turn: the start, where it had one, and the steady stretch."""
        return self.duration_s + sum(s or 0.0 for s in (self.load_s, self.first_inference_s, self.load_cached_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """What one member of a session delivered."""

    effective: Effective
    windows: tuple[Window, ...]
    compile_s: float
    is_steady: bool = True
    """False where the warm-up had three windows or more and ended at its cap before any three were alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Where the wall time of a session went, in seconds; the rest of `Session.wall_s` is the tuner's own."""

    start_s: float = 0.0
    compile_s: float = 0.0
    warm_up_s: float = 0.0
    timed_s: float = 0.0
    """Turns: the dropped ramp, the window and the drain."""
    lost_s: float = 0.0
    """Attempts that ended with their process, before the session began again without the guilty member."""

    @property
    def total_s(self) -> float:
        return self.start_s + self.compile_s + self.warm_up_s + self.timed_s + self.lost_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One run of a lineup. `members[i]` belongs to `lineup[i]`."""

    lineup: tuple[DeploymentConfig, ...]
    members: tuple[Windows | Failure, ...]
    started_unix_s: float
    wall_s: float
    costs: Costs
    process: str
    """Which worker process measured it; sessions with the same name shared one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPlan:
    """How one session is to be run."""

    phase: Phase
    seed: int
    blocks: int
    """Every member gets one window in each block."""
    window_s: float = 0.4
    warm_up_s: float = 0.5
    """0 where there is nothing to warm up: every turn is a start."""
    steady_tolerance: float = 0.10
    """Three warm-up windows within this log-range are steady (measurement.md: max(10 %, 3.3 window sd))."""
    drop_s: float = 0.1
    """The start of every turn that does not count: queues fill, caches warm."""
    max_window_s: float = 3.0
    """A member that cannot complete four rounds of its requests in this time is too slow for the budget."""
    is_fresh: bool = False
    """Fresh processes, nothing resident (baselines, confirmation)."""
    compile_limit_s: float = 120.0
    hang_limit_s: float = 15.0
    """How much longer than planned any inference step may take before the member counts as hung."""
    load: Load | None = None
    """None: the closed loop."""
    enough: Callable[[Sequence[Windows | Failure]], bool] | None = field(default=None, compare=False, repr=False)
    """Asked between blocks, never inside a window, with the members so far; True ends the session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What one look at the model on its device told, after a real inference."""

    inputs: Sequence[Mapping[str, Any]]
    precision: str
    """What the device reports for INFERENCE_PRECISION_HINT when nothing is asked; `unreadable` where it does not."""
    device_properties: Sequence[str]
    device_name: str
    batch_legal: bool
    batch_reason: str


class Bench(Protocol):
    def resolve(self, config: DeploymentConfig) -> Effective | Failure:
        """Compile, read back, no timing."""

    def measure(self, lineup: Sequence[DeploymentConfig], plan: SessionPlan) -> Session:
        """Run one session; `lineup[0]` is the reference and may stay resident. A member that fails has its
        `Failure` in its place. Raises `HostError` where no member can be measured on this host at all."""
