"""The sequential test of a verification: at which looks a promised gain holds, does not hold, or needs more sessions.

Responsible for looks, alphas, bounds and answers over session values (log-ratios, positive = better).
Must not import windows, metrics, phases or files.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass

from tuner.statistics.distributions import t_quantile
from tuner.statistics.sequential_test import interval

LOOKS = (4, 6, 9, 14, 20, 28, 40)
"""Number of sessions at each look. A quiet host answers at the first ones; four minutes hold about 20 sessions."""

ALARM_ALPHA = 0.002
"""Largest chance, over all looks and claims, to say `does not hold` of a promise that is exactly kept.

Of 1000 verifications at most four may then be false alarms for the upper 95 % bound to stay at 1 %; two are expected.
"""

HOLD_ALPHA = 0.025
"""Largest chance, over all looks, to say `holds` where the loss is as large as the tolerance."""

TOLERANCE_PCT = 5.0
"""Loss (%) that a promise of a file tolerates: a smaller one is not worth a red build."""

ALPHA_PER_LOOK: dict[float, float] = {ALARM_ALPHA: 0.000337, HOLD_ALPHA: 0.00516}
"""Alpha of a verification -> one-sided alpha of each of its seven looks.

It is the same at every look of a t test (Pocock, Biometrika 64, 1977), simulated as for the confirmation
(`tests/benchmarks/verifications.py`), less two standard errors. A verification that ends before its last look, because
its minutes are over, spends less: the schedule depends neither on the minutes nor on the data.
"""


class Answer(enum.StrEnum):
    """Answer of a verification, or of one of its claims."""

    HOLDS = "holds"
    DOES_NOT_HOLD = "does_not_hold"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Bounds of the gain (log-ratio), each valid at every look together."""

    estimate: float
    low: float
    """Lower bound, which the true gain is below with chance HOLD_ALPHA at most."""
    high: float
    """Upper bound, which the true gain is above with chance ALARM_ALPHA at most."""
    sessions: int

    @property
    def confidence(self) -> float:
        """Probability that both bounds are right at every look."""
        return 1.0 - ALARM_ALPHA - HOLD_ALPHA


def level(alpha: float, claims: int = 1) -> float:
    """Returns the one-sided alpha of each look for so many claims, which share `alpha`.

    Several claims divide it by claims and looks (Bonferroni), which is safe.
    """
    return ALPHA_PER_LOOK[alpha] if claims == 1 else alpha / (claims * len(LOOKS))


def bounds(values: Sequence[float], claims: int = 1) -> Bounds:
    """Returns the bounds of the gain over session values. Raises ValueError for fewer than two."""
    low, high = interval(values, level(HOLD_ALPHA)), interval(values, level(ALARM_ALPHA, claims))
    return Bounds(estimate=low.estimate, low=low.low, high=high.high, sessions=len(values))


def answer(found: Bounds, required: float, tolerance: float) -> Answer:
    """Returns the answer of a look to a promise of at least `required`, both log-ratios.

    The promise holds if a loss of `tolerance` or more is excluded. It does not hold if the gain is shown to be below
    `required`. Where both are shown, the loss is real and tolerated.
    """
    if found.low >= required - tolerance:
        return Answer.HOLDS
    return Answer.DOES_NOT_HOLD if found.high < required else Answer.CANNOT_TELL


def sessions_needed(values: Sequence[float], required: float, tolerance: float, claims: int = 1) -> int | None:
    """Returns the first look at which the answer is due if mean and spread stay the same, or None."""
    n = len(values)
    mean = math.fsum(values) / n
    sd = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1))
    for count in (count for count in LOOKS if count > n):
        low, high = (
            t_quantile(1.0 - alpha, count - 1) * sd / math.sqrt(count)
            for alpha in (level(HOLD_ALPHA), level(ALARM_ALPHA, claims))
        )
        if mean - low >= required - tolerance or mean + high < required:
            return count
    return None
