"""The seam between search and measurement: the `Bench` protocol and the values that cross it.

Responsible for values that are frozen and can be written as JSON. Must not import OpenVINO, Optuna or a module that
measures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from tuner.bench.configuration import DeploymentConfig, Effective, Failure
from tuner.bench.measurement import ArrivalProcess, Session, Windows

Clock = Callable[[], float]
"""Returns monotonic seconds from an arbitrary origin."""

Phase = Literal["baselines", "calibration", "search", "race", "final", "confirm", "measure"]


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
    load: ArrivalProcess | None = None
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
    steps: int | None = None
    """Number of inferences after which each request empties its state; None for a model without one."""
    inference_s: float = 0.0
    """Seconds of one inference of the model as it is; 0 if it was not timed."""
    notes: Sequence[str] = ()
    """Sentences on what the model does, for the user to read before anything is measured."""


class Bench(Protocol):
    """Measures configurations, on hardware or simulated."""

    def resolve(self, config: DeploymentConfig) -> Effective | Failure:
        """Compiles a configuration and reads back what the device made of it, without timing."""

    def measure(self, configurations: Sequence[DeploymentConfig], plan: SessionPlan) -> Session:
        """Runs one session; `configurations[0]` is the reference and may stay resident.

        A member that fails has its `Failure` at its index. Raises `HostError` if this host can measure no member.
        """
