"""What acts in a study: it measures sessions, writes them down and tells how the study goes on.

Knows the bench and the record; which configurations are measured is decided elsewhere, from the state alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tuner.bench.configuration import DeploymentConfig, Effective, Failure
from tuner.bench.measurement import Windows
from tuner.bench.protocol import Bench, Clock, SessionPlan
from tuner.evidence.noise import Calibration
from tuner.evidence.state import StudyState
from tuner.phases.host_watch import NoWatch, Watch
from tuner.phases.progress import Reporter, Status
from tuner.records.session_log import Line, SessionLine
from tuner.study.space import Assignment


@dataclass(slots=True, kw_only=True)
class SessionRunner:
    """Runs the sessions of one study on a bench and appends them to its record."""

    state: StudyState
    bench: Bench
    reporter: Reporter
    clock: Clock
    remember: Callable[[Calibration], None] = lambda noise: None
    """Takes the noise of this host for the studies to come."""
    watch: Watch = field(default_factory=NoWatch)
    """May hold a session back while the host is busy; `clock` stands still meanwhile."""
    status: Status = field(default_factory=lambda: Status(phase="preflight", remaining_s=None))

    def measure(
        self,
        configurations: Sequence[DeploymentConfig],
        plan: SessionPlan,
        *,
        trials: Sequence[int | None] | None = None,
        assignments: Sequence[Assignment | None] | None = None,
        duplicates: int = 0,
    ) -> SessionLine:
        """Measures one session and returns it once it is on disk; a host that turned bad is given time first."""
        self.watch.before_session(self.state.log.all_sessions(), self.say)
        session = self.bench.measure(configurations, replace(plan, enough=self._repainting(plan)))
        line = SessionLine(
            phase=plan.phase,
            attempt=self.state.attempt,
            index_in_phase=self.state.session_count(plan.phase),
            trials=tuple(trials) if trials else (None,) * len(configurations),
            assignments=tuple(assignments) if assignments else (None,) * len(configurations),
            session=session,
            duplicates=duplicates,
        )
        self.append(line)
        return line

    def resolve(self, config: DeploymentConfig) -> Effective | Failure:
        """Returns what the device makes of a configuration."""
        return self.bench.resolve(config)

    def append(self, line: Line) -> None:
        """Writes a line of the record. Raises OutputError."""
        self.state.log.append(line)

    def say(self, line: str) -> None:
        """Tells the user a line that stays."""
        self.reporter.say(line)

    def show(self, phase: str, note: str, **more: Any) -> None:
        """Shows the status with these of its fields changed, and with the time that is left of the budget."""
        self.status = replace(
            self.status, **{"remaining_s": self.state.remaining_s(), "phase": phase, "note": note, **more}
        )
        self.reporter.show(self.status)

    def _repainting(self, plan: SessionPlan) -> Callable[[Sequence[Windows | Failure]], bool]:
        """Returns the stop rule of a plan, before which the status is shown again: the clock in it goes on."""

        def enough(members: Sequence[Windows | Failure]) -> bool:
            self.reporter.show(self.status)
            return plan.enough is not None and plan.enough(members)

        return enough
