"""Limits of `subject_to`: lenient in the search, strict in the confirmation.

Responsible for bounds on one metric at a time. Must not import phases, records or the words for a user.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tuner.bench import histogram
from tuner.bench.measurement import Window, Windows
from tuner.bench.metrics import METRICS, Metric, by_callers, request_count
from tuner.statistics.distributions import lower_rank, upper_rank
from tuner.statistics.sequential_test import interval
from tuner.statistics.session_effect import session_value
from tuner.study.study import Limit

BoundKind = Literal["max", "min", "max_ratio", "min_ratio"]

BOUND_KINDS: tuple[BoundKind, ...] = ("max", "min", "max_ratio", "min_ratio")

Pair = tuple[Windows, Windows]
"""Candidate and reference of one session."""

LIMIT_ALPHA = 0.025
"""Largest chance that a configuration that breaks a limit is called one that keeps it, over all points and looks."""

FEWEST_SESSIONS = 2
"""Number of sessions below which a t-interval over sessions does not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One bound of one limit: an absolute value of a metric, or a ratio to the best baseline."""

    metric: str
    kind: BoundKind
    limit: float
    """Largest or smallest value that is allowed, in the metric's unit, or as a plain ratio."""

    @property
    def side(self) -> int:
        """Sign of a value that is worse: +1 for a maximum, -1 for a minimum."""
        return 1 if self.kind in ("max", "max_ratio") else -1

    @property
    def is_ratio(self) -> bool:
        """True if the bound is a ratio to the best baseline."""
        return self.kind in ("max_ratio", "min_ratio")

    def excess_log(self, measured_log: float) -> float:
        """Returns how far a value is beyond the bound, as the log of the excess; <= 0 keeps the bound.

        `measured_log` is the log of the value in the metric's unit, or of the ratio.
        """
        return self.side * (measured_log - math.log(self.limit))

    def keeps(self, measured: float) -> bool:
        """Returns True if a value, in the metric's unit or as a ratio, keeps the bound."""
        return self.side * (measured - self.limit) <= 0.0


class LimitOutcome(enum.StrEnum):
    """Outcome of one bound, on the sessions of a confirmation."""

    PROVED = "proved"
    """The confidence bound keeps the limit."""
    KEPT_AS_SEEN = "kept_as_seen"
    """Every request that was measured keeps the limit; nothing is claimed about later requests."""
    UNPROVED = "unproved"
    """The measured value keeps the limit, its confidence bound does not."""
    BROKEN = "broken"
    TOO_FEW_REQUESTS = "too_few_requests"
    """All sessions together have too few requests of the candidate."""
    TOO_FEW_IN_A_SESSION = "too_few_in_a_session"
    """One session has too few requests for a ratio."""
    TOO_FEW_SESSIONS = "too_few_sessions"
    NO_REQUESTS = "no_requests"
    EMPTY_WINDOW = "empty_window"
    """Nothing completed in a window."""
    NOT_MEASURED = "not_measured"
    """A session lacks the metric."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstraintCheck:
    """The outcome of one bound on the confirmation's data, with the numbers behind the outcome.

    `measured` and `confidence_bound` are in the metric's unit, or plain ratios.
    """

    bound: Bound
    outcome: LimitOutcome
    alpha: float
    """Chance that the confidence bound is on the wrong side of the true value."""
    requests: int
    """Number of the candidate's requests in all sessions."""
    measured: float | None = None
    confidence_bound: float | None = None
    """Confidence bound on the limit's side; None for too little data, and for a maximum."""
    needed: int = 0
    """Number of requests or sessions that the outcome asks for, if there were too few."""
    found: int = 0
    """Number of requests or sessions that there were, if there were too few."""

    @property
    def is_kept(self) -> bool:
        """True if the limit counts as kept; too little data never does."""
        return self.outcome in (LimitOutcome.PROVED, LimitOutcome.KEPT_AS_SEEN)


def bounds_of(limit: Limit) -> tuple[Bound, ...]:
    """Returns the bounds of a limit that are set."""
    values = ((kind, getattr(limit, kind)) for kind in BOUND_KINDS)
    return tuple(Bound(metric=limit.metric, kind=kind, limit=value) for kind, value in values if value is not None)


def limit_alpha(points: int, looks: int) -> float:
    """Returns the alpha of each confidence bound for so many points, each checked at so many looks.

    The points and looks share `LIMIT_ALPHA` (Bonferroni): each of them is a further chance to call a broken limit kept.
    The limits of one point do not share it. A point counts as feasible only if it keeps every limit. The chance that a
    point which breaks a limit counts as feasible is therefore at most the chance for that limit (intersection-union
    test: Berger, Technometrics 24, 1982). Raises ValueError for no points or no looks.
    """
    if points < 1 or looks < 1:
        raise ValueError(f"an alpha needs a point and a look, got {points} and {looks}")
    return LIMIT_ALPHA / (points * looks)


def search_violation(
    limit: Limit, windows: Windows, reference_windows: Windows, best_ratio_log: float, sd: float
) -> float | None:
    """Returns how far a trial is beyond a limit, as the log of the excess; <= 0 is feasible.

    One `sd`, the standard error of the trial as a log-ratio, is subtracted: noise alone then rarely excludes a
    candidate from the search. `best_ratio_log` is how much better the reference is on this metric than the best
    baseline, at most 0. Of several bounds the largest excess is returned. A percentile of few requests is enough here,
    because a claim is made by the confirmation alone. Returns None if the metric was not measured.
    """
    metric = METRICS[limit.metric]
    if request_count(windows.windows) == 0 or not metric.is_in(windows.windows):
        return None
    excesses: list[float] = []
    for bound in bounds_of(limit):
        if bound.is_ratio:
            ratio = session_value(metric, windows, reference_windows, min_requests=1)
            if ratio is None:
                return None
            measured_log = metric.sign * (ratio + best_ratio_log)
        else:
            measured = metric.read(windows.windows)
            if measured <= 0.0:
                return None
            measured_log = math.log(measured)
        excesses.append(bound.excess_log(measured_log) - sd)
    return max(excesses, default=-math.inf)


def check_limit(
    limit: Limit, sessions: Sequence[Pair], best_ratio_log: float, *, alpha: float = LIMIT_ALPHA
) -> tuple[ConstraintCheck, ...]:
    """Checks every bound of a limit on the confirmation's sessions by a one-sided confidence bound.

    Each confidence bound is wrong with probability `alpha` (`limit_alpha`).

    * An absolute percentile: the binomial order statistic of all the candidate's requests.
    * An absolute maximum: every request that was seen, without a confidence bound.
    * Any other absolute metric: a t-interval over the logs of the sessions' values.
    * A ratio: a t-interval over the sessions' paired values, plus `best_ratio_log` (as in `search_violation`).
    """
    return tuple(_check(bound, sessions, best_ratio_log, alpha) for bound in bounds_of(limit))


def _check(bound: Bound, sessions: Sequence[Pair], best_ratio_log: float, alpha: float) -> ConstraintCheck:
    metric = METRICS[bound.metric]
    requests = sum(request_count(candidate.windows) for candidate, _ in sessions)
    start = ConstraintCheck(bound=bound, outcome=LimitOutcome.NO_REQUESTS, alpha=alpha, requests=requests)
    if not bound.is_ratio and metric.is_maximum:
        windows = [w for candidate, _ in sessions for w in candidate.windows]
        if not metric.is_in(windows):
            return start
        measured = metric.read(windows)
        is_kept = bound.keeps(measured * _outer_edge(bound))
        return replace(start, outcome=LimitOutcome.KEPT_AS_SEEN if is_kept else LimitOutcome.BROKEN, measured=measured)
    if not bound.is_ratio and metric.quantile is not None:
        checks = [_check_percentile(start, metric, metric.quantile, group) for group in _at_each(sessions)]
        # It is kept if it is kept at every number of callers, each at the full alpha (intersection-union test).
        return max(
            checks, key=lambda c: (not c.is_kept, c.confidence_bound is None, bound.side * (c.confidence_bound or 0.0))
        )
    return _check_sessions(start, metric, sessions, best_ratio_log)


def _at_each(sessions: Sequence[Pair]) -> list[Sequence[Window]]:
    """Returns the windows of the candidate in all sessions, at each number of callers."""
    return by_callers([w for candidate, _ in sessions for w in candidate.windows])


def _check_percentile(start: ConstraintCheck, metric: Metric, q: float, windows: Sequence[Window]) -> ConstraintCheck:
    """Checks an absolute percentile by an order statistic of the requests of the windows."""
    n = request_count(windows)
    start = replace(start, requests=n)
    bound, alpha = start.bound, start.alpha
    counts = histogram.pool(w.latency_counts for w in windows)
    measured = histogram.percentile(counts, q) if n else None
    rank = upper_rank(n, q, alpha) if bound.side > 0 else lower_rank(n, q, alpha)
    if measured is None or n < metric.min_requests or rank is None:
        # All n requests are on one side of the percentile with probability q^n or (1 - q)^n.
        bounding = math.ceil(math.log(alpha) / math.log(q if bound.side > 0 else 1.0 - q))
        needed = max(metric.min_requests, bounding)
        return replace(start, outcome=LimitOutcome.TOO_FEW_REQUESTS, measured=measured, needed=needed, found=n)
    confidence = histogram.value_at_rank(counts, rank) * _outer_edge(bound)
    return replace(start, outcome=_outcome(bound, measured, confidence), measured=measured, confidence_bound=confidence)


def _check_sessions(
    start: ConstraintCheck, metric: Metric, sessions: Sequence[Pair], best_ratio_log: float
) -> ConstraintCheck:
    """Checks a ratio, or an absolute value of each session, by a t-interval over the sessions."""
    bound = start.bound
    if len(sessions) < FEWEST_SESSIONS:
        return replace(start, outcome=LimitOutcome.TOO_FEW_SESSIONS, needed=FEWEST_SESSIONS, found=len(sessions))
    values: list[float] = []
    for candidate, reference in sessions:
        if bound.is_ratio:
            ratio = session_value(metric, candidate, reference)
            if ratio is None:
                return _without_ratio(start, metric, candidate, reference)
            values.append(metric.sign * (ratio + best_ratio_log))
        elif any(w.samples == 0 for w in candidate.windows) or request_count(candidate.windows) == 0:
            return replace(start, outcome=LimitOutcome.EMPTY_WINDOW)
        elif not metric.is_in(candidate.windows):
            return replace(start, outcome=LimitOutcome.NOT_MEASURED)
        else:
            values.append(math.log(metric.read(candidate.windows)))
    found = interval(values, start.alpha)
    measured, confidence = math.exp(found.estimate), math.exp(found.high if bound.side > 0 else found.low)
    return replace(start, outcome=_outcome(bound, measured, confidence), measured=measured, confidence_bound=confidence)


def _without_ratio(start: ConstraintCheck, metric: Metric, candidate: Windows, reference: Windows) -> ConstraintCheck:
    """Returns why a session has no paired value."""
    needed, fewest = metric.min_requests, min(request_count(side.windows) for side in (candidate, reference))
    if fewest < needed:
        return replace(start, outcome=LimitOutcome.TOO_FEW_IN_A_SESSION, needed=needed, found=fewest)
    is_measured = all(metric.is_in(side.windows) for side in (candidate, reference))
    return replace(start, outcome=LimitOutcome.EMPTY_WINDOW if is_measured else LimitOutcome.NOT_MEASURED)


def _outcome(bound: Bound, measured: float, confidence: float) -> LimitOutcome:
    if bound.keeps(confidence):
        return LimitOutcome.PROVED
    return LimitOutcome.UNPROVED if bound.keeps(measured) else LimitOutcome.BROKEN


def _outer_edge(bound: Bound) -> float:
    """Returns the outer edge of a histogram's bucket over its centre.

    A request may lie anywhere inside its bucket, and a promise is not rounded in its own favour.
    """
    return math.exp(bound.side * histogram.WIDTH / 2.0)
