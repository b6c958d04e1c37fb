"""From a confirmed front to front.yaml, and to the best.yaml of its knee: every figure is read off the record.

Knows the files' values and the evidence; writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from tuner.bench.configuration import DeploymentConfig, Effective
from tuner.decision.confirmation import limit_checks
from tuner.decision.pareto_confirmation import Front
from tuner.decision.pareto_point import ParetoPoint
from tuner.decision.result import Result
from tuner.deploy.best import Best, BestObjective
from tuner.deploy.front_file import FrontFile, FrontPoint
from tuner.evidence.candidates import MetricValues
from tuner.evidence.state import StudyState
from tuner.outcome.best_config import Deployed, assemble, best_gain, constraints_of, reason_of, rounded
from tuner.outcome.metrics_table import FinalMetrics, final_metrics
from tuner.study.study import Objective


class PointWords(Protocol):
    """Makes the sentences that front.yaml has about its points; `tuner/report/words/verdict.py` is one."""

    def removal_words(self, objective: Objective, front: Front) -> dict[str, str]:
        """Returns the name of each point that was confirmed and is not on the front, with the reason."""

    def point_words(self, objective: Objective, front: Front, point: ParetoPoint, *, claims_gain: bool) -> str:
        """Returns the evidence behind a point of the front."""


def make_front(
    state: StudyState,
    result: Result,
    deployed: Deployed,
    resolve: Callable[[DeploymentConfig], Effective],
    words: PointWords,
) -> FrontFile:
    """Returns front.yaml of a finished attempt of a study with several objectives."""
    front, objective = result.front, state.study.objective
    assert front is not None
    metrics = final_metrics(state, result)
    return FrontFile(
        study=state.study.name,
        verdict=result.line.verdict,
        reason=reason_of(result),
        objectives={row.name: "maximize" if row.is_higher_better else "minimize" for row in objective.rows},
        reference=result.reference,
        knee=front.knee.name if front.knee and front.knee.config == result.config else None,
        sessions=front.sessions,
        points=tuple(
            FrontPoint(
                name=point.name,
                metrics={name: rounded(v) for name, v in metrics.named(result.reference)[point.name].row().items()},
                best=_best(state, result, point, metrics, deployed, resolve(point.config), words),
            )
            for point in front.points
        ),
        removed=words.removal_words(objective, front),
    )


def knee_of(
    state: StudyState,
    result: Result,
    front: FrontFile,
    deployed: Deployed,
    resolve: Callable[[DeploymentConfig], Effective],
) -> Best:
    """Returns best.yaml: the knee with the verdict of the study, or the reference if no point may be deployed."""
    found = next((point.best for point in front.points if point.name == front.knee), None)
    if found is None:
        metrics, effective = final_metrics(state, result), resolve(result.config)
        mine = metrics.reference
        best = assemble(state, result, deployed, config=result.config, effective=effective, mine=mine, metrics=metrics)
        found = replace(
            best,
            objectives=_objectives(state, mine, mine),
            constraints=constraints_of(state, result.reference, (), mine, result),
        )
    return replace(found, verdict=result.line.verdict, reason=front.reason)


def _best(
    state: StudyState,
    result: Result,
    point: ParetoPoint,
    metrics: FinalMetrics,
    deployed: Deployed,
    effective: Effective,
    words: PointWords,
) -> Best:
    """Returns the file that deploys one point."""
    front, found, mine = result.front, result.confirmation, metrics.named(result.reference)[point.name]
    assert front is not None
    pairs = found.pairs(point.position) if found else []
    gains = {name: best_gain(interval, pairs, name) for name, interval in point.gains.items()}
    claims = point.is_proven and result.is_reference_feasible
    # A point that keeps the limits, which no baseline does, is an answer, though no gain is claimed.
    is_first = result.is_tuned and not result.is_reference_feasible and not any(p.is_baseline for p in front.points)
    checks = limit_checks(state, found, point.position) if found and pairs else ()
    best = assemble(state, result, deployed, config=point.config, effective=effective, mine=mine, metrics=metrics)
    baseline = point.name if point.is_baseline else result.reference
    return replace(
        best,
        verdict="tuned" if claims or is_first else "baseline",
        reason=words.point_words(state.study.objective, front, point, claims_gain=claims),
        gain=max(gains.values(), key=lambda gain: gain.low_pct) if claims else None,
        gains=gains,
        objectives=_objectives(state, mine, metrics.reference),
        constraints=constraints_of(state, baseline, checks, mine, result),
    )


def _objectives(state: StudyState, mine: MetricValues, reference: MetricValues) -> tuple[BestObjective, ...]:
    return tuple(
        BestObjective(
            metric=row.name,
            value=rounded(mine.values[row.name]),
            unit=row.unit,
            reference=rounded(reference.values[row.name]),
        )
        for row in state.study.objective.rows
    )
