"""Tests of the features of points, and of which point is proposed next."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.virtual import parameter, space_of
from tuner.search.expected_improvement import Model, Observation, features
from tuner.study.space import Assignment, Parameter, Space

GRID = space_of(parameter("NUM_STREAMS", 1, 2, 4, 8), parameter("infer_requests", 1, 2, 4, 8, 16, 32))
POINTS: dict[str, Assignment] = {str(i): point for i, point in enumerate(GRID.assignments())}


def seen(point: Assignment, value: float, sd: float = 0.01, **excess: float) -> Observation:
    return Observation(point=point, value=value, sd=sd, excess=excess)


def hill(point: Assignment) -> float:
    """Best at 4 streams and 8 requests."""
    streams, requests = point["NUM_STREAMS"], point["infer_requests"]
    assert isinstance(streams, int)
    assert isinstance(requests, int)
    return -0.1 * (math.log2(streams) - 2) ** 2 - 0.1 * (math.log2(requests) - 3) ** 2


# Features


def test_numbers_lie_on_a_log_grid_and_other_values_have_a_column_each() -> None:
    space = space_of(parameter("batch_size", 1, 2, 4, 8, 16), parameter("ENABLE_CPU_PINNING", True, False))
    assert features(space, {"batch_size": 4, "ENABLE_CPU_PINNING": False}) == pytest.approx(
        [0.5, 0.0, 1 / math.sqrt(2)]
    )


def test_a_parameter_that_is_not_asked_is_in_the_middle_and_says_so() -> None:
    space = Space(
        parameters=(
            parameter("PERFORMANCE_HINT", "THROUGHPUT", None),
            Parameter(name="batch_size", values=(1, 4), when={"PERFORMANCE_HINT": (None,)}),
        )
    )
    asked = features(space, {"PERFORMANCE_HINT": None, "batch_size": 4})
    unasked = features(space, {"PERFORMANCE_HINT": "THROUGHPUT"})
    assert asked[2:] == [1.0, 1.0]
    assert unasked[2:] == [0.0, 0.5]


def test_requests_count_per_stream() -> None:
    a, b = (features(GRID, {"NUM_STREAMS": s, "infer_requests": 2 * s}) for s in (1, 8))
    assert a[-1] == pytest.approx(b[-1])
    assert len(a) == 3


@given(st.integers(0, len(POINTS) - 1))
def test_every_feature_lies_between_zero_and_one(i: int) -> None:
    assert all(0.0 <= value <= 1.0 for value in features(GRID, POINTS[str(i)]))


# What it expects


def next_point(model: Model, observations: list[Observation], left: dict[str, Assignment]) -> Assignment | None:
    points, _ = model.batch(observations, left)
    return points[0] if points else None


def test_few_observations_allow_any_point_and_no_open_point_gives_none() -> None:
    model = Model(GRID, POINTS, seed=1)
    assert next_point(model, [], POINTS) in POINTS.values()
    assert next_point(model, [seen(POINTS["0"], 0.0)] * 3, POINTS) in POINTS.values()
    assert next_point(model, [], {}) is None


def test_the_first_points_cover_the_space() -> None:
    """The corners of a grid of two parameters come first, and none is next to a known or a pending one."""
    model = Model(GRID, POINTS, seed=1)
    points, worth = model.batch([seen(POINTS["0"], 0.0)], POINTS, n=3)
    assert worth == math.inf
    distances = [
        math.dist(features(GRID, a), features(GRID, b)) for a in points for b in (*points, POINTS["0"]) if a != b
    ]
    assert min(distances) > 0.5
    again, _ = model.batch([], POINTS, pending=points, n=2)
    assert not any(point in points for point in again)


def test_a_batch_does_not_ask_the_same_twice() -> None:
    """Each point counts as measured for the next: six neighbours of the best would tell little more than one."""
    rng = random.Random(2)
    known = [p for p in POINTS.values() if p["infer_requests"] in (1, 8)]
    observations = [seen(p, hill(p) + rng.gauss(0.0, 0.01)) for p in known]
    left = {key: p for key, p in POINTS.items() if p not in known}
    points, worth = Model(GRID, POINTS, seed=0).batch(observations, left, n=6)
    gains = dict(zip(POINTS, Model(GRID, POINTS, seed=0).expected_improvement(observations), strict=True))
    best = sorted(left, key=lambda key: -gains[key])
    assert len({str(point) for point in points}) == 6
    assert points[0] == left[best[0]]
    assert points != [left[key] for key in best[:6]]
    assert 0.0 < worth <= sum(gains[key] for key in best[:6])


def test_a_pending_point_counts_as_measured() -> None:
    known = [seen(p, hill(p)) for p in POINTS.values() if p["infer_requests"] in (1, 8)]
    left = {key: p for key, p in POINTS.items() if p["infer_requests"] not in (1, 8)}
    model = Model(GRID, POINTS, seed=0)
    (first, second), _ = model.batch(known, left, n=2)
    rest = {key: p for key, p in left.items() if p != first}
    assert model.batch(known, rest, pending=[first])[0] == [second]


def test_the_best_point_is_found_in_half_of_the_trials_of_the_whole_space() -> None:
    for seed in range(5):
        rng = random.Random(seed)
        model, left = Model(GRID, POINTS, seed=seed), dict(POINTS)
        observations: list[Observation] = []
        for _ in range(len(POINTS) // 2):
            point = next_point(model, observations, left)
            if point is None:
                break
            del left[next(key for key, other in left.items() if other is point)]
            observations.append(seen(point, hill(point) + rng.gauss(0.0, 0.01)))
        assert max(hill(o.point) for o in observations) == 0.0, seed


def test_more_is_expected_near_the_best_point_than_far_from_it() -> None:
    rng = random.Random(3)
    known = [p for p in POINTS.values() if p["NUM_STREAMS"] != 4]
    model = Model(GRID, POINTS, seed=0)
    gains = model.expected_improvement([seen(p, hill(p) + rng.gauss(0.0, 0.005), 0.005) for p in known])
    by_point = {(p["NUM_STREAMS"], p["infer_requests"]): g for p, g in zip(POINTS.values(), gains, strict=True)}
    assert by_point[4, 8] > 10 * by_point[4, 1]
    assert all(g >= 0.0 for g in gains)


def test_a_space_that_is_known_precisely_promises_no_improvement() -> None:
    model = Model(GRID, POINTS, seed=0)
    observations = [seen(p, hill(p), 0.002) for p in POINTS.values() if p["infer_requests"] != 1]
    assert len(observations) >= 12
    left = {key: p for key, p in POINTS.items() if p["infer_requests"] == 1}
    assert next_point(model, observations, left) is None


def test_a_search_does_not_end_before_half_of_the_points_are_known() -> None:
    wide = space_of(parameter("NUM_STREAMS", 1, 2, 4, 8), parameter("infer_requests", *range(1, 17)))
    points = {str(i): point for i, point in enumerate(wide.assignments())}
    model = Model(wide, points, seed=0)
    known = [seen(p, 0.0 if p["NUM_STREAMS"] == 8 else 1.0, 0.002) for p in points.values()]
    left = {key: p for key, p in points.items() if p["NUM_STREAMS"] == 8}
    asked = [o for o in known if o.point["NUM_STREAMS"] != 8] + known[-4:]
    assert next_point(model, asked[: len(points) // 2 - 1], left) is not None
    assert next_point(model, asked, left) is None


def test_a_point_that_probably_breaks_a_limit_is_not_promising() -> None:
    """More requests are faster here, and from 16 on they break the limit."""
    model = Model(GRID, POINTS, seed=0)
    observations = []
    for point in POINTS.values():
        requests = point["infer_requests"]
        assert isinstance(requests, int)
        if point["NUM_STREAMS"] != 4:
            observations.append(seen(point, 0.1 * math.log2(requests), excess=math.log(requests / 12)))
    left = {key: p for key, p in POINTS.items() if p["NUM_STREAMS"] == 4}
    assert next_point(model, observations, left) == {"NUM_STREAMS": 4, "infer_requests": 8}


def test_without_a_feasible_point_the_most_probably_feasible_one_is_next() -> None:
    model = Model(GRID, POINTS, seed=0)
    known = [p for p in POINTS.values() if p["infer_requests"] in (8, 16, 32)]
    observations = [seen(p, 0.5, excess=math.log(float(p["infer_requests"] or 0))) for p in known]
    left = {key: p for key, p in POINTS.items() if p["infer_requests"] in (1, 4)}
    found = next_point(model, observations, left)
    assert found is not None
    assert found["infer_requests"] == 1


def test_a_failed_point_is_not_feasible() -> None:
    model = Model(GRID, POINTS, seed=0)
    known = [p for p in POINTS.values() if p["infer_requests"] in (8, 16, 32)]
    observations = [seen(p, 0.5, excess=math.log(float(p["infer_requests"] or 0))) for p in known]
    observations.append(Observation(point=POINTS["1"], value=0.5, sd=0.1, is_failed=True))
    left = {key: p for key, p in POINTS.items() if p["infer_requests"] in (1, 4)}
    assert next_point(model, observations, left) is not None


def test_the_mean_at_a_known_point_is_drawn_to_its_neighbours_as_far_as_its_error_allows() -> None:
    """Exact values are believed; of values with errors far beyond their spread only the mean is."""
    model = Model(GRID, POINTS, seed=0)
    exact = seen(POINTS["5"], 0.3, 1e-6)
    (first, *_) = model._fits([exact, seen(POINTS["20"], 0.1, 1e-6)], [0.3, 0.1], "")
    assert first.prediction.fitted == pytest.approx([0.3, 0.1], abs=1e-3)
    (first, *_) = model._fits([seen(POINTS["5"], 0.3, 10.0), seen(POINTS["20"], 0.1, 10.0)], [0.3, 0.1], "")
    assert first.prediction.fitted == pytest.approx([0.2, 0.2], abs=1e-2)


def test_the_same_seed_and_observations_propose_the_same_point() -> None:
    observations = [seen(p, hill(p)) for p in list(POINTS.values())[::3]]
    found = [Model(GRID, POINTS, seed=7).expected_improvement(observations) for _ in range(2)]
    assert np.array_equal(*found)


@pytest.mark.slow
def test_thousands_of_values_are_thinned_out_and_keep_the_best() -> None:
    space = space_of(parameter("infer_requests", *range(1, 1001)))
    points = {str(i): point for i, point in enumerate(space.assignments())}
    observations = [seen(p, -abs(i - 300) / 1000) for i, p in enumerate(points.values())][:700]
    (fit, *_) = Model(space, points, seed=0)._fits(observations[:90], [0.0] * 90, "x")
    assert len(fit.prediction.mean) == len(points)
    gains = Model(space, points, seed=0).expected_improvement(observations)
    assert gains[999] <= max(gains[290:310])
