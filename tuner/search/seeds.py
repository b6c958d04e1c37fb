"""Chooses the points that a search tries first, from measurements of hints, quotas and replicas (tuner/README.md).

Must not ask the device, the host or the search.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence

from tuner.bench.configuration import Effective
from tuner.bench.value import Value
from tuner.search.auto_space import read_value
from tuner.study.space import Space


def seeds(
    space: Space,
    *,
    cpus: int,
    quota: float | None,
    throughput: Effective | None,
    is_latency: bool,
    replicas: int = 1,
    replica_quota: float | None = None,
) -> list[dict[str, Value]]:
    """Returns the points to try before the sampler's own, the most promising first, no point twice.

    `quota` is in CPUs, None without one. `throughput` is the effective configuration of the THROUGHPUT hint, None if
    the hint failed. `replicas` is the largest number of processes that share the CPUs, `replica_quota` the CPUs that
    each of them may use.
    """
    wanted = _replica_seeds(space, cpus, replicas, replica_quota) if replicas > 1 else []
    wanted += _latency_seeds(space, cpus, quota) if is_latency else _throughput_seeds(space, cpus, quota, throughput)
    return merged([list(map(space.nearest, wanted))])


def warm_seed(space: Space, given: Mapping[str, Value]) -> dict[str, Value]:
    """Returns the point of the space nearest to what was good before: properties and parameters of our own by name.

    A property that was not set stays unset where the space allows it.
    """
    return space.nearest({parameter.name: given.get(parameter.name) for parameter in space.parameters})


def merged(lists: Sequence[Sequence[dict[str, Value]]]) -> list[dict[str, Value]]:
    """Returns the points of several lists in turn, no point twice."""
    points = [point for turn in itertools.zip_longest(*lists) for point in turn if point is not None]
    # Keyed by JSON text, which keeps 1 and true apart.
    return list({json.dumps(point): point for point in points}.values())


def _throughput_seeds(
    space: Space, cpus: int, quota: float | None, throughput: Effective | None
) -> list[dict[str, Value]]:
    requests = cpus if throughput is None else throughput.infer_requests
    hint = _hint(space, "THROUGHPUT", {} if throughput is None else throughput.properties, cpus=cpus)
    wanted = [
        {**hint, "infer_requests": 4 * requests, "batch_size": 1},
        {**hint, "infer_requests": requests, "batch_size": 16},
        {**hint, "infer_requests": requests, "batch_size": 4},
    ]
    if any(p.name in ("NUM_STREAMS", "INFERENCE_NUM_THREADS") for p in space.parameters):
        wanted.append(_explicit(space, streams=cpus, threads=cpus, is_pinned=False))
        if quota is not None:
            whole = max(1, math.floor(quota))
            wanted.append(_explicit(space, streams=whole, threads=whole, is_pinned=False))
        for streams in (1, cpus // 4, cpus // 2, cpus):
            wanted.append(_explicit(space, streams=max(1, streams), threads=cpus, is_pinned=True))
    return wanted


def _replica_seeds(space: Space, cpus: int, replicas: int, quota: float | None) -> list[dict[str, Value]]:
    """Returns seeds for several replicas: unpinned with a share of the threads, or pinned to a share of the CPUs.

    A replica has no more threads than its quota keeps running: further threads only wait for each other.
    """
    threads = max(1, min(cpus // replicas, math.floor(cpus if quota is None else quota)))
    alone = _explicit(space, streams=1, threads=threads, is_pinned=False)
    separate = _explicit(space, streams=threads, threads=threads, is_pinned=True)
    return [
        {**alone, "replicas": replicas, "affinity": "shared"},
        {**alone, "replicas": replicas, "affinity": "shared", "infer_requests": 2},
        {**separate, "replicas": replicas, "affinity": "split", "infer_requests": 2 * threads},
    ]


def _latency_seeds(space: Space, cpus: int, quota: float | None) -> list[dict[str, Value]]:
    wanted = [_hint(space, "LATENCY", {}, cpus=cpus)] if _has_hint(space) else []
    whole = max(1, math.floor(quota or cpus))
    for threads, is_pinned in ((1, False), (1, True), (whole, False), (cpus, False)):
        wanted.append(_explicit(space, streams=1, threads=threads, is_pinned=is_pinned))
    return wanted


def _has_hint(space: Space) -> bool:
    return any(p.name == "PERFORMANCE_HINT" for p in space.parameters)


def _hint(space: Space, name: str, effective: Mapping[str, str], *, cpus: int) -> dict[str, Value]:
    """Returns the point of a hint, with as few other properties as the space allows.

    A space without hints has the point that the hint amounts to.
    """
    wanted = _explicit(space, streams=cpus, threads=cpus, is_pinned=True)
    for parameter in space.parameters:
        if _has_hint(space) and None in parameter.values:
            wanted[parameter.name] = None
        elif text := effective.get(parameter.name):
            wanted[parameter.name] = read_value(text, parameter)
    return {**wanted, "PERFORMANCE_HINT": name}


def _explicit(space: Space, *, streams: int, threads: int, is_pinned: bool) -> dict[str, Value]:
    """Returns a point of streams and threads, without a hint if possible, with one request for each stream."""
    can_be_unset = any(p.name == "PERFORMANCE_HINT" and None in p.values for p in space.parameters)
    return {
        "PERFORMANCE_HINT": None if can_be_unset else "THROUGHPUT",
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": is_pinned,
        "batch_size": 1,
        "infer_requests": streams,
    }
