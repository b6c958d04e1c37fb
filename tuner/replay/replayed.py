"""The outcome of one replayed study, as values. Knows neither tables nor how they are replayed."""

from __future__ import annotations

import math
from dataclasses import dataclass

NEAR = math.log(1.02)
"""What counts as found: within 2 % of the best."""

WORSE = -math.log(1.01)
"""A deployed configuration that is truly worse than the baseline by more than 1 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What one study found, claimed and was worth. Gains and regrets are log-ratios, times virtual seconds."""

    is_tuned: bool
    reason: str
    true_gain: float
    """Of what is deployed over the strongest baseline of the table."""
    regret: float
    """Of what is deployed."""
    tried_regret: float
    """Of the best that was tried, whoever was chosen."""
    claim: float | None
    """The gain that was claimed; None where none was."""
    interval: tuple[float, float] | None
    """What was shown, whether or not it was a claim."""
    interval_truth: float | None
    """The true gain of what the interval speaks of."""
    trials: int
    trials_to_near: int | None
    """Trials until one within 2 % of the best had been measured; None: never."""
    path: tuple[tuple[float, float], ...]
    """(time, regret) whenever the search's best changed: what it would have answered then."""
    wall_s: float
