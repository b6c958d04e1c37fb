"""Queues the calls of an application, and hands them in batches to the requests that are free.

Responsible for order, bounds, deadlines and counts; every method may be called from every thread. Must not know
OpenVINO: a request is any object here.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tuner.deploy.ports import Array, Outputs
from tuner.errors import ClosedError, QueueFullError

Request = TypeVar("Request")

KEPT_LATENCIES = 10_000
"""Number of the latest answers whose latencies are kept: enough for a 99.9th percentile, and 320 kB."""


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """Holds one call: its arrays, and the future that its caller waits for."""

    arrays: Sequence[Array]
    samples: int
    arrived_s: float
    future: Future[Outputs] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictorStats:
    """Counts what happened to the calls so far, and gives percentiles of the latest latencies."""

    answered: int
    failed: int
    """Number of calls whose inference raised an exception."""
    cancelled: int
    refused: int
    """Number of calls that found the queue full."""
    waiting: int
    running: int
    """Number of requests that are busy."""
    inferences: int
    samples: int
    """Number of samples in all inferences; `samples / inferences` is the batch that was reached."""
    latencies_ms: tuple[float, ...] = field(repr=False)
    """Times from a call to its answer, of the latest calls, sorted."""

    def latency_ms(self, percent: float) -> float:
        """Returns a percentile of the latest latencies by nearest rank, in ms; NaN before the first answer."""
        rank = math.ceil(percent / 100 * len(self.latencies_ms))
        return self.latencies_ms[max(rank, 1) - 1] if self.latencies_ms else math.nan


class Batcher(Generic[Request]):
    """Holds the calls that wait and the requests that are free.

    Args:
        requests: Objects that run one batch at a time.
        batch_size: Number of samples in a full batch.
        max_wait_s: Seconds that a call waits for others to fill its batch while a request is free.
        max_waiting: Number of calls that may wait.
        may_share: Says for the arrays of two calls if they fit into one batch.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        requests: Sequence[Request],
        *,
        batch_size: int,
        max_wait_s: float,
        max_waiting: int,
        may_share: Callable[[Sequence[Array], Sequence[Array]], bool],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._free = list(requests)
        self._total = len(requests)
        self._batch_size = batch_size
        self._max_wait_s = max_wait_s
        self._max_waiting = max_waiting
        self._may_share = may_share
        self.clock = clock
        self._changed = threading.Condition()
        self._waiting: deque[Call] = deque()
        self._waiting_samples = 0
        self._is_closed = False
        self._counts = dict.fromkeys(("answered", "failed", "cancelled", "refused", "inferences", "samples"), 0)
        self._latencies_ms: deque[float] = deque(maxlen=KEPT_LATENCIES)

    def put(self, call: Call) -> None:
        """Queues a call. Raises ClosedError, or QueueFullError if too many wait."""
        with self._changed:
            self._check_open()
            if len(self._waiting) >= self._max_waiting:
                self._counts["refused"] += 1
                raise QueueFullError(
                    f"{len(self._waiting)} calls wait for an answer already, and more would wait in vain: answer 503, "
                    "or open the predictor with a larger max_waiting",
                    advice="The load is above what this configuration serves.",
                )
            self._waiting.append(call)
            self._waiting_samples += call.samples
            if self._free:  # else the thread that gives one back wakes another
                self._changed.notify()

    def borrow(self) -> Request | None:
        """Returns a free request if no call waits for one, else None. Raises ClosedError."""
        with self._changed:
            self._check_open()
            return self._free.pop() if self._free and not self._waiting else None

    def take(self, *, wait: bool) -> tuple[Request, list[Call]] | None:
        """Returns a batch and a request for it.

        Returns None at the end, when the batcher is closed and all calls are taken; without `wait` also where no batch
        may start now.
        """
        with self._changed:
            while True:
                wait_s = None
                if self._waiting and self._free:
                    wait_s = self._missing_s()
                    if wait_s <= 0 and (calls := self._pop()):
                        if self._waiting:
                            self._changed.notify()
                        return self._free.pop(), calls
                    if wait_s <= 0:
                        continue  # all of them were cancelled
                elif self._is_closed and not self._waiting:
                    return None
                if not wait:
                    return None
                self._changed.wait(wait_s)

    def give_back(self, request: Request, calls: Sequence[Call], *, is_answered: bool) -> None:
        """Frees a request whose inference has ended, and counts the calls that it had."""
        now = self.clock()
        with self._changed:
            self._free.append(request)
            self._counts["answered" if is_answered else "failed"] += len(calls)
            self._counts["inferences"] += 1
            self._counts["samples"] += sum(call.samples for call in calls)
            if is_answered:
                self._latencies_ms.extend(1e3 * (now - call.arrived_s) for call in calls)
            if self._is_closed:
                self._changed.notify_all()
            elif self._waiting:
                self._changed.notify()

    def close(self, *, cancel: bool) -> None:
        """Takes no more calls; those that wait are answered, or with `cancel` cancelled."""
        with self._changed:
            self._is_closed = True
            dropped = list(self._waiting) if cancel else []
            if cancel:
                self._waiting.clear()
                self._waiting_samples = 0
                self._counts["cancelled"] += len(dropped)
            self._changed.notify_all()
        for call in dropped:  # outside the lock: a future calls back
            call.future.cancel()

    def wait_until_idle(self) -> None:
        """Waits until no call waits and every request is free."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and len(self._free) == self._total)

    def stats(self) -> PredictorStats:
        """Returns the counts so far."""
        with self._changed:
            latencies, counts = list(self._latencies_ms), dict(self._counts)
            waiting, running = len(self._waiting), self._total - len(self._free)
        return PredictorStats(**counts, waiting=waiting, running=running, latencies_ms=tuple(sorted(latencies)))

    def _check_open(self) -> None:
        if self._is_closed:
            raise ClosedError("the deployment is closed: it takes no more calls", advice="Compile it again.")

    def _missing_s(self) -> float:
        """Returns the seconds that the first call still waits for others; at most 0 if its batch may start."""
        if self._is_closed or self._waiting_samples >= self._batch_size:
            return 0.0
        return self._waiting[0].arrived_s + self._max_wait_s - self.clock()

    def _pop(self) -> list[Call]:
        """Takes the calls of the next batch, in their order and without those that were cancelled."""
        calls: list[Call] = []
        left = self._batch_size
        while self._waiting and self._waiting[0].samples <= left:
            if calls and not self._may_share(calls[0].arrays, self._waiting[0].arrays):
                break
            call = self._waiting.popleft()
            self._waiting_samples -= call.samples
            if call.future.set_running_or_notify_cancel():
                calls.append(call)
                left -= call.samples
            else:
                self._counts["cancelled"] += 1
        return calls
