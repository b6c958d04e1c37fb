"""Tests of disturbed windows: known by covariates alone, left out in pairs, counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.statistics.test_session_effect import member, window
from tuner.bench.measurement import HostActivity, Window, Windows
from tuner.bench.metrics import METRICS
from tuner.statistics.disturbance import (
    calm_pairs,
    calm_sides,
    is_disturbed,
    mean_load,
)
from tuner.statistics.session_effect import pair_ratios, session_sd, session_value

THROUGHPUT, P50, P90 = METRICS["throughput"], METRICS["latency_p50_ms"], METRICS["latency_p90_ms"]
BUSY = {"other_cpu_pct": 11.0}


def side(samples: Sequence[int], *, busy: Sequence[int] = ()) -> Windows:
    """One window a block; those of the blocks in `busy` were disturbed."""
    windows = [window(block, n, latencies_ms=[100.0 / n] * 40) for block, n in enumerate(samples)]
    return member([replace(w, **BUSY) if w.block in busy else w for w in windows])


def blocks(windows: Sequence[Window]) -> list[int]:
    return [w.block for w in windows]


# Which windows


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        (HostActivity(), False),
        (HostActivity(other_cpu_pct=10.0, steal_pct=8.0), False),
        (HostActivity(other_cpu_pct=10.1), True),
        (HostActivity(steal_pct=8.1), True),
        (HostActivity(thermal_throttles=1), True),
        (HostActivity(quota_throttles=99), False),
        (HostActivity(pressure_pct=100.0, frequency_mhz=400.0), False),
    ],
    ids=["nothing", "a little", "other", "steal", "heat", "quota", "its own doing"],
)
def test_a_window_is_disturbed_by_other_load_steal_and_heat(load: HostActivity, expected: bool) -> None:
    assert is_disturbed(load) is expected


@given(
    st.builds(
        HostActivity,
        other_cpu_pct=st.floats(0.0, 100.0),
        steal_pct=st.floats(0.0, 100.0),
        thermal_throttles=st.integers(0, 2),
    ),
    st.lists(st.tuples(st.integers(1, 10**6), st.floats(1e-3, 10.0), st.floats(0.1, 1e4)), min_size=2, max_size=2),
)
def test_no_result_makes_a_window_disturbed_or_calm(
    load: HostActivity, results: list[tuple[int, float, float]]
) -> None:
    covariates = {name: getattr(load, name) for name in ("other_cpu_pct", "steal_pct", "thermal_throttles")}
    found = {
        is_disturbed(replace(window(0, samples, duration_s=seconds, latencies_ms=[ms]), **covariates))
        for samples, seconds, ms in results
    }
    assert found == {is_disturbed(load)}


# Which pairs


def test_a_pair_is_left_out_when_either_side_was_disturbed() -> None:
    ours, theirs = side([100] * 6, busy=[1]), side([100] * 6, busy=[4])
    kept = calm_sides(ours.windows, theirs.windows)
    assert [blocks(windows) for windows in kept] == [[0, 2, 3, 5]] * 2
    assert calm_pairs(ours, theirs) == 4
    assert len(pair_ratios(THROUGHPUT, ours.windows, theirs.windows)) == 4


@pytest.mark.parametrize(("busy", "kept"), [([], 6), ([0, 1, 2], 3), ([0, 1, 2, 3], 6), (range(6), 6)])
def test_where_most_pairs_were_disturbed_none_is_left_out(busy: Sequence[int], kept: int) -> None:
    assert calm_pairs(side([100] * 6, busy=busy), side([100] * 6)) == kept


@given(st.integers(1, 8), st.data())
def test_some_pair_is_always_left(pairs: int, data: st.DataObject) -> None:
    busy = [data.draw(st.sets(st.integers(0, pairs - 1))) for _ in range(2)]
    ours, theirs = side([100] * pairs, busy=sorted(busy[0])), side([90] * pairs, busy=sorted(busy[1]))
    assert 1 <= calm_pairs(ours, theirs) <= pairs
    assert session_value(THROUGHPUT, ours, theirs) == pytest.approx(0.1053605)


def test_blocks_that_only_one_side_has_do_not_decide_about_the_pairs() -> None:
    ours, theirs = side([100] * 8, busy=[0]), side([100])
    assert calm_pairs(ours, theirs) == 1


def test_windows_that_other_processes_slowed_do_not_move_the_value() -> None:
    reference = side([100] * 8)
    slowed = side([60, 55, 50, 120, 120, 120, 120, 120], busy=[0, 1, 2])
    assert session_value(THROUGHPUT, slowed, reference) == session_value(THROUGHPUT, side([120] * 8), reference)
    assert session_sd(THROUGHPUT, slowed, reference) == 0.0


def test_slow_windows_of_a_calm_host_count() -> None:
    reference = side([100] * 8)
    slow = side([60, 55, 50, 120, 120, 120, 120, 120])
    assert session_value(THROUGHPUT, slow, reference) != session_value(THROUGHPUT, side([120] * 8), reference)


def test_percentiles_are_pooled_over_calm_windows() -> None:
    reference = side([100] * 6)
    slowed = side([50, 50, 100, 100, 100, 100], busy=[0, 1])
    calm = session_value(P90, slowed, reference)
    assert calm == pytest.approx(0.0, abs=1e-9)
    assert session_sd(P90, slowed, reference) == session_sd(P90, side([100] * 4), side([100] * 4))


def test_a_percentile_keeps_disturbed_windows_where_the_others_have_too_few_requests_for_a_claim() -> None:
    reference, slowed = side([100] * 2), side([50, 100], busy=[0])
    assert session_value(P90, slowed, reference, min_requests=40) == pytest.approx(0.0, abs=1e-9)
    claimed = session_value(P90, slowed, reference)
    assert claimed is not None
    assert claimed < -0.5


def test_an_empty_window_refuses_the_session_even_where_it_was_disturbed() -> None:
    empty = [*side([100] * 4).windows, replace(window(4, 0, latencies_ms=[]), **BUSY)]
    assert pair_ratios(THROUGHPUT, empty, side([100] * 5).windows) == ()


def test_the_mean_of_no_windows_is_no_load() -> None:
    assert mean_load([]) == HostActivity()


def test_shares_are_averaged_and_throttles_counted() -> None:
    found = mean_load(
        [HostActivity(steal_pct=4.0, thermal_throttles=1), HostActivity(other_cpu_pct=6.0, thermal_throttles=2)]
    )
    assert (found.steal_pct, found.other_cpu_pct, found.thermal_throttles) == (2.0, 3.0, 3)
