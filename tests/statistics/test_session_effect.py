"""Tests of a session's value and its standard error, against hand-computed numbers and seeded samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import mean, stdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.bench import histogram
from tuner.bench.configuration import Effective
from tuner.bench.measurement import Window, Windows
from tuner.bench.metrics import METRICS, Metric
from tuner.statistics.robust import hodges_lehmann, mad_sd
from tuner.statistics.session_effect import log_percentile, pair_ratios, paired_windows, session_sd, session_value

THROUGHPUT = METRICS["throughput"]
MEAN = METRICS["latency_mean_ms"]
P50, P90, P99 = METRICS["latency_p50_ms"], METRICS["latency_p90_ms"], METRICS["latency_p99_ms"]

window_counts = st.lists(st.integers(min_value=1, max_value=10_000), min_size=1, max_size=8)


def window(
    block: int, samples: int, *, turn: int = 0, duration_s: float = 0.4, latencies_ms: Sequence[float] = (10.0,)
) -> Window:
    return Window(
        block=block,
        turn=turn,
        started_s=0.0,
        duration_s=duration_s,
        samples=samples,
        latency_counts=histogram.count(latencies_ms),
        latency_sum_ms=math.fsum(latencies_ms),
    )


def member(windows: Sequence[Window]) -> Windows:
    effective = Effective(properties={}, batch_size=1, infer_requests=1)
    return Windows(effective=effective, windows=tuple(windows), compile_s=0.1)


def with_throughput(samples: Sequence[int]) -> Windows:
    return member([window(block, n) for block, n in enumerate(samples)])


def with_latencies(blocks: Sequence[Sequence[float]]) -> Windows:
    return member([window(block, len(ms), latencies_ms=ms) for block, ms in enumerate(blocks)])


# Pairs


def test_windows_are_paired_by_block_whatever_their_order() -> None:
    candidate = [window(1, 30), window(0, 20)]
    reference = [window(0, 10), window(1, 15), window(2, 99)]
    assert pair_ratios(THROUGHPUT, candidate, reference) == pytest.approx([math.log(2), math.log(2)])


def test_several_windows_of_a_block_are_paired_in_the_order_of_their_turns() -> None:
    candidate = [window(0, 30, turn=3), window(0, 20, turn=0)]
    reference = [window(0, 10, turn=1), window(0, 10, turn=2)]
    assert [a.samples for a, _ in paired_windows(candidate, reference)] == [20, 30]


def test_lower_latency_is_a_positive_ratio() -> None:
    candidate, reference = [window(0, 1, latencies_ms=[5.0])], [window(0, 1, latencies_ms=[10.0])]
    assert pair_ratios(MEAN, candidate, reference) == pytest.approx([math.log(2)])


def test_throughput_compares_samples_over_different_durations() -> None:
    candidate, reference = [window(0, 80, duration_s=0.8)], [window(0, 20, duration_s=0.4)]
    assert pair_ratios(THROUGHPUT, candidate, reference) == pytest.approx([math.log(2)])


def test_one_window_without_completions_refuses_the_whole_session() -> None:
    candidate = member([window(0, 20), window(1, 0, latencies_ms=[])])
    reference = with_throughput([10, 10])
    assert pair_ratios(THROUGHPUT, candidate.windows, reference.windows) == ()
    assert session_value(THROUGHPUT, candidate, reference) is None
    assert session_sd(THROUGHPUT, candidate, reference) is None


# A session's value


def test_session_value_of_throughput_is_hodges_lehmann_over_pairs() -> None:
    candidate, reference = with_throughput([110, 120, 400]), with_throughput([100, 100, 100])
    expected = hodges_lehmann([math.log(1.1), math.log(1.2), math.log(4.0)])
    assert session_value(THROUGHPUT, candidate, reference) == pytest.approx(expected)


def test_a_drift_that_both_sides_share_cancels() -> None:
    candidate, reference = with_throughput([110, 55, 220, 88]), with_throughput([100, 50, 200, 80])
    assert session_value(THROUGHPUT, candidate, reference) == pytest.approx(math.log(1.1))


def test_sessions_without_a_common_block_have_no_value() -> None:
    assert session_value(THROUGHPUT, member([window(0, 1)]), member([window(1, 1)])) is None


@given(window_counts, window_counts)
def test_session_value_changes_sign_when_the_sides_are_exchanged(a: list[int], b: list[int]) -> None:
    ours, theirs = with_throughput(a), with_throughput(b)
    forward, backward = session_value(THROUGHPUT, ours, theirs), session_value(THROUGHPUT, theirs, ours)
    assert forward is not None
    assert backward is not None
    assert forward == pytest.approx(-backward, abs=1e-12)


@given(st.lists(st.floats(min_value=0.01, max_value=1e4), min_size=64, max_size=80), st.floats(0.1, 10.0))
def test_percentile_value_changes_sign_when_the_sides_are_exchanged(latencies: list[float], factor: float) -> None:
    ours, theirs = with_latencies([latencies]), with_latencies([[factor * v for v in latencies]])
    forward, backward = session_value(P90, ours, theirs), session_value(P90, theirs, ours)
    assert forward is not None
    assert backward is not None
    assert forward == pytest.approx(-backward, abs=1e-12)
    assert forward == pytest.approx(math.log(factor), abs=2 * histogram.WIDTH)


@given(st.permutations(list(range(6))))
def test_session_value_does_not_depend_on_the_order_windows_are_listed_in(order: list[int]) -> None:
    ours = with_throughput([101, 98, 140, 97, 103, 99])
    theirs = with_throughput([100, 101, 99, 100, 60, 100])
    shuffled = member([ours.windows[i] for i in order])
    assert session_value(THROUGHPUT, shuffled, theirs) == session_value(THROUGHPUT, ours, theirs)


def test_percentiles_are_pooled_over_windows_and_not_averaged() -> None:
    # One window holds all the slow requests: the mean of the windows' p90 would be far from the pooled one.
    candidate = with_latencies([[1.0] * 90, [50.0] * 9])
    reference = with_latencies([[1.0] * 90, [1.0] * 9])
    assert session_value(P90, candidate, reference) == pytest.approx(0.0, abs=histogram.WIDTH)


@pytest.mark.parametrize(("row", "needed"), [(P90, 64), (P99, 662)], ids=["p90", "p99"])
def test_a_percentile_from_too_few_requests_is_refused(row: Metric, needed: int) -> None:
    enough, too_few = with_latencies([[2.0] * needed]), with_latencies([[2.0] * (needed - 1)])
    assert session_value(row, enough, enough) == 0.0
    assert session_value(row, too_few, enough) is None
    assert session_value(row, enough, too_few) is None


def test_a_search_may_accept_fewer_requests_but_not_none() -> None:
    few, none = with_latencies([[2.0] * 5]), with_latencies([[]])
    assert session_value(P99, few, few, min_requests=1) == 0.0
    assert session_value(P99, few, none, min_requests=0) is None


def test_percentiles_on_two_sides_of_a_bucket_edge_are_not_half_a_per_cent_apart() -> None:
    # 1 % of the requests sits on the other side of the edge: bucket centres would claim 0.5 %.
    edge = math.exp(100 * histogram.WIDTH)
    low, high = edge * 0.999, edge * 1.001
    candidate = with_latencies([[low] * 51 + [high] * 49])
    reference = with_latencies([[low] * 49 + [high] * 51])
    value = session_value(P50, candidate, reference)
    assert value is not None
    assert 0.0 <= value < 0.0005


def test_log_percentile_stays_within_the_bucket_of_the_nearest_rank() -> None:
    counts = histogram.count(np.random.default_rng(1).lognormal(2.0, 0.3, 5000))
    for q in (0.01, 0.5, 0.9, 0.99, 1.0):
        assert log_percentile(counts, q) == pytest.approx(
            math.log(histogram.percentile(counts, q)), abs=histogram.WIDTH / 2 + 1e-12
        )


# A session's standard error


def test_session_sd_is_the_mad_over_the_root_of_the_pairs() -> None:
    ratios = [-0.02, -0.01, 0.0, 0.01, 0.02]
    ours = member([window(b, 1000, duration_s=math.exp(-r)) for b, r in enumerate(ratios)])
    theirs = member([window(b, 1000, duration_s=1.0) for b in range(5)])
    expected = math.sqrt(math.pi / 3) * mad_sd(ratios) / math.sqrt(5)
    assert session_sd(THROUGHPUT, ours, theirs) == pytest.approx(expected, rel=1e-6)


def test_one_pair_has_no_spread() -> None:
    assert session_sd(THROUGHPUT, with_throughput([10]), with_throughput([11])) is None


def test_no_requests_have_no_spread() -> None:
    assert session_sd(P90, with_latencies([[]]), with_latencies([[1.0]])) is None


def test_session_sd_of_throughput_is_about_the_spread_of_session_values() -> None:
    rng = np.random.default_rng(7)
    values: list[float] = []
    errors: list[float] = []
    for _ in range(250):
        ours = member([window(b, 10_000, duration_s=math.exp(e)) for b, e in enumerate(rng.normal(0, 0.03, 8))])
        theirs = member([window(b, 10_000, duration_s=math.exp(e)) for b, e in enumerate(rng.normal(0, 0.03, 8))])
        value, error = session_value(THROUGHPUT, ours, theirs), session_sd(THROUGHPUT, ours, theirs)
        assert value is not None
        assert error is not None
        values.append(value)
        errors.append(error)
    assert mean(errors) == pytest.approx(stdev(values), rel=0.15)


def percentile_errors(block_sd: float, sessions: int) -> tuple[list[float], list[float]]:
    """Session values of the p90 and what `session_sd` says of them; each block of each side has its own level."""
    rng = np.random.default_rng(11)
    values: list[float] = []
    errors: list[float] = []
    for _ in range(sessions):
        sides = [
            with_latencies([rng.lognormal(rng.normal(2.0, block_sd), 0.1, 60).tolist() for _ in range(8)])
            for _ in range(2)
        ]
        value, error = session_value(P90, sides[0], sides[1]), session_sd(P90, sides[0], sides[1])
        assert value is not None
        assert error is not None
        values.append(value)
        errors.append(error)
    return values, errors


@pytest.mark.parametrize("block_sd", [0.0, 0.08])
def test_session_sd_of_a_percentile_covers_requests_and_blocks_alike(block_sd: float) -> None:
    # The larger of two estimates is a little too large on average, and must not be too small.
    values, errors = percentile_errors(block_sd, 80)
    assert 0.95 <= mean(errors) / stdev(values) <= 1.6


def test_percentile_error_of_few_blocks_is_the_binomial_one() -> None:
    latencies = np.random.default_rng(3).lognormal(1.0, 0.2, 200).tolist()
    one, split = with_latencies([latencies]), with_latencies([latencies[:100], latencies[100:]])
    assert session_sd(P90, one, one) == session_sd(P90, split, split)


# Several numbers of callers


def at_callers(blocks: dict[int, Sequence[float]], n: int = 700) -> Windows:
    """Four blocks with a window of `n` requests at each number of callers, which all take the latency (ms) given."""
    numbers = [(block, callers) for block in range(4) for callers in blocks]
    windows = [
        replace(window(block, n, turn=i, latencies_ms=[blocks[callers][block]] * n), callers=callers)
        for i, (block, callers) in enumerate(numbers)
    ]
    return member(windows)


@pytest.mark.parametrize("metric", [THROUGHPUT, MEAN, P50, P99])
def test_the_value_is_that_of_the_number_of_callers_at_which_the_candidate_gains_least(metric: Metric) -> None:
    reference = at_callers({1: [10.0] * 4, 4: [40.0] * 4})
    fragile = at_callers({1: [5.0] * 4, 4: [60.0] * 4})
    at_four = [replace(m, windows=tuple(w for w in m.windows if w.callers == 4)) for m in (fragile, reference)]
    assert session_value(metric, fragile, reference) == session_value(metric, at_four[0], at_four[1])
    assert session_value(metric, reference, reference) == pytest.approx(0.0)


def test_the_error_is_the_largest_over_the_numbers_of_callers() -> None:
    reference = at_callers({1: [10.0] * 4, 4: [40.0, 41.0, 40.0, 41.0]})
    candidate = at_callers({1: [10.0] * 4, 4: [40.0, 47.0, 44.0, 60.0]})
    both, one = (
        session_sd(MEAN, candidate, reference),
        session_sd(MEAN, at_callers({1: [10.0] * 4}), at_callers({1: [10.0] * 4})),
    )
    assert both is not None
    assert one is not None
    assert both > one


def test_a_percentile_needs_its_requests_at_each_number_of_callers() -> None:
    few, many = at_callers({1: [10.0] * 4, 4: [40.0] * 4}, n=100), at_callers({1: [10.0] * 4, 4: [40.0] * 4})
    assert session_value(P99, few, few) is None, "800 requests in all, 400 at each number"
    assert session_value(P99, many, many) == pytest.approx(0.0)
