"""When a confirmation has been won, lost or needs more sessions. The only place that says `win`.

Responsible for looks, levels, intervals and outcomes over session values (log-ratios, positive = better).
Must not know windows, metrics, phases or how the winner was found.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass

from tuner.study.distributions import t_quantile

SESSIONS = (4, 6, 9, 12)
"""How many sessions there are at each look. Fewer than four leave a t so wide that nothing below 10 % is provable."""
FIRST_SHARE = 0.020
"""What a study may spend on its first winner, one-sided."""
LATER_SHARE = 0.005
"""What everything later (runner-up, more budget after a verdict) may spend together."""
FUTILE_CONFIDENCE = 0.90
FUTILE_GAIN_LOG = math.log(1.01)
"""A winner whose upper bound is below 1 % is not worth more sessions, even where `min_gain` is smaller."""

LEVELS: dict[float, tuple[float, float, float, float]] = {
    FIRST_SHARE: (0.02, 0.01166, 0.00831, 0.00668),
    LATER_SHARE / 2: (0.0025, 0.001337, 0.000920, 0.000724),
    LATER_SHARE / 4: (0.00125, 0.000656, 0.000450, 0.000351),
    LATER_SHARE / 8: (0.000625, 0.000324, 0.000220, 0.000172),
}
"""Share -> the one-sided level of each look where there are 1, 2, 3 and 4 looks: the same level at every look (Pocock),
for a t test. Simulated (2e8 studies, `tests/benchmarks/confirmation_levels.py`), less two standard errors. At a share
of 2.5 % the same simulation gives .0148, .0106 and .0085 for 2, 3 and 4 looks."""


class Outcome(enum.StrEnum):
    WIN = "win"
    FUTILE = "futile"
    NOT_SIGNIFICANT = "not_significant"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A two-sided t-interval for the gain over session values, in log-ratios; each side is missed at `level`."""

    estimate: float
    low: float
    high: float
    level: float
    sessions: int

    @property
    def confidence(self) -> float:
        return 1.0 - 2.0 * self.level


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at the confirmation found. `interval` is the repeated interval, at the look's own level."""

    outcome: Outcome
    interval: Interval
    futile_bound: float
    """The upper 90 % bound (log-ratio) that is compared with the gain worth waiting for."""


def gain_pct(value: float) -> float:
    """A log-ratio as a gain in per cent: 100 (exp(v) - 1)."""
    return 100.0 * math.expm1(value)


def gain_log(pct: float) -> float:
    """A gain in per cent (above -100) as a log-ratio."""
    return math.log1p(pct / 100.0)


def looks(k_max: int) -> tuple[int, ...]:
    """After how many sessions there is a look, in a confirmation of at most `k_max`: one of 4, 6, 9, 12.

    Raises ValueError for any other number: the levels were computed for these.
    """
    if k_max not in SESSIONS:
        raise ValueError(f"a confirmation has at most {', '.join(map(str, SESSIONS))} sessions, not {k_max}")
    return SESSIONS[: SESSIONS.index(k_max) + 1]


def share_of(earlier_winners: int) -> float:
    """The error a study may spend on its next winner: 2.0 % on the first, then 0.5 % / 2, / 4, ... : 2.5 % in all."""
    if earlier_winners < 0:
        raise ValueError(f"winners confirmed before cannot be {earlier_winners}")
    return FIRST_SHARE if earlier_winners == 0 else LATER_SHARE / 2.0**earlier_winners


def level(k_max: int, share: float) -> float:
    """The one-sided level of every look, so that a winner without any gain is confirmed with probability `share`.

    From the table where it has the share; else the share divided by the looks (Bonferroni), which is always safe.
    """
    n = len(looks(k_max))
    if share in LEVELS:
        return LEVELS[share][n - 1]
    if not 0.0 < share < 0.5:
        raise ValueError(f"a share lies between 0 and 0.5, got {share}")
    return share / n


def interval(values: Sequence[float], level: float, *, sd_floor: float = 0.0) -> Interval:
    """The t-interval over session values (log-ratios) that misses on each side with probability `level`.

    `sd_floor`: the spread between sessions that is assumed at least. Raises ValueError for fewer than two values or a
    level outside (0, 0.5).
    """
    n = len(values)
    if n < 2:
        raise ValueError(f"an interval needs two sessions, got {n}")
    if not 0.0 < level < 0.5:
        raise ValueError(f"a one-sided level lies between 0 and 0.5, got {level}")
    mean = math.fsum(values) / n
    se = max(sd_floor, math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1))) / math.sqrt(n)
    half = t_quantile(1.0 - level, n - 1) * se
    return Interval(estimate=mean, low=mean - half, high=mean + half, level=level, sessions=n)


def look(values: Sequence[float], *, k_max: int, share: float, min_gain_log: float, sd_floor: float = 0.0) -> Look:
    """Look at a confirmation after 4, 6, 9 or 12 sessions.

    `values`: one log-ratio per session, in any order. A win needs the lower bound above zero *and* the estimate at
    least `min_gain_log`. `sd_floor` as in `interval`, for the win alone. Raises ValueError when it is not
    time for a look: an extra one is an extra chance to be wrong.
    """
    n = len(values)
    if n not in looks(k_max):
        raise ValueError(f"no look after {n} sessions; of at most {k_max} the looks are after {looks(k_max)}")
    found = interval(values, level(k_max, share), sd_floor=sd_floor)
    futile_bound = interval(values, 1.0 - FUTILE_CONFIDENCE).high
    if found.low > 0.0 and found.estimate >= min_gain_log:
        outcome = Outcome.WIN
    elif futile_bound < max(FUTILE_GAIN_LOG, min_gain_log):
        outcome = Outcome.FUTILE
    elif n == k_max:
        outcome = Outcome.NOT_SIGNIFICANT
    else:
        outcome = Outcome.UNDECIDED
    return Look(outcome=outcome, interval=found, futile_bound=futile_bound)
