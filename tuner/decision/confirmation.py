"""The evidence of a confirmation, read off its sessions, for one objective and for several.

Responsible for the sessions on record and their plan; measurements of the search do not count here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tuner.bench.configuration import Failure
from tuner.bench.measurement import Windows
from tuner.evidence.pooled_metrics import pool
from tuner.evidence.state import StudyState
from tuner.records.confirmation_plan import ConfirmationPlan
from tuner.statistics.limits import ConstraintCheck, Pair, check_limit, limit_alpha, search_violation
from tuner.statistics.sequential_test import Decision, Interval, Look, gain_log, look
from tuner.statistics.session_effect import session_value

FAILURES_ALLOWED = 1
"""Number of sessions in which a member may fail: two failures in fresh processes are a reason not to deploy."""

INVALID_ALLOWED = 2
"""Number of sessions that may be invalid; with a third one too few remain to prove a gain."""

Members = tuple[Windows | None, ...]
"""The members of one session, the reference first; None for a failure or too few requests for a claim."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """The evidence of one confirmation so far. A position is the index of a member; the reference has 0."""

    plan: ConfirmationPlan
    sessions: Sequence[Members]
    """The sessions that count: the reference ran, and of one objective the winner too."""
    failures: Sequence[Sequence[Failure]]
    """Failures of each member in all sessions, without the reference."""
    invalid: Sequence[Failure | None]
    """Failure of the reference in each invalid session; None for too few requests."""
    is_reference_feasible: bool
    """True if the reference keeps the limits, as these sessions measured it, else as the baselines' session did."""
    look: Look | None = None
    """The last look that was due; None for a front, whose points have intervals of their own."""
    checks: Sequence[ConstraintCheck] = ()
    """Limits of the one winner, once a look was due."""

    @property
    def interval(self) -> Interval | None:
        """The gain of the one winner; None before the first look, and for a front."""
        return self.look.interval if self.look else None

    @property
    def keeps_limits(self) -> bool:
        """True if the one winner is shown to keep every limit."""
        return all(check.is_kept for check in self.checks)

    @property
    def is_invalid(self) -> bool:
        """True if too many sessions are invalid."""
        return len(self.invalid) > INVALID_ALLOWED

    def is_unstable(self, position: int) -> bool:
        """Returns True if a member failed too often."""
        return len(self.failures[position - 1]) > FAILURES_ALLOWED

    def pairs(self, position: int = 1) -> list[Pair]:
        """Returns the windows of a member and of the reference in each session that has both."""
        shared = ((session[position], session[0]) for session in self.sessions)
        return [(member, reference) for member, reference in shared if member and reference]

    def pooled(self, position: int) -> Windows | None:
        """Returns the windows of a member in all sessions; None if it has none."""
        found = [member for session in self.sessions if (member := session[position]) is not None]
        return pool(found) if found else None


def read_confirmation(state: StudyState, plan: ConfirmationPlan) -> Confirmation:
    """Returns the state of a confirmation from the record alone."""
    sessions: list[Members] = []
    failures: list[list[Failure]] = [[] for _ in plan.members]
    invalid: list[Failure | None] = []
    for line in state.log.sessions("confirm", attempt=plan.attempt):
        reference, *members = line.session.members
        for found, member in zip(failures, members, strict=True):
            if isinstance(member, Failure):
                found.append(member)
        if not plan.is_front and isinstance(members[0], Failure):
            continue  # The session counts as a failure of the winner alone.
        if isinstance(reference, Failure):
            invalid.append(reference)
            continue
        claimed = tuple(_claimed(state, member, reference) for member in (reference, *members))
        if all(claimed[:1] if plan.is_front else claimed):
            sessions.append(claimed)
        else:
            invalid.append(None)
    confirmation = Confirmation(
        plan=plan,
        sessions=sessions,
        failures=failures,
        invalid=invalid,
        is_reference_feasible=_is_reference_feasible(state, plan, sessions),
    )
    return confirmation if plan.is_front else _with_look(state, confirmation)


def is_decided(found: Confirmation) -> bool:
    """Returns True if the verdict is due, which happens at a look alone.

    An extra look is an extra chance to be wrong. A winner that gains but does not yet keep its limits goes on to the
    next look, because the confidence bounds tighten with every session.
    """
    count = len(found.sessions)
    if found.is_invalid or count >= found.plan.looks[-1]:
        return True
    if found.plan.is_front:
        return False
    if found.is_unstable(1):
        return True
    if found.look is None or count not in found.plan.looks:
        return False
    if not found.is_reference_feasible or found.look.outcome is Decision.WIN:
        return found.keeps_limits
    return found.look.outcome is Decision.FUTILE


def values_of(state: StudyState, member: Windows, reference: Windows) -> tuple[float, ...] | None:
    """Returns the log-ratio of a member to a reference in each objective; None if one of them cannot be claimed."""
    found = [session_value(row, member, reference) for row in state.study.objective.rows]
    values = tuple(value for value in found if value is not None)
    return values if len(values) == len(found) else None


def gaps_between(state: StudyState, found: Confirmation, one: int, other: int) -> list[list[float]]:
    """Returns, for each objective, the log-ratio of one member to another in each session that both shared.

    `one` and `other` are positions. Positive values mean that `one` is better.
    """
    pairs = ((session[one], session[other]) for session in found.sessions)
    shared = [values for a, b in pairs if a and b and (values := values_of(state, a, b)) is not None]
    return [list(column) for column in zip(*shared, strict=True)] or [[] for _ in state.study.objective.metrics]


def limit_checks(state: StudyState, found: Confirmation, position: int = 1) -> list[ConstraintCheck]:
    """Returns the checks of every limit on the sessions of one member; members and looks share alpha.

    Candidates and baselines both count as members, because each is claimed to keep the limits.
    """
    plan = found.plan
    alpha, ratios = limit_alpha(len(plan.members), len(plan.looks)), state.reference.ranking.ratios_of(plan.reference)
    return [
        check
        for limit in state.study.objective.limits
        for check in check_limit(limit, found.pairs(position), ratios[limit.metric], alpha=alpha)
    ]


def _with_look(state: StudyState, found: Confirmation) -> Confirmation:
    """Returns the confirmation of one winner with the last look that was due."""
    plan = found.plan
    due = [count for count in plan.looks if count <= len(found.sessions)]
    if not due:
        return found
    last = look(
        gaps_between(state, found, 1, 0)[0][: due[-1]],
        max_sessions=plan.looks[-1],
        alpha=plan.alpha,
        min_gain_log=gain_log(state.study.min_gain_pct),
        sd_floor=plan.sd_floor,
    )
    return replace(found, look=last, checks=limit_checks(state, found))


def _claimed(state: StudyState, member: Windows | Failure, reference: Windows) -> Windows | None:
    """Returns a member whose values can be claimed; None if it failed or had too few requests."""
    return member if isinstance(member, Windows) and values_of(state, member, reference) is not None else None


def _is_reference_feasible(state: StudyState, plan: ConfirmationPlan, sessions: Sequence[Members]) -> bool:
    ranking = state.reference.ranking
    measured = [session[0] for session in sessions if session[0] is not None]
    if not measured:
        return ranking.keeps_limits(plan.reference)
    whole, ratios = pool(measured), ranking.ratios_of(plan.reference)
    limits = state.study.objective.limits
    excesses = [search_violation(limit, whole, whole, ratios[limit.metric], 0.0) for limit in limits]
    return all(excess is None or excess <= 0.0 for excess in excesses)
