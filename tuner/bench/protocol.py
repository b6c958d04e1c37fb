"""The seam between search and measurement: the `Bench` protocol and the values that cross it.

Responsible for values that are frozen, can be pickled and can be written as JSON. Must not import OpenVINO, Optuna or a
module that measures.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from tuner.bench.configuration import DeploymentConfig, Effective, Failure
from tuner.bench.measurement import ArrivalProcess, Session, Windows
from tuner.bench.model_behaviour import StateKept, TimeDependsOnData
from tuner.bench.value import Value

Clock = Callable[[], float]
"""Returns monotonic seconds from an arbitrary origin."""

Phase = Literal["baselines", "calibration", "search", "race", "final", "confirm", "measure"]

Progress = Callable[[Sequence[Windows | Failure]], None]
"""Takes what each member has delivered so far; called between windows, when nothing is timed.

Called also after each compile and warm-up, with nothing at all before every member has been compiled.
"""


class Role(enum.StrEnum):
    """Purpose of a member in its session."""

    REFERENCE = "reference"
    """Member with which every other one is compared; it stands first, and without it the session is pointless."""
    BASELINE = "baseline"
    CANDIDATE = "candidate"
    COPY = "copy"
    """The reference a second time: an A/A session."""
    AUDIT = "audit"
    """Another request for the effective configuration of a candidate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionMember:
    """One configuration of a session and what the record has to say of it."""

    config: DeploymentConfig
    role: Role
    trial: int | None = None
    """Number of the trial; None for a member that the search did not propose."""
    assignment: Mapping[str, Value] | None = None
    """Point of the space; None for a member that is no point of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruning:
    """Comparison after each block that ends the members which are unlikely to be the best (`early_stopping.py`)."""

    metric: str
    """Name of the metric that is compared."""
    incumbent_gain: float
    """Gain of the best candidate so far, a log-ratio to the reference."""
    incumbent_sd: float
    """Standard error of that gain."""
    window_sd: float
    """Standard deviation of one pair of windows, a log-ratio."""
    among_members: bool = True
    """True if the best member of the session counts as well: not where it may break a limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """Standard error that is enough to end a member, see `tuner.statistics.early_stopping`."""

    cap_pairs: int
    """Number of pairs beyond which no smaller standard error is expected."""
    window_sd: float
    """Standard deviation of one pair of windows, a log-ratio."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """Rule that ends the members of a session, each by its own windows and those of the reference.

    A member ends if it is pruned or at its cap. Otherwise it ends once it has its windows and requests and, where
    `precision` is given, is precise enough. The session ends with the last member beside the reference.
    """

    min_windows: int = 1
    min_requests: int = 0
    """Number of requests that member and reference need, each."""
    cap_s: float | None = None
    """Seconds of timed windows, member and reference together, after which the member ends anyway; None: no cap."""
    pruning: Pruning | None = None
    precision: Precision | None = None
    ends_together: bool = False
    """True if every member goes on until all may end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPlan:
    """Parameters of one session."""

    phase: Phase
    """Name under which the session is recorded; nothing else depends on it."""
    seed: int = 0
    """Seed of the order of turns and of arrivals; set when the session is issued."""
    blocks: int
    """Number of blocks; every member has one window in each block, or one for each number of callers."""
    window_s: float = 0.4
    warm_up_s: float = 0.5
    """Seconds of warm-up of each member; 0 if every turn is a cold start."""
    warm_up_turns: int = 3
    """Number of stretches of the warm-up that must agree; 1 for a rough look, which needs no steady member."""
    steady_tolerance: float = 0.10
    """Log-range within which three warm-up windows are steady: max(10 %, 3.3 window sd), see tuner/README.md."""
    drop_s: float = 0.1
    """Seconds at the start of every turn that do not count: queues fill, caches warm."""
    max_window_s: float = 3.0
    """Longest window; a member that cannot run each request four times in it is too slow for the budget."""
    is_fresh: bool = False
    """True if every process is new and nothing stays resident (baselines, confirmation)."""
    compile_limit_s: float = 120.0
    """Seconds after which a compile counts as hung."""
    hang_limit_s: float = 15.0
    """Seconds beyond its planned time after which an inference step counts as hung."""
    load: ArrivalProcess | None = None
    """Arrival process of the open loop. None: closed loop."""
    callers: tuple[int, ...] = ()
    """Numbers of synchronous callers: a member has one window in each block for each. Empty: it decides itself."""
    stop: StopRule | None = None
    """Rule that is applied between blocks. None: every member has every block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRequest:
    """One session that is to be measured, numbered and seeded: several may be in flight."""

    members: tuple[SessionMember, ...]
    plan: SessionPlan
    attempt: int = 1
    """Number of the attempt that issued the session."""
    number: int = 0
    """Number of sessions of the same phase and attempt that were issued before."""
    duplicates: int = 0
    """Number of proposals that had been answered from what was known when the session was issued."""

    @property
    def configurations(self) -> tuple[DeploymentConfig, ...]:
        """Configurations of the members, in their order."""
        return tuple(member.config for member in self.members)

    @property
    def has_reference(self) -> bool:
        """True if the first member is the reference, without which the others cannot be compared."""
        return self.members[0].role is Role.REFERENCE


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
    steps: int | None = None
    """Number of inferences after which each request empties its state; None for a model without one."""
    inference_s: float = 0.0
    """Seconds of one inference of the model as it is; 0 if it was not timed."""
    operations: int = 0
    """Number of the model's operations; 0 if unknown."""
    weight_bytes: int = 0
    """Size of the model's constants; 0 if unknown."""
    state: StateKept | None = None
    """State of the model; None for a model without one."""
    data: TimeDependsOnData | None = None
    """Times on different random inputs; None if they do not differ, or were not compared."""


class Bench(Protocol):
    """Measures configurations, on hardware or simulated."""

    def resolve(self, config: DeploymentConfig) -> Effective | Failure:
        """Compiles a configuration and reads back what the device made of it, without timing."""

    def measure(self, request: SessionRequest, progress: Progress | None = None) -> Session:
        """Runs one session; its first member may stay resident.

        A member that fails has its `Failure` at its index. Raises `HostError` if this host can measure no member.
        `progress` stays on this side of the seam: a bench that cannot call it between windows does not call it.
        """
