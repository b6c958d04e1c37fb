"""The effect of a candidate on one metric in one session: a log-ratio to the reference and its standard error.

Responsible for the statistics of windows. Must not import phases, trials, limits or verdicts.
Every effect is the log of how much better the candidate is: positive = better, whatever the metric's direction.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tuner.bench import histogram
from tuner.bench.measurement import Window, Windows
from tuner.bench.metrics import Metric, by_callers, request_count
from tuner.statistics.disturbance import calm_sides
from tuner.statistics.robust import HODGES_LEHMANN_SE, hodges_lehmann, mad_sd

MIN_JACKKNIFE_BLOCKS = 4
"""Number of blocks below which their spread is unknown and the binomial error stands alone."""


def paired_windows(candidate: Iterable[Window], reference: Iterable[Window]) -> list[tuple[Window, Window]]:
    """Returns neighbours: windows of the same block in the order of their turns.

    A block that only one side has is left out.
    """
    theirs = _by_block(reference)
    pairs: list[tuple[Window, Window]] = []
    for block, ours in sorted(_by_block(candidate).items()):
        pairs.extend(zip(ours, theirs.get(block, ()), strict=False))
    return pairs


def pair_ratios(metric: Metric, candidate: Sequence[Window], reference: Sequence[Window]) -> tuple[float, ...]:
    """Returns the log-ratio of each pair of neighbouring windows, without pairs that the host disturbed.

    The result is empty if a window completed nothing or lacks the metric: leaving out only that pair would select by
    the result. The result is also empty for a metric of whole sessions.
    """
    paired = [w for pair in paired_windows(candidate, reference) for w in pair]
    if metric.is_session_level or any(_is_empty(w) or not metric.is_in((w,)) for w in paired):
        return ()
    pairs = paired_windows(*calm_sides(candidate, reference))
    return tuple(metric.sign * math.log(metric.read((a,)) / metric.read((b,))) for a, b in pairs)


def session_value(
    metric: Metric, candidate: Windows, reference: Windows, *, min_requests: int | None = None
) -> float | None:
    """Returns how much better the candidate was in one session, as a log-ratio, or None for too little data.

    Throughput and means: the Hodges-Lehmann estimate over the pairs of neighbouring windows, None if a window completed
    nothing. Percentiles: the log-ratio of the percentiles pooled over all windows, None if either side has fewer
    requests than `min_requests` (default: `metric.min_requests`, which a claim needs; a search may accept fewer). Pairs
    that the host disturbed are left out; a percentile keeps these pairs if too few requests remained.

    Under several numbers of callers the value is the smallest of theirs. Noise makes the smallest of several estimates
    too small rather than too large, so that a gain which it shows holds at every number of callers.
    """
    values = [_value(metric, a, b, min_requests) for a, b in _at_each(candidate, reference)]
    found = [value for value in values if value is not None]
    return min(found) if len(found) == len(values) else None


def _at_each(candidate: Windows, reference: Windows) -> list[tuple[Windows, Windows]]:
    """Returns both sides at each number of callers; unchanged if a side has one number or no windows."""
    ours, theirs = by_callers(candidate.windows), by_callers(reference.windows)
    if len(ours) == 1 or len(theirs) == 1:
        return [(candidate, reference)]
    return [
        (replace(candidate, windows=tuple(a)), replace(reference, windows=tuple(b)))
        for a, b in zip(ours, theirs, strict=True)
    ]


def _value(metric: Metric, candidate: Windows, reference: Windows, min_requests: int | None) -> float | None:
    """Returns `session_value` at one number of callers."""
    if metric.is_session_level:
        has_both = bool(candidate.windows and reference.windows)
        if not has_both or not metric.is_in((*candidate.windows, *reference.windows)):
            return None
        return metric.sign * math.log(metric.read(candidate.windows) / metric.read(reference.windows))
    if metric.quantile is None:
        ratios = pair_ratios(metric, candidate.windows, reference.windows)
        return hodges_lehmann(ratios) if ratios else None
    needed = max(1, metric.min_requests if min_requests is None else min_requests)
    sides = calm_sides(candidate.windows, reference.windows)
    if min(map(request_count, sides)) < needed:
        sides = candidate.windows, reference.windows
        if min(map(request_count, sides)) < needed:
            return None
    ours, theirs = map(_pooled, sides)
    return metric.sign * (log_percentile(ours, metric.quantile) - log_percentile(theirs, metric.quantile))


def session_sd(metric: Metric, candidate: Windows, reference: Windows) -> float | None:
    """Returns the standard error of `session_value`, as a log-ratio, from the windows of this session alone.

    Differences between sessions (compiles, memory layout) are not part of the error. Throughput and means: the MAD of
    the pairs over the root of their number, times `HODGES_LEHMANN_SE`. Percentiles: the larger of the binomial error of
    independent requests and the jackknife over blocks, which includes the noise that the requests of a block and the
    two sides of a pair share. Returns None for fewer than two pairs or no requests. Under several numbers of
    callers the error is the largest of theirs.
    """
    errors = [_sd(metric, a, b) for a, b in _at_each(candidate, reference)]
    found = [error for error in errors if error is not None]
    return max(found) if len(found) == len(errors) else None


def _sd(metric: Metric, candidate: Windows, reference: Windows) -> float | None:
    """Returns `session_sd` at one number of callers."""
    if metric.quantile is None:
        ratios = pair_ratios(metric, candidate.windows, reference.windows)
        if len(ratios) < 2:
            return None
        return HODGES_LEHMANN_SE * mad_sd(ratios) / math.sqrt(len(ratios))
    sides = calm_sides(candidate.windows, reference.windows)
    ours, theirs = map(_pooled, sides)
    if not ours or not theirs:
        return None
    binomial = math.hypot(_binomial_se(ours, metric.quantile), _binomial_se(theirs, metric.quantile))
    return max(binomial, _jackknife_se(metric.quantile, *sides))


def log_percentile(counts: Mapping[int, int], q: float) -> float:
    """Returns the log of the nearest-rank percentile (ms), interpolated inside its bucket by the rank there.

    `counts` maps each bucket of the histogram to its number of requests. Bucket centres alone would make ratios
    multiples of 0.5 %: a spread of zero between sessions, and a "proven" gain of 0.5 % between two percentiles that lie
    0.01 % apart on the two sides of a bucket's edge. Raises ValueError for no requests.
    """
    n = sum(counts.values())
    rank = max(1, math.ceil(q * n - 1e-9))
    below = 0
    for bucket in sorted(counts):
        inside = counts[bucket]
        if below + inside >= rank:
            return (bucket + (rank - below - 0.5) / inside) * histogram.WIDTH
        below += inside
    raise ValueError("no requests to take a percentile of")


def _binomial_se(counts: Mapping[int, int], q: float) -> float:
    """Returns half the log-distance between the order statistics one binomial sd below and above the percentile."""
    n = sum(counts.values())
    spread = math.sqrt(q * (1.0 - q) / n)
    low, high = max(q - spread, 1.0 / n), min(q + spread, 1.0)
    return (log_percentile(counts, high) - log_percentile(counts, low)) / 2.0


def _jackknife_se(q: float, candidate: Sequence[Window], reference: Sequence[Window]) -> float:
    """Returns the standard error of the log-ratio by leaving out one block at a time; 0 for too few blocks."""
    ours, theirs = _by_block(candidate), _by_block(reference)
    blocks = sorted(ours.keys() & theirs.keys())
    g = len(blocks)
    if g < MIN_JACKKNIFE_BLOCKS:
        return 0.0
    without: list[float] = []
    for left_out in blocks:
        a = _pooled([w for b in blocks if b != left_out for w in ours[b]])
        b = _pooled([w for b in blocks if b != left_out for w in theirs[b]])
        if not a or not b:
            return 0.0
        without.append(log_percentile(a, q) - log_percentile(b, q))
    values: npt.NDArray[np.float64] = np.asarray(without)
    return float(math.sqrt((g - 1) / g * np.sum((values - values.mean()) ** 2)))


def _by_block(windows: Iterable[Window]) -> dict[int, list[Window]]:
    blocks: dict[int, list[Window]] = {}
    for window in sorted(windows, key=lambda w: (w.block, w.turn)):
        blocks.setdefault(window.block, []).append(window)
    return blocks


def _pooled(windows: Iterable[Window]) -> dict[int, int]:
    return {b: n for b, n in histogram.pool(w.latency_counts for w in windows).items() if n}


def _is_empty(window: Window) -> bool:
    return window.samples == 0 or window.duration_s <= 0.0 or not any(window.latency_counts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """An effect: a log-ratio to the reference, positive = better, with its standard error."""

    value: float
    sd: float
    """Standard error of `value`, the difference between two compiles included."""


def mean_of(estimates: Sequence[Estimate]) -> Estimate:
    """Returns the mean, weighted by precision. Raises ZeroDivisionError for no estimates."""
    weights = [1 / e.sd**2 for e in estimates]
    value = sum(w * e.value for w, e in zip(weights, estimates, strict=True)) / sum(weights)
    return Estimate(value=value, sd=math.sqrt(1 / sum(weights)))
