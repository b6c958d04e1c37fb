"""METRICS: what can be asked of a member's windows. A new metric is one row.

Knows nothing of search or verdicts: only how a number is read off windows, its unit and its direction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from tuner.bench import histogram
from tuner.bench.protocol import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One number of a member. `read` pools all windows given; `min_requests` is what a claim needs on each side."""

    name: str
    unit: str
    is_higher_better: bool
    read: Callable[[Sequence[Window]], float]
    quantile: float | None = None
    """The percentile as a fraction, where the metric is one: pooled over a session, never averaged over windows."""
    min_requests: int = 1
    needs_own_process: bool = False
    """Whether it means something only where a member has its process for itself."""

    @property
    def sign(self) -> int:
        """+1 where higher is better, else -1: `sign * log(a / b)` is positive when a is better."""
        return 1 if self.is_higher_better else -1


def request_count(windows: Sequence[Window]) -> int:
    return sum(sum(w.latency_counts.values()) for w in windows)


@cache
def requests_needed(q: float) -> int:
    """The smallest number of requests for a claim about the percentile `q` at 99 % confidence with at most one request
    over it (MLPerf Inference, early stopping: 64 for p90, 662 for p99)."""
    n = 2
    while q**n + n * (1 - q) * q ** (n - 1) > 0.01:
        n += 1
    return n


def _throughput(windows: Sequence[Window]) -> float:
    return sum(w.samples for w in windows) / sum(w.duration_s for w in windows)


def _latency_mean_ms(windows: Sequence[Window]) -> float:
    return sum(w.latency_sum_ms for w in windows) / request_count(windows)


def _percentile(name: str, q: float) -> Metric:
    def read(windows: Sequence[Window]) -> float:
        return histogram.percentile(histogram.pool(w.latency_counts for w in windows), q)

    needed = requests_needed(q)
    return Metric(name=name, unit="ms", is_higher_better=False, read=read, quantile=q, min_requests=needed)


_ROWS = (
    Metric(name="throughput", unit="samples/s", is_higher_better=True, read=_throughput),
    Metric(name="latency_mean_ms", unit="ms", is_higher_better=False, read=_latency_mean_ms),
    _percentile("latency_p50_ms", 0.50),
    _percentile("latency_p90_ms", 0.90),
    _percentile("latency_p95_ms", 0.95),
    _percentile("latency_p99_ms", 0.99),
)
METRICS = {metric.name: metric for metric in _ROWS}


def log_ratio(metric: Metric, a: Sequence[Window], b: Sequence[Window]) -> float:
    """log of how much better `a` is than `b`; positive = `a` is better, whatever the metric's direction."""
    return metric.sign * math.log(metric.read(a) / metric.read(b))
