"""The two reasons to end a search trial before its cap: unlikely to be the best, or precise enough.

Responsible for the two thresholds, which are asked for between blocks. Must not import windows, sessions or samplers.
"""

from __future__ import annotations

import math

CAP_S = 1.2
"""Seconds of timed windows after which a trial ends, candidate and reference together."""

BEHIND_Z = -1.0
"""Standard errors behind the best at which a trial ends.

A trial that ends keeps its value, as one rough look at a point of the space; the final measures the best again. One
trial in six that equals the best ends at its first window (tests/statistics/test_early_stopping.py).
"""

COMPILE_SD = 0.02
"""Standard deviation between two compiles of one configuration (log-ratio); no number of pairs reduces it."""

PRECISE_SE = 0.02
"""Standard error (log-ratio) that is enough for the search; the final separates nearer candidates."""


def is_behind(value: float, sd: float, best: float, best_sd: float) -> bool:
    """Returns True if a trial of this value is unlikely to be better than the best one.

    Values are log-ratios to the same reference, with their standard errors from the calibrated noise: the spread of a
    trial's own two or three pairs says little.
    """
    return value - best < BEHIND_Z * math.hypot(sd, best_sd, math.sqrt(2.0) * COMPILE_SD)


def is_precise(pairs: int, window_sd: float, cap_pairs: int) -> bool:
    """Returns True if the standard error has reached `PRECISE_SE`, or the smallest that `cap_pairs` pairs can reach.

    `window_sd` is as in `is_pruned`. Raises ValueError for less than one pair.
    """
    return pair_se(pairs, window_sd) <= max(PRECISE_SE, pair_se(cap_pairs, window_sd))


def pair_se(pairs: int, window_sd: float) -> float:
    """Returns the standard error (log-ratio) of a session's value from `pairs` pairs of neighbouring windows.

    Raises ValueError for less than one pair.
    """
    if pairs < 1:
        raise ValueError(f"an estimate needs a pair, got {pairs}")
    return window_sd / math.sqrt(pairs)
