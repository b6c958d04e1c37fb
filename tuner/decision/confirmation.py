"""The evidence of a confirmation, read off its sessions, for one objective and for several.

Responsible for the sessions on record and their plan; measurements of the search do not count here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tuner.bench.configuration import Failure
from tuner.bench.measurement import Windows
from tuner.decision.baselines import BaselineEvidence, is_feasible, read_baselines
from tuner.decision.members import FAILURES_ALLOWED, INVALID_ALLOWED, Members, claimed, gaps
from tuner.evidence.pooled_metrics import pool
from tuner.evidence.state import StudyState
from tuner.records.confirmation_plan import ConfirmationLine, ConfirmationPlan, FrontLine
from tuner.statistics.limits import ConstraintCheck, Pair, check_limit, limit_alpha
from tuner.statistics.sequential_test import Decision, Interval, Look, gain_log, interval, look, winner_alpha


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """The evidence of one confirmation so far.

    A position is the index of a member in a session: the reference has 0, candidates follow, then further baselines.
    """

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
    over_today: Interval | None = None
    """Gain of the one winner over today's baseline, once a look was due; None without one."""
    baselines: BaselineEvidence | None = None
    """Baselines beside each other; None for a front, and for a plan that has no further baseline."""

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

    @property
    def is_winner_out(self) -> bool:
        """True if no further session can help the one winner; the baselines may still need some."""
        return _winner_end(self) == (True, False)

    def is_unstable(self, position: int) -> bool:
        """Returns True if a member failed too often."""
        return len(self.failures[position - 1]) > FAILURES_ALLOWED

    def position_of(self, baseline: str) -> int | None:
        """Returns the position of a baseline among the members; None if it is none of them."""
        if baseline == self.plan.reference:
            return 0
        if baseline not in self.plan.baselines:
            return None
        return 1 + len(self.plan.members) + self.plan.baselines.index(baseline)

    def pairs(self, position: int = 1) -> list[Pair]:
        """Returns the windows of a member and of the reference in each session that has both."""
        shared = ((session[position], session[0]) for session in self._sessions_of(position))
        return [(member, reference) for member, reference in shared if member and reference]

    def pooled(self, position: int) -> Windows | None:
        """Returns the windows of a member in all sessions; None if it has none."""
        found = [member for session in self._sessions_of(position) if (member := session[position]) is not None]
        return pool(found) if found else None

    def _sessions_of(self, position: int) -> Sequence[Members]:
        """Returns the sessions that count for a member: those of the baselines include some without the winner."""
        is_baseline = position == 0 or position > len(self.plan.members)
        return self.baselines.sessions if is_baseline and self.baselines is not None else self.sessions


def read_confirmation(state: StudyState, plan: ConfirmationPlan) -> Confirmation:
    """Returns the state of a confirmation from the record alone."""
    sessions: list[Members] = []
    shared: list[Members] = []
    failures: list[list[Failure]] = [[] for _ in range(len(plan.members) + len(plan.baselines))]
    invalid: list[Failure | None] = []
    has_winner = not plan.is_front and bool(plan.members)
    lines = state.log.sessions("confirm", attempt=plan.attempt)
    for line in lines:
        reference, *members = _aligned(plan, line.session.members)
        for found, member in zip(failures, members, strict=True):
            if isinstance(member, Failure):
                found.append(member)
        values: Members = ()
        if isinstance(reference, Windows):
            values = tuple(claimed(state, member, reference) for member in (reference, *members))
            shared += [values] if values[0] else []
        if has_winner and isinstance(members[0], Failure):
            continue  # The session counts as a failure of the winner alone.
        if isinstance(reference, Failure):
            invalid.append(reference)
        elif has_winner and members[0] is None:
            continue  # The winner was out before.
        elif all(values[:1] if plan.is_front else values[: 1 + len(plan.members)]):
            sessions.append(values)
        else:
            invalid.append(None)
    confirmation = Confirmation(
        plan=plan,
        sessions=sessions,
        failures=failures,
        invalid=invalid,
        is_reference_feasible=is_feasible(state, plan.reference, [session[0] for session in sessions or shared]),
    )
    if isinstance(plan, FrontLine):
        return confirmation
    if plan.baselines:
        failed = {name: len(found) for name, found in zip(plan.baselines, failures[len(plan.members) :], strict=True)}
        evidence = read_baselines(state, plan, shared, failed, len(lines) - len(shared))
        confirmation = replace(confirmation, baselines=evidence)
    return _with_look(state, plan, confirmation)


def is_decided(found: Confirmation) -> bool:
    """Returns True if the verdict is due, which happens at a look alone.

    An extra look is an extra chance to be wrong. A winner that gains but does not yet keep its limits goes on to the
    next look, because the confidence bounds tighten with every session. Where no winner is to be deployed, the
    strongest baseline may be: its claim against today's baseline has looks of its own.
    """
    if found.is_invalid:
        return True
    if found.plan.is_front:
        return len(found.sessions) >= found.plan.looks[-1]
    is_over, is_won = _winner_end(found)
    return is_over and (is_won or found.baselines is None or found.baselines.is_decided)


def _winner_end(found: Confirmation) -> tuple[bool, bool]:
    """Returns if the one winner needs no further session, and if it is to be deployed."""
    count, last = len(found.sessions), found.plan.looks[-1]
    if not found.plan.members or found.is_unstable(1):
        return True, False
    if found.look is None or count not in found.plan.looks:
        return count >= last, False
    if not found.is_reference_feasible or found.look.outcome is Decision.WIN:
        return found.keeps_limits or count >= last, found.keeps_limits
    return found.look.outcome is Decision.FUTILE or count >= last, False


def gaps_between(state: StudyState, found: Confirmation, one: int, other: int) -> list[list[float]]:
    """Returns, for each objective, the log-ratio of one member to another in each session that both shared.

    `one` and `other` are positions. Positive values mean that `one` is better.
    """
    return gaps(state, found.sessions, one, other)


def limit_checks(state: StudyState, found: Confirmation, position: int = 1) -> list[ConstraintCheck]:
    """Returns the checks of every limit on the sessions of one member; members and looks share alpha.

    Candidates and baselines both count as members, because each is claimed to keep the limits.
    """
    plan = found.plan
    points = len(plan.members) + plan.claims_baseline
    alpha, ratios = limit_alpha(points, len(plan.looks)), state.reference.ranking.ratios_of(plan.reference)
    return [
        check
        for limit in state.study.objective.limits
        for check in check_limit(limit, found.pairs(position), ratios[limit.metric], alpha=alpha)
    ]


def _with_look(state: StudyState, plan: ConfirmationLine, found: Confirmation) -> Confirmation:
    """Returns the confirmation of one winner with the last look that was due."""
    due = [count for count in plan.looks if count <= len(found.sessions)]
    if not due or not plan.members:
        return found
    proved = found.baselines is not None and found.baselines.is_proved
    alpha = winner_alpha(plan.alpha, claims_baseline=plan.claims_baseline, is_baseline_proved=proved)
    last = look(
        gaps_between(state, found, 1, 0)[0][: due[-1]],
        max_sessions=plan.looks[-1],
        alpha=alpha,
        min_gain_log=gain_log(state.study.min_gain_pct),
        sd_floor=plan.sd_floor,
    )
    return replace(
        found, look=last, checks=limit_checks(state, found), over_today=_over_today(state, plan, found, last, due[-1])
    )


def _over_today(
    state: StudyState, plan: ConfirmationLine, found: Confirmation, last: Look, sessions: int
) -> Interval | None:
    """Returns the gain of the one winner over today's baseline at its last look, at the level of that look.

    It is claimed only where the winner's gain over the reference is: a fixed sequence, which needs no alpha of its own.
    None if the record does not say what runs today, or if today's baseline lacks one of the sessions.
    """
    if plan.today is None:
        return None
    position = found.position_of(plan.today)
    if position is None or position == 0:
        return last.interval  # The reference is today's baseline, perhaps under another name.
    values = gaps_between(state, found, 1, position)[0][:sessions]
    return interval(values, last.interval.alpha, sd_floor=plan.sd_floor) if len(values) == sessions else None


def _aligned(plan: ConfirmationPlan, members: Sequence[Windows | Failure]) -> Sequence[Windows | Failure | None]:
    """Returns the members of a session at their positions; None for a winner that took no part."""
    missing = 1 + len(plan.members) + len(plan.baselines) - len(members)
    return (members[0], *[None] * missing, *members[1:])
