"""Says before anything is measured what a budget can compare of a model whose inference takes long.

Responsible for arithmetic on one inference. Must not know clocks or benches.
"""

from __future__ import annotations

import math

from tuner.evidence.session_cost import WARM_UP_TURNS
from tuner.planning.budget import CONFIRM_SHARE_AT_MOST, SHORT_PAIRS, SHORT_WINDOW_S
from tuner.statistics.sequential_test import SESSIONS

ROUNDS = 4
"""Number of inferences of each request in a window, see `tuner.bench.loadgen.closed_loop.fewest_cycles`."""
BASELINES, BASELINE_BLOCKS = 3, 4
"""Numbers of baselines that every study has, and of their windows."""


def slow_words(inference_s: float, minutes: float | None, *, longest_window_s: float) -> str:
    """Returns what the budget can compare and which budget could; empty for a quick model."""
    window_s = ROUNDS * inference_s
    if window_s <= SHORT_WINDOW_S or minutes is None:
        return ""
    turns = WARM_UP_TURNS + BASELINE_BLOCKS
    baselines_s = BASELINES * turns * window_s
    confirm_s = SESSIONS[0] * 2 * (WARM_UP_TURNS + SHORT_PAIRS) * window_s
    needed_s = baselines_s + confirm_s / CONFIRM_SHARE_AT_MOST
    if 60 * minutes >= needed_s and window_s <= longest_window_s:
        return ""
    takes = (
        f"an inference takes {inference_s:.2g} s, so that a window, {ROUNDS} of each request, takes {window_s:.2g} s"
    )
    if window_s > longest_window_s:
        return (
            f"warning: {takes}, and the longest one is {longest_window_s:g} s: no budget compares this model as it is; "
            "give a smaller shape, or a share of the work"
        )
    left_s = 60 * minutes - baselines_s - confirm_s
    candidates = max(0, math.floor(left_s / (2 * turns * window_s)))
    can = f"the baselines and {candidates} other configurations" if left_s >= 0 else "hardly the baselines alone"
    return (
        f"warning: {takes}: the baselines take {_words(baselines_s)}, a confirmation {_words(confirm_s)}; {minutes:g} "
        f"min compare {can}; `budget: {{minutes: {math.ceil(needed_s / 60)}}}` could confirm a winner"
    )


def _words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
