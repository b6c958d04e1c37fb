"""Arrival processes: `LOADS` has one row for each pattern of arrivals.

Responsible for seeds and times. One seed gives one trace, which a rate only scales.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tuner.bench.measurement import Arrivals

Floats = npt.NDArray[np.float64]

Gaps = Callable[[np.random.Generator, int], Floats]
"""Returns n times between arrivals, shape [n], of mean 1; the first is the time before the first arrival."""


def _poisson(rng: np.random.Generator, n: int) -> Floats:
    return rng.standard_exponential(n)


def _constant(rng: np.random.Generator, n: int) -> Floats:
    """Returns even gaps with a random phase, so that a window does not always begin with an arrival."""
    gaps = np.ones(n)
    gaps[:1] = rng.random()
    return gaps


LOADS: dict[str, Gaps] = {"poisson": _poisson, "constant": _constant}
"""Patterns of arrivals by name."""


def arrival_times_s(arrivals: Arrivals, until_s: float) -> list[float]:
    """Returns every intended arrival in [0, until_s), ascending, in seconds.

    Two rates with one seed have the same gaps in units of their mean gap, so that the members of a block see the same
    random trace. A part has every `parts`-th arrival, as a load balancer deals them out in turn.
    """
    rng = np.random.default_rng(arrivals.seed)
    gaps_of = LOADS[arrivals.pattern]
    expected = arrivals.rate_per_s * until_s
    # Ten standard deviations more than expected: a single draw makes a trace depend on its seed alone.
    times = np.cumsum(gaps_of(rng, math.ceil(expected + 10.0 * math.sqrt(expected) + 10.0))) / arrivals.rate_per_s
    found: list[float] = times[times < until_s][arrivals.part :: arrivals.parts].tolist()
    return found
