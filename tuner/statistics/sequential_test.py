"""The sequential test of a confirmation: at which looks a gain is proved, futile, or needs more sessions.

Responsible for looks, alphas, intervals and outcomes over session values (log-ratios, positive = better).
Must not import windows, metrics, phases or the search.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass

from tuner.statistics.distributions import t_quantile

SESSIONS = (4, 6, 9, 12)
"""Number of sessions at each look; with fewer than four, no gain below 10 % is provable."""

FIRST_ALPHA = 0.020
"""One-sided alpha that a study may spend on its first winner."""

LATER_ALPHA = 0.005
"""One-sided alpha that all later winners (runner-up, more budget after a verdict) may spend together."""

BASELINE_SHARE = 0.25
"""Share of a winner's alpha that the claim has that the strongest baseline is better than today's.

A baseline's gain over today's is large or not worth claiming (six times, in the studies under a CPU quota), so a small
share proves it. A winner's gain over the strongest baseline is small more often.
"""

FUTILE_CONFIDENCE = 0.90
"""One-sided confidence with which a gain must be too small to matter before the confirmation stops."""

FUTILE_GAIN_LOG = math.log(1.01)
"""Gain (log-ratio, 1 %) below which a winner is not worth more sessions, even if `min_gain` is smaller."""

ALPHA_PER_LOOK: dict[float, tuple[float, float, float, float]] = {
    FIRST_ALPHA: (0.02, 0.01166, 0.00831, 0.00668),
    LATER_ALPHA / 2: (0.0025, 0.001337, 0.000920, 0.000724),
    LATER_ALPHA / 4: (0.00125, 0.000656, 0.000450, 0.000351),
    LATER_ALPHA / 8: (0.000625, 0.000324, 0.000220, 0.000172),
    0.75 * FIRST_ALPHA: (0.015, 0.008609, 0.006094, 0.004881),
    0.25 * FIRST_ALPHA: (0.005, 0.002736, 0.001900, 0.001503),
    0.75 * LATER_ALPHA / 2: (0.001875, 0.000994, 0.000683, 0.000536),
    0.75 * LATER_ALPHA / 4: (0.0009375, 0.000490, 0.000334, 0.000261),
    0.25 * LATER_ALPHA / 4: (0.0003125, 0.000160, 0.000109, 0.000084),
}
"""Alpha of a confirmation -> one-sided alpha of each of its 1, 2, 3 or 4 looks.

It is the same at every look of a t test (Pocock, Biometrika 64, 1977). Simulated with 2e8 studies
(`tests/benchmarks/confirmation_levels.py`), less two standard errors. For an alpha of 2.5 % the same simulation gives
.0148, .0106 and .0085 for 2, 3 and 4 looks.
"""


class Decision(enum.StrEnum):
    """The result of one look."""

    WIN = "win"
    FUTILE = "futile"
    NOT_SIGNIFICANT = "not_significant"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A two-sided t-interval for the gain (log-ratio); each side misses the true gain with probability `alpha`."""

    estimate: float
    low: float
    high: float
    alpha: float
    sessions: int

    @property
    def confidence(self) -> float:
        """Probability that the interval holds the true gain."""
        return 1.0 - 2.0 * self.alpha


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The result of one look at the confirmation."""

    outcome: Decision
    interval: Interval
    """Repeated confidence interval, at the look's own alpha."""
    futile_bound: float
    """Upper 90 % bound (log-ratio) of the gain, which is compared with the gain worth waiting for."""


def gain_pct(value: float) -> float:
    """Returns a log-ratio as a gain in per cent: 100 (exp(value) - 1)."""
    return 100.0 * math.expm1(value)


def gain_log(pct: float) -> float:
    """Returns a gain in per cent (above -100) as a log-ratio."""
    return math.log1p(pct / 100.0)


def looks(max_sessions: int) -> tuple[int, ...]:
    """Returns after how many sessions a confirmation of at most `max_sessions` sessions has a look.

    Raises ValueError unless `max_sessions` is 4, 6, 9 or 12, for which the table has a row.
    """
    if max_sessions not in SESSIONS:
        raise ValueError(f"a confirmation has at most {', '.join(map(str, SESSIONS))} sessions, not {max_sessions}")
    return SESSIONS[: SESSIONS.index(max_sessions) + 1]


def alpha_of(earlier_winners: int) -> float:
    """Returns the alpha that a study may spend on its next winner.

    The first winner has 2 %, later ones 0.5 % / 2, 0.5 % / 4, ...; together at most 2.5 %. Raises ValueError for a
    negative number of earlier winners.
    """
    if earlier_winners < 0:
        raise ValueError(f"winners confirmed before cannot be {earlier_winners}")
    return FIRST_ALPHA if earlier_winners == 0 else LATER_ALPHA / 2.0**earlier_winners


def attempt_alpha(earlier_winners: int, baselines_alone: int) -> float:
    """Returns the alpha of all claims of an attempt, after so many attempts since then that had no winner.

    An attempt without a winner spends the baseline's share alone, and what is left is the next attempt's. Raises
    ValueError for negative numbers.
    """
    if baselines_alone < 0:
        raise ValueError(f"attempts without a winner cannot be {baselines_alone}")
    return alpha_of(earlier_winners) * (1.0 - BASELINE_SHARE) ** baselines_alone


def baseline_alpha(alpha: float) -> float:
    """Returns the alpha of the claim that the strongest baseline is better than today's, out of an attempt's alpha."""
    return BASELINE_SHARE * alpha


def winner_alpha(alpha: float, *, claims_baseline: bool, is_baseline_proved: bool) -> float:
    """Returns the alpha of the claims about a winner, out of an attempt's alpha.

    Without a claim about a baseline it is all of it. Else it is the rest, and all of it once the baseline's claim is
    proved: fallback procedure (Wiens, Pharmaceutical Statistics 2, 2003; with interim looks Maurer & Bretz, Statistics
    in Biopharmaceutical Research 5, 2013). All claims of an attempt are then wrong with at most `alpha`.
    """
    return alpha if is_baseline_proved or not claims_baseline else (1.0 - BASELINE_SHARE) * alpha


def alpha_per_look(max_sessions: int, alpha: float) -> float:
    """Returns the one-sided alpha of every look with which a winner without gain is confirmed with chance `alpha`.

    An alpha that `ALPHA_PER_LOOK` lacks is divided by the number of looks (Bonferroni), which is safe. Raises
    ValueError for an alpha outside (0, 0.5).
    """
    n = len(looks(max_sessions))
    if alpha in ALPHA_PER_LOOK:
        return ALPHA_PER_LOOK[alpha][n - 1]
    if not 0.0 < alpha < 0.5:
        raise ValueError(f"an alpha lies between 0 and 0.5, got {alpha}")
    return alpha / n


def interval(values: Sequence[float], alpha: float, *, sd_floor: float = 0.0) -> Interval:
    """Returns the t-interval over session values (log-ratios) that misses on each side with probability `alpha`.

    `sd_floor` is the least standard deviation between sessions that is assumed. Raises ValueError for fewer than two
    values or an alpha outside (0, 0.5).
    """
    n = len(values)
    if n < 2:
        raise ValueError(f"an interval needs two sessions, got {n}")
    if not 0.0 < alpha < 0.5:
        raise ValueError(f"a one-sided alpha lies between 0 and 0.5, got {alpha}")
    mean = math.fsum(values) / n
    se = max(sd_floor, math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1))) / math.sqrt(n)
    half = t_quantile(1.0 - alpha, n - 1) * se
    return Interval(estimate=mean, low=mean - half, high=mean + half, alpha=alpha, sessions=n)


def is_proved(found: Interval, min_gain_log: float) -> bool:
    """Returns True if a gain is significant, and at least `min_gain_log` by its estimate."""
    return found.low > 0.0 and found.estimate >= min_gain_log


def look(
    values: Sequence[float], *, max_sessions: int, alpha: float, min_gain_log: float, sd_floor: float = 0.0
) -> Look:
    """Returns the result of a look at a confirmation after 4, 6, 9 or 12 sessions.

    `values` holds one log-ratio per session, in any order. A win needs the lower bound above zero and the estimate at
    least `min_gain_log`. `sd_floor` is as in `interval`, for the win alone. Raises ValueError for any other number of
    sessions: an extra look is an extra chance to be wrong.
    """
    n = len(values)
    if n not in looks(max_sessions):
        raise ValueError(
            f"no look after {n} sessions; of at most {max_sessions} the looks are after {looks(max_sessions)}"
        )
    found = interval(values, alpha_per_look(max_sessions, alpha), sd_floor=sd_floor)
    futile_bound = interval(values, 1.0 - FUTILE_CONFIDENCE).high
    if is_proved(found, min_gain_log):
        outcome = Decision.WIN
    elif futile_bound < max(FUTILE_GAIN_LOG, min_gain_log):
        outcome = Decision.FUTILE
    elif n == max_sessions:
        outcome = Decision.NOT_SIGNIFICANT
    else:
        outcome = Decision.UNDECIDED
    return Look(outcome=outcome, interval=found, futile_bound=futile_bound)
