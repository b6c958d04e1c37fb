"""The outcome of one replayed study, as values. Must not know tables, nor how studies are replayed."""

from __future__ import annotations

import math
from dataclasses import dataclass

NEAR = math.log(1.02)
"""Largest regret (log-ratio) of a configuration that counts as found: within 2 % of the best."""

WORSE = -math.log(1.01)
"""True gain (log-ratio) below which a deployed configuration is harmful: worse than the baseline by over 1 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """The outcome of one study. Gains and regrets are log-ratios, times are virtual seconds."""

    is_tuned: bool
    is_hint: bool
    """True if a baseline is said to be better than today's."""
    reason: str
    true_gain: float
    """True gain of the deployed configuration over the strongest baseline of the table."""
    gain_over_replaced: float
    """True gain over what the study replaces: the strongest baseline by tuned settings, else today's by a hint."""
    regret: float
    """Regret of the deployed configuration."""
    tried_regret: float
    """Regret of the best configuration that was tried, chosen or not."""
    claim: float | None
    """Gain that was claimed; None if none was."""
    interval: tuple[float, float] | None
    """Interval of the gain that was shown, with or without a claim."""
    interval_truth: float | None
    """True gain of the configuration that the interval is about."""
    trials: int
    trials_to_near: int | None
    """Number of trials until one within 2 % of the best was measured; None if none was."""
    path: tuple[tuple[float, float], ...]
    """(time, regret) at every change of the search's best, its answer at that time."""
    wall_s: float
