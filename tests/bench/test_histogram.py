from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.bench import histogram

LATENCIES = st.lists(st.floats(min_value=1e-3, max_value=1e6), min_size=1, max_size=200)
HALF_A_BUCKET = histogram.WIDTH / 2 + 1e-9


@given(LATENCIES, st.integers(min_value=1, max_value=1000))
def test_a_percentile_is_within_half_a_bucket_of_the_exact_nearest_rank(latencies: list[float], per_mille: int) -> None:
    rank = -(-per_mille * len(latencies) // 1000)
    exact = sorted(latencies)[rank - 1]
    found = histogram.percentile(histogram.count(latencies), per_mille / 1000)
    assert abs(math.log(found / exact)) <= HALF_A_BUCKET


@given(st.lists(LATENCIES, max_size=6))
def test_pooling_histograms_is_counting_everything_at_once(windows: list[list[float]]) -> None:
    together = histogram.count([latency for latencies in windows for latency in latencies])
    assert histogram.pool(histogram.count(latencies) for latencies in windows) == together


@given(LATENCIES)
def test_every_request_is_counted_once_in_a_bucket_that_holds_it(latencies: list[float]) -> None:
    counts = histogram.count(latencies)
    assert sum(counts.values()) == len(latencies)
    for latency in latencies:
        (bucket,) = histogram.count([latency])
        assert bucket in counts
        assert math.exp(bucket * histogram.WIDTH) <= latency * (1 + 1e-9)
        assert latency <= math.exp((bucket + 1) * histogram.WIDTH) * (1 + 1e-9)


@given(LATENCIES)
def test_a_histogram_can_be_written_as_json(latencies: list[float]) -> None:
    counts = histogram.count(latencies)
    assert {int(bucket): n for bucket, n in json.loads(json.dumps(counts)).items()} == counts


def test_a_bucket_is_half_a_per_cent_wide() -> None:
    assert histogram.count([1.001, 1.0049]) == {0: 2}
    assert histogram.count([1.0051]) == {1: 1}
    assert histogram.count([0.999]) == {-1: 1}


def test_what_no_clock_resolves_shares_a_bucket() -> None:
    assert len(histogram.count([0.0, 1e-9, 1e-5])) == 1


def test_a_percentile_is_never_interpolated() -> None:
    counts = histogram.count([1.0] * 50 + [100.0] * 50)
    assert histogram.percentile(counts, 0.50) == pytest.approx(1.0, rel=0.005)
    assert histogram.percentile(counts, 0.51) == pytest.approx(100.0, rel=0.005)


def test_a_rank_is_exact_where_the_product_is_not() -> None:
    assert 0.07 * 100 > 7
    assert histogram.percentile(histogram.count([float(i) for i in range(1, 101)]), 0.07) == pytest.approx(7, rel=0.003)


def test_a_rank_beyond_the_requests_is_refused() -> None:
    with pytest.raises(ValueError, match="rank 3 of only 2 requests"):
        histogram.value_at_rank(histogram.count([1.0, 2.0]), 3)
    with pytest.raises(ValueError, match="of only 0 requests"):
        histogram.percentile({}, 0.5)
