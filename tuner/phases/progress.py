"""Events of a run, as values: the report package makes words of them.

Responsible for events and the status. Must not hold sentences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from tuner.bench.configuration import DeploymentConfig, Failure
from tuner.bench.measurement import HostActivity
from tuner.bench.model_behaviour import StateKept, TimeDependsOnData
from tuner.bench.protocol import Phase
from tuner.evidence.state import StudyState
from tuner.model.host import HostFacts
from tuner.phases.host_events import HostEvent, HostReading
from tuner.planning.description import Planned
from tuner.planning.provable import OutOfReach
from tuner.planning.slow_model import SlowModel
from tuner.records.locks import WaitingForHolder
from tuner.records.past.events import RecordEvent
from tuner.search.database.events import DatabaseEvent
from tuner.search.enumeration import ListingGivenUp, SpaceEnumeration
from tuner.search.search_space import BatchLeavesSpace
from tuner.search.strategies import SearchEnd
from tuner.study.study import SamplerName


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyBegins:
    """A study whose model has run is about to be measured, or to go on."""

    state: StudyState
    """The record, which grows while the study runs and is only read here."""
    host: HostFacts
    """The host as one replica finds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentNote:
    """The check of a best.yaml has a remark about this host, this model or the file."""

    text: str
    """Remark of `tuner.deploy`, which has words of its own because applications use it alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmStarted:
    """The configuration of an earlier best.yaml is tried first."""

    source: str
    """Path of the earlier file."""
    differing: tuple[str, ...]
    """Names of the parameters of which this space lacks the earlier value."""
    is_other_model: bool
    """True if the file was tuned for another model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswersMayChange:
    """The space has a parameter whose values change what the model answers, not only how fast."""

    parameter: str
    """Name of the parameter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFileWritten:
    """The command line made the study file, and the results folder holds it."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class PageNotWritten:
    """The page of a finished study could not be made; the study has its answer all the same."""

    folder: Path
    cause: str
    """Message of the error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TornLineDropped:
    """The last line of sessions.jsonl was torn by an interruption and is dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFinished:
    """The study was finished before this run, and nothing is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyResumed:
    """A study that has begun goes on."""

    sessions: int
    """Number of sessions on record."""
    phase: Phase
    """Phase of the last session."""
    remaining_s: float | None
    """Seconds that are left of the budget, negative beyond it; None if only trials are budgeted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallersStated:
    """A plan is for callers that wait for their answers."""

    callers: tuple[int, ...]
    """Numbers of callers; empty for the one that a latency objective means by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselinesListed:
    """The baselines that a run would measure."""

    baselines: Mapping[str, DeploymentConfig]
    """Baseline -> configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselinesMeasured:
    """Findings of the baselines' session and of the calibration."""

    reference: str
    """Name of the strongest baseline."""
    gains: Mapping[str, float]
    """Other baseline -> its gain over the reference, a log-ratio."""
    same: Sequence[Sequence[str]]
    """Names of baselines that are one effective configuration, for each that has several."""
    violated: Mapping[str, Sequence[str]]
    """Other baseline -> metrics whose limits it violates."""
    is_feasible: bool
    """True if the reference keeps the limits."""
    failures: Mapping[str, Failure]
    """Baseline that failed -> failure."""
    window_sd: float
    """Standard deviation of neighbouring windows, a log-ratio."""
    unsteady: Sequence[str]
    """Baselines that were not steady at the end of their warm-up."""
    host: HostReading
    metric: str = "throughput"
    """Metric that gains are about: the (first) objective."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceEnumerated:
    """The space as the device sees it."""

    enumeration: SpaceEnumeration


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceTooLarge:
    """A strategy that needs a listed space is replaced, because the space is too large to be listed."""

    sampler: SamplerName


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchEnded:
    """The search is over."""

    end: SearchEnd
    tried: int
    """Number of candidates that were measured."""
    distinct: int | None
    """Number of configurations of the space; None if it was not enumerated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRead:
    """Two requests that have one effective configuration were measured beside each other."""

    gain: float
    """Gain of the second request over the first, a log-ratio."""
    is_suspicious: bool
    """True if the gain is more than noise: the device may not report all that matters."""
    configurations: tuple[DeploymentConfig, DeploymentConfig]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationRead:
    """All sessions of a confirmation have been measured."""

    host: HostReading
    known: HostActivity
    """Load of the host while the baselines were measured, on which the plan rests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimOutOfReach:
    """A confirmation begins that is too small to prove something of the candidate at hand."""

    claim: OutOfReach


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateRejected:
    """A winner was turned down, and another candidate is confirmed in its place."""

    detail: str
    """Evidence of the verdict, as the record has it."""
    following: DeploymentConfig
    """The runner-up."""
    differing: frozenset[str]
    """Names of the parameters that differ between candidates."""


Event = (
    StudyBegins
    | StateKept
    | TimeDependsOnData
    | DeploymentNote
    | PageNotWritten
    | AnswersMayChange
    | StudyFileWritten
    | TornLineDropped
    | WarmStarted
    | RecordEvent
    | WaitingForHolder
    | SlowModel
    | BatchLeavesSpace
    | DatabaseEvent
    | StudyFinished
    | StudyResumed
    | BaselinesListed
    | CallersStated
    | BaselinesMeasured
    | Planned
    | ClaimOutOfReach
    | SpaceEnumerated
    | ListingGivenUp
    | SpaceTooLarge
    | SearchEnded
    | AuditRead
    | ConfirmationRead
    | CandidateRejected
    | HostEvent
)
"""Something that happened in a run, and that a user is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measuring:
    """Configurations that the session in progress measures."""

    configurations: tuple[DeploymentConfig, ...] = ()
    """The candidates."""
    baselines: tuple[str, ...] = ()
    """Names of the baselines, in the session of the baselines."""
    session: int = 0
    """Number of the session, or of the configuration that is compiled, from 1; 0 if they are not counted."""
    max_sessions: int = 0
    """Number of sessions at most."""
    is_refinement: bool = False
    """True if the best candidate is told from the second best."""


StatusPhase = Phase | Literal["preflight", "enumeration", "writing"]
"""Phase of a session, what comes before the first (an inference, compiles of the space), or the writing of files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """State of a run at one moment; gains are log-ratios to the reference, None if nothing is known yet."""

    phase: StatusPhase
    remaining_s: float | None
    """Seconds that are left of the whole budget, negative beyond it; None if only trials are budgeted."""
    total_s: float | None = None
    """Seconds of the whole budget; None if only trials are budgeted."""
    measuring: Measuring = Measuring()
    reference: str = ""
    incumbent: DeploymentConfig | None = None
    incumbent_gain: float | None = None
    metric: str = "throughput"
    """Metric that gains are about: the (first) objective."""
    trials: int = 0
    """Number of candidates that were measured."""
    duplicates: int = 0
    """Number of proposals that were answered from what was known."""
    failures: int = 0
    """Number of candidates that failed."""
    noise: float | None = None
    """Standard deviation of one pair of windows, a log-ratio."""
    differing: frozenset[str] = frozenset()
    """Names of the parameters that differ between candidates; empty if unknown."""


class Reporter(Protocol):
    """Listens to a run."""

    def tell(self, event: Event) -> None:
        """Takes something that happened: a phase's result, the plan, a warning."""

    def show(self, status: Status) -> None:
        """Takes the current state; called between windows only, never while one is being timed."""
