"""Tests of limits: lenient in the search, strict in the confirmation, refused where there is too little data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.bench import histogram
from tuner.bench.configuration import Effective
from tuner.bench.measurement import Window, Windows
from tuner.report.words.limits import limit_words
from tuner.statistics.distributions import t_quantile, upper_rank
from tuner.statistics.limits import (
    Bound,
    BoundKind,
    LimitOutcome,
    check_limit,
    limit_alpha,
    search_violation,
)
from tuner.study.study import Limit


@cache
def counted(ms: tuple[float, ...]) -> Mapping[int, int]:
    """Returns the histogram of latencies, which tens of thousands of members have in common."""
    return histogram.count(list(ms)) if ms else {}


def member(blocks: Sequence[Sequence[float]], *, samples: int | None = None, duration_s: float = 1.0) -> Windows:
    """Windows of one second; `blocks` are the latencies (ms) of each."""
    windows = tuple(
        Window(
            block=block,
            turn=0,
            started_s=0.0,
            duration_s=duration_s,
            samples=len(ms) if samples is None else samples,
            latency_counts=dict(counted(tuple(ms))),
            latency_sum_ms=math.fsum(ms),
        )
        for block, ms in enumerate(blocks)
    )
    return Windows(effective=Effective(properties={}, batch_size=1, infer_requests=1), windows=windows, compile_s=0.1)


def at_rate(per_s: int) -> Windows:
    return member([[10.0] * 5], samples=per_s)


def steady(latency_ms: float, requests: int = 700) -> Windows:
    return member([[latency_ms] * requests])


# One bound


@pytest.mark.parametrize(
    ("kind", "side", "is_ratio"),
    [("max", 1, False), ("min", -1, False), ("max_ratio", 1, True), ("min_ratio", -1, True)],
)
def test_a_bounds_kind_decides_its_side_and_ratio(kind: BoundKind, side: int, is_ratio: bool) -> None:
    bound = Bound(metric="throughput", kind=kind, limit=2.0)
    assert (bound.side, bound.is_ratio) == (side, is_ratio)
    assert bound.keeps(2.0)
    assert bound.keeps(2.0 - 0.1 * side)
    assert not bound.keeps(2.0 + 0.1 * side)
    assert bound.excess_log(math.log(3.0)) == pytest.approx(side * math.log(1.5))


# In the search


@pytest.mark.parametrize(
    ("limit", "violation"),
    [
        (Limit(metric="throughput", min=120), math.log(1.2)),
        (Limit(metric="throughput", max=80), math.log(100 / 80)),
        (Limit(metric="throughput", min=50), -math.log(2)),
        (Limit(metric="throughput", min_ratio=1.0), math.log(2)),
        (Limit(metric="throughput", max_ratio=0.25), math.log(2)),
        (Limit(metric="throughput", min=50, min_ratio=1.0), math.log(2)),
    ],
)
def test_search_violation_is_the_excess_of_the_worst_bound(limit: Limit, violation: float) -> None:
    found = search_violation(limit, at_rate(100), at_rate(200), 0.0, 0.0)
    assert found == pytest.approx(violation)


def test_search_violation_subtracts_one_sd() -> None:
    limit = Limit(metric="throughput", min=104)
    for sd, is_feasible in [(0.0, False), (0.03, False), (0.05, True)]:
        found = search_violation(limit, at_rate(100), at_rate(100), 0.0, sd)
        assert found is not None
        assert (found <= 0.0) == is_feasible


def test_search_violation_of_a_ratio_is_relative_to_the_best_baseline() -> None:
    # The reference has 1.5 x the latency of the best baseline, the candidate half of the reference's: 0.75 x.
    limit = Limit(metric="latency_p50_ms", max_ratio=0.75)
    found = search_violation(limit, steady(5.0), steady(10.0), -math.log(1.5), 0.0)
    assert found == pytest.approx(0.0, abs=2 * histogram.WIDTH)


def test_search_violation_accepts_a_percentile_of_few_requests() -> None:
    limit = Limit(metric="latency_p99_ms", max=10.0)
    found = search_violation(limit, steady(20.0, requests=30), steady(20.0, requests=30), 0.0, 0.0)
    assert found == pytest.approx(math.log(2), abs=histogram.WIDTH)


def test_search_violation_without_requests_is_none() -> None:
    nothing = member([[]])
    limit = Limit(metric="latency_p99_ms", max=10.0)
    assert search_violation(limit, nothing, steady(1.0), 0.0, 0.0) is None
    assert search_violation(Limit(metric="throughput", min_ratio=0.5), nothing, steady(1.0), 0.0, 0.0) is None
    assert search_violation(Limit(metric="throughput", min=1), member([[1.0]], samples=0), steady(1.0), 0.0, 0) is None


# In the confirmation: percentiles


def test_a_percentile_well_below_its_limit_is_kept() -> None:
    sessions = [(steady(4.0, 200), steady(5.0, 200))] * 4
    (found,) = check_limit(Limit(metric="latency_p99_ms", max=50.0), sessions, 0.0)
    assert found.is_kept
    assert limit_words(found) == ""
    assert found.requests == 800
    assert found.bound.kind == "max"
    assert found.measured == pytest.approx(4.0, rel=0.003)
    assert found.confidence_bound is not None
    assert 4.0 <= found.confidence_bound <= 4.0 * 1.005


def test_a_percentile_is_not_kept_if_its_upper_bound_is_above_the_limit() -> None:
    # 0.9 % of the requests are slow: the p99 is 5 ms, but 1.1 % would not have been surprising.
    candidate = member([[5.0] * 991 + [80.0] * 9])
    (found,) = check_limit(Limit(metric="latency_p99_ms", max=50.0), [(candidate, candidate)], 0.0)
    assert found.measured == pytest.approx(5.0, rel=0.003)
    assert found.confidence_bound == pytest.approx(80.0, rel=0.006)
    assert not found.is_kept
    assert "not proved: its upper 97.5 % confidence bound" in limit_words(found)
    assert "max 50" in limit_words(found)


def test_a_percentile_of_too_few_requests_is_not_kept_and_names_the_needed_number() -> None:
    (found,) = check_limit(Limit(metric="latency_p99_ms", max=50.0), [(steady(1.0, 661), steady(1.0))], 0.0)
    assert not found.is_kept
    assert found.confidence_bound is None
    assert found.measured == pytest.approx(1.0, rel=0.003)
    assert "there were 661" in limit_words(found)
    assert "needs 662 requests" in limit_words(found)


# Extremes


def test_a_maximum_is_compared_by_the_slowest_request_without_a_bound() -> None:
    sessions = [(member([[5.0] * 20, [5.0] * 19 + [slowest]]), steady(9.0)) for slowest in (8.0, 6.0)]
    for max_ms, is_kept in ((8.1, True), (7.9, False)):
        (check,) = check_limit(Limit(metric="latency_max_ms", max=max_ms), sessions, 0.0)
        assert check.is_kept == is_kept
        assert check.measured == pytest.approx(8.0, rel=0.003)
        assert check.confidence_bound is None
        assert check.requests == 80
        broken = "latency_max_ms: broken by 1.1 %: 7.983 ms in 80 requests, the limit max 7.9"
        assert limit_words(check) == ("" if is_kept else broken)


def test_a_ratio_of_maxima_is_paired_in_each_session() -> None:
    sessions = [(member([[5.0] * 20]), member([[slowest] * 20])) for slowest in (10.0, 10.1, 9.9, 10.0)]
    (check,) = check_limit(Limit(metric="latency_max_ms", max_ratio=0.6), sessions, 0.0)
    assert check.is_kept
    assert check.confidence_bound is not None


def test_a_metric_that_was_not_measured_keeps_no_limit() -> None:
    for limit in (Limit(metric="cpu_ms_per_sample", max=1.0), Limit(metric="cpu_ms_per_sample", max_ratio=2.0)):
        assert search_violation(limit, steady(5.0), steady(5.0), 0.0, 0.0) is None
        (check,) = check_limit(limit, [(steady(5.0), steady(5.0))] * 4, 0.0)
        assert not check.is_kept
        assert limit_words(check) == "cpu_ms_per_sample: it was not measured in a session of the confirmation"


def test_no_session_at_all_keeps_no_limit() -> None:
    limit = Limit(metric="latency_p99_ms", max=50.0, max_ratio=2.0)
    assert [c.is_kept for c in check_limit(limit, [], 0.0)] == [False, False]
    assert [c.measured for c in check_limit(limit, [], 0.0)] == [None, None]


def test_the_upper_bound_of_a_percentile_holds_in_97_5_per_cent_of_samples() -> None:
    rng = np.random.default_rng(2)
    true_p90, held = math.exp(1.0 + 0.3 * 1.2815516), 0
    for _ in range(400):
        candidate = member([rng.lognormal(1.0, 0.3, 200).tolist()])
        (found,) = check_limit(Limit(metric="latency_p90_ms", max=50.0), [(candidate, candidate)], 0.0)
        assert found.confidence_bound is not None
        held += found.confidence_bound >= true_p90
    assert held / 400 >= 0.955


# In the confirmation: throughput, means and ratios


def test_a_throughput_limit_is_compared_with_the_t_interval_over_sessions() -> None:
    rates = [100, 104, 98, 102]
    logs = np.log(rates)
    lower = math.exp(logs.mean() - t_quantile(0.975, 3) * logs.std(ddof=1) / 2.0)
    sessions = [(at_rate(r), at_rate(50)) for r in rates]
    for limit, is_kept in [(math.floor(lower), True), (math.ceil(lower), False)]:
        (found,) = check_limit(Limit(metric="throughput", min=limit), sessions, 0.0)
        assert found.measured == pytest.approx(math.exp(logs.mean()))
        assert found.confidence_bound == pytest.approx(lower)
        assert found.is_kept == is_kept
        assert bool(limit_words(found)) != is_kept


def test_a_ratio_is_paired_in_each_session_so_that_drift_cancels() -> None:
    sessions = [(at_rate(95 * drift), at_rate(100 * drift)) for drift in (1, 2, 1, 3)]
    kept, broken = (
        check_limit(Limit(metric="throughput", min_ratio=ratio), sessions, 0.0)[0] for ratio in (0.94, 0.96)
    )
    assert kept.is_kept
    assert kept.measured == pytest.approx(0.95)
    assert not broken.is_kept
    assert limit_words(broken).startswith(
        "throughput: broken by 1.1 %: 0.95 of the best baseline, its lower 97.5 % confidence bound is 0.95"
    )
    assert limit_words(broken).endswith("the limit is min_ratio 0.96")


def test_a_limit_that_is_kept_but_not_proved_is_not_called_broken() -> None:
    sessions = [(at_rate(97 + spread), at_rate(100)) for spread in (-4, 4, -4, 4)]
    (found,) = check_limit(Limit(metric="throughput", min_ratio=0.95), sessions, 0.0)
    assert not found.is_kept
    assert "of the best baseline keeps min_ratio 0.95, but that is not proved: its lower" in limit_words(found)
    assert "a longer budget" in limit_words(found)


def test_a_ratio_includes_the_gap_between_reference_and_best_baseline() -> None:
    sessions = [(steady(10.0), steady(10.0))] * 4
    limit = Limit(metric="latency_p99_ms", max_ratio=1.5)
    assert check_limit(limit, sessions, -math.log(1.4))[0].is_kept
    (broken,) = check_limit(limit, sessions, -math.log(1.6))
    assert broken.measured == pytest.approx(1.6)
    assert not broken.is_kept


def test_a_ratio_of_percentiles_needs_enough_requests_in_every_session() -> None:
    sessions = [(steady(10.0), steady(10.0)), (steady(10.0), steady(10.0, 100))]
    (found,) = check_limit(Limit(metric="latency_p99_ms", max_ratio=2.0), sessions, 0.0)
    assert not found.is_kept
    assert "one had 100" in limit_words(found)


def test_a_single_session_proves_no_throughput() -> None:
    (found,) = check_limit(Limit(metric="throughput", min=1), [(at_rate(100), at_rate(100))], 0.0)
    assert not found.is_kept
    assert "2 sessions" in limit_words(found)


def test_a_window_in_which_nothing_completed_breaks_a_throughput_limit() -> None:
    stalled = member([[10.0] * 5, []])
    for limit in (Limit(metric="throughput", min=1), Limit(metric="throughput", min_ratio=0.1)):
        (found,) = check_limit(limit, [(stalled, member([[10.0] * 5] * 2))] * 2, 0.0)
        assert not found.is_kept
        assert "nothing completed" in limit_words(found)


def test_every_bound_of_a_limit_is_checked() -> None:
    limit = Limit(metric="throughput", min=50, max=1000, min_ratio=0.5, max_ratio=2.0)
    found = check_limit(limit, [(at_rate(100), at_rate(100))] * 3, 0.0)
    assert {c.bound.kind for c in found} == {"min", "max", "min_ratio", "max_ratio"}
    assert all(c.is_kept for c in found)


@given(st.lists(st.integers(min_value=1, max_value=1000), min_size=2, max_size=8), st.sampled_from(["min", "max"]))
def test_the_confidence_bound_is_never_better_than_what_was_measured(rates: list[int], side: str) -> None:
    limit = Limit(metric="throughput", min=10) if side == "min" else Limit(metric="throughput", max=10)
    (found,) = check_limit(limit, [(at_rate(r), at_rate(1)) for r in rates], 0.0)
    assert found.measured is not None
    assert found.confidence_bound is not None
    excess = found.confidence_bound - found.measured
    assert (excess <= 1e-9) if side == "min" else (excess >= -1e-9)


# Alpha, shared by points and looks


def chance_that_the_percentile_bound_keeps(n: int, q: float, alpha: float) -> float:
    """The chance that the bound of a percentile keeps a limit that is the true percentile itself: exact."""
    rank = upper_rank(n, q, alpha)
    assert rank is not None
    return 1.0 - math.fsum(math.comb(n, k) * q**k * (1 - q) ** (n - k) for k in range(rank))


@pytest.mark.parametrize("points", [1, 2, 4, 8])
@pytest.mark.parametrize(("n", "q"), [(200, 0.9), (400, 0.95), (1000, 0.99)])
def test_points_that_break_a_percentile_limit_by_nothing_are_called_kept_in_at_most_2_5_per_cent_of_fronts(
    points: int, n: int, q: float
) -> None:
    each = chance_that_the_percentile_bound_keeps(n, q, limit_alpha(points, 1))
    assert 1.0 - (1.0 - each) ** points <= 0.025
    assert points * each <= 0.025, "whatever the points have in common"


@pytest.mark.slow
@pytest.mark.parametrize(("points", "looks"), [(1, (4, 6, 9, 12)), (5, (6,)), (8, (4,))])
def test_points_that_break_a_throughput_limit_by_nothing_are_called_kept_in_at_most_2_5_per_cent_of_studies(
    points: int, looks: tuple[int, ...]
) -> None:
    # Every point keeps its second limit by far, so that limit takes nothing off the chance of the first.
    studies, mean = 3000, 1e6
    limits = (Limit(metric="throughput", min=mean), Limit(metric="throughput", min_ratio=0.5))
    rates = mean * np.exp(np.random.default_rng(11).normal(0.0, 0.02, (studies, points, looks[-1])))
    alpha = limit_alpha(points, len(looks))
    wrong = 0
    for study in rates:
        members = [[(at_rate(round(rate)), at_rate(round(mean))) for rate in point] for point in study]
        wrong += any(
            all(check.is_kept for limit in limits for check in check_limit(limit, pairs[:n], 0.0, alpha=alpha))
            for pairs in members
            for n in looks
        )
    assert wrong / studies <= 0.025 + 2.0 * math.sqrt(0.025 / studies)
    assert wrong > 0


def test_alpha_needs_a_point_and_a_look() -> None:
    assert limit_alpha(1, 1) == 0.025
    for points, looks in ((0, 1), (1, 0)):
        with pytest.raises(ValueError, match="a point and a look"):
            limit_alpha(points, looks)


def test_more_points_need_more_requests_and_the_check_says_how_many() -> None:
    sessions = [(steady(1.0, 700), steady(1.0))]
    limit = Limit(metric="latency_p99_ms", max=50.0)
    assert check_limit(limit, sessions, 0.0, alpha=limit_alpha(20, 1))[0].is_kept
    (found,) = check_limit(limit, sessions, 0.0, alpha=limit_alpha(40, 1))
    assert (found.outcome, found.found) == (LimitOutcome.TOO_FEW_REQUESTS, 700)
    assert 0.99**found.needed <= limit_alpha(40, 1) < 0.99 ** (found.needed - 1)


# Several numbers of callers


def at_callers(latencies_ms: dict[int, float], requests: int = 2000) -> Windows:
    found = [
        replace(member([[latency] * requests]).windows[0], callers=callers) for callers, latency in latencies_ms.items()
    ]
    return replace(member([[1.0]]), windows=tuple(found))


@pytest.mark.parametrize(
    ("latencies_ms", "outcome", "measured_ms"),
    [
        ({1: 5.0, 4: 18.0}, LimitOutcome.PROVED, 18.0),
        ({1: 18.0, 4: 5.0}, LimitOutcome.PROVED, 18.0),
        ({1: 5.0, 4: 25.0}, LimitOutcome.BROKEN, 25.0),
        ({1: 25.0, 4: 5.0}, LimitOutcome.BROKEN, 25.0),
    ],
)
def test_a_percentile_keeps_its_limit_if_it_does_so_at_every_number_of_callers(
    latencies_ms: dict[int, float], outcome: LimitOutcome, measured_ms: float
) -> None:
    windows = at_callers(latencies_ms)
    (check,) = check_limit(Limit(metric="latency_p99_ms", max=20.0), [(windows, windows)], 0.0)
    assert check.outcome is outcome
    assert check.measured == pytest.approx(measured_ms, rel=0.01)
    assert check.requests == 2000, "those of one number of callers: a claim rests on each alone"


def test_a_limit_on_a_mean_is_about_the_worst_number_of_callers() -> None:
    sessions = [(windows, windows) for windows in [at_callers({1: 5.0, 4: 25.0})] * 4]
    (check,) = check_limit(Limit(metric="latency_mean_ms", max=20.0), sessions, 0.0)
    assert check.outcome is LimitOutcome.BROKEN
    assert search_violation(Limit(metric="latency_mean_ms", max=20.0), *sessions[0], 0.0, 0.0) == pytest.approx(
        math.log(25.0 / 20.0), rel=0.01
    )
