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
    """One number of a member. `read` pools all windows given, which `is_in` says they can be; `min_requests` is what a
    claim needs on each side."""

    name: str
    unit: str
    is_higher_better: bool
    read: Callable[[Sequence[Window]], float]
    quantile: float | None = None
    """The percentile as a fraction, where the metric is one: pooled over a session, never averaged over windows."""
    min_requests: int = 1
    is_extreme: bool = False
    """Whether it tells of what was seen and no more: an absolute limit is kept or broken by the requests that were
    measured, and no confidence bound says anything of those to come."""
    is_whole: bool = False
    """Whether only a whole session has a value, none of its windows alone."""
    field: str | None = None
    """The field of a window that it is read off, where a window may lack it: old records, hosts that do not tell."""
    is_there: Callable[[Window], bool] = lambda window: True
    """Whether a window carries it: the closed loop knows nothing of arrivals."""
    needs_own_process: bool = False
    """Whether it means something only where a member has its process for itself."""
    needs_energy: bool = False
    """Whether the host's energy counters have to be readable."""
    needs_start_up: bool = False
    """Whether every turn has to be a start in a new process."""
    needs_cache: bool = False
    """Whether that start is to be tried from a model cache too."""

    @property
    def sign(self) -> int:
        """+1 where higher is better, else -1: `sign * log(a / b)` is positive when a is better."""
        return 1 if self.is_higher_better else -1

    def is_in(self, windows: Sequence[Window]) -> bool:
        """Whether it can be read off these windows: each has the field, and not all of them zero, of which there is no
        logarithm (a stretch below the resolution of its clock)."""
        if request_count(windows) == 0 or not all(map(self.is_there, windows)):
            return False
        values = [getattr(w, self.field) for w in windows] if self.field else [1]
        return None not in values and max(values) > 0


def request_count(windows: Sequence[Window]) -> int:
    """Requests whose latency was counted, those that never ran under a load included."""
    return sum(sum(w.latency_counts.values()) for w in windows)


@cache
def requests_needed(q: float) -> int:
    """The smallest number of requests for a claim about the percentile `q` at 99 % confidence with at most one request
    over it (MLPerf Inference, early stopping: 64 for p90, 662 for p99, 6636 for p999)."""
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


def _latency_max_ms(windows: Sequence[Window]) -> float:
    """The centre of the slowest request's bucket: the maximum to within 0.25 %."""
    return histogram.percentile(histogram.pool(w.latency_counts for w in windows), 1.0)


def _cpu_ms_per_sample(windows: Sequence[Window]) -> float:
    return 1e3 * sum(w.cpu_s or 0.0 for w in windows) / sum(w.samples for w in windows)


def _energy_mj_per_sample(windows: Sequence[Window]) -> float:
    return 1e3 * sum(w.energy_j or 0.0 for w in windows) / sum(w.samples for w in windows)


def _peak_memory_mb(windows: Sequence[Window]) -> float:
    return max(w.peak_memory_bytes or 0 for w in windows) / 1e6


def _start_up(name: str, field: str, *, needs_cache: bool = False) -> Metric:
    """A part of the start of a process: its mean over starts."""

    def read(windows: Sequence[Window]) -> float:
        return 1e3 * math.fsum(getattr(w, field) for w in windows) / len(windows)

    return Metric(
        name=name,
        unit="ms",
        is_higher_better=False,
        read=read,
        field=field,
        needs_start_up=True,
        needs_cache=needs_cache,
    )


BACKLOG_AT_MOST_PCT = 10.0
"""Under arriving requests the implicit limit of `backlog_pct`. A stable queue leaves what is served and waits at that
moment: by Little's law its latency over the window, 1 to 5 % in windows of 100 arrivals and more. Ten per cent too much
load leave 9 % more."""
LOAD_AT_MOST_PCT = 98.0
"""The implicit limit of `load_pct`: the upper end of measurement.md's search for the largest rate. A queue at its
capacity grows without bound, but too slowly for a window of seconds to show it."""
FLOOR_PCT = 0.1
"""Shares are compared by their logarithm: none is a tenth of a per cent."""


def _served(window: Window) -> bool:
    return window.served is not None


def _backlog_pct(windows: Sequence[Window]) -> float:
    served = [w.served for w in windows if w.served is not None]
    return max(FLOOR_PCT, 100.0 * sum(s.waiting for s in served) / max(1, sum(s.arrivals for s in served)))


def _load_pct(windows: Sequence[Window]) -> float:
    shares = [100.0 * w.served.rate_per_s / w.served.capacity_per_s for w in windows if w.served is not None]
    return sum(shares) / len(shares)


def _max_rate_per_s(windows: Sequence[Window]) -> float:
    """The middle of what the last window of each session left open; of several sessions the geometric mean."""
    ends = [
        w for w, after in zip(windows, [*windows[1:], None], strict=True) if after is None or after.block <= w.block
    ]
    logs = [math.log(w.served.low_per_s * w.served.high_per_s) / 2.0 for w in ends if w.served is not None]
    return math.exp(sum(logs) / len(logs))


_ROWS = (
    Metric(name="throughput", unit="samples/s", is_higher_better=True, read=_throughput),
    Metric(name="latency_mean_ms", unit="ms", is_higher_better=False, read=_latency_mean_ms),
    _percentile("latency_p50_ms", 0.50),
    _percentile("latency_p90_ms", 0.90),
    _percentile("latency_p95_ms", 0.95),
    _percentile("latency_p99_ms", 0.99),
    _percentile("latency_p999_ms", 0.999),
    Metric(name="latency_max_ms", unit="ms", is_higher_better=False, read=_latency_max_ms, is_extreme=True),
    Metric(name="cpu_ms_per_sample", unit="ms", is_higher_better=False, read=_cpu_ms_per_sample, field="cpu_s"),
    Metric(
        name="energy_mj_per_sample",
        unit="mJ",
        is_higher_better=False,
        read=_energy_mj_per_sample,
        field="energy_j",
        needs_energy=True,
    ),
    Metric(
        name="peak_memory_mb",
        unit="MB",
        is_higher_better=False,
        read=_peak_memory_mb,
        field="peak_memory_bytes",
        needs_own_process=True,
    ),
    _start_up("compile_ms", "compile_s"),
    _start_up("load_ms", "load_s"),
    _start_up("first_inference_ms", "first_inference_s"),
    _start_up("load_cached_ms", "load_cached_s", needs_cache=True),
    Metric(
        name="max_rate_per_s",
        unit="requests/s",
        is_higher_better=True,
        read=_max_rate_per_s,
        is_there=lambda w: w.served is not None and w.served.low_per_s > 0.0,
        is_whole=True,
    ),
    Metric(name="backlog_pct", unit="%", is_higher_better=False, read=_backlog_pct, is_there=_served),
    Metric(
        name="load_pct",
        unit="%",
        is_higher_better=False,
        read=_load_pct,
        is_there=lambda w: w.served is not None and w.served.capacity_per_s > 0.0,
    ),
)
METRICS = {metric.name: metric for metric in _ROWS}


def log_ratio(metric: Metric, a: Sequence[Window], b: Sequence[Window]) -> float:
    """log of how much better `a` is than `b`; positive = `a` is better, whatever the metric's direction."""
    return metric.sign * math.log(metric.read(a) / metric.read(b))
