"""The largest rate of arriving requests that one member keeps its limits at: a bisection, one window a step.

Knows rates and windows; neither who serves nor in which order members take turns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tuner.bench.metrics import BACKLOG_AT_MOST_PCT, METRICS, request_count
from tuner.bench.protocol import Load, Window

LOWEST, HIGHEST = 0.3, 0.98
"""Of the closed loop's requests/s (measurement.md): below it latency hardly depends on the rate, above it any queue
grows."""
WINDOW_AT_MOST_S = 20.0
DOUBT_AFTER = 3
"""Answers the same way in a row, which a right bracket gives once in four times; a wrong end always does."""
RAISE = 2.0
"""A short closed loop that the host spoiled may have completed a fraction of what the member can: its end is doubled
until a rate breaks a limit."""


@dataclass(slots=True)
class RateSearch:
    """Where the largest rate lies, in requests/s: between `low` and `high`. One answer may be the host's doing: three
    the same way in a row, and the end that they press against is offered again."""

    load: Load
    capacity_per_s: float
    """Of the closed loop, or what a rate that was kept shows it to be at least."""
    highest_per_s: float = 0.0
    """The upper end, given by the closed loop until it is raised."""
    kept: list[float] = field(default_factory=list)
    """Rates that kept the limits, ascending."""
    broken: list[float] = field(default_factory=list)
    """Rates that did not, descending."""
    run: int = 0
    """How many windows in a row kept the limits; negative: did not."""

    def __post_init__(self) -> None:
        self.highest_per_s = self.highest_per_s or HIGHEST * self.capacity_per_s

    @property
    def low(self) -> float:
        return self.kept[-1] if self.kept else LOWEST * self.capacity_per_s

    @property
    def high(self) -> float:
        return self.broken[-1] if self.broken else self.highest_per_s

    @property
    def has_kept(self) -> bool:
        """Whether any window has kept the limits: until then `low` is where the search began, and no answer."""
        return bool(self.kept)

    @property
    def rate_per_s(self) -> float:
        """The next to offer: the geometric middle, or an end that is in doubt."""
        if self.run >= DOUBT_AFTER:
            return self.high
        if self.run <= -DOUBT_AFTER and self.kept:
            return self.low
        return math.sqrt(self.low * self.high)

    def window_s(self, at_least_s: float) -> float:
        """Long enough for the percentiles of the limits, three standard deviations of the number of arrivals more."""
        needed = max((METRICS[name].min_requests for name, _ in self.load.keep), default=1)
        return max(at_least_s, min(WINDOW_AT_MOST_S, (needed + 3.0 * math.sqrt(needed)) / self.rate_per_s))

    def keeps(self, window: Window) -> bool:
        """Whether the limits were kept, on as many requests as they need: too few have shown nothing."""
        rows = [(METRICS[name], most) for name, most in self.load.keep]
        if METRICS["backlog_pct"].read((window,)) > BACKLOG_AT_MOST_PCT:
            return False
        requests = request_count((window,))
        return all(requests >= row.min_requests and row.read((window,)) <= most for row, most in rows)

    def tell(self, rate_per_s: float, is_kept: bool) -> None:
        """Takes back what the answer contradicts: a kept rate every broken one up to it, and the other way round."""
        was_in_doubt = rate_per_s in (*self.kept[-1:], self.high)
        if is_kept and rate_per_s == self.highest_per_s:
            self.highest_per_s *= RAISE
        if is_kept:
            self.capacity_per_s = max(self.capacity_per_s, rate_per_s / HIGHEST)
            self.broken = [rate for rate in self.broken if rate > rate_per_s]
            self.kept.append(rate_per_s)
        else:
            self.kept = [rate for rate in self.kept if rate < rate_per_s]
            self.broken.append(rate_per_s)
        step = 1 if is_kept else -1
        self.run = 0 if was_in_doubt else step + (self.run if self.run * step > 0 else 0)
