"""Every metric of what a study compared, side by side: the winner, the baselines and the points of a front.

Knows the evidence; writes nothing.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tuner.bench.configuration import DeploymentConfig
from tuner.bench.measurement import Windows
from tuner.bench.metrics import METRICS, Metric
from tuner.decision.result import Result
from tuner.evidence.candidates import MetricValues
from tuner.evidence.pooled_metrics import metrics_of, pool
from tuner.evidence.state import StudyState
from tuner.statistics.session_effect import session_value


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalMetrics:
    """The metrics of what a study compared, as the confirmation or the last session before it measured them."""

    winner: MetricValues | None
    """The candidate that was confirmed, deployed or not; None without a confirmation, and for several objectives."""
    reference: MetricValues
    baselines: Mapping[str, MetricValues]
    """The other baselines that were measured, by name."""
    candidates: Mapping[str, MetricValues] = field(default_factory=dict)
    """The candidates of a front, and those that were removed from it, by name."""

    def deployed(self, result: Result) -> MetricValues:
        """Returns the metrics of what is deployed: the winner, or the baseline that is deployed in its place."""
        if result.is_tuned and self.winner is not None:
            return self.winner
        return self.named(result.reference)[result.baseline]

    def named(self, reference: str) -> dict[str, MetricValues]:
        """Returns all but the winner by name, the reference first. Names of candidates have a space in them."""
        return {reference: self.reference, **self.baselines, **self.candidates}


def final_metrics(state: StudyState, result: Result) -> FinalMetrics:
    """Returns the metrics of winner, reference, baselines and points.

    What the confirmation measured comes from there. The other baselines were last measured beside the reference in the
    final or the baselines' session, and are scaled to what the reference measures in the confirmation.
    """
    configs, found = state.setup.baselines, result.confirmation
    beside = _last_pairs(state, configs[result.reference])
    confirmed: dict[str, MetricValues] = {}
    winner = reference = None
    if found is not None:
        reference = found.pooled(0)
        pools = [found.pooled(position) for position in range(1, 1 + len(found.plan.members))]
        if found.plan.is_front:
            named = zip(found.plan.names, pools, strict=True)
            confirmed = {name: metrics_of(windows) for name, windows in named if windows is not None}
        elif pools and pools[0] is not None:
            winner = metrics_of(pools[0])
        beside_it = ((name, found.position_of(name)) for name in found.plan.baselines)
        further = ((name, found.pooled(position)) for name, position in beside_it if position is not None)
        confirmed |= {name: metrics_of(windows) for name, windows in further if windows is not None}
    here = metrics_of(reference or beside[configs[result.reference]][1])
    baselines = {}
    for name, config in configs.items():
        if name in confirmed:
            baselines[name] = confirmed[name]
        elif name != result.reference and (pair := beside.get(config) or _same_effective(state, name, beside)):
            baselines[name] = _scaled_to_reference(*pair, here, state.study.objective.row)
    if result.line.answer is not None:
        baselines = _same_for_equals(state, result, {result.reference: here, **baselines}, list(confirmed))
    return FinalMetrics(
        winner=winner,
        reference=here,
        baselines=baselines,
        candidates={name: metrics for name, metrics in confirmed.items() if name not in configs},
    )


def candidate_metrics(state: StudyState) -> dict[str, MetricValues]:
    """Returns effective key -> metrics of a candidate over all windows of the search and of the final."""
    if not state.has_reference:
        return {}
    requests, found = state.evidence.requests, defaultdict[str, list[Windows]](list)
    for line in state.log.sessions("search", "race", "final"):
        for (config, member), trial in zip(line.session.items(), line.trials, strict=True):
            if trial is not None and isinstance(member, Windows) and member.windows and config in requests:
                found[requests[config].key].append(member)
    return {key: metrics_of(pool(members)) for key, members in found.items()}


def _same_for_equals(
    state: StudyState, result: Result, known: Mapping[str, MetricValues], confirmed: Sequence[str]
) -> dict[str, MetricValues]:
    """Returns the baselines without the reference; those that are one configuration have the same metrics.

    Metrics of the reference come first, then those of a baseline that was confirmed: what equals differ by is noise.
    """
    order = [result.reference, *confirmed, *known]
    found = {}
    for name in known:
        same = state.reference.same_as(name)
        first = next(other for other in order if other in same and other in known)
        found[name] = known[first]
    return {name: metrics for name, metrics in found.items() if name != result.reference}


def _scaled_to_reference(theirs: Windows, ours: Windows, reference: MetricValues, objective: Metric) -> MetricValues:
    """Returns a baseline's metrics as they would be beside the reference of the confirmation.

    Throughput and latencies have one factor, which gives the objective (or the throughput) its ratio to the reference
    `ours`, measured in the same session: a p50 then stays below its p90. Any other metric is its own ratio to the
    reference times the value of `reference`. A maximum is what was seen.
    """
    there = reference.values

    def paired(row: Metric) -> float | None:
        ratio = session_value(row, theirs, ours, min_requests=1)
        return there[row.name] * math.exp(row.sign * ratio) if ratio is not None and row.name in there else None

    seen = metrics_of(theirs)
    speed = objective if _is_speed(objective) else METRICS["throughput"]
    wanted = paired(speed)
    faster = (wanted / seen.values[speed.name]) ** speed.sign if wanted is not None else 1.0
    found = {}
    for name, value in seen.values.items():
        row = METRICS[name]
        if row.is_maximum:
            found[name] = value
        elif _is_speed(row):
            found[name] = value * faster**row.sign
        elif (scaled := paired(row)) is not None:
            found[name] = scaled
    return MetricValues(values=found, requests=seen.requests)


def _is_speed(row: Metric) -> bool:
    return row.kind in ("throughput", "latency")


def _last_pairs(state: StudyState, reference: DeploymentConfig) -> dict[DeploymentConfig, tuple[Windows, Windows]]:
    """Returns configuration -> its windows and those of the reference, from the last session that measured both."""
    found: dict[DeploymentConfig, tuple[Windows, Windows]] = {}
    for line in state.log.sessions("baselines", "final"):
        members = dict(zip(line.session.configurations, line.session.members, strict=True))
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
