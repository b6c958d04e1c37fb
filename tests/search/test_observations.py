"""Observations of the Gaussian process, and the points that are too slow for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.virtual import SMALL, Virtual, by_streams, calm, crash, make_study, parameter, space_of
from tuner.search.observations import fast_enough, observations
from tuner.study.study import Limit

pytestmark = pytest.mark.slow


def test_candidates_and_baselines_of_the_space_are_told_with_their_errors_and_limits(tmp_path: Path) -> None:
    limit = Limit(metric="latency_mean_ms", max=1e6)
    study = Virtual(
        folder=tmp_path, space=SMALL, bench=calm(), study=make_study(minutes=None, trials=6, limits=[limit])
    )
    study.run()
    state = study.state()
    enumeration = study.enumeration()
    assert enumeration is not None
    candidates = state.candidates
    found = observations(state.reference, candidates.values(), enumeration.distinct)
    of_space = {name for name, key in state.reference.baseline_keys.items() if key in enumeration.distinct}
    assert of_space
    assert len(found) == len(candidates) + len(of_space)
    assert all(o.sd > 0.0 and set(o.excess) == {"latency_mean_ms"} and o.is_feasible for o in found)
    by_value = {round(c.value, 9) for c in candidates.values()}
    assert by_value <= {round(o.value, 9) for o in found}


def test_a_failure_has_the_worst_value(tmp_path: Path) -> None:
    space = space_of(parameter("NUM_STREAMS", 2, 5, 8), parameter("infer_requests", 8))
    bench = calm(by_streams(s5=150.0, s8=80.0))
    bench.failure_of = lambda config: crash() if config.properties.get("NUM_STREAMS") == 2 else None
    study = Virtual(folder=tmp_path, space=space, bench=bench)
    study.run()
    state = study.state()
    found = observations(state.reference, state.candidates.values(), {})
    (failed,) = [o for o in found if o.sd == 0.1]
    assert failed.value == min(o.value for o in found)
    assert failed.is_failed
    assert not failed.is_feasible


def test_a_point_too_slow_for_a_window_at_the_best_speed_is_left_out(tmp_path: Path) -> None:
    """100 samples/s: within 3 s four cycles of 75 samples, and no more."""
    space = space_of(parameter("NUM_STREAMS", 8), parameter("infer_requests", 8, 64, 128))
    study = Virtual(folder=tmp_path, space=space, bench=calm(lambda config: 100.0))
    study.run()
    state = study.state()
    enumeration = study.enumeration()
    assert enumeration is not None
    (known, *_) = state.candidates.values()
    kept = fast_enough(state, enumeration.distinct, known)
    assert sorted(a["infer_requests"] or 0 for a in kept.values()) == [8, 64]
    kept = fast_enough(state, enumeration.distinct, None)
    assert [a["infer_requests"] for a in kept.values()] == [8], "what was never measured may be much slower"
