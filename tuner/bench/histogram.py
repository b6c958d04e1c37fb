"""Latency histograms with buckets 0.5 % wide, which give percentiles over any number of windows.

Responsible for integers and milliseconds. Bucket `b` covers [1.005**b, 1.005**(b + 1)) milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

WIDTH = math.log(1.005)
"""Width of a bucket as a difference of logarithms: a few hundred buckets cover all latencies to within 0.25 %."""

FLOOR_MS = 1e-4
"""Latency below which all requests share a bucket: no clock resolves 0.1 microseconds."""


def bucket_of(latency_ms: float) -> int:
    """Returns the bucket of one latency."""
    return math.floor(math.log(max(latency_ms, FLOOR_MS)) / WIDTH)


def count(latencies_ms: npt.ArrayLike) -> dict[int, int]:
    """Returns bucket -> number of requests for latencies in ms, shape [n]."""
    values = np.maximum(np.asarray(latencies_ms, dtype=np.float64), FLOOR_MS)
    buckets, counts = np.unique(np.floor(np.log(values) / WIDTH).astype(np.int64), return_counts=True)
    return {int(b): int(c) for b, c in zip(buckets, counts, strict=True)}


def pool(histograms: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """Returns the histogram of all requests of several windows."""
    total: dict[int, int] = {}
    for histogram in histograms:
        for bucket, n in histogram.items():
            total[bucket] = total.get(bucket, 0) + n
    return total


def value_at_rank(histogram: Mapping[int, int], rank: int) -> float:
    """Returns the `rank`-th smallest latency in ms as the geometric centre of its bucket; ranks begin with 1.

    Raises ValueError if fewer requests than `rank` were counted.
    """
    seen = 0
    for bucket in sorted(histogram):
        seen += histogram[bucket]
        if seen >= rank:
            return math.exp((bucket + 0.5) * WIDTH)
    raise ValueError(f"rank {rank} of only {seen} requests")


def percentile(histogram: Mapping[int, int], q: float) -> float:
    """Returns the nearest-rank percentile in ms; `q` in (0, 1]."""
    n = sum(histogram.values())
    return value_at_rank(histogram, max(1, math.ceil(q * n - 1e-9)))
