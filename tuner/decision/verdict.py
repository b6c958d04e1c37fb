"""The verdict of an attempt: its cause, with the evidence behind it.

Must not make sentences: that is the task of the report.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from tuner.bench.measurement import Windows
from tuner.decision.confirmation import Confirmation
from tuner.decision.pareto_confirmation import Front, read_front
from tuner.evidence.state import StudyState
from tuner.records.session_log import Answer, Reason
from tuner.statistics.sequential_test import Decision
from tuner.study.study import Objective


class Cause(enum.Enum):
    """Cause of a verdict. Each cause has a number and the reason that the record has for it."""

    ALL_FAILED = 1, Reason.FAILED
    NONE_FEASIBLE = 2, Reason.CONSTRAINT
    NONE_BETTER = 3, Reason.FUTILE
    """No candidate was worth confirming."""
    UNSTABLE = 4, Reason.UNSTABLE
    INVALID = 5, Reason.NOT_SIGNIFICANT
    """Too many sessions of the confirmation are invalid."""
    NOT_SHOWN_FEASIBLE = 6, Reason.CONSTRAINT
    """No baseline keeps the limits, and no candidate is shown to keep them."""
    FIRST_FEASIBLE = 7, Reason.FIRST_FEASIBLE
    LIMIT_BROKEN = 8, Reason.CONSTRAINT
    """The winner gains, but is not shown to keep a limit."""
    PROVED = 9, Reason.PROVED
    TOO_LITTLE = 10, Reason.FUTILE
    NOISE = 11, Reason.NOT_SIGNIFICANT
    NO_POINT_FEASIBLE = 12, Reason.CONSTRAINT
    """No point of the front may be deployed."""
    FIRST_KNEE = 13, Reason.FIRST_FEASIBLE
    """The knee is the first configuration that keeps the limits, because no baseline does."""
    KNEE_PROVED = 14, Reason.PROVED
    KNEE_IS_BASELINE = 15, Reason.KNEE
    ALL_BEATEN = 16, Reason.FUTILE
    NONE_PROVED = 17, Reason.NOT_SIGNIFICANT
    """Candidates are on the front, but none is proved."""

    @property
    def reason(self) -> Reason:
        """The reason that the record has."""
        return self.value[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The end of an attempt."""

    cause: Cause
    answer: Answer | None
    """Advice; None for several objectives, whose knee is what to deploy."""
    objective: Objective
    confirmation: Confirmation | None
    front: Front | None
    """The front; None for one objective."""
    failure: str = ""
    """Failure of the last configuration, if all of them failed."""
    candidates: int = 0
    """Number of candidates that were measured."""
    rate_per_s: float | None = None
    """Rate of requests under which no configuration keeps the limits; None for a closed loop."""
    capacity_per_s: float | None = None
    """Requests per second that the fastest baseline completes without waiting for arrivals; None if not measured."""


def decide(state: StudyState, found: Confirmation | None, *, failure: str = "") -> Verdict:
    """Returns the verdict of the attempt that is going on.

    `failure` is that of the last configuration if all of them failed, and empty otherwise.
    """
    front = read_front(state, found) if state.study.objective.has_several else None
    if found is None or not found.plan.members:
        without = Cause.NONE_BETTER if state.reference.ranking.is_feasible else Cause.NONE_FEASIBLE
        cause = Cause.ALL_FAILED if failure else without
    else:
        cause = _cause_of(found) if front is None else _cause_of_front(found, front)
    return Verdict(
        cause=cause,
        answer=_answer(state, found, cause) if front is None else None,
        objective=state.study.objective,
        confirmation=found,
        front=front,
        failure=failure,
        candidates=sum(1 for candidate in state.candidates.values() if candidate.is_measured),
        rate_per_s=state.study.load.rate_per_s if state.study.load else None,
        capacity_per_s=_capacity_per_s(state),
    )


def _answer(state: StudyState, found: Confirmation | None, cause: Cause) -> Answer:
    """Returns the advice that follows from a verdict, and from what its sessions show of the baselines."""
    if cause.reason.is_tuned:
        return Answer.SETTINGS
    reference = state.reference
    evidence = found.baselines if found is not None else None
    strongest = found.plan.reference if found is not None else reference.name
    if reference.today is None:
        # What runs today fails here: any baseline that keeps the limits is better.
        return Answer.HINT if _is_feasible(state, found) else Answer.NONE
    if evidence is not None and evidence.is_answer:
        return Answer.HINT
    if cause is Cause.ALL_FAILED:
        return Answer.NONE
    if found is None and reference.differs_from_today(strongest) and reference.ranking.is_feasible:
        # There was no time to show a gain, but what runs today exceeds a limit and the strongest baseline does not.
        return Answer.NOTHING if reference.ranking.keeps_limits(reference.today) else Answer.HINT
    if evidence is not None and reference.differs_from_today(strongest):
        return Answer.NOTHING if evidence.is_today_feasible else Answer.NONE
    is_kept = reference.ranking.keeps_limits(reference.today)
    if found is not None and not reference.differs_from_today(strongest):
        is_kept = found.is_reference_feasible
    return Answer.NOTHING if is_kept else Answer.NONE


def _is_feasible(state: StudyState, found: Confirmation | None) -> bool:
    return state.reference.ranking.is_feasible if found is None else found.is_reference_feasible


def _cause_of(found: Confirmation) -> Cause:
    """Returns the cause of one winner's verdict."""
    if found.is_unstable(1):
        return Cause.UNSTABLE
    if found.is_invalid or found.look is None:
        return Cause.INVALID
    if not found.is_reference_feasible:
        return Cause.FIRST_FEASIBLE if found.keeps_limits else Cause.NOT_SHOWN_FEASIBLE
    if found.look.outcome is Decision.WIN:
        return Cause.PROVED if found.keeps_limits else Cause.LIMIT_BROKEN
    return Cause.TOO_LITTLE if found.look.outcome is Decision.FUTILE else Cause.NOISE


def _cause_of_front(found: Confirmation, front: Front) -> Cause:
    """Returns the cause of a front's verdict."""
    candidates = [point for point in front.points if not point.is_baseline]
    if found.is_invalid:
        return Cause.INVALID
    if front.knee is None:
        return Cause.NO_POINT_FEASIBLE
    if not front.knee.is_baseline:
        return Cause.KNEE_PROVED if found.is_reference_feasible else Cause.FIRST_KNEE
    if any(point.is_proven for point in candidates):
        return Cause.KNEE_IS_BASELINE
    return Cause.NONE_PROVED if candidates else Cause.ALL_BEATEN


def _capacity_per_s(state: StudyState) -> float | None:
    members = [m for m in state.reference.line.session.members if isinstance(m, Windows)]
    found = [w.served.capacity_per_s for m in members for w in m.windows if w.served is not None]
    return max(found, default=None)
