"""The ranking of the baselines: the strongest one that keeps the limits becomes the reference.

Responsible for baselines. Must not know the search.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tuner.bench.configuration import Failure
from tuner.bench.measurement import Windows
from tuner.bench.metrics import METRICS, Metric
from tuner.errors import NoAnswerError
from tuner.evidence.pooled_metrics import pool
from tuner.statistics.limits import bounds_of
from tuner.statistics.session_effect import session_value
from tuner.study.study import Objective

Ratios = Mapping[str, float]
"""Baseline -> log-ratio to one common baseline, positive = better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRanking:
    """The baselines compared with each other, by name."""

    reference: str
    """Name of the strongest baseline that keeps the limits; if none does, of the nearest to the limits."""
    is_feasible: bool
    """True if the reference keeps the limits."""
    values: Ratios
    """Log-ratio of each baseline to the reference on the (first) objective, without failures; positive is better."""
    violations: Mapping[str, Mapping[str, float]]
    """Baseline -> metric of a limit -> log of the excess; <= 0 keeps the limit."""
    failures: Mapping[str, Failure]
    limit_ratios: Mapping[str, Ratios]
    """Metric of a limit -> log-ratio of each baseline to a common one, positive = better."""
    others: Mapping[str, Ratios] = field(default_factory=dict)
    """Metric of each objective after the first -> as `values`."""

    def keeps_limits(self, name: str) -> bool:
        """Returns True if a baseline that ran keeps every limit, as it was first measured."""
        return _worst(self.violations[name]) <= 0.0

    @property
    def best_ratios_log(self) -> dict[str, float]:
        """Metric of a limit -> log-ratio of the reference to the best baseline; at most 0."""
        return self.ratios_of(self.reference)

    def ratios_of(self, name: str) -> dict[str, float]:
        """Returns metric of a limit -> log-ratio of a baseline to the best one; at most 0."""
        return {metric: found[name] - max(found.values()) for metric, found in self.limit_ratios.items()}


def rank_baselines(objective: Objective, *sessions: Mapping[str, Windows | Failure]) -> BaselineRanking:
    """Returns the baselines compared with each other, over one session or several.

    The first session has all baselines, and those that failed in it are out. The reference is the best baseline on the
    (first) objective of those that keep the limits. Raises NoAnswerError if no baseline ran.
    """
    failures = {name: m for name, m in sessions[0].items() if isinstance(m, Failure)}
    names = [name for name in sessions[0] if name not in failures]
    if not names:
        causes = "; ".join(f"{name}: {failure}" for name, failure in failures.items())
        raise NoAnswerError(f"every baseline failed: {causes}", advice="the model does not run here as it is")
    found = [
        {name: m for name, m in s.items() if name in names and isinstance(m, Windows) and m.windows} for s in sessions
    ]
    common = max(names, key=lambda name: sum(name in session for session in found))

    def ratios(metric: Metric) -> dict[str, float]:
        """Returns the log-ratios to the baseline that the most sessions have."""
        return {
            name: _mean_ratio(metric, [(s[name], s[common]) for s in found if {name, common} <= s.keys()])
            for name in names
        }

    values = ratios(objective.row)
    limit_ratios = {limit.metric: ratios(limit.row) for limit in objective.limits}
    pools = {name: pool([s[name] for s in found if name in s]) for name in names}
    violations = {name: _violations(objective, name, pools[name], limit_ratios) for name in names}
    feasible = [name for name in names if _worst(violations[name]) <= 0.0]
    nearest = min(names, key=lambda name: _worst(violations[name]))
    reference = max(feasible, key=values.__getitem__) if feasible else nearest

    def to_reference(found: Ratios) -> dict[str, float]:
        return {name: value - found[reference] for name, value in found.items()}

    return BaselineRanking(
        reference=reference,
        is_feasible=bool(feasible),
        values=to_reference(values),
        violations=violations,
        failures=failures,
        limit_ratios=limit_ratios,
        others={row.name: to_reference(ratios(row)) for row in objective.rows[1:]},
    )


def _mean_ratio(metric: Metric, pairs: Sequence[tuple[Windows, Windows]]) -> float:
    """Returns the mean log-ratio of the first members to the second; every window has the same weight."""
    weighed = [
        (min(len(ours.windows), len(theirs.windows)), value)
        for ours, theirs in pairs
        if (value := session_value(metric, ours, theirs, min_requests=1)) is not None
    ]
    return sum(n * value for n, value in weighed) / max(1, sum(n for n, _ in weighed))


def _worst(violations: Mapping[str, float]) -> float:
    """Returns the largest excess (log); -inf without limits."""
    return max(violations.values(), default=-math.inf)


def _violations(
    objective: Objective, name: str, windows: Windows, limit_ratios: Mapping[str, Ratios]
) -> dict[str, float]:
    """Returns the excess of a baseline over each limit (log); <= 0 keeps it, infinite if the metric is missing."""
    worst: dict[str, float] = {}
    for limit in objective.limits:
        metric = METRICS[limit.metric]
        for bound in bounds_of(limit):
            if bound.is_ratio:
                found = limit_ratios[limit.metric]
                measured_log = metric.sign * (found[name] - max(found.values()))
            elif not metric.is_in(windows.windows):
                worst[limit.metric] = math.inf
                continue
            else:
                measured_log = math.log(metric.read(windows.windows))
            worst[limit.metric] = max(worst.get(limit.metric, -math.inf), bound.excess_log(measured_log))
    return worst
