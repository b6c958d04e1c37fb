"""What queueing theory and independent simulations say of a queue that the open loop is driven over."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def exponential_p99_s(service_per_s: float, arrivals_per_s: float) -> float:
    """M/M/1: the sojourn time is exponential with rate mu - lambda (Kleinrock, Queueing Systems I, 3.2)."""
    return math.log(100.0) / (service_per_s - arrivals_per_s)


def sojourns_s(arrivals_s: Sequence[float], services_s: Floats, servers: int) -> Floats:
    """First come first served on `servers` servers: Lindley's recursion for one, Kiefer and Wolfowitz' for more."""
    free = np.zeros(servers)
    found = np.empty(len(arrivals_s))
    for i, (at, service) in enumerate(zip(arrivals_s, services_s, strict=True)):
        done = max(at, free[0]) + service
        found[i] = done - at
        free[0] = done
        free.sort()
    return found


def lindley_s(arrivals_s: Sequence[float], service_s: float) -> Floats:
    """One server and equal services, without a loop: the wait is the random walk above its running minimum."""
    at = np.asarray(arrivals_s)
    walk = service_s * np.arange(len(at)) - at
    return np.asarray(walk - np.minimum.accumulate(walk) + service_s)


def nearest_rank(values: Floats, q: float) -> float:
    return float(np.sort(values)[max(1, math.ceil(q * len(values))) - 1])
