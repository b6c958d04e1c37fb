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
from tuner.bench.metrics import METRICS, Metric
from tuner.bench.protocol import Api, DeploymentConfig, Effective, Windows
from tuner.deploy.best import (
    Best,
    BestArrivals,
    BestBaseline,
    BestConstraint,
    BestGain,
    BestInput,
    BestModel,
    BestObjective,
)
from tuner.study.conditions import as_written
from tuner.study.constraint import ConstraintCheck, bounds_of
from tuner.study.decision import gain_pct
from tuner.study.disturbance import calm_pairs
from tuner.study.estimate import session_value
from tuner.study.evidence import REQUESTS, metrics_of, pool
from tuner.study.phases import Result
from tuner.study.state import StudyState
from tuner.study.study import Limit


def standings(state: StudyState, result: Result) -> dict[str, dict[str, float]]:
    """Name -> every metric, for the winner (`tuned`), the reference and the other baselines, side by side; of a front
    for its points by name.

    Winner and reference come from the confirmation where there was one. The others were last measured beside the
    reference in the final or the baselines' session, and are brought to its level in the confirmation (`_moved`). With
    `REQUESTS`, how many each rests on. What was not measured is not there.
    """
    levels: dict[str, dict[str, float]] = {}
    reference = state.setup.baselines[result.reference]
    beside = _beside(state, reference)
    confirmation = result.confirmation
    measured = result.front.measured if result.front else {}
    if confirmation is not None and confirmation.pairs:
        levels["tuned"] = metrics_of(pool([winner for winner, _ in confirmation.pairs]))
        anchor = pool([ours for _, ours in confirmation.pairs])
    elif result.reference in measured:
        anchor = measured[result.reference]
    else:
        anchor = beside[reference][1]
    levels[result.reference] = metrics_of(anchor)
    for name, config in state.setup.baselines.items():
        if name == result.reference:
            continue
        if name in measured:
            levels[name] = metrics_of(measured[name])
            continue
        found = beside.get(config) or _same_effective(state, name, beside)
        if found is not None:
            theirs, ours = found
            levels[name] = _moved(theirs, ours, levels[result.reference], state.study.objective.row)
    return levels | {name: metrics_of(windows) for name, windows in measured.items() if name not in levels}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """What every file of a study has in common. `precision` is what the device uses by default: pinned, so that another
    host does not silently compute in another one; empty where the device does not tell."""

    inputs: Mapping[str, BestInput]
    model: BestModel
    precision: str
    environment: Mapping[str, Any]


def _moved(theirs: Windows, ours: Windows, level: Mapping[str, float], objective: Metric) -> dict[str, float]:
    """A baseline's metrics at the reference's `level`. Its throughput and latencies are moved together, by the factor
    that gives the objective (or the throughput) its ratio to the reference, measured beside it: so a p50 stays below
    its p90. What is no speed is its own ratio to the reference times that one's level. An extreme is no level, it is
    what was seen."""

    def paired(row: Metric) -> float | None:
        ratio = session_value(row, theirs, ours, min_requests=1)
        return level[row.name] * math.exp(row.sign * ratio) if ratio is not None and row.name in level else None

    seen = metrics_of(theirs)
    anchor = objective if _is_speed(objective) else METRICS["throughput"]
    wanted = paired(anchor)
    faster = (wanted / seen[anchor.name]) ** anchor.sign if wanted is not None else 1.0
    found = {REQUESTS: seen[REQUESTS]}
    for name, row in METRICS.items():
        if name not in seen:
            continue
        if row.is_extreme:
            found[name] = seen[name]
        elif _is_speed(row):
            found[name] = seen[name] * faster**row.sign
        elif (value := paired(row)) is not None:
            found[name] = value
    return found


def _is_speed(row: Metric) -> bool:
    return row.name == "throughput" or row.name.startswith("latency_")


def make_best(
    state: StudyState,
    result: Result,
    deployed: Deployed,
    effective: Effective,
) -> Best:
    """Returns best.yaml of a finished attempt with one objective; `effective` is what the device makes of it."""
    levels = standings(state, result)
    mine = levels["tuned"] if result.is_tuned else levels[result.reference]
    interval = result.confirmation.interval if result.confirmation else None
    claims_gain = result.is_tuned and result.is_reference_feasible and interval is not None
    gain = None
    if claims_gain and interval is not None and result.confirmation is not None:
        gain = BestGain(
            estimate_pct=round(gain_pct(interval.estimate), 2),
            low_pct=round(gain_pct(interval.low), 2),
            high_pct=round(gain_pct(interval.high), 2),
            confidence=round(interval.confidence, 4),
            sessions=interval.sessions,
            pairs=sum(calm_pairs(*pair) for pair in result.confirmation.pairs),
        )
    reason = ": ".join(filter(None, [result.line.reason, result.line.detail]))
    checks = result.confirmation.checks if result.is_tuned and result.confirmation else ()
    best = assemble(
        state,
        result,
        deployed,
        config=result.config,
        effective=effective,
        mine=mine,
        levels={name: level for name, level in levels.items() if name != "tuned"},
    )
    return replace(
        best,
        reason=reason if not claims_gain else None,
        gain=gain,
        constraints=constraints_of(state, result.reference, checks, mine, is_answer=result.is_answer),
    )


def assemble(
    state: StudyState,
    result: Result,
    deployed: Deployed,
    *,
    config: DeploymentConfig,
    effective: Effective,
    mine: Mapping[str, float],
    levels: Mapping[str, Mapping[str, float]],
) -> Best:
    """A file that deploys `config`, without a word on what is gained. `mine`: its metrics; `levels`: the baselines'."""
    study, metric = state.study, state.study.objective.row
    reference = state.setup.baselines[result.reference]
    reference_api = _api_of(state, result.reference)
    properties = dict(config.properties)
    if deployed.precision and "EXECUTION_MODE_HINT" not in properties:
        properties.setdefault("INFERENCE_PRECISION_HINT", deployed.precision)
    searched = state.log.sessions("search", "race")
    ended_unix_s = max(line.session.started_unix_s + line.session.wall_s for line in state.log.all_sessions())
    return Best(
        study=study.name,
        verdict=result.line.verdict,
        device=study.device,
        model=deployed.model,
        properties=properties,
        inputs=deployed.inputs,
        batch_size=effective.batch_size,
        infer_requests=effective.infer_requests,
        api=effective.api,
        replicas=effective.replicas,
        affinity=effective.affinity,
        deployment=as_written(study.conditions),
        effective=effective.properties,
        objective=BestObjective(metric=metric.name, value=rounded(mine[metric.name]), unit=metric.unit),
        baseline=BestBaseline(
            name=result.reference,
            value=rounded(levels[result.reference][metric.name]),
            properties=dict(reference.properties),
            batch_size=reference.batch_size,
            infer_requests=reference.infer_requests,
            replicas=reference.replicas if max(reference.replicas, effective.replicas) > 1 else None,
            affinity=reference.affinity if reference.replicas > 1 else None,
            api=reference_api if reference_api != effective.api else None,
        ),
        baselines={
            name: rounded(level[metric.name])
            for name, level in levels.items()
            if name in state.setup.baselines and metric.name in level
        },
        arrivals=None
        if study.load is None
        else BestArrivals(pattern=study.load.pattern, rate_per_s=study.load.rate_per_s),
        environment=deployed.environment,
        provenance={
            "tuner": __version__,
            "study_sha256": sha256(study.text.encode()).hexdigest(),
            "seed": study.seed,
            "trials": len({n for line in searched for n in line.trials if n is not None}),
            "duplicates": result.line.duplicates,
            "created": datetime.fromtimestamp(ended_unix_s, UTC).isoformat(timespec="seconds"),
        },
    )


def constraints_of(
    state: StudyState,
    baseline: str,
    checks: Sequence[ConstraintCheck],
    mine: Mapping[str, float],
    *,
    is_answer: bool,
) -> tuple[BestConstraint, ...]:
    """The limits with what a configuration measured: absolute, or as the ratio that the limit is about. Where the
    confirmation has not checked one, `baseline` is what it is. Where the study is no answer, which is broken."""
    checked = {(c.bound.metric, c.bound.kind): c for c in checks if c.measured is not None}
    found = []
    load = state.study.load
    kept = (Limit(metric=name, max=most) for name, most in load.keep) if load else ()
    for limit in (*state.study.objective.limits, *kept):
        for bound in sorted(bounds_of(limit), key=lambda bound: (bound.is_ratio, bound.side)):
            check = checked.get((limit.metric, bound.kind))
            if check is not None:
                measured = check.measured or 0.0
            elif bound.is_ratio:
                ratio_log = state.reference.ranking.ratios_of(baseline)[limit.metric]
                measured = math.exp(METRICS[limit.metric].sign * ratio_log)
            else:
                measured = mine[limit.metric]
            found.append(
                BestConstraint(
                    metric=limit.metric,
                    measured=rounded(measured),
                    requests=check.requests or None if check else None,
                    kept=None if is_answer else bound.keeps(measured),
                    **{bound.kind: bound.limit},
                )
            )
    return tuple(found)


def _api_of(state: StudyState, baseline: str) -> Api | None:
    """How a baseline was called; None where it did not run."""
    member = dict(zip(state.setup.baselines, state.reference.line.session.members, strict=True))[baseline]
    return member.effective.api if isinstance(member, Windows) else None


def _beside(state: StudyState, reference: DeploymentConfig) -> dict[DeploymentConfig, tuple[Windows, Windows]]:
    """Configuration -> (its windows, the reference's) of the last session outside the confirmation that had both."""
    found: dict[DeploymentConfig, tuple[Windows, Windows]] = {}
    for line in state.log.sessions("baselines", "final"):
        members = dict(zip(line.session.lineup, line.session.members, strict=True))
        ours = members.get(reference)
        if not isinstance(ours, Windows) or not ours.windows:
            continue
        for config, theirs in members.items():
            if isinstance(theirs, Windows) and theirs.windows:
                found[config] = (theirs, ours)
    return found


def _same_effective(
    state: StudyState, name: str, beside: Mapping[DeploymentConfig, tuple[Windows, Windows]]
) -> tuple[Windows, Windows] | None:
    key = state.reference.baseline_keys.get(name)
    return next((pair for pair in beside.values() if pair[0].effective.key == key), None)


def rounded(value: float) -> float:
    """Four significant digits more than any measurement here supports, for a readable file."""
    return float(f"{value:.6g}")
