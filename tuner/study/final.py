"""Phase 4, the final: the best few and the baselines interleaved, halved until one is left.

Knows the field and the halving; the verdict belongs to the confirmation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tuner.bench.protocol import DeploymentConfig, Windows
from tuner.study.baselines import stand
from tuner.study.campaign import Campaign, Ground, candidates_of, percentile_blocks, plan_session
from tuner.study.evidence import Candidate, ranked

LINEUP = 7
"""Members of one session at most (measurement.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Winner:
    """Who goes into the confirmation, and against which baseline."""

    candidate: Candidate
    reference: str


def pick_winner(campaign: Campaign, ground: Ground) -> Winner | None:
    """Runs what is left of the final. None where no candidate can be better than the reference."""
    field = _field(campaign, ground)
    if not field:
        return None
    stages = (len(field), *ground.plan.final.keep)[:-1] if ground.plan.final.rounds else ()
    for stage, size in enumerate(stages):
        lines = campaign.log.sessions("final", round=campaign.round)
        if stage < len(lines):
            numbers = [number for number in lines[stage].trials if number is not None]
            field = [c for c in candidates_of(campaign, ground).values() if c.trial in numbers]
        else:
            field = field[:size]
            _measure(campaign, ground, field, blocks=ground.plan.final.rounds // len(stages))
        keys = {c.key for c in field}
        field = [c for c in ranked(candidates_of(campaign, ground).values()) if c.key in keys]
        if not field:
            return None
    best = field[0]
    if ground.standing.is_feasible and (not best.is_feasible or best.value <= 0.0):
        return None
    return Winner(candidate=best, reference=_strongest(campaign, ground))


def _field(campaign: Campaign, ground: Ground) -> list[Candidate]:
    """The best measured candidates that no earlier confirmation has turned down."""
    judged = {line.winner for r in range(1, campaign.round) if (line := campaign.log.confirmation(r))}
    known = [c for c in candidates_of(campaign, ground).values() if c.config not in judged]
    room = LINEUP - len(_distinct_baselines(ground))
    return ranked(known)[: min(ground.plan.final.top or 1, room)]


def _measure(campaign: Campaign, ground: Ground, field: Sequence[Candidate], *, blocks: int) -> None:
    campaign.show(replace(campaign.status, phase="final", left_s=campaign.left_s(), note=f"{len(field)} candidates"))
    names = _distinct_baselines(ground)
    baselines = [campaign.setting.baselines[name] for name in names]
    candidates: list[DeploymentConfig] = [c.config for c in field]
    campaign.measure(
        [*baselines, *candidates],
        plan_session(
            campaign, ground, "final", blocks=max(blocks, percentile_blocks(campaign.study, ground.calibration))
        ),
        trials=[*(None for _ in baselines), *(c.trial for c in field)],
        assignments=[*(None for _ in baselines), *(c.assignment for c in field)],
    )


def _distinct_baselines(ground: Ground) -> list[str]:
    """The reference first, then one of each other effective configuration."""
    names = [ground.standing.reference]
    seen = {ground.reference_key}
    for name, key in ground.baseline_keys.items():
        if key not in seen:
            seen.add(key)
            names.append(name)
    return names


def _strongest(campaign: Campaign, ground: Ground) -> str:
    """The baseline that the final found strongest; the reference where there was no final."""
    lines = campaign.log.sessions("final", round=campaign.round)
    if not lines:
        return ground.standing.reference
    names = _distinct_baselines(ground)
    session = lines[-1].session
    members = dict(zip(names, session.members, strict=False))
    if not any(isinstance(member, Windows) for member in members.values()):
        return ground.standing.reference
    return stand(campaign.study.objective, members).reference
