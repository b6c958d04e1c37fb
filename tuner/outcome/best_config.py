"""From a study's result to best.yaml: every figure is read off the sessions on record.

Knows the file's values and the evidence; writes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from tuner import __version__
from tuner.bench.configuration import Api, DeploymentConfig, Effective
from tuner.bench.measurement import Windows
from tuner.bench.metrics import METRICS
from tuner.bench.own_parameters import OWN_PARAMETERS, read_own
from tuner.decision.result import Result
from tuner.deploy.best import (
    Best,
    BestArrivals,
    BestBaseline,
    BestConstraint,
    BestGain,
    BestInput,
    BestModel,
    BestObjective,
    Proof,
)
from tuner.evidence.candidates import MetricValues
from tuner.evidence.state import StudyState
from tuner.outcome.metrics_table import FinalMetrics, final_metrics
from tuner.records.session_log import Answer
from tuner.statistics.disturbance import calm_pairs
from tuner.statistics.limits import ConstraintCheck, LimitOutcome, Pair, bounds_of
from tuner.statistics.sequential_test import Interval, gain_pct
from tuner.study.conditions import as_written
from tuner.study.study import Limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """Values that every file of a study has in common."""

    inputs: Mapping[str, BestInput]
    model: BestModel
    precision: str
    """The device's default precision, pinned so that no host silently computes in another one; empty if unknown."""
    environment: Mapping[str, Any]


def make_best(state: StudyState, result: Result, deployed: Deployed, effective: Effective) -> Best:
    """Returns best.yaml of a finished attempt with one objective; `effective` is what the device makes of it."""
    metrics, found = final_metrics(state, result), result.confirmation
    mine = metrics.deployed(result)
    best = assemble(state, result, deployed, config=result.config, effective=effective, mine=mine, metrics=metrics)
    checks: Sequence[ConstraintCheck] = ()
    gain = None
    if result.is_tuned and found is not None:
        checks = found.checks
        if result.is_reference_feasible and found.interval is not None:
            gain = best_gain(found.interval, found.pairs())
    elif found is not None and found.baselines is not None and result.baseline == result.reference:
        checks = found.baselines.checks
    baseline = result.reference if result.is_tuned else result.baseline
    return replace(
        best,
        reason=None if gain else reason_of(result),
        gain=gain,
        constraints=constraints_of(state, baseline, checks, mine, result),
        **_beside_today(state, result, metrics, effective),
    )


def _beside_today(state: StudyState, result: Result, metrics: FinalMetrics, effective: Effective) -> dict[str, Any]:
    """Returns the advice, and what is gained over what runs today; nothing for records of earlier versions."""
    if result.line.answer is None:
        return {}
    found, today = result.confirmation, result.today
    answer = result.line.answer.value if result.line.answer is not Answer.NONE else None
    if today is None:
        return {"answer": answer}
    evidence = found.baselines if found is not None else None
    gain, gains = None, {}
    if found is not None and evidence is not None:
        counted = {
            name: found.pairs(position) for name in evidence.gains if (position := found.position_of(name)) is not None
        }
        pairs = found.pairs(found.position_of(today) or 0)
        gains = {
            name: best_gain(one, counted[name] if name != result.reference else pairs)
            for name, one in evidence.gains.items()
        }
        if result.line.answer is Answer.HINT and evidence.is_proved:
            gain = gains[result.reference]
    if result.is_tuned and found is not None and result.is_reference_feasible and found.over_today is not None:
        gain = best_gain(found.over_today, found.pairs()) if found.over_today.low > 0.0 else None
    name = metrics.named(result.reference)
    return {
        "answer": answer,
        "today": _baseline_of(state, today, name[today], effective),
        "today_gain": gain,
        "baseline_gains": gains,
    }


def reason_of(result: Result) -> str:
    """Returns the reason of a verdict with its sentence, as the files have it."""
    return ": ".join(filter(None, [result.line.reason.value, result.line.detail]))


def best_gain(interval: Interval, pairs: Sequence[Pair], metric: str | None = None) -> BestGain:
    """Returns a gain as the files have it, in per cent; `pairs` are the sessions behind it."""
    return BestGain(
        metric=metric,
        estimate_pct=round(gain_pct(interval.estimate), 2),
        low_pct=round(gain_pct(interval.low), 2),
        high_pct=round(gain_pct(interval.high), 2),
        confidence=round(interval.confidence, 4),
        sessions=interval.sessions,
        pairs=sum(calm_pairs(*pair) for pair in pairs),
    )


def assemble(
    state: StudyState,
    result: Result,
    deployed: Deployed,
    *,
    config: DeploymentConfig,
    effective: Effective,
    mine: MetricValues,
    metrics: FinalMetrics,
) -> Best:
    """Returns a file that deploys `config`, whose metrics are `mine`, without a word on what is gained."""
    study, metric = state.study, state.study.objective.row
    properties = dict(config.properties)
    if deployed.precision and "EXECUTION_MODE_HINT" not in properties:
        properties.setdefault("INFERENCE_PRECISION_HINT", deployed.precision)
    return Best(
        study=study.name,
        verdict=result.line.verdict,
        device=study.device,
        model=deployed.model,
        properties=properties,
        inputs=deployed.inputs,
        api=effective.api,
        **read_own(effective),
        deployment=as_written(study.conditions),
        effective=effective.properties,
        objective=BestObjective(metric=metric.name, value=rounded(mine.values[metric.name]), unit=metric.unit),
        baseline=_baseline_of(state, result.reference, metrics.reference, effective),
        baselines={
            name: rounded(found.values[metric.name])
            for name, found in {result.reference: metrics.reference, **metrics.baselines}.items()
            if metric.name in found.values
        },
        arrivals=None
        if study.load is None
        else BestArrivals(pattern=study.load.pattern, rate_per_s=study.load.rate_per_s),
        environment=deployed.environment,
        provenance=_provenance(state, result),
    )


def _baseline_of(state: StudyState, name: str, metrics: MetricValues, deployed: Effective) -> BestBaseline:
    """Returns a baseline as best.yaml has it, beside what the device makes of the deployed configuration."""
    config, api = state.setup.baselines[name], _api_of(state, name)
    return BestBaseline(
        name=name,
        value=rounded(metrics.values[state.study.objective.row.name]),
        properties=dict(config.properties),
        **_own_of_baseline(config, deployed),
        api=api if api != deployed.api else None,
    )


def _provenance(state: StudyState, result: Result) -> dict[str, Any]:
    """Returns how a configuration was found: by which program, in which study, with how many trials and when."""
    study = state.study
    searched = state.log.sessions("search", "race")
    ended_unix_s = max(line.session.started_unix_s + line.session.wall_s for line in state.log.all_sessions())
    return {
        "tuner": __version__,
        "study_sha256": sha256(study.text.encode()).hexdigest(),
        "seed": study.seed,
        "trials": len({n for line in searched for n in line.trials if n is not None}),
        "duplicates": result.line.duplicates,
        "created": datetime.fromtimestamp(ended_unix_s, UTC).isoformat(timespec="seconds"),
    }


def constraints_of(
    state: StudyState, baseline: str, checks: Sequence[ConstraintCheck], mine: MetricValues, result: Result
) -> tuple[BestConstraint, ...]:
    """Returns the limits with what a configuration measured: absolute, or as the ratio that the limit is about.

    A limit that the confirmation has not checked has what `baseline` measured. If the study is no answer, each limit
    says if it is kept.
    """
    checked = {(c.bound.metric, c.bound.kind): c for c in checks if c.measured is not None}
    ratios, load = state.reference.ranking.ratios_of(baseline), state.study.load
    kept = (Limit(metric=name, max=most) for name, most in load.keep) if load else ()
    found = []
    for limit in (*state.study.objective.limits, *kept):
        for bound in sorted(bounds_of(limit), key=lambda bound: (bound.is_ratio, bound.side)):
            check = checked.get((limit.metric, bound.kind))
            if check is not None:
                measured = check.measured or 0.0
            elif bound.is_ratio:
                measured = math.exp(METRICS[limit.metric].sign * ratios[limit.metric])
            else:
                measured = mine.values[limit.metric]
            requests = check.requests if check else 0
            if check is None and not bound.is_ratio and result.line.answer is not None:
                requests = mine.requests
            own: dict[str, Any] = {bound.kind: bound.limit}
            found.append(
                BestConstraint(
                    metric=limit.metric,
                    measured=rounded(measured),
                    requests=requests or None,
                    kept=None if result.is_answer else bound.keeps(measured),
                    proof=None if result.line.answer is None else _proof_of(check, is_kept=bound.keeps(measured)),
                    **own,
                )
            )
    return tuple(found)


def _proof_of(check: ConstraintCheck | None, *, is_kept: bool) -> Proof:
    """Returns the strength of a kept bound; `check` is None where the confirmation has not checked it."""
    if check is not None and check.outcome is LimitOutcome.PROVED:
        return "proved"
    return "as_measured" if is_kept else "broken"


def _own_of_baseline(reference: DeploymentConfig, deployed: Effective) -> dict[str, Any]:
    """Returns the own parameters of a baseline as best.yaml has them, without what goes without saying."""
    own = {name: getattr(reference, name) for name in OWN_PARAMETERS}
    if reference.replicas == 1:
        own |= {row.name: None for row in OWN_PARAMETERS.values() if row.is_for_replicas}
    return own if max(reference.replicas, deployed.replicas) > 1 else {**own, "replicas": None}


def _api_of(state: StudyState, baseline: str) -> Api | None:
    """Returns how a baseline was called; None if it did not run."""
    member = dict(zip(state.setup.baselines, state.reference.line.session.members, strict=True))[baseline]
    return member.effective.api if isinstance(member, Windows) else None


def rounded(value: float) -> float:
    """Returns a number with six significant digits, more than any measurement here supports, for a readable file."""
    return float(f"{value:.6g}")
