"""The open loop: requests start when they arrive, or as soon after as one is idle, and latency counts from the arrival.

Knows neither OpenVINO nor processes: it drives anything with the interface of `AsyncInferQueue`. What arrives while
every request is busy waits here, in a queue without bound: `start_async` would block and hide the wait.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tuner.bench import histogram
from tuner.bench.arrivals import arrival_times_s
from tuner.bench.loop import Queue, Request
from tuner.bench.protocol import Arrivals, Clock

SleepUntil = Callable[[float], None]
"""Returns at this time of the clock or later, without spinning."""
DRAIN_S = 2.0
"""After a window what waits is served for so long at most; what has not started then counts with its age. Longer than
most deadlines, and an overloaded member does not take the time of the others."""
LAG_SHARE = 0.10
"""Of the latency limit, or of the measured 99th percentile where there is none: how late the generator may start the
99th percentile of requests (measurement.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTurn:
    """One turn as it was seen, in seconds after its begin; one entry for each intended arrival, in their order."""

    arrivals_s: Sequence[float]
    done_s: Sequence[float]
    """Completion; NaN for the last ones where the drain ended before they had started."""
    lags_s: Sequence[float]
    """How much later the request was started than it could have been: after its arrival and after the request that it
    took had ended. Shorter than the others by those that never started."""
    ended_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCount:
    """What a turn is worth. Latencies in ms are those of every arrival of the counted part."""

    duration_s: float
    completions: int
    """Within the counted part, whenever they arrived: the throughput."""
    latencies_ms: npt.NDArray[np.float64]
    waiting: int
    unserved: int
    lag_p99_ms: float


def run_open(
    queue: Queue,
    requests: Sequence[Request],
    *,
    arrivals_s: Sequence[float],
    end_s: float,
    drain_s: float,
    clock: Clock,
    sleep_until: SleepUntil,
) -> OpenTurn:
    """Starts one of `requests`, the queue's own, for each arrival (ascending, seconds from now), first come first
    served, on one thread; then serves what waits, until `drain_s` after `end_s` at most.

    A latency is read just before its request is started again, as in the closed loop. `latency` begins where the
    request is started, which the clock has noted, so their sum is the completion.
    """
    idle, start = queue.get_idle_request_id, queue.start_async
    served: list[int] = [-1] * len(requests)
    started: list[float] = []
    lags: list[float] = []
    add_start, add_lag = started.append, lags.append
    begin = clock()
    done = [math.nan] * len(arrivals_s)
    cap = begin + end_s + drain_s
    for number, offset in enumerate(arrivals_s):
        due = begin + offset
        if clock() < due:
            sleep_until(due)
        place = idle()
        before = served[place]
        possible = due
        if before >= 0:
            ended = done[before] = started[before] + requests[place].latency * 1e-3
            if ended > due:
                possible = ended
        now = clock()
        if now >= cap:
            served[place] = -1
            break
        start()
        add_start(now)
        add_lag(now - possible)
        served[place] = number
    queue.wait_all()
    now = clock()
    for place, number in enumerate(served):
        if number >= 0:
            done[number] = started[number] + requests[place].latency * 1e-3
    return OpenTurn(
        arrivals_s=arrivals_s,
        done_s=[at - begin for at in done],
        lags_s=[max(0.0, lag) for lag in lags],
        ended_s=max(now - begin, end_s),
    )


def count_open(turn: OpenTurn, *, drop_s: float, end_s: float) -> OpenCount | None:
    """Every arrival in [drop_s, end_s) counts, one that never ran with its age at the end of the turn: leaving it out
    would flatter whoever is overloaded. None where nothing arrived or nothing completed in that time."""
    arrivals, done = np.asarray(turn.arrivals_s), np.asarray(turn.done_s)
    counted = (arrivals >= drop_s) & (arrivals < end_s)
    is_unserved = np.isnan(done)
    completed = np.where(is_unserved, math.inf, done)
    completions = int(np.count_nonzero((completed >= drop_s) & (completed < end_s)))
    if not counted.any() or completions == 0:
        return None
    latencies = np.where(is_unserved, turn.ended_s, done) - arrivals
    lags = np.sort(np.asarray(turn.lags_s)[counted[: len(turn.lags_s)]])
    rank = max(1, math.ceil(0.99 * len(lags) - 1e-9))
    return OpenCount(
        duration_s=end_s - drop_s,
        completions=completions,
        latencies_ms=latencies[counted] * 1e3,
        waiting=int(np.count_nonzero(counted & (completed >= end_s))),
        unserved=int(np.count_nonzero(counted & is_unserved)),
        lag_p99_ms=float(lags[rank - 1]) * 1e3 if len(lags) else 0.0,
    )


class NothingServed(Exception):
    """Nothing arrived in a window, or nothing completed in it: there is nothing to measure."""


def serve_window(
    queue: Queue,
    requests: Sequence[Request],
    arrivals: Arrivals,
    *,
    window_s: float,
    drop_s: float,
    drain_s: float,
    clock: Clock,
    sleep_until: SleepUntil,
) -> tuple[dict[str, Any], float]:
    """One window after a ramp of `drop_s`: what a member's process reports of it, as plain data; and the share of all
    that ran in the turn that completed within the window.

    Raises NothingServed."""
    end_s = drop_s + window_s
    turn = run_open(
        queue,
        requests,
        arrivals_s=arrival_times_s(arrivals, end_s),
        end_s=end_s,
        drain_s=drain_s,
        clock=clock,
        sleep_until=sleep_until,
    )
    counted = count_open(turn, drop_s=drop_s, end_s=end_s)
    if counted is None:
        raise NothingServed(
            f"too slow for this load: of {len(turn.arrivals_s)} requests at {arrivals.rate_per_s:g}/s "
            f"none completed in a window of {window_s:.1f} s"
        )
    ran = int(np.count_nonzero(~np.isnan(turn.done_s)))
    return {
        "duration_s": counted.duration_s,
        "samples": counted.completions,
        "latency_counts": histogram.count(counted.latencies_ms),
        "latency_sum_ms": float(np.sum(counted.latencies_ms)),
        "arrivals": len(counted.latencies_ms),
        "waiting": counted.waiting,
        "unserved": counted.unserved,
        "lag_p99_ms": counted.lag_p99_ms,
    }, counted.completions / ran


def is_late(lag_p99_ms: float, latency_counts: Mapping[int, int], limit_ms: float | None) -> bool:
    """Whether the generator ran too late for a window's latencies: beyond `limit_ms`, or without one beyond a tenth of
    the 99th percentile that the window measured."""
    return lag_p99_ms > (LAG_SHARE * histogram.percentile(latency_counts, 0.99) if limit_ms is None else limit_ms)
