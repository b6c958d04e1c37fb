"""The smallest gain that a confirmation of so many sessions can prove.

Responsible for simulated confirmations of the sequential test. Must not import phases, budgets or files.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt

from tuner.statistics.distributions import t_quantile
from tuner.statistics.sequential_test import (
    FIRST_ALPHA,
    FUTILE_CONFIDENCE,
    FUTILE_GAIN_LOG,
    SESSIONS,
    alpha_per_look,
    gain_pct,
    looks,
)

Floats = npt.NDArray[np.float64]

Looks = Callable[[int], tuple[Floats, Floats]]
"""Mean of each study's first n sessions and its standard error, in units of the sd between sessions."""

SIMULATED_STUDIES = 20_000
"""Number of simulated studies; the 80 % quantile of the gain needed is then known to 1 % of itself."""

SIMULATION_SEED = 4
"""Seed of the simulated studies; any number serves, and a fixed one makes every estimate repeatable."""


def smallest_provable_gain_pct(
    session_sd: float,
    max_sessions: int,
    alpha: float = FIRST_ALPHA,
    power: float = 0.8,
    *,
    min_gain_log: float = 0.0,
    sd_floor: float = 0.0,
) -> float:
    """Returns the true gain (%) that a confirmation of at most `max_sessions` sessions proves with probability `power`.

    The gain is the `power`-quantile of the smallest winning gains of simulated normal studies. `session_sd` is the
    standard deviation between sessions and `sd_floor` its least value in the test, both log-ratios. Raises ValueError
    for a power outside (0, 1).
    """
    if not 0.0 < power < 1.0:
        raise ValueError(f"a power lies between 0 and 1, got {power}")
    needed = gains_needed(_standard_studies(), session_sd, max_sessions, alpha, min_gain_log, sd_floor)
    return gain_pct(float(np.quantile(needed, power)))


def looks_at(standard_values: Floats) -> Looks:
    """Returns the looks at studies whose session values are `standard_values`, shape [studies, sessions].

    The values are those of studies without a gain, in units of the sd between sessions.
    """

    @cache
    def look(n: int) -> tuple[Floats, Floats]:
        values = standard_values[:, :n]
        return values.mean(axis=1), values.std(axis=1, ddof=1) / math.sqrt(n)

    return look


@cache
def _standard_studies() -> Looks:
    rng = np.random.default_rng(SIMULATION_SEED)
    return looks_at(rng.standard_normal((SIMULATED_STUDIES, SESSIONS[-1])))


def gains_needed(
    studies: Looks, sd: float, max_sessions: int, alpha: float, min_gain_log: float, sd_floor: float = 0.0
) -> Floats:
    """Returns the smallest true gain (log-ratio) with which each study wins, shape [studies].

    A study wins if it wins at a look and is futile at no earlier one. Each condition reads `gain >= bound`, so the
    smallest gain is a minimum over looks of a maximum of bounds.
    """
    found: Floats = np.array(np.inf)
    not_futile: Floats = np.array(-np.inf)
    one_sided = alpha_per_look(max_sessions, alpha)
    for n in looks(max_sessions):
        mean, se = (sd * part for part in studies(n))
        least = np.maximum(se, sd_floor / math.sqrt(n))
        wins = np.maximum(t_quantile(1.0 - one_sided, n - 1) * least, min_gain_log) - mean
        found = np.minimum(found, np.maximum(wins, not_futile))
        upper = mean + t_quantile(FUTILE_CONFIDENCE, n - 1) * se
        not_futile = np.maximum(not_futile, max(FUTILE_GAIN_LOG, min_gain_log) - upper)
    return found
