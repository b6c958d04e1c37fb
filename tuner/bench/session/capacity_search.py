"""The largest rate of an open loop at which one member keeps its limits, found by bisection.

Responsible for rates and their brackets. Must not import sessions or processes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from tuner.bench.measurement import ArrivalProcess, OpenLoopStats, Window
from tuner.bench.metrics import BACKLOG_AT_MOST_PCT, METRICS, request_count

LOWEST, HIGHEST = 0.3, 0.98
"""Ends of the first bracket, as shares of the closed loop's requests/s (tuner/README.md).

Below the lower end latency hardly depends on the rate; above the upper end any queue grows.
"""

WINDOW_AT_MOST_S = 20.0
"""Longest window in seconds, so that one step of the search ends in a time that a study can afford."""

DOUBT_AFTER = 3
"""Number of equal answers in a row after which an end is tested again.

A right bracket gives three equal answers once in four times; a bracket with a wrong end always gives them.
"""

RAISE = 2.0
"""Factor on the upper end after the member kept its limits there.

A short closed loop on a disturbed host may complete a fraction of what the member can.
"""


@dataclass(slots=True)
class RateSearch:
    """Bracket of the largest rate in requests/s, between `low` and `high`.

    The host may cause a wrong answer. After three equal answers in a row, the search tests the end that the answers
    approach.
    """

    load: ArrivalProcess
    capacity_per_s: float
    """Requests/s of the closed loop, or what the largest kept rate shows the capacity to be at least."""
    highest_per_s: float = 0.0
    """Upper end while no rate has broken a limit; from the closed loop until it is raised."""
    kept: list[float] = field(default_factory=list)
    """Rates that kept the limits, ascending."""
    broken: list[float] = field(default_factory=list)
    """Rates that broke a limit, descending."""
    run: int = 0
    """Number of windows in a row that kept the limits; negative for windows that broke them."""

    def __post_init__(self) -> None:
        self.highest_per_s = self.highest_per_s or HIGHEST * self.capacity_per_s

    @property
    def low(self) -> float:
        """Largest rate that kept the limits, or the lower end of the first bracket."""
        return self.kept[-1] if self.kept else LOWEST * self.capacity_per_s

    @property
    def high(self) -> float:
        """Smallest rate that broke a limit, or the upper end."""
        return self.broken[-1] if self.broken else self.highest_per_s

    @property
    def has_kept(self) -> bool:
        """True if a window has kept the limits; until then `low` is the start of the search and no answer."""
        return bool(self.kept)

    @property
    def rate_per_s(self) -> float:
        """Next rate to offer: the geometric middle, or an end that is in doubt."""
        if self.run >= DOUBT_AFTER:
            return self.high
        if self.run <= -DOUBT_AFTER and self.kept:
            return self.low
        return math.sqrt(self.low * self.high)

    def window_s(self, at_least_s: float) -> float:
        """Returns seconds in which enough requests for the limits' percentiles arrive.

        Three standard deviations of the number of arrivals are added.
        """
        needed = max((METRICS[name].min_requests for name, _ in self.load.keep), default=1)
        return max(at_least_s, min(WINDOW_AT_MOST_S, (needed + 3.0 * math.sqrt(needed)) / self.rate_per_s))

    def keeps(self, window: Window) -> bool:
        """Returns True if the window keeps every limit with as many requests as each limit needs."""
        rows = [(METRICS[name], most) for name, most in self.load.keep]
        if METRICS["backlog_pct"].read((window,)) > BACKLOG_AT_MOST_PCT:
            return False
        requests = request_count((window,))
        return all(requests >= row.min_requests and row.read((window,)) <= most for row, most in rows)

    def tell_window(self, window: Window, served: OpenLoopStats) -> Window:
        """Takes the answer of one window and returns the window with the bracket after it."""
        is_kept = self.keeps(window)
        self.tell(served.rate_per_s, is_kept)
        found = replace(
            served,
            capacity_per_s=self.capacity_per_s,
            low_per_s=self.low,
            high_per_s=self.high,
            is_kept=is_kept,
        )
        return replace(window, served=found)

    def tell(self, rate_per_s: float, is_kept: bool) -> None:
        """Takes the answer at one rate and withdraws the earlier answers that it contradicts.

        A kept rate withdraws every broken rate up to it; a broken rate withdraws every kept rate from it on.
        """
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
