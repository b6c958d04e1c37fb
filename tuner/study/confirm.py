"""Phases 5 and 6: winner against reference in fresh processes on fresh data, and the verdict that follows.

Knows sessions on record and the decision's rules; nothing that the search measured counts here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuner.bench.metrics import METRICS
from tuner.bench.protocol import Failure, Windows
from tuner.study.budget import SD_FLOOR, StudyPlan
from tuner.study.confirmation_size import due_size
from tuner.study.constraint import ConstraintCheck, check_limit, limit_level
from tuner.study.decision import Interval, Look, Outcome, gain_log, gain_pct, look, looks, share_of
from tuner.study.estimate import session_value
from tuner.study.final import Winner
from tuner.study.fresh_session import FAILURES_ALLOWED, LOST_ALLOWED, is_reference_feasible, measure_fresh
from tuner.study.limit_words import limit_words
from tuner.study.records import ConfirmationLine, VerdictLine
from tuner.study.runner import SessionRunner
from tuner.study.state import StudyState


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What the confirmation of one round has shown so far."""

    head: ConfirmationLine
    pairs: Sequence[tuple[Windows, Windows]]
    """(winner, reference) of each session in which both ran and the objective could be claimed."""
    values: Sequence[float]
    failures: Sequence[str]
    """Of the winner: its sessions that failed."""
    lost: Sequence[str]
    """Why other sessions say nothing: the reference failed, or there were too few requests."""
    look: Look | None
    """The last look that was due."""
    checks: Sequence[ConstraintCheck]
    is_reference_feasible: bool
    """Whether the reference keeps the limits, on these sessions where there are any, else as the baselines had it."""

    @property
    def interval(self) -> Interval | None:
        return self.look.interval if self.look else None

    @property
    def keeps_limits(self) -> bool:
        return all(check.is_kept for check in self.checks)


def open_confirmation(runner: SessionRunner, plan: StudyPlan, winner: Winner) -> ConfirmationLine:
    """Fixes on disk, before the first session, which candidate is confirmed and in how many sessions.

    Their number is what fits into the time that was reserved or is left, with windows as long as the winner's and as
    many as its percentiles need.
    """
    state = runner.state
    sessions, pairs = due_size(state, plan, winner.candidate)
    head = ConfirmationLine(
        round=state.attempt,
        winner=winner.candidate.config,
        reference=winner.reference,
        k_max=sessions,
        share=share_of(state.log.winners_before(state.attempt)),
        pairs=pairs,
        window_s=plan.window_s,
        sd_floor=SD_FLOOR * state.reference.noise.session_sd_of(pairs),
    )
    runner.append(head)
    return head


def confirm(runner: SessionRunner, head: ConfirmationLine) -> Confirmation:
    """Runs what is left of the confirmation."""
    while not is_decided(found := read_confirmation(runner.state, head)):
        measure_fresh(
            runner,
            head,
            [head.winner],
            note=f"session {len(found.values) + 1} of at most {head.k_max}",
            incumbent=str(head.winner),
            incumbent_gain=found.interval.estimate if found.interval else None,
        )
    return found


def read_confirmation(state: StudyState, head: ConfirmationLine) -> Confirmation:
    """The state of a confirmation from the record alone."""
    objective, metric = state.study.objective, state.study.objective.row
    pairs: list[tuple[Windows, Windows]] = []
    values: list[float] = []
    failures: list[str] = []
    lost: list[str] = []
    for line in state.log.sessions("confirm", round=head.round):
        reference, winner = line.session.members
        if isinstance(winner, Failure):
            failures.append(str(winner))
        elif isinstance(reference, Failure):
            lost.append(f"the reference failed: {reference}")
        elif (value := session_value(metric, winner, reference)) is None:
            lost.append(f"too few requests to claim {metric.name}: it needs {metric.min_requests} on each side")
        else:
            pairs.append((winner, reference))
            values.append(value)
    due = [n for n in looks(head.k_max) if n <= len(values)]
    min_gain_log = gain_log(state.study.min_gain_pct)
    last = (
        look(values[: due[-1]], k_max=head.k_max, share=head.share, min_gain_log=min_gain_log, sd_floor=head.sd_floor)
        if due
        else None
    )
    ratios = state.reference.ranking.ratios_of(head.reference)
    level = limit_level(1, len(looks(head.k_max)))
    checks = (
        [c for limit in objective.limits for c in check_limit(limit, pairs, ratios[limit.metric], level=level)]
        if due
        else []
    )
    return Confirmation(
        head=head,
        pairs=pairs,
        values=values,
        failures=failures,
        lost=lost,
        look=last,
        checks=checks,
        is_reference_feasible=is_reference_feasible(state, head.reference, [r for _, r in pairs]),
    )


def is_decided(found: Confirmation) -> bool:
    """Whether the verdict is due: at a look only, an extra one is an extra chance to be wrong. A winner that is ahead
    but does not yet keep its limits goes on to the next: their bounds tighten with every session."""
    if len(found.failures) > FAILURES_ALLOWED or len(found.lost) > LOST_ALLOWED:
        return True
    if found.look is None or len(found.values) != found.look.interval.sessions:
        return False
    is_last = len(found.values) == found.head.k_max
    if not found.is_reference_feasible:
        return is_last or found.keeps_limits
    if found.look.outcome is Outcome.WIN:
        return is_last or found.keeps_limits
    return is_last or found.look.outcome is Outcome.FUTILE


def judge_round(state: StudyState, confirmation: Confirmation | None, failure: str) -> VerdictLine:
    """The verdict of a round in measurement.md's words; `failed` where no candidate ran, `failure` is the cause."""
    budget = state.study.budget

    def line(verdict: str, reason: str, detail: str) -> VerdictLine:
        return VerdictLine(
            round=state.attempt,
            verdict="tuned" if verdict == "tuned" else "baseline",
            reason=reason,
            detail=detail,
            minutes=budget.minutes,
            trials=budget.trials,
        )

    if confirmation is None:
        if failure:
            return line("baseline", "failed", failure)
        if not state.reference.ranking.is_feasible:
            under = _under_load(state)
            return line("baseline", "constraint", f"no configuration that was tried keeps the limits{under}")
        within = " within the limits" if state.study.objective.limits else ""
        count = sum(1 for candidate in state.candidates.values() if candidate.is_measured)
        return line("baseline", "futile", f"none of {count} candidates tried was better than the reference{within}")
    if len(confirmation.failures) > FAILURES_ALLOWED:
        times = len(confirmation.failures)
        return line("baseline", "unstable", f"the winner failed in {times} sessions, last: {confirmation.failures[-1]}")
    if len(confirmation.lost) > LOST_ALLOWED:
        return line("baseline", "not_significant", f"nothing could be proved: {confirmation.lost[-1]}")
    look_, checks = confirmation.look, confirmation.checks
    assert look_ is not None
    broken = next((limit_words(check) for check in checks if not check.is_kept), "")
    unit = METRICS[state.study.objective.metric].name
    bounds = f"{gain_pct(look_.interval.low):+.1f} to {gain_pct(look_.interval.high):+.1f} %"
    if not confirmation.is_reference_feasible:
        if broken:
            return line("baseline", "constraint", f"none that was tried was shown to keep the limits: {broken}")
        return line("tuned", "first_feasible", "the first configuration that keeps the limits; no gain is claimed")
    if look_.outcome is Outcome.WIN:
        if broken:
            return line("baseline", "constraint", broken)
        once = f"; one session failed and is left out: {confirmation.failures[0]}" if confirmation.failures else ""
        return line("tuned", "", f"{unit} is better, and fresh data confirm it{once}")
    if look_.outcome is Outcome.FUTILE:
        return line("baseline", "futile", f"the best candidate gains too little to matter: {bounds}")
    return line("baseline", "not_significant", f"the best candidate's gain may be noise: {bounds}")


def _under_load(state: StudyState) -> str:
    """At which rate, and what the fastest baseline completes without waiting for arrivals; empty for a closed loop."""
    rate = state.study.load.rate_per_s if state.study.load else None
    members = [m for m in state.reference.line.session.members if isinstance(m, Windows)]
    capacities = [w.served.capacity_per_s for m in members for w in m.windows if w.served is not None]
    if rate is None or not capacities:
        return ""
    return f" at {rate:g} requests/s; the fastest baseline completes {max(capacities):.0f}/s at most"
