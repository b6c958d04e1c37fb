"""A queue of made-up servers in virtual time, with the interface of `AsyncInferQueue`.

For tests, fakes and benchmarks of the loops; knows nothing of sessions. No real time passes.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from typing import Protocol

Service = Callable[[int, float], float]
"""(Which start it is, counted from 0; the time at which a server takes it up) -> seconds of service."""


class VirtualClock(Protocol):
    """Virtual seconds, such as `FakeClock`: the queue moves them on where it waits."""

    now_s: float


class VirtualRequest:
    """What the loops read of a request: the latency of its last run, in ms."""

    __slots__ = ("latency",)

    def __init__(self) -> None:
        self.latency = 0.0


class VirtualQueue:
    """`requests` requests on `servers` servers (default: one each), the one that is idle longest next. A request that
    is started while every server is busy waits for one, as requests beyond the streams do."""

    def __init__(self, clock: VirtualClock, requests: int, service: Service, *, servers: int | None = None) -> None:
        self.clock = clock
        self.service = service
        self.requests = [VirtualRequest() for _ in range(requests)]
        self.starts = 0
        self._idle = deque(range(requests))
        self._busy: list[tuple[float, int]] = []
        self._free_s = [0.0] * (servers or requests)

    def get_idle_request_id(self) -> int:
        busy, now = self._busy, self.clock.now_s
        while busy and busy[0][0] <= now:
            self._idle.append(heapq.heappop(busy)[1])
        if not self._idle:
            done_s, place = heapq.heappop(busy)
            self.clock.now_s = done_s
            self._idle.append(place)
        return self._idle[0]

    def start_async(self) -> None:
        place, now = self._idle.popleft(), self.clock.now_s
        begin = max(now, self._free_s[0])
        done = begin + self.service(self.starts, begin)
        heapq.heapreplace(self._free_s, done)
        self.starts += 1
        self.requests[place].latency = (done - now) * 1e3
        heapq.heappush(self._busy, (done, place))

    def wait_all(self) -> None:
        while self._busy:
            done_s, place = heapq.heappop(self._busy)
            self.clock.now_s = max(self.clock.now_s, done_s)
            self._idle.append(place)
