"""A queue of made-up servers in virtual time, with the interface of `AsyncInferQueue`.

Responsible for tests, fakes and benchmarks of the loops. No real time passes.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from typing import Protocol

Service = Callable[[int, float], float]
"""Returns seconds of service for the number of the start, from 0, and the time at which service begins."""


class VirtualClock(Protocol):
    """Clock of virtual seconds, such as `FakeClock`, which the queue advances when it waits."""

    now_s: float


class VirtualRequest:
    """Request with the latency of its last run, in ms."""

    __slots__ = ("latency",)

    def __init__(self) -> None:
        self.latency = 0.0


class VirtualQueue:
    """Queue of `requests` requests on `servers` servers, by default one for each request.

    The request that is idle longest comes next. A request that is started while every server is busy waits, as requests
    beyond the streams do.
    """

    def __init__(self, clock: VirtualClock, requests: int, service: Service, *, servers: int | None = None) -> None:
        self.clock = clock
        self.service = service
        self.requests = [VirtualRequest() for _ in range(requests)]
        self.starts = 0
        self._idle = deque(range(requests))
        self._busy: list[tuple[float, int]] = []
        self._free_s = [0.0] * (servers or requests)

    def get_idle_request_id(self) -> int:
        """Waits for an idle request and returns its index."""
        busy, now = self._busy, self.clock.now_s
        while busy and busy[0][0] <= now:
            self._idle.append(heapq.heappop(busy)[1])
        if not self._idle:
            done_s, index = heapq.heappop(busy)
            self.clock.now_s = done_s
            self._idle.append(index)
        return self._idle[0]

    def start_async(self) -> None:
        """Starts the idle request that `get_idle_request_id` returned."""
        index, now = self._idle.popleft(), self.clock.now_s
        begin = max(now, self._free_s[0])
        done = begin + self.service(self.starts, begin)
        heapq.heapreplace(self._free_s, done)
        self.starts += 1
        self.requests[index].latency = (done - now) * 1e3
        heapq.heappush(self._busy, (done, index))

    def wait_all(self) -> None:
        """Advances the clock until every request is idle."""
        while self._busy:
            done_s, index = heapq.heappop(self._busy)
            self.clock.now_s = max(self.clock.now_s, done_s)
            self._idle.append(index)
