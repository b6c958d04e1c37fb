"""What was good before, as the first point that a search tries."""

from __future__ import annotations

from pathlib import Path

from tests.virtual import LARGE, Virtual, make_study, parameter, space_of
from tuner.search.seeds import merged, warm_seed

GOOD = {"NUM_STREAMS": 8, "INFERENCE_NUM_THREADS": 8, "ENABLE_CPU_PINNING": False, "infer_requests": 16}


def test_the_point_nearest_to_what_was_good_before_leaves_the_rest_unset() -> None:
    assert warm_seed(LARGE, {**GOOD, "batch_size": 4, "OTHER": 1}) == {**GOOD, "batch_size": 4}
    assert warm_seed(LARGE, {**GOOD, "batch_size": 16})["batch_size"] == 8, "the largest at or below"
    space = space_of(parameter("PERFORMANCE_HINT", "LATENCY", None), parameter("NUM_STREAMS", 1, 2))
    assert warm_seed(space, {"NUM_STREAMS": 2}) == {"PERFORMANCE_HINT": None, "NUM_STREAMS": 2}


def test_a_search_measures_the_warm_seed_first_and_an_interrupted_study_goes_on_without_it(tmp_path: Path) -> None:
    seed = warm_seed(LARGE, {**GOOD, "batch_size": 4})
    others = [warm_seed(LARGE, {"NUM_STREAMS": 1}), warm_seed(LARGE, {"NUM_STREAMS": 2})]
    study = make_study(minutes=2.0)
    Virtual(folder=tmp_path, space=LARGE, study=study, seeds=merged([[seed], others])).run()
    virtual = Virtual(folder=tmp_path, space=LARGE, study=make_study(minutes=3.0), seeds=others)
    (first, *_) = virtual.sessions("search", "race")
    assert next(point for point in first.assignments if point is not None) == seed
    before = len(virtual.sessions())
    virtual.run()
    assert len(virtual.sessions()) > before
