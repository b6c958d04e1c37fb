"""LOADS: when requests arrive that do not wait for each other. A new load pattern is one row.

Knows seeds and times; not who serves the requests. One seed is one trace, which every rate only stretches.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tuner.bench.protocol import Arrivals

Floats = npt.NDArray[np.float64]
Gaps = Callable[[np.random.Generator, int], Floats]
"""Times between arrivals, shape [n], of mean 1. The first is the time before the first arrival."""


def _poisson(rng: np.random.Generator, n: int) -> Floats:
    return rng.standard_exponential(n)


def _constant(rng: np.random.Generator, n: int) -> Floats:
    """Evenly spaced, from a random phase: a window must not always begin with an arrival."""
    gaps = np.ones(n)
    gaps[:1] = rng.random()
    return gaps


LOADS: dict[str, Gaps] = {"poisson": _poisson, "constant": _constant}


def arrival_times_s(arrivals: Arrivals, until_s: float) -> list[float]:
    """Every intended arrival in [0, until_s), ascending, in seconds. Two rates with one seed see the same gaps, each
    in units of its own mean gap, so that members of a block are compared under the same luck. A part has every
    `parts`-th of them, as a balancer deals them out in turn."""
    rng = np.random.default_rng(arrivals.seed)
    gaps_of = LOADS[arrivals.pattern]
    expected = arrivals.rate_per_s * until_s
    # Ten standard deviations more than expected: one draw, whatever the pattern, keeps a trace a matter of its seed.
    times = np.cumsum(gaps_of(rng, math.ceil(expected + 10.0 * math.sqrt(expected) + 10.0))) / arrivals.rate_per_s
    found: list[float] = times[times < until_s][arrivals.part :: arrivals.parts].tolist()
    return found
