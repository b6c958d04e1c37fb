from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.bench.conftest import window
from tuner.bench.measurement import ArrivalProcess, OpenLoopStats, Window
from tuner.bench.session.capacity_search import RateSearch

P90 = ArrivalProcess(pattern="poisson", keep=(("latency_p90_ms", 50.0),))


def after(answer: Callable[[int, float], bool], *, windows: int) -> RateSearch:
    """A search on a member of 100 requests/s whose n-th window (from 0) is answered so."""
    search = RateSearch(P90, 100.0)
    for n in range(windows):
        rate = search.rate_per_s
        search.tell(rate, answer(n, rate))
    return search


def served(latencies_ms: list[float], *, waiting: int = 0) -> Window:
    n = len(latencies_ms)
    found = OpenLoopStats(rate_per_s=60.0, arrivals=n, waiting=waiting, unserved=0, lag_p99_ms=0.0)
    return replace(window(latencies_ms), served=found)


@pytest.mark.parametrize("true_rate", [35.0, 50.0, 80.0, 95.0])
def test_six_windows_find_the_rate_to_within_a_few_per_cent(true_rate: float) -> None:
    search = after(lambda n, rate: rate <= true_rate, windows=6)
    assert search.low <= true_rate <= search.high
    assert search.high / search.low < 1.09
    assert search.has_kept


def test_the_search_begins_between_the_shares_of_the_closed_loop() -> None:
    search = RateSearch(P90, 100.0)
    assert (search.low, search.high) == pytest.approx((30.0, 98.0))
    assert search.rate_per_s == pytest.approx(math.sqrt(30.0 * 98.0))
    assert not search.has_kept


@pytest.mark.parametrize("true_rate", [45.0, 70.0, 90.0])
@pytest.mark.parametrize("disturbed", [0, 1])
def test_one_window_that_the_host_disturbed_is_taken_back(true_rate: float, disturbed: int) -> None:
    search = after(lambda n, rate: rate <= true_rate and n != disturbed, windows=10)
    assert search.low <= true_rate <= search.high * 1.0001
    assert search.high / search.low < 1.15


def test_one_lucky_window_is_taken_back() -> None:
    search = after(lambda n, rate: rate <= 40.0 or n == 0, windows=10)
    assert search.low <= 40.0 <= search.high


@pytest.mark.parametrize("true_rate", [150.0, 350.0])
def test_a_closed_loop_that_the_host_disturbed_caps_no_rate(true_rate: float) -> None:
    search = after(lambda n, rate: rate <= true_rate, windows=14)
    assert search.low <= true_rate <= search.high
    assert search.high / search.low < 1.15
    assert search.capacity_per_s >= search.low / 0.98


def test_a_member_that_keeps_nothing_ends_where_the_search_began() -> None:
    search = after(lambda n, rate: False, windows=8)
    assert not search.has_kept
    assert search.low == pytest.approx(30.0)


def test_answers_of_all_kinds_leave_an_interval() -> None:
    rng = random.Random(1)
    for _ in range(200):
        search = after(lambda n, rate: rng.random() < 0.5, windows=12)
        assert 30.0 * 0.999 <= search.low < search.high <= search.highest_per_s * 1.001


def test_a_probe_is_long_enough_for_its_percentile() -> None:
    search = RateSearch(P90, 100.0)
    assert search.window_s(1.0) * search.rate_per_s == pytest.approx(64 + 3 * 8)
    assert search.window_s(5.0) == 5.0
    slow = RateSearch(replace(P90, keep=(("latency_p99_ms", 50.0),)), 1.0)
    assert slow.window_s(1.0) == 20.0, "no window is longer, and too few requests have shown nothing"


def test_limits_are_kept_only_on_enough_requests_and_without_a_backlog() -> None:
    search = RateSearch(P90, 100.0)
    assert search.keeps(served([10.0] * 64))
    assert not search.keeps(served([10.0] * 63))
    assert not search.keeps(served([60.0] * 64))
    assert not search.keeps(served([10.0] * 64, waiting=7))
