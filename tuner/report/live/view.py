"""The values that the screen of a run shows: the phases, the best candidates, the state of the host.

Responsible for reading events, the status and the record. Must not draw.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tuner.bench.model_behaviour import StateKept, TimeDependsOnData
from tuner.evidence.candidates import Candidate, ranked_for
from tuner.evidence.state import StudyState
from tuner.phases.host_events import HostBusy, HostPaused, HostReading, HostResumed, PauseGoesOn
from tuner.phases.progress import (
    AnswersMayChange,
    DeploymentNote,
    Event,
    PageNotWritten,
    Status,
    StatusPhase,
    StudyBegins,
    StudyFileWritten,
    StudyFinished,
    StudyResumed,
    TornLineDropped,
    WarmStarted,
)
from tuner.planning.description import Planned
from tuner.planning.slow_model import SlowModel
from tuner.records.locks import WaitingForHolder
from tuner.records.past.events import RecordNotKept, RecordUnread, Suggested
from tuner.report.words.host import NOISY_OTHER_PCT, NOISY_STEAL_PCT
from tuner.report.words.progress import event_lines
from tuner.report.words.text import printable
from tuner.search.database.events import DatabaseGivenUp, DatabaseLocked, DatabaseRenewed
from tuner.statistics.disturbance import windows_of

SHOWN_LEADERS = 5
"""Number of candidates on the leaderboard, which leaves room for events on a screen of 24 lines."""

SHOWN_EVENTS = 8
"""Number of lines about events that are kept for the screen."""

HOST_SESSIONS = 3
"""Number of sessions, the last ones, from which the quality of the host is read."""

NOTICES: tuple[type, ...] = (
    AnswersMayChange,
    DatabaseGivenUp,
    DatabaseLocked,
    DatabaseRenewed,
    DeploymentNote,
    HostBusy,
    HostPaused,
    PageNotWritten,
    RecordNotKept,
    RecordUnread,
    SlowModel,
    StateKept,
    StudyFileWritten,
    StudyFinished,
    StudyResumed,
    Suggested,
    TimeDependsOnData,
    TornLineDropped,
    WaitingForHolder,
    WarmStarted,
)
"""Events that a user is told even where a run prints little.

Each says that the run waits, that something is not as expected, or that the user has to act.
"""

PASSING: tuple[type, ...] = (DatabaseLocked, HostBusy, HostPaused, WaitingForHolder)
"""Notices that mean nothing any more once a run has ended."""

AWAITED: tuple[type, ...] = (WaitingForHolder,)
"""Events that even a quiet command tells: without them it would stand still for no visible reason."""

STAGES: Mapping[StatusPhase, str] = {
    "preflight": "preflight",
    "enumeration": "preflight",
    "baselines": "baselines",
    "calibration": "baselines",
    "race": "search",
    "search": "search",
    "final": "final",
    "confirm": "confirm",
    "measure": "measure",
    "writing": "",
}
"""Phase -> its name on the screen, where phases that belong together are one; empty after the last one."""


class HostQuality(enum.Enum):
    """Quality of the host as a word; the value is the number of bars, of four, that stand for it."""

    CALM = 4
    FAIR = 3
    NOISY = 2
    BAD = 1


HOST_QUALITIES: Sequence[tuple[float, float, HostQuality]] = (
    (0.02, 0.5, HostQuality.CALM),
    (0.10, 1.0, HostQuality.FAIR),
    (0.50, 3.0, HostQuality.NOISY),
)
"""Largest share of disturbed windows and largest load of each quality, the best quality first.

The unit of load is that of which a user is warned (`NOISY_OTHER_PCT`, `NOISY_STEAL_PCT`).
A session with half of its windows disturbed counts them all (tuner/README.md); beyond that the host is bad.
"""


def host_quality(reading: HostReading) -> HostQuality:
    """Returns the quality of the host during some windows."""
    share = reading.disturbed / max(1, reading.windows)
    load = max(reading.load.other_cpu_pct / NOISY_OTHER_PCT, reading.load.steal_pct / NOISY_STEAL_PCT)
    fits = (quality for most, load_most, quality in HOST_QUALITIES if share <= most and load <= load_most)
    return next(fits, HostQuality.BAD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """A candidate of the leaderboard, with its figures at one moment."""

    candidate: Candidate
    gain: float
    """Gain over the reference, a log-ratio."""
    sd: float
    """Standard error of the gain, a log-ratio."""
    is_feasible: bool
    """True if the candidate keeps every limit, as leniently as a search asks."""


def leaders(state: StudyState) -> list[Leader]:
    """Returns the best candidates so far, best first; none before a baseline has run."""
    if not state.has_reference:
        return []
    best = ranked_for(state.study.objective, list(state.candidates.values()))[:SHOWN_LEADERS]
    return [Leader(candidate=c, gain=c.value, sd=c.sd, is_feasible=c.is_feasible) for c in best]


@dataclass(slots=True, kw_only=True)
class View:
    """Everything that was told of a run, as far as a screen shows it."""

    begun: StudyBegins | None = None
    """The study; None before its model has run, and for a command that has none."""
    status: Status = field(default_factory=lambda: Status(phase="preflight", remaining_s=None))
    events: deque[str] = field(default_factory=lambda: deque(maxlen=SHOWN_EVENTS))
    """Lines about the last events, the newest last."""
    notices: list[str] = field(default_factory=list)
    """Lines about notices that still mean something at the end, each once."""
    waiting: str = ""
    """Reason for which nothing is measured; empty if something is."""
    waited: str = ""
    """Words for the length of a pause, such as `12 of 90 s`; empty if nothing pauses."""
    overrun_s: float = 0.0
    """Seconds that the plan takes beyond the budget."""
    tried: int = 0
    """Number of candidates that were measured."""
    failed: int = 0
    """Number of candidates that failed."""
    leaders: Sequence[Leader] = ()
    quality: HostQuality | None = None
    """Quality of the host in the last sessions; None before the first one."""
    _lines: int = -1
    """Number of lines of the record when leaders and quality were read."""

    def tell(self, event: Event) -> None:
        """Takes an event."""
        if isinstance(event, StudyBegins):
            self.begun = event
            return
        lines = [printable(line) for line in event_lines(event)]
        self.events += lines
        if isinstance(event, WaitingForHolder | HostPaused):
            self.waiting, self.waited = lines[0], ""
        elif isinstance(event, PauseGoesOn):
            self.waited = f"{event.waited_s:.0f} of {event.limit_s:.0f} s"
        elif isinstance(event, HostResumed):
            self.waiting = self.waited = ""
        elif isinstance(event, Planned):
            self.overrun_s = event.plan.overrun_s
        if isinstance(event, NOTICES) and not isinstance(event, PASSING):
            self.notices += [line for line in lines if line not in self.notices]

    def show(self, status: Status) -> None:
        """Takes the status, and reads the record if it has grown."""
        self.status = status
        self.waiting = self.waited = ""
        self.tried, self.failed = max(self.tried, status.trials), max(self.failed, status.failures)
        if self.begun is None or status.phase == "measure":  # `tuner measure` has no record
            return
        log = self.begun.state.log
        if len(log.lines) == self._lines:
            return
        self._lines = len(log.lines)
        self.leaders = leaders(self.begun.state)
        self.tried, self.failed = self._counts(self.begun.state)
        windows = windows_of(line.session for line in log.all_sessions()[-HOST_SESSIONS:])
        self.quality = host_quality(HostReading.of(windows)) if windows else None

    def _counts(self, state: StudyState) -> tuple[int, int]:
        """Returns the numbers of candidates that were measured and that failed, by the record or by the status."""
        candidates = state.candidates.values() if state.has_reference else ()
        failed = sum(1 for candidate in candidates if candidate.failure is not None)
        tried = sum(1 for candidate in candidates if candidate.is_measured)
        return max(tried, self.status.trials), max(failed, self.status.failures)

    @property
    def remaining_s(self) -> float | None:
        """Seconds that are left, those included that the plan takes beyond the budget; None if none are budgeted."""
        return None if self.status.remaining_s is None else self.status.remaining_s + self.overrun_s

    @property
    def share(self) -> float | None:
        """Share of the run that is done, from 0 to 1; None if it is unknown.

        A budget of minutes is shared by time. Without one, the trials of the search or the sessions of the phase count.
        """
        status, remaining_s = self.status, self.remaining_s
        trials = None if self.begun is None else self.begun.state.study.budget.trials
        if status.total_s and remaining_s is not None:
            done = 1.0 - remaining_s / (status.total_s + self.overrun_s)
        elif status.phase == "search" and trials:
            done = self.tried / trials
        elif status.measuring.max_sessions:
            done = (status.measuring.session - 1) / status.measuring.max_sessions
        else:
            return None
        return min(1.0, max(0.0, done))

    @property
    def stages(self) -> Sequence[str]:
        """Names of the phases of this command, in their order; at first it is not known which command it is."""
        if self.status.phase == "preflight":
            return ("preflight",)
        names = ("measure",) if STAGES[self.status.phase] == "measure" else ("baselines", "search", "final", "confirm")
        return ("preflight", *names)
