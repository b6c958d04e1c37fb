"""The closed loop: keeps every request of a member busy for one turn and reads each latency when it is resubmitted.

Knows neither OpenVINO nor processes: it drives anything with the interface of `AsyncInferQueue`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tuner.bench.protocol import Clock


class Request(Protocol):
    @property
    def latency(self) -> float:
        """Milliseconds from start to completion of the last run."""

    def infer(self) -> object: ...


class Queue(Protocol):
    """What the loop needs of `openvino.AsyncInferQueue`."""

    def get_idle_request_id(self) -> int: ...

    def start_async(self) -> None: ...

    def wait_all(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One turn as it was seen: completion times in seconds of the clock, latencies in ms, both of the same length."""

    begin_s: float
    """When the counted part may begin (the ramp is over)."""
    times_s: Sequence[float]
    latencies_ms: Sequence[float]
    requests: int
    """Requests in flight."""
    end_s: float = math.inf
    """What completed later only kept the host busy."""
    drained: int = 0
    """Requests that were still in flight at the end and were waited for: they cost, and are not counted."""

    @property
    def completed(self) -> int:
        """All that the turn did, its ramp and its drain included."""
        return len(self.times_s) + self.drained


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What a turn is worth: `completions` within `duration_s`, and the latencies in ms of all requests counted from."""

    completions: int
    duration_s: float
    latencies_ms: Sequence[float]


def run_async(
    queue: Queue,
    requests: Sequence[Request],
    *,
    window_s: float,
    drop_s: float,
    max_s: float,
    clock: Clock,
    tail_s: float = 0.0,
) -> Turn:
    """Keeps `requests`, the queue's own, in flight until `window_s` is over and every request came round four times,
    `max_s` at most; goes on for `tail_s`, in which other replicas may still be timed; then drains.

    Latencies are read from the idle request just before it is started again: no callback enters the interpreter
    (measurement.md: a callback costs half the requests per second of a small model).
    """
    idle, start, n = queue.get_idle_request_id, queue.start_async, len(requests)
    times: list[float] = []
    latencies: list[float] = []
    add_time, add_latency = times.append, latencies.append
    begin = clock() + drop_s
    end, limit = begin + window_s, begin + max_s
    for _ in range(n):
        idle()
        start()
    ramp, counted_to = 0, math.inf
    while True:
        latency = requests[idle()].latency
        now = clock()
        start()
        add_time(now)
        add_latency(latency)
        if now < begin:
            ramp += 1
        elif now >= end and (len(times) - ramp >= 4 * n or now >= limit):
            if tail_s <= 0.0:
                break
            counted_to, end, tail_s = now, now + tail_s, 0.0
    queue.wait_all()
    return Turn(begin_s=begin, times_s=times, latencies_ms=latencies, requests=n, end_s=counted_to, drained=n)


def run_sync(
    request: Request, *, window_s: float, drop_s: float, max_s: float, clock: Clock, tail_s: float = 0.0
) -> Turn:
    """One request after the other, as a latency-bound application calls; latency is the clock around `infer()`."""
    infer = request.infer
    times: list[float] = []
    latencies: list[float] = []
    before = clock()
    begin = before + drop_s
    end, limit = begin + window_s, begin + max_s
    ramp, counted_to = 0, math.inf
    while True:
        infer()
        now = clock()
        times.append(now)
        latencies.append((now - before) * 1e3)
        if now < begin:
            ramp += 1
        elif now >= end and (len(times) - ramp >= 4 or now >= limit):
            if tail_s <= 0.0:
                break
            counted_to, end, tail_s = now, now + tail_s, 0.0
        before = clock()
    return Turn(begin_s=begin, times_s=times, latencies_ms=latencies, requests=1, end_s=counted_to)


def count(turn: Turn) -> Count | None:
    """Completions from the n-th to the last multiple of n after the ramp, n = requests in flight: completions come in
    bunches, and counting from the first overstates many streams by up to a third (measurement.md).

    None where fewer than four rounds completed: too slow for the window.
    """
    first = next((i for i, t in enumerate(turn.times_s) if t >= turn.begin_s), len(turn.times_s))
    times = [t for t in turn.times_s[first:] if t <= turn.end_s]
    n = turn.requests
    rounds = len(times) // n
    if rounds < 4:
        return None
    last = rounds * n - 1
    duration = times[last] - times[n - 1]
    if duration <= 0.0:
        return None
    return Count(completions=last + 1 - n, duration_s=duration, latencies_ms=turn.latencies_ms[first:][n : last + 1])
