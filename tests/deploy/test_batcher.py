"""The queue of calls: order, batches, deadlines, bounds and the end, without OpenVINO and without waiting."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from tuner.deploy.batcher import KEPT_LATENCIES, Batcher, Call, PredictorStats
from tuner.errors import ClosedError, QueueFullError

FOREVER_S = 1e6


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def open_batcher(
    requests: Sequence[str] = ("first",),
    *,
    batch_size: int = 4,
    max_wait_s: float = FOREVER_S,
    max_waiting: int = 100,
    may_share: Callable[[Any, Any], bool] = lambda one, other: True,
    clock: Callable[[], float] = lambda: 0.0,
) -> Batcher[str]:
    return Batcher(
        requests,
        batch_size=batch_size,
        max_wait_s=max_wait_s,
        max_waiting=max_waiting,
        may_share=may_share,
        clock=clock,
    )


def call(samples: int = 1, value: float = 0.0, arrived_s: float = 0.0) -> Call:
    return Call(arrays=[np.full(samples, value)], samples=samples, arrived_s=arrived_s)


def test_calls_wait_until_they_fill_a_batch_and_leave_in_their_order() -> None:
    batcher = open_batcher()
    calls = [call() for _ in range(5)]
    for one in calls[:3]:
        batcher.put(one)
    assert batcher.take(wait=False) is None
    for one in calls[3:]:
        batcher.put(one)
    assert batcher.take(wait=False) == ("first", calls[:4])
    assert batcher.stats().waiting == 1


def test_after_the_deadline_a_batch_starts_with_what_is_there() -> None:
    clock = Clock()
    batcher = open_batcher(max_wait_s=2.0, clock=clock)
    batcher.put(one := call(arrived_s=0.0))
    clock.now_s = 1.9
    batcher.put(other := call(arrived_s=1.9))
    assert batcher.take(wait=False) is None
    clock.now_s = 2.0
    assert batcher.take(wait=True) == ("first", [one, other])


def test_a_call_that_does_not_fit_is_the_first_of_the_next_batch() -> None:
    batcher = open_batcher(["first", "second"])
    calls = [call(3), call(2), call(2)]
    for one in calls:
        batcher.put(one)
    assert batcher.take(wait=False) == ("second", calls[:1])
    assert batcher.take(wait=False) == ("first", calls[1:])


def test_calls_that_may_not_share_a_batch_get_one_each() -> None:
    batcher = open_batcher(
        ["first", "second"], max_wait_s=0.0, may_share=lambda one, other: bool(one[0][0] == other[0][0])
    )
    calls = [call(value=1.0), call(value=1.0), call(value=2.0)]
    for one in calls:
        batcher.put(one)
    assert batcher.take(wait=False) == ("second", calls[:2])
    assert batcher.take(wait=False) == ("first", calls[2:])


def test_without_a_free_request_no_batch_starts_and_nothing_is_borrowed() -> None:
    batcher = open_batcher(batch_size=1)
    assert batcher.borrow() == "first"
    assert batcher.borrow() is None
    batcher.put(one := call())
    assert batcher.take(wait=False) is None
    batcher.give_back("first", [call()], is_answered=True)
    assert batcher.borrow() is None, "the call that waits comes first"
    assert batcher.take(wait=False) == ("first", [one])


def test_a_full_queue_refuses_with_what_to_do_and_counts_it() -> None:
    batcher = open_batcher(max_waiting=2)
    batcher.put(call())
    batcher.put(call())
    with pytest.raises(QueueFullError, match=r"2 calls wait for an answer already.*answer 503.*max_waiting"):
        batcher.put(call())
    assert batcher.stats().refused == 1


def test_a_cancelled_call_takes_no_place_in_a_batch() -> None:
    batcher = open_batcher(batch_size=2)
    calls = [call() for _ in range(3)]
    for one in calls:
        batcher.put(one)
    assert calls[0].future.cancel()
    assert batcher.take(wait=False) == ("first", calls[1:])
    assert batcher.stats().cancelled == 1


def test_where_all_calls_were_cancelled_the_request_stays_free() -> None:
    batcher = open_batcher(batch_size=1)
    batcher.put(one := call())
    assert one.future.cancel()
    assert batcher.take(wait=False) is None
    assert batcher.borrow() == "first"


def test_closing_answers_what_waits_and_refuses_the_rest() -> None:
    batcher = open_batcher()
    batcher.put(one := call())
    batcher.close(cancel=False)
    for refused in (lambda: batcher.put(call()), batcher.borrow):
        with pytest.raises(ClosedError, match="is closed"):
            refused()
    assert batcher.take(wait=True) == ("first", [one])
    batcher.give_back("first", [one], is_answered=True)
    batcher.wait_until_idle()
    assert batcher.take(wait=True) is None


def test_closing_may_cancel_what_waits() -> None:
    batcher = open_batcher()
    batcher.put(one := call())
    batcher.close(cancel=True)
    batcher.close(cancel=True)
    assert one.future.cancelled()
    assert batcher.take(wait=True) is None
    assert batcher.stats().cancelled == 1


def test_a_thread_that_waits_gets_the_batch_that_another_thread_fills() -> None:
    batcher = open_batcher(batch_size=2)
    taken: list[Any] = []
    threads = [threading.Thread(target=lambda: taken.append(batcher.take(wait=True))) for _ in range(2)]
    for thread in threads:
        thread.start()
    calls = [call(), call()]
    for one in calls:
        batcher.put(one)
    while not taken:
        threads[0].join(0.01)
    batcher.close(cancel=False)
    for thread in threads:
        thread.join()
    assert sorted(taken, key=str) == sorted([("first", calls), None], key=str)


def test_counts_and_latencies_are_those_of_the_calls() -> None:
    clock = Clock()
    batcher = open_batcher(batch_size=2, clock=clock)
    for arrived_s in (0.0, 1.0):
        batcher.put(call(arrived_s=arrived_s))
    taken = batcher.take(wait=False)
    assert taken is not None
    clock.now_s = 3.0
    batcher.give_back(*taken, is_answered=True)
    failed = [call()]
    batcher.give_back("second", failed, is_answered=False)
    stats = batcher.stats()
    assert (stats.answered, stats.failed, stats.inferences, stats.samples) == (2, 1, 2, 3)
    assert stats.latencies_ms == (2000.0, 3000.0)


def test_percentiles_are_of_the_nearest_rank() -> None:
    empty = open_batcher().stats()
    assert math.isnan(empty.latency_ms(50))
    fields = dict.fromkeys(PredictorStats.__dataclass_fields__, 0)
    stats = PredictorStats(**{**fields, "latencies_ms": tuple(float(n) for n in range(1, 101))})  # type: ignore[arg-type]
    assert [stats.latency_ms(q) for q in (0, 50, 99, 99.9, 100)] == [1, 50, 99, 100, 100]


def test_only_the_latest_latencies_are_kept() -> None:
    batcher = open_batcher()
    batcher.give_back("first", [call(arrived_s=-1.0)] * (KEPT_LATENCIES + 5), is_answered=True)
    assert len(batcher.stats().latencies_ms) == KEPT_LATENCIES
