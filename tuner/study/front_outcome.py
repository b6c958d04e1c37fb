"""From a confirmed front to front.yaml, and to the best.yaml of its knee: every figure is read off the record.

Knows the files' values and the evidence; writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

from tuner.bench.metrics import METRICS
from tuner.bench.protocol import DeploymentConfig, Effective
from tuner.deploy.best import Best, BestGain, BestObjective
from tuner.deploy.front_file import FrontFile, FrontPoint
from tuner.study.decision import Interval, gain_pct
from tuner.study.disturbance import calm_pairs
from tuner.study.front_confirm import Front
from tuner.study.front_point import Point, limit_checks
from tuner.study.outcome import Deployed, assemble, constraints_of, rounded, standings
from tuner.study.phases import Result
from tuner.study.state import StudyState

UNCONFIRMED = "as the baselines were first measured"


def make_front(
    state: StudyState,
    result: Result,
    deployed: Deployed,
    resolve: Callable[[DeploymentConfig], Effective],
) -> FrontFile:
    """front.yaml of a finished round of a study with several objectives."""
    front = result.front
    assert front is not None
    levels = standings(state, result)
    points = tuple(
        FrontPoint(
            name=point.name,
            metrics={name: rounded(value) for name, value in levels[point.name].items()},
            best=_best(state, result, point, levels, deployed, resolve(point.config)),
        )
        for point in front.points
    )
    return FrontFile(
        study=state.study.name,
        verdict=result.line.verdict,
        reason=": ".join(filter(None, [result.line.reason, result.line.detail])),
        objectives={row.name: _direction(row.is_higher_better) for row in state.study.objective.rows},
        reference=front.reference,
        knee=front.knee.name if front.knee and front.knee.config == result.config else None,
        sessions=front.sessions,
        points=points,
        removed=dict(front.left),
    )


def knee_of(
    state: StudyState,
    result: Result,
    front: FrontFile,
    deployed: Deployed,
    resolve: Callable[[DeploymentConfig], Effective],
) -> Best:
    """best.yaml: the knee, with the verdict of the study; the reference where no point may be deployed."""
    found = next((point.best for point in front.points if point.name == front.knee), None)
    if found is None:
        levels = standings(state, result)
        best = assemble(
            state,
            result,
            deployed,
            config=result.config,
            effective=resolve(result.config),
            mine=levels[result.reference],
            levels=levels,
        )
        limits = constraints_of(state, result.reference, (), levels[result.reference], is_answer=result.is_answer)
        found = replace(
            best,
            objectives=_objectives(state, levels[result.reference], levels[result.reference]),
            constraints=limits,
        )
    return replace(found, verdict=result.line.verdict, reason=front.reason)


def _best(
    state: StudyState,
    result: Result,
    point: Point,
    levels: Mapping[str, Mapping[str, float]],
    deployed: Deployed,
    effective: Effective,
) -> Best:
    front = result.front
    assert front is not None
    mine = levels[point.name]
    pairs = sum(calm_pairs(*pair) for pair in point.pairs)
    gains = {name: _gain(name, interval, pairs) for name, interval in point.gains.items()}
    claims = point.is_proven and front.is_reference_feasible
    # Where no baseline keeps the limits one that does is an answer, though no gain is claimed.
    is_first = result.is_tuned and not front.is_reference_feasible and not any(p.is_baseline for p in front.points)
    checks = limit_checks(state, front.head, point) if front.head and point.pairs else []
    best = assemble(state, result, deployed, config=point.config, effective=effective, mine=mine, levels=levels)
    baseline = point.name if point.is_baseline else front.reference
    return replace(
        best,
        verdict="tuned" if claims or is_first else "baseline",
        reason=_reason(front, point),
        gain=max(gains.values(), key=lambda gain: gain.low_pct) if claims else None,
        gains=gains,
        objectives=_objectives(state, mine, levels[front.reference]),
        constraints=constraints_of(state, baseline, checks, mine, is_answer=result.is_answer),
    )


def _reason(front: Front, point: Point) -> str:
    if point.is_baseline:
        return f"one of the baselines, {UNCONFIRMED}" if front.head is None else "one of the baselines, on the front"
    if point.is_proven and front.is_reference_feasible:
        return "a point of the front: fresh data show it to be better than every baseline beside it in an objective"
    return f"no gain is claimed: {point.unproven or 'no baseline keeps the limits'}"


def _objectives(
    state: StudyState, metrics: Mapping[str, float], reference: Mapping[str, float]
) -> tuple[BestObjective, ...]:
    return tuple(
        BestObjective(
            metric=row.name, value=rounded(metrics[row.name]), unit=row.unit, reference=rounded(reference[row.name])
        )
        for row in state.study.objective.rows
    )


def _gain(metric: str, interval: Interval, pairs: int) -> BestGain:
    return BestGain(
        metric=METRICS[metric].name,
        estimate_pct=round(gain_pct(interval.estimate), 2),
        low_pct=round(gain_pct(interval.low), 2),
        high_pct=round(gain_pct(interval.high), 2),
        confidence=round(interval.confidence, 4),
        sessions=interval.sessions,
        pairs=pairs,
    )


def _direction(is_higher_better: bool) -> Literal["maximize", "minimize"]:
    return "maximize" if is_higher_better else "minimize"
