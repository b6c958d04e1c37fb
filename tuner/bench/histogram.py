"""Latency histograms with buckets 0.5 % wide: percentiles over any number of windows from a few hundred integers.

Knows nothing of who measured. A bucket `b` covers [1.005**b, 1.005**(b + 1)) milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

WIDTH = math.log(1.005)
FLOOR_MS = 1e-4
"""Latencies below 0.1 microseconds share a bucket: no clock here resolves them."""


def count(latencies_ms: npt.ArrayLike) -> dict[int, int]:
    """Bucket -> number of requests, of latencies in ms, shape [n]."""
    values = np.maximum(np.asarray(latencies_ms, dtype=np.float64), FLOOR_MS)
    buckets, counts = np.unique(np.floor(np.log(values) / WIDTH).astype(np.int64), return_counts=True)
    return {int(b): int(c) for b, c in zip(buckets, counts, strict=True)}


def pool(histograms: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """The histogram of all requests of several windows."""
    total: dict[int, int] = {}
    for histogram in histograms:
        for bucket, n in histogram.items():
            total[bucket] = total.get(bucket, 0) + n
    return total


def value_at_rank(histogram: Mapping[int, int], rank: int) -> float:
    """The `rank`-th smallest latency in ms (rank counts from 1), as its bucket's geometric centre.

    Raises ValueError when fewer requests than `rank` were counted.
    """
    seen = 0
    for bucket in sorted(histogram):
        seen += histogram[bucket]
        if seen >= rank:
            return math.exp((bucket + 0.5) * WIDTH)
    raise ValueError(f"rank {rank} of only {seen} requests")


def percentile(histogram: Mapping[int, int], q: float) -> float:
    """The nearest-rank percentile in ms; `q` in (0, 1]."""
    n = sum(histogram.values())
    return value_at_rank(histogram, max(1, math.ceil(q * n - 1e-9)))
