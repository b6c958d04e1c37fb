"""The runner of a study's sessions: it issues, measures and records them, and tells how the study goes on.

Responsible for the bench and the record; which configurations are measured is decided elsewhere, from the state alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tuner.bench.configuration import DeploymentConfig, Effective, Failure
from tuner.bench.measurement import Session, Windows
from tuner.bench.protocol import Bench, Clock, Phase, SessionMember, SessionPlan, SessionRequest
from tuner.decision.verdict import Verdict
from tuner.evidence.noise import Calibration
from tuner.evidence.state import StudyState
from tuner.phases.host_watch import NoWatch, Watch
from tuner.phases.progress import Event, Measuring, Reporter, Status, StatusPhase
from tuner.planning.session_plan import session_seed
from tuner.records.session_log import Line, SessionLine


@dataclass(slots=True, kw_only=True)
class SessionRunner:
    """Runs the sessions of one study on a bench and appends them to its record."""

    state: StudyState
    bench: Bench
    reporter: Reporter
    clock: Clock
    describe: Callable[[Verdict], str] = lambda verdict: ""
    """Returns the sentence that the record keeps beside the reason of a verdict."""
    remember: Callable[[Calibration], None] = lambda noise: None
    """Takes the noise of this host for the studies to come."""
    watch: Watch = field(default_factory=NoWatch)
    """May hold a session back while the host is busy; `clock` stands still meanwhile."""
    status: Status = field(default_factory=lambda: Status(phase="preflight", remaining_s=None))

    _shown_at_s: float = field(default=0.0, init=False, repr=False)
    """Time of the clock when the status was shown, which its remaining time is right for."""
    _issued: dict[tuple[int, Phase], int] = field(default_factory=dict, init=False, repr=False)
    """Attempt and phase -> number of the next session, where one was issued already."""

    def measure(self, members: Sequence[SessionMember], plan: SessionPlan, *, duplicates: int = 0) -> SessionLine:
        """Measures one session and returns it once it is on disk; a host that turned bad is given time first."""
        self.watch.before_session(self.state.log.all_sessions(), self.tell)
        request = self.issue(members, plan, duplicates=duplicates)
        self._shown_at_s = self.clock()
        return self.finish(request, self.bench.measure(request, self._repaint))

    def issue(self, members: Sequence[SessionMember], plan: SessionPlan, *, duplicates: int = 0) -> SessionRequest:
        """Returns a session that may be measured, numbered after every recorded and every issued one, and seeded."""
        state, phase = self.state, plan.phase
        attempt = state.attempt
        recorded = [line.index_in_phase + 1 for line in state.log.sessions(phase, attempt=attempt)]
        number = max(self._issued.get((attempt, phase), 0), len(recorded), *recorded, 0)
        self._issued[attempt, phase] = number + 1
        seed = session_seed(state.study.seed, attempt, phase, number)
        return SessionRequest(
            members=tuple(members),
            plan=replace(plan, seed=seed),
            attempt=attempt,
            number=number,
            duplicates=duplicates,
        )

    def finish(self, request: SessionRequest, session: Session) -> SessionLine:
        """Records the session that an issued request became, and returns its line once it is on disk."""
        line = SessionLine(
            phase=request.plan.phase,
            attempt=request.attempt,
            index_in_phase=request.number,
            trials=tuple(member.trial for member in request.members),
            assignments=tuple(member.assignment for member in request.members),
            session=session,
            duplicates=request.duplicates,
        )
        self.append(line)
        return line

    def resolve(self, config: DeploymentConfig) -> Effective | Failure:
        """Returns what the device makes of a configuration."""
        return self.bench.resolve(config)

    def append(self, line: Line) -> None:
        """Writes a line of the record. Raises OutputError."""
        self.state.log.append(line)

    def tell(self, event: Event) -> None:
        """Tells the user what happened."""
        self.reporter.tell(event)

    def show(self, phase: StatusPhase, measuring: Measuring, **more: Any) -> None:
        """Shows the status with these of its fields changed, and with the time that is left of the budget."""
        minutes = self.state.study.budget.minutes
        known = {
            "remaining_s": self.state.remaining_s(),
            "total_s": None if minutes is None else 60.0 * minutes,
            "differing": self.state.setup.space.searched,
            "metric": self.state.study.objective.metric,
        }
        self.status = replace(self.status, phase=phase, measuring=measuring, **{**known, **more})
        self._shown_at_s = self.clock()
        self.reporter.show(self.status)

    def _repaint(self, members: Sequence[Windows | Failure]) -> None:
        """Shows the status again between two windows, with the time that has passed in this session."""
        remaining_s = self.status.remaining_s
        if remaining_s is not None:
            remaining_s -= self.clock() - self._shown_at_s
        self.reporter.show(replace(self.status, remaining_s=remaining_s))
