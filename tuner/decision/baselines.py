"""The baselines of a confirmation beside each other: is the strongest one better than what runs today?

Responsible for the claim about a hint. Must not know candidates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tuner.bench.measurement import Windows
from tuner.decision.members import FAILURES_ALLOWED, INVALID_ALLOWED, Members, gaps
from tuner.evidence.pooled_metrics import pool
from tuner.evidence.state import StudyState
from tuner.records.confirmation_plan import ConfirmationLine
from tuner.statistics.limits import ConstraintCheck, check_limit, limit_alpha, search_violation
from tuner.statistics.sequential_test import (
    Decision,
    Interval,
    Look,
    alpha_per_look,
    baseline_alpha,
    gain_log,
    interval,
    look,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineEvidence:
    """Evidence about the baselines of a confirmation: the reference, today's, and the weaker ones that took part."""

    sessions: Sequence[Members]
    """Sessions in which the reference ran, those without the winner among them."""
    differs: bool
    """True if the reference is another configuration than today's baseline."""
    claims_reference: bool
    """True if the reference may be shown to be better than today's baseline, which is another one and runs."""
    compared: int
    """Number of sessions with the reference and today's baseline."""
    missed: int
    """Number of sessions in which one of these two has no value."""
    last: int
    """Number of sessions at the last look."""
    looks: Sequence[int]
    is_reference_feasible: bool
    """True if the reference keeps the limits, as these sessions measured it."""
    is_today_feasible: bool
    """True if today's baseline keeps the limits, as these sessions measured it."""
    look: Look | None = None
    """The last look at the reference against today's baseline that was due; None before, and without that claim."""
    gains: Mapping[str, Interval] = field(default_factory=dict)
    """Baseline -> its gain over today's, for all that took part beside it."""
    checks: Sequence[ConstraintCheck] = ()
    """Limits of the reference, once a look was due."""

    @property
    def is_proved(self) -> bool:
        """True if the reference is shown to be better than today's baseline."""
        return self.look is not None and self.look.outcome is Decision.WIN

    @property
    def keeps_limits(self) -> bool:
        """True if the reference is shown to keep every limit."""
        return all(check.is_kept for check in self.checks)

    @property
    def is_answer(self) -> bool:
        """True if the reference is what to deploy in place of today's baseline, should no winner be.

        It has to be better, and shown to keep the limits. If today's baseline exceeds a limit as measured, it suffices
        that the reference keeps all of them as measured.
        """
        if not self.differs or not self.is_reference_feasible:
            return False
        return not self.is_today_feasible or (self.claims_reference and self.is_proved and self.keeps_limits)

    @property
    def is_decided(self) -> bool:
        """True if no further session is needed for the claim, which is decided at a look alone."""
        if not self.claims_reference or self.missed > INVALID_ALLOWED or self.compared >= self.last:
            return True
        if self.look is None or self.compared not in self.looks:
            return False
        if not self.is_today_feasible:
            return self.is_reference_feasible and self.keeps_limits
        return self.look.outcome is Decision.FUTILE or (self.is_proved and self.keeps_limits)


def read_baselines(
    state: StudyState, plan: ConfirmationLine, sessions: Sequence[Members], failures: Mapping[str, int], missed: int
) -> BaselineEvidence:
    """Returns what the sessions of a confirmation show about its baselines.

    `sessions` are those in which the reference ran, `missed` is the number of the others. `failures` are the sessions
    in which each further baseline failed.
    """
    first = 1 + len(plan.members)
    positions = {plan.reference: 0, **{name: first + i for i, name in enumerate(plan.baselines)}}
    # One configuration under two names: the reference is measured in place of today's baseline.
    today = positions.get(plan.today or "", 0)
    compared = sum(1 for session in sessions if session[0] and session[today])
    due = [n for n in plan.looks if n <= compared]
    alpha = baseline_alpha(plan.alpha)
    start = BaselineEvidence(
        sessions=sessions,
        differs=plan.claims_baseline,
        claims_reference=plan.claims_baseline and failures.get(plan.today or "", 0) <= FAILURES_ALLOWED,
        compared=compared,
        missed=missed + sum(1 for session in sessions if session[today] is None),
        last=plan.looks[-1],
        looks=plan.looks,
        is_reference_feasible=is_feasible(state, plan.reference, [session[0] for session in sessions]),
        is_today_feasible=is_feasible(state, plan.today or plan.reference, [session[today] for session in sessions]),
    )
    if not due:
        return start
    per_look = alpha_per_look(plan.looks[-1], alpha)
    found = None
    if plan.claims_baseline:
        found = look(
            gaps(state, sessions, 0, today)[0][: due[-1]],
            max_sessions=plan.looks[-1],
            alpha=alpha,
            min_gain_log=gain_log(state.study.min_gain_pct),
            sd_floor=plan.sd_floor,
        )
    columns = {name: gaps(state, sessions, at, today)[0][: due[-1]] for name, at in positions.items() if at != today}
    return replace(
        start,
        look=found,
        gains={
            name: interval(values, per_look, sd_floor=plan.sd_floor)
            for name, values in columns.items()
            if len(values) == due[-1]
        },
        checks=_checks(state, plan, sessions),
    )


def is_feasible(state: StudyState, name: str, members: Sequence[Windows | None]) -> bool:
    """Returns True if a baseline keeps the limits as sessions measured it, else as the baselines' session did."""
    ranking = state.reference.ranking
    measured = [member for member in members if member is not None]
    if not measured:
        return ranking.keeps_limits(name)
    whole, ratios = pool(measured), ranking.ratios_of(name)
    limits = state.study.objective.limits
    excesses = [search_violation(limit, whole, whole, ratios[limit.metric], 0.0) for limit in limits]
    return all(excess is None or excess <= 0.0 for excess in excesses)


def claimed_points(plan: ConfirmationLine) -> int:
    """Returns the number of configurations that a confirmation may claim to keep the limits."""
    return len(plan.members) + plan.claims_baseline


def _checks(state: StudyState, plan: ConfirmationLine, sessions: Sequence[Members]) -> list[ConstraintCheck]:
    """Returns the checks of every limit on the reference."""
    alpha = limit_alpha(max(1, claimed_points(plan)), len(plan.looks))
    ratios = state.reference.ranking.ratios_of(plan.reference)
    pairs = [(session[0], session[0]) for session in sessions if session[0] is not None]
    return [
        check
        for limit in state.study.objective.limits
        for check in check_limit(limit, pairs, ratios[limit.metric], alpha=alpha)
    ]
