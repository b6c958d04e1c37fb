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
    """One of a queue's requests; the queue starts it."""

    @property
    def latency(self) -> float:
        """Milliseconds from start to completion of the last run."""


class SyncRequest(Protocol):
    """A request whose caller waits for it."""

    def infer(self) -> object: ...


class Queue(Protocol):
    """What the loop needs of `openvino.AsyncInferQueue`."""

    def get_idle_request_id(self) -> int: ...

    def start_async(self) -> None: ...

    def wait_all(self) -> None: ...


class TooSlow(Exception):
    """A member that could not complete four rounds of its requests in the longest window allowed."""


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
    """Where the counted part ends, if it is joint with that of other replicas; else where the completions say."""
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
    `max_s` at most; then drains. With a `tail_s` the window is joint with that of other replicas: just `window_s`, and
    the tail keeps the host busy while theirs end.

    Latencies are read from the idle request just before it is started again: no callback enters the interpreter
    (measurement.md: a callback costs half the requests per second of a small model).
    """
    idle, start, n = queue.get_idle_request_id, queue.start_async, len(requests)
    times: list[float] = []
    latencies: list[float] = []
    add_time, add_latency = times.append, latencies.append
    begin = clock() + drop_s
    end, limit = begin + window_s, begin + max_s
    stop, is_joint = end + tail_s, tail_s > 0.0
    for _ in range(n):
        idle()
        start()
    ramp = 0
    while True:
        latency = requests[idle()].latency
        now = clock()
        start()
        add_time(now)
        add_latency(latency)
        if now < begin:
            ramp += 1
        elif now >= stop and (is_joint or len(times) - ramp >= 4 * n or now >= limit):
            break
    queue.wait_all()
    end_s = end if is_joint else math.inf
    return Turn(begin_s=begin, times_s=times, latencies_ms=latencies, requests=n, end_s=end_s, drained=n)


def run_sync(
    request: SyncRequest, *, window_s: float, drop_s: float, max_s: float, clock: Clock, tail_s: float = 0.0
) -> Turn:
    """One request after the other, as a latency-bound application calls; latency is the clock around `infer()`."""
    infer = request.infer
    times: list[float] = []
    latencies: list[float] = []
    before = clock()
    begin = before + drop_s
    end, limit = begin + window_s, begin + max_s
    stop, is_joint = end + tail_s, tail_s > 0.0
    ramp = 0
    while True:
        infer()
        now = clock()
        times.append(now)
        latencies.append((now - before) * 1e3)
        if now < begin:
            ramp += 1
        elif now >= stop and (is_joint or len(times) - ramp >= 4 or now >= limit):
            break
        before = clock()
    end_s = end if is_joint else math.inf
    return Turn(begin_s=begin, times_s=times, latencies_ms=latencies, requests=1, end_s=end_s)


def count(turn: Turn) -> Count | None:
    """Completions from the n-th to the last multiple of n after the ramp, n = requests in flight: completions come in
    bunches, and counting from the first overstates many streams by up to a third (measurement.md).

    In a window that is joint with other replicas, all completions in it: what one does not get another gets at the same
    time, and intervals of their own would add up to more than the host can do (261 samples/s where 170 are to be had,
    measured with two replicas of two threads each on 2 CPUs).

    None where fewer than four rounds completed: too slow for the window.
    """
    first = next((i for i, t in enumerate(turn.times_s) if t >= turn.begin_s), len(turn.times_s))
    times = turn.times_s[first:] if turn.end_s == math.inf else [t for t in turn.times_s[first:] if t < turn.end_s]
    n = turn.requests
    rounds = len(times) // n
    if rounds < 4:
        return None
    if turn.end_s < math.inf:
        latencies = turn.latencies_ms[first : first + len(times)]
        return Count(completions=len(times), duration_s=turn.end_s - turn.begin_s, latencies_ms=latencies)
    last = rounds * n - 1
    duration = times[last] - times[n - 1]
    if duration <= 0.0:
        return None
    return Count(completions=last + 1 - n, duration_s=duration, latencies_ms=turn.latencies_ms[first:][n : last + 1])
