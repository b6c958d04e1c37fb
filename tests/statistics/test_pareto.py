"""Tests of domination on paired evidence, the order of points and the knee: pure functions of log-ratios."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.statistics.pareto import (
    TIE,
    direction,
    is_beaten,
    is_clearly_dominated,
    is_dominated,
    knee,
    layers,
    survivors,
)
from tuner.statistics.session_effect import Estimate

VALUES = st.lists(st.tuples(st.floats(-2, 2), st.floats(-2, 2)), min_size=1, max_size=12)


def known(*values: float, sd: float = 0.01) -> list[Estimate]:
    return [Estimate(value=value, sd=sd) for value in values]


def sessions(mean: float, spread: float = 0.001) -> list[float]:
    return [mean - spread, mean + spread, mean, mean - spread / 2, mean + spread / 2]


@pytest.mark.parametrize(
    ("gaps", "is_off"),
    [
        ((sessions(0.10), sessions(0.10)), True),
        ((sessions(0.10), sessions(0.0)), True),
        ((sessions(0.10), sessions(-0.9 * TIE)), True),
        ((sessions(0.10), sessions(-1.5 * TIE)), False),
        ((sessions(0.5 * TIE), sessions(0.5 * TIE)), False),
        ((sessions(0.10, spread=0.30), sessions(0.0)), False),
        (([0.1], [0.1]), False),
    ],
    ids=["both", "one", "within-a-tie", "worse-in-the-other", "a-tie", "noise", "one-session"],
)
def test_a_point_leaves_only_where_sessions_show_another_to_be_better_and_not_worse(
    gaps: tuple[list[float], list[float]], is_off: bool
) -> None:
    assert is_beaten(gaps) is is_off


def test_sessions_that_agree_by_luck_take_no_point_off_the_front() -> None:
    gaps = [sessions(0.02, spread=1e-6), sessions(0.0, spread=1e-6)]
    assert is_beaten(gaps)
    assert not is_beaten(gaps, sd_floor=0.05)


def test_in_a_search_a_point_is_left_out_only_where_another_is_clearly_ahead() -> None:
    assert is_clearly_dominated(known(0.0, 0.0), known(0.1, 0.0))
    assert not is_clearly_dominated(known(0.0, 0.0), known(0.1, -0.1))
    assert not is_clearly_dominated(known(0.0, 0.0, sd=0.2), known(0.1, 0.0, sd=0.2))
    assert not is_clearly_dominated(known(0.0, 0.0), known(0.5 * TIE, 0.5 * TIE))


def test_points_that_beat_each_other_in_a_ring_do_not_all_leave() -> None:
    ring = {("a", "b"), ("b", "c"), ("c", "a")}
    assert survivors("abc", lambda a, b: (a, b) in ring, lambda p: 0.0) == ["b"]


def test_a_point_that_is_beaten_leaves_though_its_better_is_asked_later() -> None:
    beats = {("a", "b"), ("b", "c"), ("a", "c")}
    assert survivors("abc", lambda a, b: (a, b) in beats, lambda p: -ord(p)) == ["a"]


@given(VALUES)
def test_layers_begin_with_the_front_and_hold_every_point(values: list[tuple[float, float]]) -> None:
    named = {str(i): value for i, value in enumerate(values)}
    found = layers(named)
    assert sorted(name for layer in found for name in layer) == sorted(named)
    front = {n for n, v in named.items() if not any(is_dominated(v, by) for by in values)}
    assert set(found[0]) == front
    for before, after in itertools.pairwise(found):
        assert all(any(is_dominated(named[a], named[b]) for b in before) for a in after)


def test_within_a_layer_the_ends_come_first() -> None:
    values = {"low": (0.0, 1.0), "crowd1": (0.48, 0.52), "crowd2": (0.5, 0.5), "lonely": (0.8, 0.3), "high": (1.0, 0.0)}
    (order,) = layers(values)
    assert set(order[:2]) == {"low", "high"}
    assert order[2] == "lonely"


def test_the_knee_is_the_farthest_from_the_line_between_the_ends() -> None:
    values = [(1.0, -3.0), (0.9, -1.0), (0.5, -0.5), (0.0, 0.0)]
    ends = values[0], values[-1]
    length = math.hypot(1.0, 1.0)

    def distance(value: tuple[float, float]) -> float:
        x, y = value[0], (value[1] + 3.0) / 3.0
        return abs(x + y - 1.0) / length

    assert max(range(4), key=lambda i: distance(values[i])) == knee(values) == 1
    assert distance(ends[0]) == distance(ends[1]) == 0.0


def test_of_two_ends_alone_the_knee_is_the_best_in_the_first_objective() -> None:
    assert knee([(0.0, 1.0), (1.0, 0.0)]) == 1
    assert knee([(0.3, 0.3)]) == 0
    with pytest.raises(ValueError, match="no knee"):
        knee([])


def test_the_knee_of_some_is_measured_on_the_whole_front() -> None:
    whole = [(1.0, 0.0), (0.6, 0.9), (0.0, 1.0)]
    assert knee([whole[0], whole[2]], whole) == 0


@given(VALUES.filter(lambda v: len(v) > 1), st.tuples(st.floats(0.01, 1.0), st.floats(0.01, 0.99)))
def test_in_every_direction_a_dominated_point_is_worth_less(
    values: list[tuple[float, float]], uniform: tuple[float, float]
) -> None:
    towards = direction(uniform, values)
    assert sum(towards.weights) == pytest.approx(len(uniform))
    for a in values:
        for b in values:
            if is_dominated(a, by=b):
                assert towards.weigh(b) >= towards.weigh(a) - 1e-9


def test_opposite_directions_prefer_opposite_ends() -> None:
    values = [(1.0, 0.0), (0.0, 1.0)]
    first, second = direction((0.01, 0.99), values), direction((0.99, 0.01), values)
    assert first.weights[0] > first.weights[1]
    assert first.weigh(values[0]) > first.weigh(values[1])
    assert second.weigh(values[0]) < second.weigh(values[1])
