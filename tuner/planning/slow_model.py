"""Computes before anything is measured what a budget can compare of a model whose inference takes long.

Responsible for arithmetic on one inference. Must not know clocks, benches or sentences.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tuner.bench.turn import FEWEST_CYCLES
from tuner.evidence.session_cost import WARM_UP_TURNS
from tuner.planning.budget import CONFIRM_SHARE_AT_MOST, SHORT_PAIRS, SHORT_WINDOW_S
from tuner.planning.session_plan import BASELINE_BLOCKS
from tuner.statistics.sequential_test import SESSIONS
from tuner.study.baselines import HINTS

FEWEST_BLOCKS = min(blocks for _, blocks, _ in BASELINE_BLOCKS)
"""Number of windows of each baseline in the shortest budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowModel:
    """The budget is too small for a model whose inference takes long."""

    inference_s: float
    window_s: float
    """Seconds of a window with the fewest inferences of each request."""
    longest_window_s: float
    """Seconds that a window may take."""
    minutes: float
    """Minutes of the budget."""
    baselines_s: float
    """Seconds that the baselines take."""
    confirm_s: float
    """Seconds that the shortest confirmation takes."""

    @property
    def needed_min(self) -> int:
        """Minutes of a budget that could confirm a winner."""
        return math.ceil((self.baselines_s + self.confirm_s / CONFIRM_SHARE_AT_MOST) / 60)

    @property
    def is_beyond_any_budget(self) -> bool:
        """True if a window takes longer than it may, whatever the budget."""
        return self.window_s > self.longest_window_s

    @property
    def candidates(self) -> int | None:
        """Number of configurations that are compared beside the baselines; None if even these hardly fit."""
        left_s = 60 * self.minutes - self.baselines_s - self.confirm_s
        return math.floor(left_s / (2 * (WARM_UP_TURNS + FEWEST_BLOCKS) * self.window_s)) if left_s >= 0 else None


def slow_model(inference_s: float, minutes: float | None, *, longest_window_s: float) -> SlowModel | None:
    """Returns what the budget can compare; None for a model that is quick enough, and without a limit of time."""
    window_s = FEWEST_CYCLES * inference_s
    if window_s <= SHORT_WINDOW_S or minutes is None:
        return None
    baselines_s = len(HINTS) * (WARM_UP_TURNS + FEWEST_BLOCKS) * window_s
    confirm_s = SESSIONS[0] * 2 * (WARM_UP_TURNS + SHORT_PAIRS) * window_s
    if 60 * minutes >= baselines_s + confirm_s / CONFIRM_SHARE_AT_MOST and window_s <= longest_window_s:
        return None
    return SlowModel(
        inference_s=inference_s,
        window_s=window_s,
        longest_window_s=longest_window_s,
        minutes=minutes,
        baselines_s=baselines_s,
        confirm_s=confirm_s,
    )
