"""The final: what takes part, what wins, and what it and the confirmation take where windows are long."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from tests.virtual import (
    SMALL,
    TINY,
    Meddler,
    Virtual,
    by_streams,
    calm,
    disturbances,
    make_study,
    numbers_of,
    parameter,
    space_of,
)
from tuner.bench.configuration import DeploymentConfig
from tuner.bench.measurement import Session, Windows
from tuner.bench.protocol import SessionPlan
from tuner.bench.simulated.synthetic import SyntheticBench, hill
from tuner.evidence.candidates import ranked
from tuner.planning.confirmation_size import clear_size, reserve_s
from tuner.planning.session_plan import percentile_blocks
from tuner.study.study import BaselineSpec, Limit, Objective

pytestmark = pytest.mark.slow


def test_a_final_measures_those_that_may_be_the_best_again_beside_the_reference(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path, space=SMALL, study=make_study(minutes=2.5))
    study.run()
    for final in study.sessions("final"):
        assert final.trials[0] is None
        assert 1 <= len(numbers_of([final])) == len(final.trials) - 1 <= 6


def test_the_first_session_of_a_full_final_has_every_distinct_baseline(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path, space=SMALL, study=make_study(minutes=15.0))
    study.run()
    first, *others = study.sessions("final")
    baselines = [n for n, a in zip(first.trials, first.assignments, strict=True) if n is None and a is None]
    assert len(baselines) == 2, "default and LATENCY are one effective configuration"
    assert len(numbers_of([first])) == 3
    assert all(line.trials.count(None) == 1 for line in others)


def test_many_own_baselines_leave_room_for_candidates(tmp_path: Path) -> None:
    own = {f"own-{n}": BaselineSpec(properties={"INFERENCE_NUM_THREADS": n}) for n in range(1, 8)}
    study = Virtual(folder=tmp_path, study=make_study(minutes=30.0, baselines=own))
    assert study.run().is_tuned
    final = study.sessions("final")[0]
    assert final.trials.count(None) == 4
    assert len(numbers_of([final])) == 3


def test_candidates_far_behind_the_reference_take_no_time(tmp_path: Path) -> None:
    space = space_of(parameter("NUM_STREAMS", 2, 3, 5, 6, 7))
    study = Virtual(
        folder=tmp_path,
        space=space,
        bench=calm(by_streams(s2=130.0, s3=99.0, s5=50.0, s6=40.0, s7=30.0)),
        study=make_study(minutes=6.0),
    )
    study.run()
    first = study.sessions("final")[0]
    asked = {
        config.properties.get("NUM_STREAMS") for config in first.session.configurations[first.trials.count(None) :]
    }
    assert asked == {2, 3}


def test_where_all_are_far_behind_there_is_no_final(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path, bench=calm(by_streams(s1=50.0, s4=50.0, s8=50.0)))
    result = study.run()
    assert (result.line.reason, result.is_answer) == ("futile", True)
    assert not study.sessions("final", "confirm")


def test_one_that_keeps_its_limit_as_measured_goes_before_one_that_only_nearly_does(tmp_path: Path) -> None:
    """With eight requests each takes 0.3 % more than allowed: the search forgives that, the confirmation would not."""

    def surface(config: DeploymentConfig) -> float:
        return {5: 150.0, 8: 160.0}.get(config.infer_requests or 0, 100.0)

    limit = Limit(metric="latency_mean_ms", max=1e3 * 8 / 160 / 1.003)
    space = space_of(parameter("NUM_STREAMS", 8), parameter("infer_requests", 8))
    other = space_of(parameter("NUM_STREAMS", 8), parameter("infer_requests", 5, 8))
    alone = Virtual(folder=tmp_path / "alone", space=space, bench=calm(surface), study=make_study(limits=[limit]))
    both = Virtual(folder=tmp_path / "both", space=other, bench=calm(surface), study=make_study(limits=[limit]))
    for study in (alone, both):
        study.folder.mkdir()
    assert alone.run().line.reason == "constraint"
    result = both.run()
    assert result.is_tuned
    assert result.config.infer_requests == 5


# Long windows


def test_a_winner_with_long_windows_gets_the_sessions_that_fit(tmp_path: Path) -> None:
    """64 requests of 4 samples in four rounds take 1.2 s, not 0.6 s: twelve sessions were planned for short ones."""
    space = space_of(parameter("NUM_STREAMS", 8), parameter("infer_requests", 64), parameter("batch_size", 4))
    study = Virtual(folder=tmp_path, space=space, bench=calm(), study=make_study(minutes=16.0))
    result = study.run()
    assert result.is_tuned
    head = study.log().confirmation(1)
    assert head is not None
    assert study.plan().max_sessions == 12
    assert 4 <= head.looks[-1] < 12
    planned_s = 12 * study.plan().session_cost_s
    longest_s = max(line.session.wall_s for line in study.sessions("confirm"))
    assert head.looks[-1] * longest_s <= 1.2 * planned_s


def test_a_clear_gain_keeps_little_time_and_no_candidate_all_of_it(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path, study=make_study(minutes=10.0))
    study.run()
    state, plan = study.state(), study.plan()
    best = ranked(state.candidates.values())[0]
    assert reserve_s(state, plan, None) == plan.confirm_s
    assert reserve_s(state, plan, best) < plan.confirm_s / 3
    faint = replace(best, comparisons=[replace(c, value=0.001) for c in best.comparisons])
    assert reserve_s(state, plan, faint) == plan.confirm_s


def test_in_a_short_budget_long_windows_shorten_the_search_and_the_sessions(tmp_path: Path) -> None:
    space = space_of(parameter("NUM_STREAMS", 7, 8), parameter("infer_requests", 64), parameter("batch_size", 4))
    study = Virtual(folder=tmp_path, space=space, bench=calm(), study=make_study(minutes=2.0, sampler="random"))
    study.run()
    head = study.log().confirmation(1)
    assert head is not None
    assert head.looks[-1] == 4
    assert study.log().spent_s() <= 120.0


def test_a_budget_of_trials_has_the_sessions_it_was_promised_however_long(tmp_path: Path) -> None:
    space = space_of(parameter("NUM_STREAMS", 8), parameter("infer_requests", 64), parameter("batch_size", 4))
    study = Virtual(folder=tmp_path, space=space, bench=calm(), study=make_study(minutes=None, trials=1))
    study.run()
    head = study.log().confirmation(1)
    assert head is not None
    assert (head.looks[-1], head.pairs) == (6, 8)


def test_a_candidate_fast_enough_for_the_search_is_not_rejected_for_a_slower_moment(tmp_path: Path) -> None:
    """Four rounds of 96 requests of 8 samples took 2.6 s in the search; since then the host is slower by a third."""
    space = space_of(parameter("NUM_STREAMS", 8), parameter("infer_requests", 96), parameter("batch_size", 8))
    study = Virtual(folder=tmp_path, space=space, bench=calm(lambda c: 1200.0 if c.batch_size > 1 else 600.0))

    def slow_down(plan: SessionPlan, session: Session) -> Session:
        if plan.phase == "confirm":
            study.bench.surface = lambda c: 900.0 if c.batch_size > 1 else 450.0
        return session

    result = study.run(Meddler(study.bench, slow_down))
    assert result.is_tuned, result.line.detail
    longest_s = max(
        w.duration_s
        for line in study.sessions("confirm")
        for m in line.session.members
        if isinstance(m, Windows)
        for w in m.windows
    )
    assert longest_s > 3.0


# Time that is left


def faint(config: DeploymentConfig) -> float:
    """3 % to be gained by two streams."""
    return by_streams(s1=101.0, s2=103.0)(config)


def test_time_that_is_left_makes_the_sessions_of_a_faint_gain_longer(tmp_path: Path) -> None:
    space = space_of(parameter("NUM_STREAMS", 1, 2))
    bench = SyntheticBench(surface=faint, effects=disturbances())
    study = Virtual(folder=tmp_path, space=space, bench=bench, study=make_study(minutes=15.0))
    study.run()
    head = study.log().confirmation(1)
    assert head is not None
    assert (head.looks[-1], head.pairs) == (12, 16)
    assert {
        len(m.windows) for line in study.sessions("confirm") for m in line.session.members if isinstance(m, Windows)
    } == {16}
    calibration = study.reference().noise
    assert head.sd_floor == 0.5 * calibration.session_sd_of(16) < 0.5 * calibration.session_sd
    assert sum(line.session.wall_s for line in study.sessions()) < 60 * 15.0


def test_a_short_study_has_more_sessions_where_its_search_left_time(tmp_path: Path) -> None:
    space = space_of(parameter("NUM_STREAMS", 2))
    study = Virtual(folder=tmp_path, space=space, bench=calm(faint), study=make_study(minutes=3.0))
    study.run()
    head = study.log().confirmation(1)
    assert head is not None
    assert study.plan().max_sessions < head.looks[-1]


def test_what_is_clear_is_confirmed_as_planned_however_much_time_is_left(tmp_path: Path) -> None:
    space = space_of(parameter("NUM_STREAMS", 2))
    study = Virtual(folder=tmp_path, space=space, bench=calm(by_streams(s2=150.0)), study=make_study(minutes=15.0))
    study.run()
    head = study.log().confirmation(1)
    assert head is not None
    assert head.pairs == study.plan().pairs


def test_a_longer_session_is_less_noisy_by_what_its_windows_are_to_blame_for(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path)
    study.run()
    known = replace(study.reference().noise, session_sd=0.05, window_sd=0.08)
    assert known.session_sd_of(8) == pytest.approx(0.05)
    assert known.session_sd_of(16) == pytest.approx(math.sqrt(0.05**2 - 0.08**2 / 16))


# The requests of percentiles


@pytest.mark.parametrize(
    ("metric", "limits", "blocks"),
    [
        ("throughput", [], 1),
        ("throughput", [Limit(metric="latency_mean_ms", max=1.0)], 1),
        ("latency_p99_ms", [], 44),
        ("latency_p999_ms", [], 432),
        ("latency_max_ms", [Limit(metric="cpu_ms_per_sample", max=1.0)], 1),
        ("throughput", [Limit(metric="latency_p99_ms", max=1.0)], 11),
        ("throughput", [Limit(metric="latency_p99_ms", max_ratio=1.0)], 44),
        ("latency_p90_ms", [Limit(metric="latency_p99_ms", max=1.0)], 11),
    ],
)
def test_a_session_has_the_windows_that_its_percentiles_need(metric: str, limits: list[Limit], blocks: int) -> None:
    """662 requests for a 99th percentile, 20 in each window, and a margin of 30 %; an absolute limit is judged on four
    sessions together."""
    assert percentile_blocks(Objective(metric=metric, limits=tuple(limits)), 20.0) == blocks


def test_the_tiny_space_of_these_tests_holds_something_to_gain() -> None:
    best = max(hill(DeploymentConfig(device="CPU", properties={"NUM_STREAMS": s}, infer_requests=16)) for s in (4, 8))
    assert best > hill(DeploymentConfig(device="CPU", properties={"PERFORMANCE_HINT": "THROUGHPUT"}))
    assert TINY.size == 6


@pytest.mark.parametrize(("gain_pct", "sessions", "pairs"), [(50.0, 4, 4), (5.0, 6, 7), (1.0, None, None)])
def test_a_clear_gain_needs_few_short_sessions(
    tmp_path: Path, gain_pct: float, sessions: int | None, pairs: int | None
) -> None:
    study = Virtual(folder=tmp_path)
    study.run()
    state, plan = study.state(), study.plan()
    best = ranked(state.candidates.values())[0]
    judged = [replace(j, value=math.log(1 + gain_pct / 100), sd=1e-6) for j in best.comparisons]
    size = clear_size(state, plan, replace(best, comparisons=judged))
    assert (size.sessions if size else None, size.pairs if size else None) == (sessions, pairs)
