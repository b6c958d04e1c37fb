"""Quantiles and tail probabilities of Student's t, the normal, the binomial and the beta distribution.

Responsible for arguments, checks and the meaning of results; the numbers come from scipy.special.
Must not import any other module of the tuner.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import cache, lru_cache
from types import ModuleType

import numpy as np
import numpy.typing as npt


@cache
def _special() -> ModuleType:
    """Imports scipy.special late: the import takes 0.15 s on two cloud CPUs, and most commands need no quantile."""
    import scipy.special

    return scipy.special  # type: ignore[no-any-return]


@cache
def t_quantile(p: float, df: int) -> float:
    """Returns the `p`-quantile of Student's t distribution with `df` degrees of freedom.

    Raises ValueError for a `p` outside (0, 1) or a `df` below 1.
    """
    if not 0.0 < p < 1.0:
        raise ValueError(f"a probability lies between 0 and 1, got {p}")
    if df < 1:
        raise ValueError(f"degrees of freedom must be at least 1, got {df}")
    return float(_special().stdtrit(df, p))


def normal_cdf(z: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Returns the standard normal distribution function at each `z`, in the shape of `z`."""
    return np.asarray(_special().ndtr(z))


@lru_cache(maxsize=256)
def upper_rank(n: int, q: float, alpha: float) -> int | None:
    """Returns the smallest rank (from 1) of `n` requests that bounds the true `q`-quantile from above.

    The bound holds with probability 1 - `alpha`: rank r is the smallest with P(Binomial(n, q) <= r - 1) >= 1 - alpha
    (David & Nagaraja, Order Statistics, 2003, 7.1). Returns None if even the largest request is no such bound.
    """
    below = bisect_left(range(n), 1.0 - alpha, key=lambda k: _special().bdtr(k, n, q))
    return below + 1 if below < n else None


@lru_cache(maxsize=256)
def lower_rank(n: int, q: float, alpha: float) -> int | None:
    """Returns the largest rank (from 1) of `n` requests that bounds the true `q`-quantile from below.

    The bound holds with probability 1 - `alpha`: rank r is the largest with P(Binomial(n, q) >= r) >= 1 - alpha.
    Returns None if even the smallest request is no such bound.
    """
    return bisect_right(range(n), alpha, key=lambda k: _special().bdtr(k, n, q)) or None


def upper_bound(events: int, trials: int, confidence: float = 0.95) -> float:
    """Returns the largest probability under which at most `events` of `trials` have a chance of 1 - `confidence`.

    The formula is the one-sided upper bound of Clopper & Pearson (Biometrika 26, 1934). Raises ValueError for no trials
    or more events than trials.
    """
    if not 0 <= events <= trials or trials == 0:
        raise ValueError(f"{events} of {trials} is no proportion")
    return 1.0 if events == trials else float(_special().betaincinv(events + 1, trials - events, confidence))
