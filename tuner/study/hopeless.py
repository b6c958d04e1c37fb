"""When a search trial may end before its cap: hopeless, or precise enough.

Responsible for the two thresholds. Must not know windows, sessions or the sampler; asked between blocks only.
"""

from __future__ import annotations

import math

LOOKS_S = (1.5, 3.0)
"""A trial is looked at when candidate and reference together have been timed for so long: two chances to err, not 20
(a Wilcoxon pruner asked after every window kills 28 % of equals in 20 looks)."""
CAP_S = 6.0
"""No trial is timed for longer, both sides together."""
WORTH_KEEPING = 0.6
"""A candidate that may have 60 % of the incumbent's log-gain stays: half of the incumbent's gain is luck."""
KILL_Z = -3.2
COMPILE_SD = 0.02
"""What differs between two compiles of one configuration, as a log-ratio: no number of pairs removes it."""
PRECISE_SE = 0.02
"""A standard error that is enough for the search: the final tells nearer candidates apart."""


def is_hopeless(estimate: float, incumbent_gain: float, pairs: int, window_sd: float) -> bool:
    """Whether a trial is so far behind that more pairs cannot matter.

    `estimate`: its log-ratio to the reference; `incumbent_gain`: the best one so far (the reference itself stands at 0,
    so less counts as 0); `window_sd`: the sd of one pair's log-ratio from the *calibration*: estimated from the trial's
    own two to four pairs it would kill 2 to 10 % of equals. Raises ValueError for less than one pair.
    """
    se = math.hypot(pair_se(pairs, window_sd), COMPILE_SD)
    return (estimate - WORTH_KEEPING * max(0.0, incumbent_gain)) / se < KILL_Z


def is_precise(pairs: int, window_sd: float, cap_pairs: int) -> bool:
    """Whether more pairs would not change what the search does: the standard error has reached 2 %, or what the cap of
    `cap_pairs` pairs can reach at all. `window_sd` as in `is_hopeless`. Raises ValueError for less than one pair.
    """
    return pair_se(pairs, window_sd) <= max(PRECISE_SE, pair_se(cap_pairs, window_sd))


def pair_se(pairs: int, window_sd: float) -> float:
    """The standard error (log-ratio) of a session's value from `pairs` pairs of neighbouring windows."""
    if pairs < 1:
        raise ValueError(f"an estimate needs a pair, got {pairs}")
    return window_sd / math.sqrt(pairs)
