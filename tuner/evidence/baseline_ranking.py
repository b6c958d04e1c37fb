"""Which of the baselines is the strongest, and so the reference. Knows baselines; not the search."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeGuard

from tuner.bench.configuration import Failure
from tuner.bench.measurement import Windows
from tuner.bench.metrics import METRICS, Metric
from tuner.errors import NoAnswerError
from tuner.evidence.pooled_metrics import pool
from tuner.statistics.limits import bounds_of
from tuner.statistics.session_effect import session_value
from tuner.study.study import Objective


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRanking:
    """The baselines against each other, by name."""

    reference: str
    """Name of the strongest baseline that keeps the limits; of the nearest to them where none does."""
    is_feasible: bool
    """True if the reference keeps the limits."""
    values: Mapping[str, float]
    """Log-ratio of each baseline to the reference on the objective, without failures; positive is better."""
    violations: Mapping[str, Mapping[str, float]]
    """Baseline -> metric of a limit -> log of the excess; <= 0 keeps it."""
    failures: Mapping[str, Failure]
    limit_levels: Mapping[str, Mapping[str, float]]
    """Metric of a limit -> baseline -> its log-ratio to one and the same baseline."""
    others: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Metric of each objective after the first -> as `values`."""

    def keeps_limits(self, name: str) -> bool:
        """Returns True if a baseline that ran keeps every limit, as it was first measured."""
        return max(self.violations[name].values(), default=-math.inf) <= 0.0

    @property
    def best_ratios_log(self) -> dict[str, float]:
        """Metric of a limit -> how much better the reference is on it than the best baseline; at most 0."""
        return self.ratios_of(self.reference)

    def ratios_of(self, name: str) -> dict[str, float]:
        """As `best_ratios_log`, for any baseline that ran."""
        return {metric: found[name] - max(found.values()) for metric, found in self.limit_levels.items()}


def rank_baselines(objective: Objective, *sessions: Mapping[str, Windows | Failure]) -> BaselineRanking:
    """Returns the baselines against each other, over one session or several.

    The first session has all of them, and those that failed there are out. The strongest is that for the (first)
    objective, under limits of those that keep them. Raises NoAnswerError where none ran.
    """
    failures = {name: m for name, m in sessions[0].items() if isinstance(m, Failure)}
    names = [name for name in sessions[0] if name not in failures]
    if not names:
        causes = "; ".join(f"{name}: {failure}" for name, failure in failures.items())
        raise NoAnswerError(f"every baseline failed: {causes}", advice="the model does not run here as it is")
    found = [{name: m for name, m in s.items() if name in names and _has_windows(m)} for s in sessions]
    common = max(names, key=lambda name: sum(name in session for session in found))

    def level(metric: Metric, name: str) -> float:
        """Returns the log-ratio to the baseline that the most sessions have; every window weighs the same."""
        shared = [(s[name], s[common]) for s in found if name in s and common in s]
        weighed = [
            (min(len(ours.windows), len(theirs.windows)), value)
            for ours, theirs in shared
            if (value := session_value(metric, ours, theirs, min_requests=1)) is not None
        ]
        return sum(n * value for n, value in weighed) / max(1, sum(n for n, _ in weighed))

    levels = {name: level(objective.row, name) for name in names}
    ratios = {limit.metric: {name: level(limit.row, name) for name in names} for limit in objective.limits}
    pools = {name: pool([s[name] for s in found if name in s]) for name in names}
    violations = {name: _violations(objective, name, pools[name], ratios) for name in names}
    feasible = [name for name in names if max(violations[name].values(), default=-math.inf) <= 0.0]
    if feasible:
        reference = max(feasible, key=levels.__getitem__)
    else:
        reference = min(names, key=lambda name: max(violations[name].values()))
    return BaselineRanking(
        reference=reference,
        is_feasible=bool(feasible),
        values={name: level - levels[reference] for name, level in levels.items()},
        violations=violations,
        failures=failures,
        limit_levels=ratios,
        others={
            row.name: {name: level(row, name) - level(row, reference) for name in names} for row in objective.rows[1:]
        },
    )


def _has_windows(member: Windows | Failure) -> TypeGuard[Windows]:
    return isinstance(member, Windows) and bool(member.windows)


def _violations(
    objective: Objective, name: str, windows: Windows, ratios: Mapping[str, Mapping[str, float]]
) -> dict[str, float]:
    """Returns how far a baseline is beyond each limit (log); <= 0 keeps it, infinite where it was not measured."""
    worst: dict[str, float] = {}
    for limit in objective.limits:
        metric = METRICS[limit.metric]
        for bound in bounds_of(limit):
            if bound.is_ratio:
                found = ratios[limit.metric]
                measured_log = metric.sign * (found[name] - max(found.values()))
            elif not metric.is_in(windows.windows):
                worst[limit.metric] = math.inf
                continue
            else:
                measured_log = math.log(metric.read(windows.windows))
            worst[limit.metric] = max(worst.get(limit.metric, -math.inf), bound.excess_log(measured_log))
    return worst
