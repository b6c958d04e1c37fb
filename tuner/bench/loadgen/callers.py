"""Synchronous callers: threads that each send a request and wait for its answer, as those of a service do.

Responsible for anything with the interface of an infer request. Must not import OpenVINO or processes.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tuner.bench.loadgen.closed_loop import SyncRequest, Turn, fewest_cycles, run_sync
from tuner.bench.protocol import Clock
from tuner.bench.turn import TurnPlan


def run_callers(
    requests: Sequence[SyncRequest], plan: TurnPlan, *, clock: Clock, pool: ThreadPoolExecutor, cycle: int = 1
) -> Turn:
    """Runs one caller for each of `requests` for one turn.

    A caller calls again as soon as it has its answer. The latency is the time around `infer()` in the caller's own
    thread, the wait for a free stream included. Every caller needs a thread of `pool`, which outlives the turn: a
    thread's first call prepares what a runtime keeps for it. The turn ends as that of `run_sync`, with four completions
    a caller on average.
    """
    if len(requests) == 1:
        return run_sync(requests[0], plan, clock=clock, cycle=cycle)
    turn = _CallersTurn(len(requests), plan, clock, fewest_cycles(cycle))
    running = [pool.submit(turn.call, request, i) for i, request in enumerate(requests)]
    drained = sum(future.result() for future in running)
    merged = sorted(pair for own in zip(turn.times, turn.latencies, strict=True) for pair in zip(*own, strict=True))
    return Turn(
        begin_s=turn.begin_s,
        times_s=[at for at, _ in merged],
        latencies_ms=[latency for _, latency in merged],
        requests=len(requests),
        end_s=turn.begin_s + plan.window_s if plan.tail_s > 0.0 else math.inf,
        cycle=cycle,
        drained=drained,
    )


class _CallersTurn:
    """State of one turn, which its callers share."""

    def __init__(self, callers: int, plan: TurnPlan, clock: Clock, fewest: int) -> None:
        self.plan = plan
        self.clock = clock
        self.fewest = fewest * callers
        self.times: list[list[float]] = [[] for _ in range(callers)]
        self.latencies: list[list[float]] = [[] for _ in range(callers)]
        self.begin_s = math.inf
        self.is_over = False
        self.together = threading.Barrier(callers, action=self._begin)

    def _begin(self) -> None:
        self.begin_s = self.clock() + self.plan.drop_s

    def call(self, request: SyncRequest, caller: int) -> int:
        """Calls until the turn is over; returns the number of requests that were in flight then, 0 or 1."""
        infer, clock, plan = request.infer, self.clock, self.plan
        times, latencies = self.times[caller], self.latencies[caller]
        self.together.wait()
        stop, limit = self.begin_s + plan.window_s + plan.tail_s, self.begin_s + plan.max_s
        try:
            while not self.is_over:
                before = clock()
                infer()
                now = clock()
                if self.is_over:
                    return 1
                times.append(now)
                latencies.append((now - before) * 1e3)
                if now >= stop and (plan.tail_s > 0.0 or now >= limit or self._has_enough()):
                    break
        finally:
            self.is_over = True
        return 0

    def _has_enough(self) -> bool:
        return sum(len(times) - bisect_left(times, self.begin_s) for times in self.times) >= self.fewest
