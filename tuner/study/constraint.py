"""Whether a configuration keeps the limits of `subject_to`: lenient in the search, strict in the confirmation.

Responsible for bounds on one metric at a time. Must not know which configuration wins or what a phase is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tuner.bench import histogram
from tuner.bench.metrics import METRICS, Metric, request_count
from tuner.bench.protocol import Windows
from tuner.study.decision import interval
from tuner.study.distributions import lower_rank, upper_rank
from tuner.study.estimate import session_value
from tuner.study.study import Limit

Bound = Literal["max", "min", "max_ratio", "min_ratio"]
Pair = tuple[Windows, Windows]
"""Candidate and reference in one session."""

LEVEL = 0.025
"""One-sided, over all looks: a limit counts as kept when its confidence bound keeps it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstraintCheck:
    """One bound of one limit, judged on the confirmation's data.

    `limit`, `measured`, `confidence_bound`: in the metric's unit, or plain ratios for `max_ratio` and `min_ratio`.
    `confidence_bound` is the bound on the limit's side (upper for a max, lower for a min), None where there was too
    little data: then the limit is not kept; and of an extreme, of which nothing is claimed beyond what was seen.
    `requests` are the candidate's. `reason` is empty when it is kept.
    """

    metric: str
    bound: Bound
    limit: float
    measured: float | None
    confidence_bound: float | None
    requests: int
    is_kept: bool
    reason: str = ""


def bounds(limit: Limit) -> tuple[tuple[Bound, float], ...]:
    """The bounds of a limit that apply, with their values."""
    every: tuple[tuple[Bound, float | None], ...] = (
        ("max", limit.max),
        ("min", limit.min),
        ("max_ratio", limit.max_ratio),
        ("min_ratio", limit.min_ratio),
    )
    return tuple((bound, value) for bound, value in every if value is not None)


def search_violation(
    limit: Limit, windows: Windows, reference_windows: Windows, best_ratio_log: float, sd: float
) -> float | None:
    """How far a trial is beyond a limit, as the log of the excess; feasible when <= 0. None: nothing to judge by.

    The point estimate minus one `sd` (its standard error as a log-ratio), so that noise alone rarely hides a candidate
    from the search. `best_ratio_log`: how much better the reference is than the best baseline on this metric, as a
    log-ratio (at most 0; 0 where the reference is the best). Of several bounds the one most exceeded counts. Here few
    requests are enough for a percentile: the confirmation is what makes a claim.
    """
    metric = METRICS[limit.metric]
    if request_count(windows.windows) == 0 or not metric.is_in(windows.windows):
        return None
    excesses: list[float] = []
    for bound, value in bounds(limit):
        if _is_ratio(bound):
            ratio = session_value(metric, windows, reference_windows, min_requests=1)
            if ratio is None:
                return None
            measured_log = metric.sign * (ratio + best_ratio_log)
        else:
            measured = metric.read(windows.windows)
            if measured <= 0.0:
                return None
            measured_log = math.log(measured)
        excesses.append(_side(bound) * (measured_log - math.log(value)) - sd)
    return max(excesses, default=-math.inf)


def check_limit(
    limit: Limit, sessions: Sequence[Pair], best_ratio_log: float, *, level: float = LEVEL
) -> tuple[ConstraintCheck, ...]:
    """Judge every bound of a limit on the confirmation's sessions, by one-sided confidence bounds that each miss with
    probability `level`: 2.5 % for one look, divided by the looks where there are several.

    An absolute bound on an extreme is judged on the requests that were seen, all of them, and has no confidence bound.
    Absolute percentiles: the binomial order statistic of all the candidate's requests. Absolute throughput and means: a
    t-interval over the logs of the sessions' values. Ratios: a t-interval over the sessions' paired values, plus
    `best_ratio_log` (as in `search_violation`). Too little data is a limit not kept, with the reason.
    """
    return tuple(
        _check(METRICS[limit.metric], bound, value, sessions, best_ratio_log, level) for bound, value in bounds(limit)
    )


def _check(
    metric: Metric, bound: Bound, limit: float, sessions: Sequence[Pair], best_ratio_log: float, level: float
) -> ConstraintCheck:
    requests = sum(request_count(candidate.windows) for candidate, _ in sessions)
    measured: float | None = None
    confidence: float | None = None
    reason = ""
    if not _is_ratio(bound) and metric.is_extreme:
        return _check_seen(metric, bound, limit, sessions)
    if not _is_ratio(bound) and metric.quantile is not None:
        measured, confidence, reason = _pooled_percentile(metric, metric.quantile, bound, sessions, level)
    else:
        values, reason = _session_logs(metric, bound, sessions, best_ratio_log)
        if not reason:
            found = interval(values, level)
            measured = math.exp(found.estimate)
            confidence = math.exp(found.high if _side(bound) > 0 else found.low)
    is_kept = confidence is not None and _side(bound) * (confidence - limit) <= 0.0
    if confidence is not None and not is_kept:
        reason = _not_kept(metric, bound, limit, measured or 0.0, confidence, level)
    return ConstraintCheck(
        metric=metric.name,
        bound=bound,
        limit=limit,
        measured=measured,
        confidence_bound=confidence,
        requests=requests,
        is_kept=is_kept,
        reason=reason,
    )


def _not_kept(metric: Metric, bound: Bound, limit: float, measured: float, confidence: float, level: float) -> str:
    """Whether a limit is broken or only not proved to be kept is not the same to who reads it."""
    what = "of the best baseline" if _is_ratio(bound) else metric.unit
    side = "upper" if _side(bound) > 0 else "lower"
    proved = f"its {side} {100.0 * (1.0 - level):.1f} % confidence bound is {confidence:.4g}"
    if _side(bound) * (measured - limit) <= 0.0:
        kept = f"{metric.name}: {measured:.4g} {what} keeps {bound} {limit:g}, but that is not proved"
        return f"{kept}: {proved}; a longer budget or a calmer host proves more"
    return f"{metric.name}: {measured:.4g} {what}, {proved}, the limit is {bound} {limit:g}"


def _check_seen(metric: Metric, bound: Bound, limit: float, sessions: Sequence[Pair]) -> ConstraintCheck:
    windows = [w for candidate, _ in sessions for w in candidate.windows]
    requests = request_count(windows)
    measured = metric.read(windows) if metric.is_in(windows) else None
    # The bucket's outer edge, as for percentiles.
    edge = math.exp(_side(bound) * histogram.WIDTH / 2.0)
    is_kept = measured is not None and _side(bound) * (measured * edge - limit) <= 0.0
    if measured is None:
        reason = f"{metric.name}: there were no requests"
    else:
        reason = f"{metric.name}: {measured:.4g} {metric.unit} in {requests} requests, the limit {bound} {limit:g}"
    return ConstraintCheck(
        metric=metric.name,
        bound=bound,
        limit=limit,
        measured=measured,
        confidence_bound=None,
        requests=requests,
        is_kept=is_kept,
        reason="" if is_kept else reason,
    )


def _pooled_percentile(
    metric: Metric, q: float, bound: Bound, sessions: Sequence[Pair], level: float
) -> tuple[float | None, float | None, str]:
    counts = histogram.pool(w.latency_counts for candidate, _ in sessions for w in candidate.windows)
    n = sum(counts.values())
    measured = histogram.percentile(counts, q) if n else None
    rank = upper_rank(n, q, level) if _side(bound) > 0 else lower_rank(n, q, level)
    if n < metric.min_requests or rank is None:
        return (
            measured,
            None,
            f"{metric.name}: a promise needs {metric.min_requests} requests, there were {n}",
        )
    # The bucket's outer edge: the request may lie anywhere inside, and a promise is not rounded in its own favour.
    edge = math.exp(_side(bound) * histogram.WIDTH / 2.0)
    return measured, histogram.value_at_rank(counts, rank) * edge, ""


def _session_logs(
    metric: Metric, bound: Bound, sessions: Sequence[Pair], best_ratio_log: float
) -> tuple[list[float], str]:
    if len(sessions) < 2:
        return [], f"{metric.name}: a promise needs 2 sessions, there were {len(sessions)}"
    values: list[float] = []
    for candidate, reference in sessions:
        if _is_ratio(bound):
            ratio = session_value(metric, candidate, reference)
            if ratio is None:
                fewest = min(request_count(candidate.windows), request_count(reference.windows))
                needed = metric.min_requests
                return (
                    [],
                    f"{metric.name}: comparing sessions needs {needed} requests in each, one had {fewest}",
                )
            values.append(metric.sign * (ratio + best_ratio_log))
        elif any(w.samples == 0 for w in candidate.windows) or request_count(candidate.windows) == 0:
            return [], f"{metric.name}: nothing completed in a window of the confirmation"
        elif not metric.is_in(candidate.windows):
            return [], f"{metric.name}: it was not measured in a session of the confirmation"
        else:
            values.append(math.log(metric.read(candidate.windows)))
    return values, ""


def _is_ratio(bound: Bound) -> bool:
    return bound in ("max_ratio", "min_ratio")


def _side(bound: Bound) -> int:
    """+1 where more is worse (a maximum), -1 where less is."""
    return 1 if bound in ("max", "max_ratio") else -1
