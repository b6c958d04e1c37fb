"""The share of the differences among values that goes with the groups which the values are in.

Responsible for one number. Must not know parameters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

FEWEST_BEYOND_GROUPS = 4
"""Number of values beyond the number of groups below which nothing is said: the spread within groups is unknown."""


def explained_share(values: Sequence[float], groups: Sequence[str]) -> float | None:
    """Returns the share (0 to 1) of the variance of `values` that the means of their groups explain.

    Epsilon squared (Kelley 1935, "An unbiased correlation ratio measure"), which expects 0 for groups without meaning,
    however many there are. None for less than two groups, or for hardly more values than groups.
    """
    found = defaultdict[str, list[float]](list)
    for value, group in zip(values, groups, strict=True):
        found[group].append(value)
    within_df = len(values) - len(found)
    if len(found) < 2 or within_df < FEWEST_BEYOND_GROUPS:
        return None
    total = float(np.var(values, ddof=1))
    if total <= 0.0:
        return None
    within = sum(float(np.sum((np.asarray(one) - np.mean(one)) ** 2)) for one in found.values()) / within_df
    return max(0.0, 1.0 - within / total)
