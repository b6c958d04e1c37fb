"""Phases 5 and 6: winner against reference in fresh processes on fresh data, and the verdict that follows.

Knows sessions on record and the decision's rules; nothing that the search measured counts here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuner.bench.metrics import METRICS
from tuner.bench.protocol import Failure, Windows
from tuner.study.campaign import Campaign, Ground, candidates_of
from tuner.study.confirmation_size import due_size
from tuner.study.constraint import LEVEL, ConstraintCheck, check_limit
from tuner.study.decision import Interval, Look, Outcome, gain_log, gain_pct, look, looks, share_of
from tuner.study.estimate import session_value
from tuner.study.final import Winner
from tuner.study.fresh_session import FAILURES_ALLOWED, LOST_ALLOWED, is_reference_feasible, measure_fresh
from tuner.study.records import ConfirmationLine, VerdictLine

SD_FLOOR = 0.5
"""Of the calibrated sd between sessions: where compiles have two speeds, one study in sixteen draws the same one in all
of its first four sessions, and their own spread says that nothing differs."""


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


def open_confirmation(campaign: Campaign, ground: Ground, winner: Winner) -> ConfirmationLine:
    """Fixes on disk, before the first session, who is confirmed and in how many sessions: what fits into the time that
    was reserved or is left, with windows as long as the winner's and as many as its percentiles need."""
    candidate = winner.candidate
    sessions, pairs = due_size(campaign, ground, candidate)
    head = ConfirmationLine(
        round=campaign.round,
        winner=candidate.config,
        reference=winner.reference,
        k_max=sessions,
        share=share_of(campaign.log.winners_before(campaign.round)),
        pairs=pairs,
        window_s=ground.plan.window_s,
        sd_floor=SD_FLOOR * ground.calibration.session_sd_of(pairs),
    )
    campaign.log.append(head)
    return head


def confirm(campaign: Campaign, ground: Ground, head: ConfirmationLine) -> Confirmation:
    """Runs what is left of the confirmation."""
    while not is_decided(state := read_confirmation(campaign, ground, head)):
        measure_fresh(
            campaign,
            ground,
            head,
            [head.winner],
            incumbent=str(head.winner),
            incumbent_gain=state.interval.estimate if state.interval else None,
            note=f"session {len(state.values) + 1} of at most {head.k_max}",
        )
    return state


def read_confirmation(campaign: Campaign, ground: Ground, head: ConfirmationLine) -> Confirmation:
    """The state of a confirmation from the record alone."""
    objective, metric = campaign.study.objective, campaign.study.objective.row
    pairs: list[tuple[Windows, Windows]] = []
    values: list[float] = []
    failures: list[str] = []
    lost: list[str] = []
    for line in campaign.log.sessions("confirm", round=head.round):
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
    min_gain_log = gain_log(campaign.study.min_gain_pct)
    last = (
        look(values[: due[-1]], k_max=head.k_max, share=head.share, min_gain_log=min_gain_log, sd_floor=head.sd_floor)
        if due
        else None
    )
    ratios = ground.standing.ratios_of(head.reference)
    level = LEVEL / len(looks(head.k_max))
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
        is_reference_feasible=is_reference_feasible(campaign, ground, head.reference, [r for _, r in pairs]),
    )


def is_decided(state: Confirmation) -> bool:
    """Whether the verdict is due: at a look only, an extra one is an extra chance to be wrong. A winner that is ahead
    but does not yet keep its limits goes on to the next: their bounds tighten with every session."""
    if len(state.failures) > FAILURES_ALLOWED or len(state.lost) > LOST_ALLOWED:
        return True
    if state.look is None or len(state.values) != state.look.interval.sessions:
        return False
    is_last = len(state.values) == state.head.k_max
    if not state.is_reference_feasible:
        return is_last or state.keeps_limits
    if state.look.outcome is Outcome.WIN:
        return is_last or state.keeps_limits
    return is_last or state.look.outcome is Outcome.FUTILE


def judge_round(campaign: Campaign, ground: Ground, confirmation: Confirmation | None, failure: str) -> VerdictLine:
    """The verdict of a round in measurement.md's words; `failed` where no candidate ran, `failure` is the cause."""
    budget = campaign.study.budget

    def line(verdict: str, reason: str, detail: str) -> VerdictLine:
        return VerdictLine(
            round=campaign.round,
            verdict="tuned" if verdict == "tuned" else "baseline",
            reason=reason,
            detail=detail,
            minutes=budget.minutes,
            trials=budget.trials,
        )

    if confirmation is None:
        if failure:
            return line("baseline", "failed", failure)
        if not ground.standing.is_feasible:
            under = _under_load(campaign, ground)
            return line("baseline", "constraint", f"no configuration that was tried keeps the limits{under}")
        within = " within the limits" if campaign.study.objective.limits else ""
        count = sum(1 for candidate in candidates_of(campaign, ground).values() if candidate.is_measured)
        return line("baseline", "futile", f"none of {count} candidates tried was better than the reference{within}")
    if len(confirmation.failures) > FAILURES_ALLOWED:
        times = len(confirmation.failures)
        return line("baseline", "unstable", f"the winner failed in {times} sessions, last: {confirmation.failures[-1]}")
    if len(confirmation.lost) > LOST_ALLOWED:
        return line("baseline", "not_significant", f"nothing could be proved: {confirmation.lost[-1]}")
    look_, checks = confirmation.look, confirmation.checks
    assert look_ is not None
    broken = next((check.reason for check in checks if not check.is_kept), "")
    unit = METRICS[campaign.study.objective.metric].name
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


def _under_load(campaign: Campaign, ground: Ground) -> str:
    """At which rate, and what the fastest baseline completes without waiting for arrivals; empty for a closed loop."""
    rate = campaign.study.load.rate_per_s if campaign.study.load else None
    members = [m for m in ground.baselines.session.members if isinstance(m, Windows)]
    capacities = [w.served.capacity_per_s for m in members for w in m.windows if w.served is not None]
    if rate is None or not capacities:
        return ""
    return f" at {rate:g} requests/s; the fastest baseline completes {max(capacities):.0f}/s at most"
