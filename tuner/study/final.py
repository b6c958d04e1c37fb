"""Phase 4, the final: the best few and the baselines interleaved, halved until one is left.

Knows the field and the halving; the verdict belongs to the confirmation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tuner.study.audit import audit_lines, equal_requests
from tuner.study.baselines import stand
from tuner.study.budget import FULL_FINAL, SMALL_FINAL
from tuner.study.campaign import LINEUP, Campaign, Ground, candidates_of, plan_session
from tuner.study.evidence import Candidate, ranked
from tuner.study.listing import config_of
from tuner.study.play_off import measure_field, next_field
from tuner.study.records import SessionLine

HOPELESS_SDS = 3.0
"""A candidate so far behind the reference takes no time in the final, however few others there are."""
BASELINES_AT_MOST = 4
"""Where a study names many baselines, the strongest: half of the final's places belong to candidates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Winner:
    """Who goes into the confirmation, and against which baseline."""

    candidate: Candidate
    reference: str


def pick_winner(campaign: Campaign, ground: Ground) -> Winner | None:
    """Runs what is left of the final. None where no candidate can be better than the reference within the limits."""
    plan = ground.plan.final
    field = finalists(campaign, ground)
    for stage, size in enumerate(plan.stages):
        if not field:
            return None
        if stage == campaign.steps("final"):
            _measure(campaign, ground, field[:size])
        field = _of_sessions(campaign, ground, campaign.log.sessions("final", round=campaign.round)[stage : stage + 1])
    while rivals := next_field(campaign, ground, may_win(_open(campaign, ground), ground)):
        if not measure_field(campaign, ground, rivals):
            break
    met = _of_sessions(campaign, ground, campaign.log.sessions("final", round=campaign.round))
    return winner_of(campaign, ground, met or field)


def _of_sessions(campaign: Campaign, ground: Ground, lines: Sequence[SessionLine]) -> list[Candidate]:
    """The candidates that met there, best first."""
    numbers = {number for line in lines for number in line.trials if number is not None}
    return ranked(c for c in candidates_of(campaign, ground).values() if c.trial in numbers)


def winner_of(campaign: Campaign, ground: Ground, field: Sequence[Candidate]) -> Winner | None:
    """The best of the field, best first, that may win."""
    good = may_win(field, ground)
    return Winner(candidate=good[0], reference=_strongest(campaign, ground)) if good else None


def may_win(field: Sequence[Candidate], ground: Ground) -> list[Candidate]:
    """Those that are better, in the same order. The confirmation is strict where the search was lenient: where any
    keep their limits as measured the others are out."""
    good = [c for c in field if is_better(c, ground)]
    return [c for c in good if c.excess <= 0.0] or good


def is_better(candidate: Candidate, ground: Ground) -> bool:
    """Than the reference, within the limits; where no baseline keeps them it need not be faster."""
    return candidate.is_feasible and (candidate.value > 0.0 or not ground.standing.is_feasible)


def finalists(campaign: Campaign, ground: Ground) -> list[Candidate]:
    """The best candidates that are still open, as many as the final takes."""
    room = LINEUP - len(baseline_field(ground))
    return _open(campaign, ground)[: min(ground.plan.final.top or SMALL_FINAL.top, room)]


def _open(campaign: Campaign, ground: Ground) -> list[Candidate]:
    """The measured candidates that no earlier confirmation has judged, best first. One whose gain was not significant
    is not judged yet: more sessions may prove it. Under limits that no baseline keeps a candidate need not be
    faster."""
    open_rounds = {line.round for line in campaign.log.verdicts() if line.reason == "not_significant"}
    rounds = [r for r in range(1, campaign.round) if r not in open_rounds]
    judged = {line.winner for r in rounds if (line := campaign.log.confirmation(r))}
    known = [c for c in candidates_of(campaign, ground).values() if c.config not in judged]
    if ground.standing.is_feasible:
        known = [c for c in known if c.is_measured and c.value + HOPELESS_SDS * c.sd > 0.0]
    return ranked(known)


def _measure(campaign: Campaign, ground: Ground, field: Sequence[Candidate]) -> None:
    campaign.show(replace(campaign.status, phase="final", left_s=campaign.left_s(), note=f"{len(field)} candidates"))
    baselines = [campaign.setting.baselines[name] for name in baseline_field(ground)]
    is_long = ground.plan.final == FULL_FINAL
    audited = equal_requests(campaign, field, LINEUP - len(baselines) - len(field)) if is_long else []
    line = campaign.measure(
        [*baselines, *(c.config for c in field), *(config_of(campaign, assignment) for assignment in audited)],
        plan_session(campaign, ground, "final", blocks=ground.plan.final.stage_rounds),
        trials=[*(None for _ in baselines), *(c.trial for c in field), *(None for _ in audited)],
        assignments=[*(None for _ in baselines), *(c.assignment for c in field), *audited],
    )
    for words in audit_lines(campaign, ground, line):
        campaign.reporter.say(words)


def baseline_field(ground: Ground) -> list[str]:
    """Who takes part: the reference, then the strongest of each other effective configuration."""
    standing = ground.standing
    if not ground.plan.final.has_baselines:
        return [standing.reference]
    names: dict[str, str] = {}
    for name in [standing.reference, *sorted(standing.values, key=lambda name: -standing.values[name])]:
        names.setdefault(ground.baseline_keys[name], name)
    return list(names.values())[:BASELINES_AT_MOST]


def _strongest(campaign: Campaign, ground: Ground) -> str:
    """The baseline that baselines' session and final together found strongest. Sessions with one of them alone tell
    nothing: what the host did to it there it would have done to the others."""
    configs = campaign.setting.baselines
    lines = (ground.baselines, *campaign.log.sessions("final", round=campaign.round))
    members = [dict(zip(line.session.lineup, line.session.members, strict=True)) for line in lines]
    found = [{name: met[config] for name, config in configs.items() if config in met} for met in members]
    return stand(campaign.study.objective, *(baselines for baselines in found if len(baselines) > 1)).reference
