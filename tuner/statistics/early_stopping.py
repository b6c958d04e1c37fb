"""The two reasons to end a search trial before its cap: far behind, or precise enough.

Responsible for the two thresholds, which are asked for between blocks. Must not import windows, sessions or samplers.
"""

from __future__ import annotations

import math

LOOKS_S = (1.5, 3.0)
"""Seconds of timed windows, candidate and reference together, after which there is an interim analysis.

Two analyses are two chances to err: a Wilcoxon pruner that is asked after each of 20 windows prunes 28 % of candidates
that equal the reference.
"""

CAP_S = 6.0
"""Seconds of timed windows after which a trial ends, candidate and reference together."""

WORTH_KEEPING = 0.6
"""Part of the incumbent's log-gain that a candidate must be able to reach: half of the incumbent's gain is luck."""

PRUNE_Z = -3.2
"""Standard errors below that part at which a trial is pruned: a one-sided chance of 0.07 % for each analysis."""

COMPILE_SD = 0.02
"""Standard deviation between two compiles of one configuration (log-ratio); no number of pairs reduces it."""

PRECISE_SE = 0.02
"""Standard error (log-ratio) that is enough for the search; the final separates nearer candidates."""


def is_pruned(estimate: float, incumbent_gain: float, pairs: int, window_sd: float) -> bool:
    """Returns True if a trial is so far behind that more pairs cannot matter.

    `estimate` is the trial's log-ratio to the reference, `incumbent_gain` the best one so far; a negative one counts as
    0, the reference itself. `window_sd` is the sd of one pair's log-ratio from the calibration: an sd from the trial's
    own two to four pairs would prune 2 to 10 % of candidates that equal the reference. Raises ValueError for less than
    one pair.
    """
    se = math.hypot(pair_se(pairs, window_sd), COMPILE_SD)
    return (estimate - WORTH_KEEPING * max(0.0, incumbent_gain)) / se < PRUNE_Z


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
