"""The closed loop: keeps every request of a member busy for one turn and reads its latencies.

Responsible for anything with the interface of `AsyncInferQueue`. Must not import OpenVINO or processes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tuner.bench.protocol import Clock
from tuner.bench.turn import FEWEST_CYCLES, TurnPlan


class Request(Protocol):
    """One request of a queue; the queue starts it."""

    @property
    def latency(self) -> float:
        """Milliseconds from start to completion of the last run."""


class SyncRequest(Protocol):
    """A request whose caller waits for its completion."""

    def infer(self) -> object:
        """Runs the request and returns after its completion."""


class StatefulRequest(SyncRequest, Protocol):
    """A request of a model that keeps a state from one inference to the next."""

    def reset_state(self) -> None:
        """Empties the state."""


class Queue(Protocol):
    """Part of `openvino.AsyncInferQueue` that the loops use."""

    def get_idle_request_id(self) -> int:
        """Waits for an idle request and returns its index."""

    def start_async(self) -> None:
        """Starts the idle request that `get_idle_request_id` returned."""

    def wait_all(self) -> None:
        """Returns when every request is idle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Raw data of one turn: completion times in seconds of the clock and latencies in ms, one for each completion."""

    begin_s: float
    """Time at which the ramp is over and the counted part may begin."""
    times_s: Sequence[float]
    latencies_ms: Sequence[float]
    requests: int
    """Number of requests in flight."""
    end_s: float = math.inf
    """End of a counted part that several replicas share; infinite if the completions decide."""
    cycle: int = 1
    """Number of inferences after which the work of a request repeats: those between two resets of a model's state."""
    drained: int = 0
    """Number of requests in flight at the end of the loop; they cost time and are not counted."""

    @property
    def completed(self) -> int:
        """Number of all requests of the turn, including ramp and drain."""
        return len(self.times_s) + self.drained


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Counted part of a turn: `completions` in `duration_s` seconds, and the latencies of those requests in ms."""

    completions: int
    duration_s: float
    latencies_ms: Sequence[float]


def run_async(queue: Queue, requests: Sequence[Request], plan: TurnPlan, *, clock: Clock, cycle: int = 1) -> Turn:
    """Keeps `requests`, those of `queue`, in flight for one turn and drains the queue.

    The turn ends when the window is over and every request ran four times, after `plan.max_s` at the latest. A window
    with a tail is shared with other replicas: it has exactly `plan.window_s`, and the tail keeps the host busy while
    the other windows end.

    Each latency is read from the idle request just before its next start. A callback would enter the interpreter and
    cost half the requests per second of a small model (tuner/README.md).
    """
    idle, start, n = queue.get_idle_request_id, queue.start_async, len(requests)
    times: list[float] = []
    latencies: list[float] = []
    add_time, add_latency = times.append, latencies.append
    begin = clock() + plan.drop_s
    end, limit = begin + plan.window_s, begin + plan.max_s
    stop, is_joint, fewest = end + plan.tail_s, plan.tail_s > 0.0, fewest_cycles(cycle) * n
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
        elif now >= stop and (is_joint or len(times) - ramp >= fewest or now >= limit):
            break
    queue.wait_all()
    end_s = end if is_joint else math.inf
    return Turn(
        begin_s=begin,
        times_s=times,
        latencies_ms=latencies,
        requests=n,
        end_s=end_s,
        cycle=cycle,
        drained=n,
    )


def run_sync(request: SyncRequest, plan: TurnPlan, *, clock: Clock, cycle: int = 1) -> Turn:
    """Runs one request after the other for one turn, as a latency-bound application does.

    The latency is the time around `infer()`.
    """
    infer = request.infer
    times: list[float] = []
    latencies: list[float] = []
    before = clock()
    begin = before + plan.drop_s
    end, limit = begin + plan.window_s, begin + plan.max_s
    stop, is_joint, fewest = end + plan.tail_s, plan.tail_s > 0.0, fewest_cycles(cycle)
    ramp = 0
    while True:
        infer()
        now = clock()
        times.append(now)
        latencies.append((now - before) * 1e3)
        if now < begin:
            ramp += 1
        elif now >= stop and (is_joint or len(times) - ramp >= fewest or now >= limit):
            break
        before = clock()
    end_s = end if is_joint else math.inf
    return Turn(begin_s=begin, times_s=times, latencies_ms=latencies, requests=1, end_s=end_s, cycle=cycle)


def fewest_cycles(cycle: int) -> int:
    """Returns the runs of each request in a window: four, or one whole `cycle` after the first run."""
    return max(FEWEST_CYCLES, cycle + 1)


def count(turn: Turn) -> Count | None:
    """Returns the counted part of a turn, or None if fewer than `fewest_cycles` of all requests completed.

    With n requests in flight, it reaches from the n-th completion after the ramp to the last multiple of n. Completions
    come in bunches; counting from the first would overstate many streams by up to a third (tuner/README.md).

    A model with a state takes another time for each step of a conversation. A multiple of whole conversations counts,
    so that every member is timed on the same steps.

    A window that replicas share counts every completion in it. Intervals of each replica's own would add up to more
    than the host can do: 261 instead of 170 samples/s with two replicas of two threads each on 2 CPUs.
    """
    first = next((i for i, t in enumerate(turn.times_s) if t >= turn.begin_s), len(turn.times_s))
    times = turn.times_s[first:] if turn.end_s == math.inf else [t for t in turn.times_s[first:] if t < turn.end_s]
    n = turn.requests
    cycles = len(times) // n
    if cycles < (FEWEST_CYCLES if turn.end_s < math.inf else fewest_cycles(turn.cycle)):
        return None
    if turn.end_s < math.inf:
        latencies = turn.latencies_ms[first : first + len(times)]
        return Count(completions=len(times), duration_s=turn.end_s - turn.begin_s, latencies_ms=latencies)
    last = (cycles - (cycles - 1) % turn.cycle) * n - 1
    duration = times[last] - times[n - 1]
    if duration <= 0.0:
        return None
    return Count(completions=last + 1 - n, duration_s=duration, latencies_ms=turn.latencies_ms[first:][n : last + 1])


class EmptyingRequest:
    """A synchronous request that empties its state before every `steps`-th inference."""

    def __init__(self, request: StatefulRequest, steps: int) -> None:
        self._request = request
        self._steps = steps
        self._done = steps

    def infer(self) -> object:
        """Runs the request; the time of a reset belongs to the step, as in an application."""
        self._done = empty_if_due(self._request, self._done, self._steps)
        return self._request.infer()


class EmptyingQueue:
    """A queue that empties the state of each of its requests before every `steps`-th inference of that request."""

    def __init__(self, queue: Queue, requests: Sequence[StatefulRequest], steps: int) -> None:
        self._queue = queue
        self._requests = requests
        self._steps = steps
        self._done = [steps] * len(requests)
        self._idle = 0

    def get_idle_request_id(self) -> int:
        """Waits for an idle request and returns its index."""
        self._idle = self._queue.get_idle_request_id()
        return self._idle

    def start_async(self) -> None:
        """Starts the idle request, with an empty state if that is due."""
        index = self._idle
        self._done[index] = empty_if_due(self._requests[index], self._done[index], self._steps)
        self._queue.start_async()

    def wait_all(self) -> None:
        """Returns when every request is idle."""
        self._queue.wait_all()


def empty_if_due(request: StatefulRequest, done: int, steps: int) -> int:
    """Empties the state after `steps` inferences; returns how many have been done when the next one ends."""
    if done < steps:
        return done + 1
    request.reset_state()
    return 1
