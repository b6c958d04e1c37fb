from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.bench.conftest import window
from tuner.bench.measurement import OpenLoopStats
from tuner.bench.metrics import METRICS, block_count, log_ratio, request_count, requests_needed, requests_per_window

STARTS = {"compile_s": 0.2, "load_s": 0.3, "first_inference_s": 0.01, "load_cached_s": 0.1}
OTHER_STARTS = {"compile_s": 0.4, "load_s": 0.5, "first_inference_s": 0.03, "load_cached_s": 0.2}

# 100 requests of two samples each. Pooled in order: 85 of 1 ms, 10 of 2 ms, 5 of 9 ms.
WINDOWS = (
    window(
        [1.0] * 40 + [2.0] * 10,
        duration_s=0.5,
        batch_size=2,
        block=0,
        cpu_s=0.3,
        energy_j=2.0,
        peak_memory_bytes=50_000_000,
        **STARTS,
    ),
    window(
        [1.0] * 45 + [9.0] * 5,
        duration_s=1.0,
        batch_size=2,
        block=1,
        cpu_s=0.5,
        energy_j=4.0,
        peak_memory_bytes=60_000_000,
        **OTHER_STARTS,
    ),
)
BY_HAND = {
    "throughput": 200 / 1.5,
    "latency_mean_ms": (85 * 1.0 + 10 * 2.0 + 5 * 9.0) / 100,
    "latency_p50_ms": 1.0,
    "latency_p90_ms": 2.0,  # the mean of the windows' own percentiles would be 1.5
    "latency_p95_ms": 2.0,
    "latency_p99_ms": 9.0,
    "latency_p999_ms": 9.0,
    "latency_max_ms": 9.0,
    "cpu_ms_per_sample": 800 / 200,
    "energy_mj_per_sample": 6000 / 200,
    "peak_memory_mb": 60.0,  # the most of any moment, not the mean of the windows
    "compile_ms": 300.0,  # means over starts
    "load_ms": 400.0,
    "first_inference_ms": 20.0,
    "load_cached_ms": 150.0,
}
SERVED = tuple(
    replace(
        window([1.0] * 50, block=block),
        served=OpenLoopStats(
            rate_per_s=rate,
            arrivals=50,
            waiting=waiting,
            unserved=0,
            lag_p99_ms=0.1,
            capacity_per_s=200.0,
            low_per_s=low,
            high_per_s=high,
        ),
    )
    for block, rate, waiting, low, high in (
        (0, 100.0, 2, 60.0, 100.0),
        (1, 80.0, 3, 80.0, 125.0),
        (0, 90.0, 1, 90.0, 160.0),
    )
)
OF_ARRIVALS = {
    "max_rate_per_s": math.sqrt(100.0 * 120.0),  # two sessions: the second begins where the blocks begin again
    "backlog_pct": 100 * 6 / 150,
    "load_pct": 45.0,
}


@pytest.mark.parametrize("name", BY_HAND)
def test_a_metric_reads_what_was_computed_by_hand(name: str) -> None:
    assert METRICS[name].read(WINDOWS) == pytest.approx(BY_HAND[name], rel=0.003)


def test_every_metric_was_computed_by_hand() -> None:
    assert METRICS.keys() == {**BY_HAND, **OF_ARRIVALS}.keys()


@pytest.mark.parametrize("name", OF_ARRIVALS)
def test_a_metric_of_arriving_requests_reads_what_was_computed_by_hand(name: str) -> None:
    assert METRICS[name].is_in(SERVED)
    assert METRICS[name].read(SERVED) == pytest.approx(OF_ARRIVALS[name])
    assert not METRICS[name].is_in([*SERVED, WINDOWS[0]]), "a window of the closed loop has none"


def test_no_backlog_is_a_small_one_for_the_sake_of_its_logarithm() -> None:
    (first, *_) = SERVED
    assert first.served is not None
    idle = replace(first, served=replace(first.served, waiting=0))
    assert METRICS["backlog_pct"].read([idle]) == 0.1


def test_throughput_counts_samples_and_latency_counts_requests() -> None:
    assert request_count(WINDOWS) == 100
    twice = [window([1.0] * 10, batch_size=2)]
    once = [window([1.0] * 10)]
    assert METRICS["throughput"].read(twice) == 2 * METRICS["throughput"].read(once)
    assert METRICS["latency_mean_ms"].read(twice) == METRICS["latency_mean_ms"].read(once)


@pytest.mark.parametrize(("q", "name", "needed"), [(0.90, "p90", 64), (0.99, "p99", 662), (0.999, "p999", 6636)])
def test_a_percentile_needs_the_requests_of_mlperf(q: float, name: str, needed: int) -> None:
    assert requests_needed(q) == needed
    assert METRICS[f"latency_{name}_ms"].min_requests == needed


def test_what_a_window_does_not_carry_is_not_in_it() -> None:
    old, new = window([1.0] * 10), window([1.0] * 10, cpu_s=0.1, peak_memory_bytes=1_000_000)
    for name in ("cpu_ms_per_sample", "peak_memory_mb"):
        assert METRICS[name].is_in([new])
        assert not METRICS[name].is_in([old])
        assert not METRICS[name].is_in([new, old]), "half of a pool would be passed off as all of it"
        assert not METRICS[name].is_in([])
    assert METRICS["throughput"].is_in([old])
    assert not METRICS["throughput"].is_in([window([])])


def test_a_cpu_time_below_the_resolution_of_the_clock_is_no_value_alone_and_counts_in_a_pool() -> None:
    row, idle, busy = METRICS["cpu_ms_per_sample"], window([1.0], cpu_s=0.0), window([1.0], cpu_s=0.01)
    assert not row.is_in([idle])
    assert row.is_in([idle, busy])
    assert row.read([idle, busy]) == pytest.approx(5.0)


@pytest.mark.parametrize("q", [0.5, 0.9, 0.95, 0.99, 0.999])
def test_one_request_fewer_leaves_more_than_one_per_cent_of_doubt(q: float) -> None:
    def doubt(n: int) -> float:
        return sum(math.comb(n, over) * (1 - q) ** over * q ** (n - over) for over in (0, 1))

    assert doubt(requests_needed(q)) <= 0.01 < doubt(requests_needed(q) - 1)


def test_throughput_and_the_mean_need_no_number_of_requests() -> None:
    assert METRICS["throughput"].min_requests == METRICS["latency_mean_ms"].min_requests == 1


@pytest.mark.parametrize("name", BY_HAND)
def test_a_log_ratio_is_positive_for_the_better_whatever_the_direction(name: str) -> None:
    twice = {name: 2 * seconds for name, seconds in STARTS.items()}
    fast = [window([1.0] * 100, duration_s=0.5, cpu_s=0.2, energy_j=1.0, peak_memory_bytes=1_000_000, **STARTS)]
    slow = [window([2.0] * 100, duration_s=1.0, cpu_s=0.4, energy_j=2.0, peak_memory_bytes=2_000_000, **twice)]
    assert log_ratio(METRICS[name], fast, slow) == pytest.approx(math.log(2), abs=0.006)
    assert log_ratio(METRICS[name], slow, fast) == pytest.approx(-math.log(2), abs=0.006)
    assert log_ratio(METRICS[name], fast, fast) == 0.0


def test_under_several_numbers_of_callers_a_metric_is_that_of_the_worst() -> None:
    one = [replace(w, callers=1) for w in WINDOWS]
    four = [replace(window([30.0] * 10, block=block, cpu_s=0.1), callers=4) for block in range(2)]
    for name in ("throughput", "latency_mean_ms", "latency_p99_ms", "latency_max_ms"):
        values = [METRICS[name].read(group) for group in (one, four)]
        worst = min(values) if METRICS[name].is_higher_better else max(values)
        assert METRICS[name].read([w for pair in zip(one, four, strict=True) for w in pair]) == worst
    assert request_count([*one, *four]) == 20, "a claim rests on the requests of each number alone"
    assert requests_per_window([*one, *four]) == 10.0
    assert block_count([*one, *four]) == 2
