"""The open loop: requests start when they arrive or when a request is idle; latency counts from the arrival.

Responsible for anything with the interface of `AsyncInferQueue`. Must not import OpenVINO or processes. While every
request is busy, an arrival waits here in a queue without bound: `start_async` would block and hide the wait.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, MutableSequence, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tuner.bench import histogram
from tuner.bench.loadgen.arrivals import arrival_times_s
from tuner.bench.loadgen.closed_loop import Queue, Request
from tuner.bench.protocol import Clock
from tuner.bench.turn import TooSlow, TurnPlan, TurnResult

SleepUntil = Callable[[float], None]
"""Returns at the given time of the clock or later, without spinning."""

DRAIN_S = 2.0
"""Longest time in seconds after a window in which waiting requests are served; then they count with their age.

Longer than most deadlines, and short enough that an overloaded member does not use up the session.
"""

LAG_SHARE = 0.10
"""Largest lag of the generator, as a share of the measured 99th percentile of latency (tuner/README.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTurn:
    """Raw data of one turn, in seconds from its beginning, with one entry for each intended arrival in order."""

    arrivals_s: Sequence[float]
    done_s: Sequence[float]
    """Times of completion; NaN for requests that had not started when the drain ended."""
    lags_s: Sequence[float]
    """Delays of each start that the generator itself added: since the arrival and since the request became idle.

    The list has no entries for requests that never started.
    """
    ended_s: float
    """End of the turn, including the drain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCount:
    """Counted part of a turn; the latencies in ms are those of every arrival in it."""

    duration_s: float
    completions: int
    """Number of completions in the counted part, whenever the requests arrived: the throughput."""
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
    """Starts one of `requests`, those of `queue`, for each arrival, first come first served, on one thread.

    Arrivals are ascending seconds from now. Waiting requests are served until `drain_s` after `end_s` at the latest.

    A latency is read just before its request is started again, as in the closed loop. The completion is the noted time
    of the start plus the latency.
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
        index = idle()
        before = served[index]
        possible = due
        if before >= 0:
            ended = done[before] = started[before] + requests[index].latency * 1e-3
            if ended > due:
                possible = ended
        now = clock()
        if now >= cap:
            served[index] = -1
            break
        start()
        add_start(now)
        add_lag(now - possible)
        served[index] = number
    queue.wait_all()
    now = clock()
    _read_last(served, requests, started, done)
    done_s, lags_s = [at - begin for at in done], [max(0.0, lag) for lag in lags]
    return OpenTurn(arrivals_s=arrivals_s, done_s=done_s, lags_s=lags_s, ended_s=max(now - begin, end_s))


def _read_last(
    served: Sequence[int], requests: Sequence[Request], started: Sequence[float], done: MutableSequence[float]
) -> None:
    """Notes the completion of the arrival that each request has served last; `served` has -1 for none."""
    for index, number in enumerate(served):
        if number >= 0:
            done[number] = started[number] + requests[index].latency * 1e-3


def count_open(turn: OpenTurn, *, drop_s: float, end_s: float) -> OpenCount | None:
    """Returns the counted part [drop_s, end_s) of a turn, or None if nothing arrived or completed in it.

    Every arrival in it counts. A request that never ran counts with its age at the end of the turn; its omission would
    flatter an overloaded member.
    """
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


def serve_window(
    queue: Queue,
    requests: Sequence[Request],
    plan: TurnPlan,
    *,
    clock: Clock,
    sleep_until: SleepUntil,
) -> tuple[TurnResult, float]:
    """Measures one window of the plan's arrivals after its ramp.

    Returns the result without its costs, and the share of all requests of the turn that completed in the window. Raises
    TooSlow if nothing arrived or completed in it.
    """
    assert plan.arrivals is not None
    end_s = plan.drop_s + plan.window_s
    turn = run_open(
        queue,
        requests,
        arrivals_s=arrival_times_s(plan.arrivals, end_s),
        end_s=end_s,
        drain_s=plan.drain_s,
        clock=clock,
        sleep_until=sleep_until,
    )
    counted = count_open(turn, drop_s=plan.drop_s, end_s=end_s)
    if counted is None:
        raise TooSlow(
            f"too slow for this load: of {len(turn.arrivals_s)} requests at {plan.arrivals.rate_per_s:g}/s "
            f"none completed in a window of {plan.window_s:.1f} s"
        )
    ran = int(np.count_nonzero(~np.isnan(turn.done_s)))
    result = TurnResult(
        duration_s=counted.duration_s,
        samples=counted.completions,
        latency_counts=histogram.count(counted.latencies_ms),
        latency_sum_ms=float(np.sum(counted.latencies_ms)),
        arrivals=len(counted.latencies_ms),
        waiting=counted.waiting,
        unserved=counted.unserved,
        lag_p99_ms=counted.lag_p99_ms,
    )
    return result, counted.completions / ran


def is_late(lag_p99_ms: float, latency_counts: Mapping[int, int], limit_ms: float | None) -> bool:
    """Returns True if the generator's lag makes a window's latencies invalid.

    The limit is `limit_ms`, or without one a tenth of the 99th percentile of the window.
    """
    return lag_p99_ms > (LAG_SHARE * histogram.percentile(latency_counts, 0.99) if limit_ms is None else limit_ms)
