"""Ratios, values and names of metrics are said as people say them.

An example is `p99 45.9 to 6.51 ms, 7.1 times lower (6.2 to 8.0)`. Per cent is said below a factor of two only. A gain
comes in as a log-ratio, positive is better.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from tuner.bench.metrics import METRICS, Metric
from tuner.deploy.best import BestGain
from tuner.statistics.sequential_test import Interval, gain_log
from tuner.statistics.verification_test import Bounds

TIMES_FROM_LOG = math.log(2.0)
"""Size of a change (log-ratio, a factor of two) from which it is said as a number of times."""

NAMES = {
    "latency_mean_ms": "mean latency",
    "latency_max_ms": "slowest request",
    "latency_p999_ms": "p99.9",
    "cpu_ms_per_sample": "CPU time per sample",
    "energy_mj_per_sample": "energy per sample",
    "peak_memory_mb": "peak memory",
    "compile_ms": "compile time",
    "load_ms": "load time",
    "first_inference_ms": "first inference",
    "load_cached_ms": "load time from the cache",
    "max_rate_per_s": "largest rate",
    "backlog_pct": "backlog",
    "load_pct": "load",
}
"""Metric -> its name in a sentence, where the name is not the metric's own or the percentile alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """A gain with its interval, as log-ratios: positive is better, whatever the metric's direction."""

    estimate: float
    low: float
    high: float

    @classmethod
    def of(cls, found: Interval | Bounds | BestGain) -> Gain:
        """Returns the gain of an interval, or of a best.yaml, which has it in per cent."""
        if isinstance(found, BestGain):
            low, middle, high = map(gain_log, (found.low_pct, found.estimate_pct, found.high_pct))
            return cls(estimate=middle, low=low, high=high)
        return cls(estimate=found.estimate, low=found.low, high=found.high)


def metric_name(metric: str) -> str:
    """Returns the name of a metric in a sentence, such as `p99` for latency_p99_ms."""
    return NAMES.get(metric) or metric.removeprefix("latency_").removesuffix("_ms")


def number(value: float) -> str:
    """Returns a number with three significant digits and without an exponent, as a sentence needs it."""
    if value == 0.0 or not math.isfinite(value):
        return f"{value:g}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def change_words(metric: str, before: float, after: float, gain: Gain) -> str:
    """Returns both values and the change: `p99 45.9 to 6.51 ms, 7.1 times lower (6.2 to 8.0)`."""
    return f"{metric_name(metric)} {number(before)} to {number(after)} {_unit(metric)}, {gain_words(metric, gain)}"


def gain_words(metric: str, gain: Gain) -> str:
    """Returns a gain with its interval: `36 % higher (30 to 44 %)`; one that may be none says so."""
    if gain.low <= 0.0 <= gain.high:
        ends = f"{amount_words(metric, gain.low)} to {amount_words(metric, gain.high)}"
        return f"not shown to differ ({ends})"
    is_times = abs(gain.estimate) >= TIMES_FROM_LOG
    near, far = sorted((gain.low, gain.high), key=abs)
    unit = "" if is_times else " %"
    ends = f"{_size(metric, near, is_times, math.floor)} to {_size(metric, far, is_times, math.ceil)}{unit}"
    return f"{amount_words(metric, gain.estimate)} ({ends})"


def amount_words(metric: str, gain: float) -> str:
    """Returns one change without an interval: `7.1 times lower`, `36 % higher`, `the same`."""
    is_times = abs(gain) >= TIMES_FROM_LOG
    size = _size(metric, gain, is_times, round)
    if float(size) == 0.0:
        return "the same"
    is_higher = _row_sign(metric) * gain > 0.0
    return f"{size}{' times' if is_times else ' %'} {'higher' if is_higher else 'lower'}"


def least_words(metric: str, gain: float) -> str:
    """Returns the least of a gain (log-ratio, above 0), rounded down: `at least 6.2 times lower`."""
    is_times = gain >= TIMES_FROM_LOG
    direction = "higher" if _row_sign(metric) > 0 else "lower"
    return f"at least {_size(metric, gain, is_times, math.floor)}{' times' if is_times else ' %'} {direction}"


def excess_words(excess: float) -> str:
    """Returns how far a limit is exceeded (log of the excess, above 0): `12 %`, or `a factor of 2.3`."""
    if excess >= TIMES_FROM_LOG:
        return f"a factor of {_rounded(math.exp(excess), round)}"
    return f"{_rounded(100.0 * math.expm1(excess), math.ceil)} %"


def _size(metric: str, gain: float, is_times: bool, rounding: Callable[[float], float]) -> str:
    """Returns the size of a change as a number of times, or in per cent of the value before."""
    if is_times:
        return _rounded(math.exp(abs(gain)), rounding)
    return _rounded(100.0 * abs(math.expm1(_row_sign(metric) * gain)), rounding)


def _rounded(value: float, rounding: Callable[[float], float]) -> str:
    """Returns a number with one decimal below 10, else without: what an interval of some per cent supports."""
    text = f"{rounding(round(10.0 * value, 6)) / 10.0:.1f}"
    return text if float(text) < 10.0 else f"{rounding(round(value, 6)):.0f}"


def _row_sign(metric: str) -> int:
    row: Metric | None = METRICS.get(metric)
    return 1 if row is None else row.sign


def _unit(metric: str) -> str:
    row = METRICS.get(metric)
    return "" if row is None else row.unit
