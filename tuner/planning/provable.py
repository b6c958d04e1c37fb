"""Claims that a confirmation of a given size can prove: the smallest gain, and the values that keep a limit.

Responsible for arithmetic on the noise and the requests of a record. Must not know results of a confirmation.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tuner.bench import histogram
from tuner.bench.configuration import DeploymentConfig
from tuner.bench.measurement import Window, Windows
from tuner.bench.metrics import METRICS, Metric, block_count, by_callers, requests_per_window
from tuner.evidence.noise import PRIOR_DF, PRIOR_SD
from tuner.evidence.pooled_metrics import pooled
from tuner.evidence.state import StudyState
from tuner.planning.budget import CONFIRM_SHARE, SD_FLOOR
from tuner.planning.confirmation_size import MOST_PAIRS
from tuner.records.confirmation_plan import ConfirmationLine
from tuner.records.session_log import SessionLine
from tuner.statistics.distributions import lower_rank, t_quantile, upper_rank
from tuner.statistics.limits import Bound, bounds_of, limit_alpha
from tuner.statistics.power import smallest_provable_gain_pct
from tuner.statistics.robust import shrunk_sd
from tuner.statistics.sequential_test import SESSIONS, gain_log, gain_pct, looks, winner_alpha
from tuner.statistics.session_effect import session_sd, session_value


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The size of a confirmation on which claims rest."""

    sessions: int
    pairs: int
    window_s: float
    alpha: float
    """One-sided chance of a false gain."""
    members: int = 2
    """Number of members of a session, the reference included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvableLimit:
    """The measured value up to which a limit is proved to be kept."""

    bound: Bound
    value: float | None
    """Largest (for a minimum: smallest) measured value that is proved, in the metric's unit or as a ratio.

    None if the requests are too few for any value.
    """
    requests: int | None = None
    """Number of requests that the confirmation has for a percentile; None for other limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfReach:
    """A claim about the candidate at hand that its confirmation is too small to prove."""

    bound: Bound | None
    """Limit that the candidate keeps as measured; None for the gain."""
    measured: float
    """Value of the candidate: in the metric's unit, as a ratio, or the gain in per cent."""
    provable: float | None
    """Value up to which the limit is proved, or the smallest gain (%) that is; None if no value is."""
    minutes: float | None
    """Budget in minutes that can prove it; None if no reasonable one can."""


def session_sd_of(state: StudyState, metric: Metric, pairs: int) -> float:
    """Returns the standard deviation (log-ratio) of a metric between sessions of so many pairs.

    It is that of the calibration's sessions of the reference beside itself, shrunk towards the usual one or, if that is
    larger, towards the metric's own error within a session: a percentile rests on a few slow requests.
    """
    equal = [ran for line in state.log.sessions("calibration") if len(ran := _ran(line)) == 2]
    found = (session_value(metric, *pair, min_requests=1) for pair in equal)
    values = [value for value in found if value is not None]
    sample = math.sqrt(sum(v * v for v in values) / len(values)) if values else 0.0
    baselines = _ran(state.reference.line)
    ours = next(m for m in baselines if m.effective.key == state.reference.key)
    errors = list(_own_errors(metric, equal or [[m, ours] for m in baselines if m is not ours], pairs))
    return shrunk_sd(sample, len(values), max(PRIOR_SD, statistics.median(errors or [0.0])), PRIOR_DF)


def _ran(line: SessionLine) -> list[Windows]:
    return [member for member in line.session.members if isinstance(member, Windows) and member.windows]


def _own_errors(metric: Metric, sides: Sequence[Sequence[Windows]], pairs: int) -> Iterator[float]:
    """Yields the standard error of the value of each two members of a session, if it had `pairs` pairs."""
    for ours, theirs in sides:
        error = session_sd(metric, ours, theirs)
        if error is not None:
            yield error * math.sqrt(block_count(ours.windows) / pairs)


def provable_gain_pct(state: StudyState, size: Size, tests: int = 1) -> float:
    """Returns the smallest gain (%) that such a confirmation proves with a probability of 80 %."""
    metric, noise = state.study.objective.row, state.reference.noise
    sd = noise.session_sd_of(size.pairs)
    if metric.quantile is not None:
        sd = max(sd, session_sd_of(state, metric, size.pairs))
    return smallest_provable_gain_pct(
        sd, size.sessions, size.alpha / tests, min_gain_log=gain_log(state.study.min_gain_pct), sd_floor=SD_FLOOR * sd
    )


def provable_limits(state: StudyState, size: Size, windows: Sequence[Window] | None = None) -> list[ProvableLimit]:
    """Returns how closely each limit can be proved, with latencies as in `windows`, else as the reference's."""
    line = state.reference.line.session
    seen = dict(line.ran())[state.reference.configuration].windows if windows is None else windows
    bounds = [bound for limit in state.study.objective.limits for bound in bounds_of(limit)]
    return [
        _provable(state, size, bound, seen)
        for bound in bounds
        # A maximum is kept as seen: nothing is proved about later requests, by any budget.
        if bound.is_ratio or not METRICS[bound.metric].is_maximum
    ]


def _provable(state: StudyState, size: Size, bound: Bound, windows: Sequence[Window]) -> ProvableLimit:
    metric, alpha = METRICS[bound.metric], limit_alpha(1, len(looks(size.sessions)))
    if bound.is_ratio or metric.quantile is None:
        sd = session_sd_of(state, metric, size.pairs)
        margin = t_quantile(1.0 - alpha, size.sessions - 1) * sd / math.sqrt(size.sessions)
        return ProvableLimit(bound=bound, value=bound.limit * math.exp(-bound.side * margin))
    duration_s = sum(w.duration_s for w in windows) / len(windows)
    per_window = requests_per_window(windows) * max(1.0, size.window_s / duration_s)
    n = round(size.sessions * size.pairs * per_window)
    margins = [_percentile_margin(group, metric.quantile, n, bound.side, alpha) for group in by_callers(windows)]
    if None in margins or n < metric.min_requests:
        return ProvableLimit(bound=bound, value=None, requests=n)
    worst = max(margin for margin in margins if margin is not None)
    return ProvableLimit(bound=bound, value=bound.limit * math.exp(-bound.side * worst), requests=n)


def _percentile_margin(windows: Sequence[Window], q: float, n: int, side: int, alpha: float) -> float | None:
    """Returns the log-distance from the percentile `q` to its bound on `n` requests with latencies as in `windows`.

    The bound is the order statistic of `tuner.statistics.limits`. None if `n` requests have none.
    """
    rank = upper_rank(n, q, alpha) if side > 0 else lower_rank(n, q, alpha)
    if rank is None:
        return None
    counts = histogram.pool(w.latency_counts for w in windows)
    at_bound, at_q = (histogram.percentile(counts, share) for share in (rank / n, q))
    return abs(math.log(at_bound / at_q)) + histogram.WIDTH / 2.0


def out_of_reach(state: StudyState, plan: ConfirmationLine) -> list[OutOfReach]:
    """Returns the claims about the winner of the search that its confirmation is too small to prove.

    A limit that the candidate breaks as measured is none of them: no budget keeps it.
    """
    if plan.winner is None:
        return []
    size = Size(
        sessions=plan.max_sessions,
        pairs=plan.pairs,
        window_s=plan.window_s,
        alpha=winner_alpha(plan.alpha, claims_baseline=plan.claims_baseline, is_baseline_proved=False),
        members=1 + len(plan.members) + len(plan.baselines),
    )
    found = [reach for reach in (_gain_beyond(state, size, plan.winner),) if reach is not None]
    measured = pooled((line.session for line in state.log.sessions("search", "race", "final")), plan.winner)
    if measured is None:
        return found
    for one in provable_limits(state, size, measured.windows):
        value = _value(state, one.bound, measured, plan.reference)
        if not one.bound.keeps(value) or (one.value is not None and one.bound.side * (value - one.value) <= 0.0):
            continue
        sizes = ((larger, provable_limits(state, larger, measured.windows)) for larger in _larger(size))
        enough = next((larger for larger, limits in sizes if _is_proved(limits, one.bound, value)), None)
        minutes = _minutes(state, enough)
        found.append(OutOfReach(bound=one.bound, measured=value, provable=one.value, minutes=minutes))
    return found


def _gain_beyond(state: StudyState, size: Size, winner: DeploymentConfig) -> OutOfReach | None:
    """Returns the gain of the winner if it counts and is too small for the confirmation, else None."""
    candidate = state.evidence.requests.get(winner)
    is_claim = state.reference.ranking.keeps_limits(state.reference.name)
    if candidate is None or candidate.value <= 0.0 or not is_claim:
        return None
    gain, provable = gain_pct(candidate.value), provable_gain_pct(state, size)
    if gain >= provable or gain < state.study.min_gain_pct:
        return None
    enough = next((larger for larger in _larger(size) if provable_gain_pct(state, larger) <= gain), None)
    return OutOfReach(bound=None, measured=gain, provable=provable, minutes=_minutes(state, enough))


def _value(state: StudyState, bound: Bound, measured: Windows, reference: str) -> float:
    """Returns what the candidate measured of a limit: in the metric's unit, or as the ratio to the best baseline."""
    metric = METRICS[bound.metric]
    if not bound.is_ratio:
        return metric.read(measured.windows)
    lines = state.log.sessions("search", "race", "final")
    theirs = pooled((line.session for line in lines), state.setup.baselines[reference])
    ratio = state.reference.ranking.ratios_of(reference)[bound.metric]
    if theirs is None:
        return bound.limit
    log = metric.sign * math.log(metric.read(measured.windows) / metric.read(theirs.windows))
    return math.exp(metric.sign * (log + ratio))


def _is_proved(limits: Sequence[ProvableLimit], bound: Bound, value: float) -> bool:
    return any(
        one.bound == bound and one.value is not None and bound.side * (value - one.value) <= 0.0 for one in limits
    )


def _larger(size: Size) -> Iterator[Size]:
    """Yields the larger confirmations that a longer budget has, the smallest first: more sessions, then longer ones."""
    yield from (replace(size, sessions=n) for n in SESSIONS if n > size.sessions)
    yield from (replace(size, sessions=SESSIONS[-1], pairs=n) for n in range(size.pairs + 1, MOST_PAIRS + 1))


def _minutes(state: StudyState, size: Size | None) -> float | None:
    """Returns the budget in whole minutes whose share for the confirmation, or whose rest, has this size."""
    if size is None:
        return None
    session_s = state.reference.noise.cost.of(size.pairs, size.window_s, size.members)
    confirm_s = size.sessions * session_s
    return math.ceil(max(state.log.spent_s() + confirm_s, confirm_s / CONFIRM_SHARE) / 60.0)
