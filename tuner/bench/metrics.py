"""Metrics: `METRICS` has one row for each number that can be read off a member's windows.

Responsible for numbers, units and directions. Must not know searches or verdicts.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from tuner.bench import histogram
from tuner.bench.measurement import Window

Kind = Literal["throughput", "latency", "cost", "start-up", "arrivals"]
"""Family of a metric."""


class Requirement(enum.StrEnum):
    """Condition under which a metric can be measured."""

    OWN_PROCESS = enum.auto()
    """The member has its process for itself."""
    ENERGY = enum.auto()
    """The host's energy counters are readable."""
    COLD_START = enum.auto()
    """Every turn starts a new process."""
    MODEL_CACHE = enum.auto()
    """Every turn also starts a process with a filled model cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One number of a member; `read` pools windows for which `is_in` returns True."""

    name: str
    kind: Kind
    read: Callable[[Sequence[Window]], float]
    unit: str = "ms"
    is_higher_better: bool = False
    quantile: float | None = None
    """Percentile as a fraction; None for other metrics. It is pooled over a session, never averaged over windows."""
    min_requests: int = 1
    """Number of requests that a claim needs of each member."""
    is_maximum: bool = False
    """True for a maximum: the measured requests keep or break a limit, and no confidence bound covers later ones."""
    is_session_level: bool = False
    """True if only a whole session has a value, not a single window."""
    field: str | None = None
    """Field of a window that old records or some hosts may lack; None for fields that never are missing."""
    is_present: Callable[[Window], bool] = lambda window: True
    """Returns True if a window has the metric; a closed loop has no arrivals."""
    requires: frozenset[Requirement] = frozenset()
    """Conditions under which the metric can be measured."""

    @property
    def sign(self) -> int:
        """+1 if higher is better, else -1: `sign * log(a / b)` is positive if a is better."""
        return 1 if self.is_higher_better else -1

    @property
    def title(self) -> str:
        """Name with the unit, unless the name has the unit as one of its parts."""
        return self.name if self.unit.lower() in self.name.split("_") else f"{self.name} ({self.unit})"

    def is_in(self, windows: Sequence[Window]) -> bool:
        """Returns True if the metric can be read off these windows.

        Every window has the field, and one of them is not zero, which has no logarithm; a stretch below the resolution
        of its clock is zero.
        """
        if request_count(windows) == 0 or not all(map(self.is_present, windows)):
            return False
        values = [getattr(w, self.field) for w in windows] if self.field else [1]
        return None not in values and max(values) > 0


def by_callers(windows: Sequence[Window]) -> list[Sequence[Window]]:
    """Returns the windows in one group for each number of callers, the smallest number first."""
    numbers = {w.callers for w in windows}
    if len(numbers) <= 1:
        return [windows]
    return [[w for w in windows if w.callers == number] for number in sorted(numbers, key=lambda n: n or 0)]


def request_count(windows: Sequence[Window]) -> int:
    """Returns the number of counted requests, including those of an open loop that never ran.

    Under several numbers of callers a claim holds for each of them, and rests on the fewest requests.
    """
    return min(sum(sum(w.latency_counts.values()) for w in group) for group in by_callers(windows))


def requests_per_window(windows: Sequence[Window]) -> float:
    """Returns the number of requests in a window, the fewest over the numbers of callers."""
    return min(request_count(group) / max(1, len(group)) for group in by_callers(windows))


def block_count(windows: Sequence[Window]) -> int:
    """Returns the number of windows at each number of callers, which is that of the blocks that a member had."""
    return min(map(len, by_callers(windows)))


@cache
def requests_needed(q: float) -> int:
    """Returns the smallest number of requests for a claim about the percentile `q` at 99 % confidence.

    At most one request may exceed the limit (MLPerf Inference, early stopping): 64 requests for p90, 662 for p99, 6636
    for p999.
    """
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

    return Metric(name=name, kind="latency", read=read, quantile=q, min_requests=requests_needed(q))


def _latency_max_ms(windows: Sequence[Window]) -> float:
    """Returns the centre of the slowest request's bucket: the maximum to within 0.25 %."""
    return histogram.percentile(histogram.pool(w.latency_counts for w in windows), 1.0)


def _cpu_ms_per_sample(windows: Sequence[Window]) -> float:
    return 1e3 * sum(w.cpu_s or 0.0 for w in windows) / sum(w.samples for w in windows)


def _energy_mj_per_sample(windows: Sequence[Window]) -> float:
    return 1e3 * sum(w.energy_j or 0.0 for w in windows) / sum(w.samples for w in windows)


def _peak_memory_mb(windows: Sequence[Window]) -> float:
    return max(w.peak_memory_bytes or 0 for w in windows) / 1e6


def _start_up(name: str, field: str, *more: Requirement) -> Metric:
    """Returns the metric of one part of a cold start: its mean over starts."""

    def read(windows: Sequence[Window]) -> float:
        return 1e3 * math.fsum(getattr(w, field) for w in windows) / len(windows)

    requires = frozenset({Requirement.COLD_START, *more})
    return Metric(name=name, kind="start-up", read=read, field=field, requires=requires)


BACKLOG_AT_MOST_PCT = 10.0
"""Implicit limit of `backlog_pct` in an open loop, in per cent.

A stable queue leaves the requests of one moment: by Little's law latency over window length, 1 to 5 % in windows of 100
arrivals and more. A load of 10 % above the capacity leaves 9 % more.
"""

LOAD_AT_MOST_PCT = 98.0
"""Implicit limit of `load_pct` in per cent: the upper end of the search for the largest rate (tuner/README.md).

A queue at its capacity grows without bound, but too slowly for a window of seconds to show it.
"""

FLOOR_PCT = 0.1
"""Smallest value of a share in per cent, because shares are compared by their logarithms."""


def _served(window: Window) -> bool:
    return window.served is not None


def _backlog_pct(windows: Sequence[Window]) -> float:
    served = [w.served for w in windows if w.served is not None]
    return max(FLOOR_PCT, 100.0 * sum(s.waiting for s in served) / max(1, sum(s.arrivals for s in served)))


def _load_pct(windows: Sequence[Window]) -> float:
    shares = [100.0 * w.served.rate_per_s / w.served.capacity_per_s for w in windows if w.served is not None]
    return sum(shares) / len(shares)


def _max_rate_per_s(windows: Sequence[Window]) -> float:
    """Returns the middle of the last bracket of each session; for several sessions their geometric mean."""
    ends = [
        w for w, after in zip(windows, [*windows[1:], None], strict=True) if after is None or after.block <= w.block
    ]
    logs = [math.log(w.served.low_per_s * w.served.high_per_s) / 2.0 for w in ends if w.served is not None]
    return math.exp(sum(logs) / len(logs))


_ROWS = (
    Metric(name="throughput", kind="throughput", unit="samples/s", is_higher_better=True, read=_throughput),
    Metric(name="latency_mean_ms", kind="latency", read=_latency_mean_ms),
    _percentile("latency_p50_ms", 0.50),
    _percentile("latency_p90_ms", 0.90),
    _percentile("latency_p95_ms", 0.95),
    _percentile("latency_p99_ms", 0.99),
    _percentile("latency_p999_ms", 0.999),
    Metric(name="latency_max_ms", kind="latency", read=_latency_max_ms, is_maximum=True),
    Metric(name="cpu_ms_per_sample", kind="cost", read=_cpu_ms_per_sample, field="cpu_s"),
    Metric(
        name="energy_mj_per_sample",
        kind="cost",
        unit="mJ",
        read=_energy_mj_per_sample,
        field="energy_j",
        requires=frozenset({Requirement.ENERGY}),
    ),
    Metric(
        name="peak_memory_mb",
        kind="cost",
        unit="MB",
        read=_peak_memory_mb,
        field="peak_memory_bytes",
        requires=frozenset({Requirement.OWN_PROCESS}),
    ),
    _start_up("compile_ms", "compile_s"),
    _start_up("load_ms", "load_s"),
    _start_up("first_inference_ms", "first_inference_s"),
    _start_up("load_cached_ms", "load_cached_s", Requirement.MODEL_CACHE),
    Metric(
        name="max_rate_per_s",
        kind="arrivals",
        unit="requests/s",
        is_higher_better=True,
        read=_max_rate_per_s,
        is_present=lambda w: w.served is not None and w.served.low_per_s > 0.0,
        is_session_level=True,
    ),
    Metric(name="backlog_pct", kind="arrivals", unit="%", read=_backlog_pct, is_present=_served),
    Metric(
        name="load_pct",
        kind="arrivals",
        unit="%",
        read=_load_pct,
        is_present=lambda w: w.served is not None and w.served.capacity_per_s > 0.0,
    ),
)


def _at_worst(metric: Metric) -> Metric:
    """Returns the metric whose value under several numbers of callers is that of the worst of them."""
    read, worst = metric.read, min if metric.is_higher_better else max
    return replace(metric, read=lambda windows: worst(read(group) for group in by_callers(windows)))


METRICS = {metric.name: _at_worst(metric) for metric in _ROWS}
"""Metrics by name; a new metric is one more row."""


def log_ratio(metric: Metric, a: Sequence[Window], b: Sequence[Window]) -> float:
    """Returns the log-ratio of `a` to `b`, which is positive if `a` is better, whatever the metric's direction."""
    return metric.sign * math.log(metric.read(a) / metric.read(b))
