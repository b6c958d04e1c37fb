"""Which of several uncertain values are worth another measurement (ranking and selection).

Responsible for normal, independent values as arrays. Must not know candidates, sessions or phases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

DRAWS = 4000
"""Number of draws; the worth of a session is then within some per cent of its true value."""

UNLIKELY = 0.02
"""Probability of being the best below which a value takes no time of the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnowledgeGradient:
    """The values that may be the best, and the worth of one more session of them."""

    contenders: Sequence[int]
    """Indices of the values that may be the best, the largest value first, then the likeliest."""
    worth: float
    """Expected improvement of the best by one more session of the contenders (log-ratio)."""


def knowledge_gradient(values: Floats, sds: Floats, last_sds: Floats, *, seed: int, most: int) -> KnowledgeGradient:
    """Returns which of several normal, independent values may be the best, `most` of them, and the worth of a session.

    The estimate uses `DRAWS` seeded draws of the true values, and of each value after one more session like the last
    (Frazier, Powell & Dayanik, SIAM Journal on Control and Optimization 47, 2008). `values` (log-ratios), best first,
    their standard errors `sds` and the standard errors of their last sessions `last_sds` have one entry a candidate.
    Raises ValueError for no values.
    """
    count = len(values)
    if count == 0:
        raise ValueError("there is no candidate to compare")
    normal = np.random.default_rng(seed).standard_normal((DRAWS, count))
    chances = np.bincount((values + sds * normal).argmax(axis=1), minlength=count) / DRAWS
    others = [i for i in np.argsort(-chances, kind="stable").tolist() if i and chances[i] >= UNLIKELY]
    contenders = [0, *others[: most - 1]]
    moves = np.zeros(count)
    moves[contenders] = [float(sds[i]) ** 2 / math.hypot(sds[i], last_sds[i]) for i in contenders]
    after = values + moves * normal
    worth = float((after.max(axis=1) - after[:, values.argmax()]).mean())
    return KnowledgeGradient(contenders=contenders, worth=worth)
