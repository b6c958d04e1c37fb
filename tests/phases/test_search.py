"""The search phase in virtual time: which strategy a space gets, duplicates, and when trials and search end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.virtual import (
    LARGE,
    SMALL,
    Meddler,
    PhaseFuse,
    PowerCut,
    Virtual,
    by_streams,
    calm,
    configs_of,
    flat,
    make_bench,
    make_study,
    numbers_of,
    parameter,
    space_of,
)
from tuner.bench.configuration import DeploymentConfig, Failure, FailureKind
from tuner.bench.measurement import Session, Windows
from tuner.bench.metrics import METRICS, request_count
from tuner.bench.protocol import SessionPlan
from tuner.bench.simulated.synthetic import Noise, SyntheticBench, hill
from tuner.search.optuna_study import Search
from tuner.study.space import Assignment
from tuner.study.study import Limit, SamplerName
from tuner.study.trial import Proposal

pytestmark = pytest.mark.slow


# Strategies


def test_few_configurations_are_measured_in_one_session(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path, study=make_study(minutes=6.0))
    study.run()
    (race,) = study.sessions("race")
    assert len(numbers_of([race])) == 6
    assert study.sessions("final")


def test_a_race_measures_every_configuration_once_and_the_final_the_best_again(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path, space=SMALL, study=make_study(minutes=20.0))
    result = study.run()
    raced = numbers_of(study.sessions("race"))
    assert len(raced) == len(set(raced)) == 23, "one of the 24 is a baseline"
    assert set(numbers_of(study.sessions("final"))) < set(raced)
    assert any("every distinct configuration has been measured" in line for line in study.listener.lines)
    assert hill(result.config) >= 0.97 * max(hill(c) for c in configs_of(SMALL))


def test_a_session_of_a_search_has_the_reference_and_many_candidates(tmp_path: Path) -> None:
    """Nothing but the best has more than one window, and all are compared with the same windows of the reference."""
    study = Virtual(folder=tmp_path, space=LARGE, study=make_study(minutes=None, trials=12))
    study.run()
    lines = study.sessions("search")
    assert [len(numbers_of([line])) for line in lines] == [6, 6]
    for line in lines:
        counts = [len(m.windows) for m in line.session.members if isinstance(m, Windows)]
        assert max(counts) == counts[0]
        assert min(counts) == 1


def test_a_larger_space_is_sampled_seeds_first(tmp_path: Path) -> None:
    seeds = [
        {"NUM_STREAMS": 8, "INFERENCE_NUM_THREADS": 8, "ENABLE_CPU_PINNING": p, "infer_requests": 16, "batch_size": 4}
        for p in (False, True)
    ]
    study = Virtual(folder=tmp_path, space=LARGE, seeds=seeds, study=make_study(minutes=None, trials=5))
    study.run()
    (line,) = study.sessions("search")
    assert list(line.assignments[1:3]) == seeds
    assert len({str(point) for point in line.assignments[1:]}) == 5


@pytest.mark.parametrize("sampler", ["random", "grid", "tpe", "race", "gp"])
def test_every_sampler_stops_when_the_space_is_used_up(tmp_path: Path, sampler: SamplerName) -> None:
    """Half of the points are duplicates of others: more streams than threads."""
    space = space_of(parameter("NUM_STREAMS", 2, 4, 8), parameter("INFERENCE_NUM_THREADS", 2, 4))
    study = Virtual(folder=tmp_path, space=space, study=make_study(minutes=None, trials=500, sampler=sampler))
    study.run()
    lines = study.sessions("race", "search")
    keys = {m.effective.key for line in lines for m in line.session.members[1:] if isinstance(m, Windows)}
    assert len(keys) == len(set(numbers_of(lines))) == 3
    assert any("every distinct configuration has been measured" in line for line in study.listener.lines)


@pytest.mark.parametrize("sampler", ["auto", "race", "gp", "tpe", "random"])
def test_a_space_too_large_to_list_is_sampled_whatever_was_asked_for(tmp_path: Path, sampler: SamplerName) -> None:
    space = space_of(*(parameter(f"X{i}", *range(10)) for i in range(5)), parameter("NUM_STREAMS", 2, 5, 6, 8))
    study = Virtual(folder=tmp_path, space=space, study=make_study(minutes=None, trials=3, sampler=sampler))
    study.run()
    assert len(numbers_of(study.sessions("search"))) == 3
    is_told = any(f"which {sampler} needs" in line for line in study.listener.lines)
    assert is_told == (sampler in ("race", "gp"))


def test_where_nothing_better_is_to_be_expected_the_search_ends_before_its_budget(tmp_path: Path) -> None:
    """A slope so clear that a dozen trials tell where it ends."""
    space = space_of(parameter("infer_requests", *range(8, 72)), parameter("NUM_STREAMS", 8))

    def slope(config: DeploymentConfig) -> float:
        return 400.0 * 0.95 ** (config.infer_requests or 8)

    bench = SyntheticBench(surface=slope, effects=[Noise(0.001)])
    study = Virtual(folder=tmp_path, space=space, bench=bench, study=make_study(minutes=None, trials=60))
    study.run()
    assert any("no configuration is expected to be better" in line for line in study.listener.lines)
    assert len(numbers_of(study.sessions("search"))) < 40


def test_a_space_of_nothing_but_baselines_is_searched_in_no_time(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path, space=space_of(parameter("NUM_STREAMS", 1), parameter("infer_requests", 1)))
    result = study.run()
    assert [phase for phase in study.phases() if phase != "confirm"] == ["baselines"]
    assert numbers_of(study.sessions("confirm")) == [], "the baselines alone, against each other"
    assert (result.line.reason, result.line.answer, result.is_answer) == ("futile", "hint", True)


def test_a_sampler_that_repeats_itself_is_handed_points_that_were_never_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stubborn = Repeating(next(LARGE.assignments()))
    stubborn.patch(monkeypatch)
    study = Virtual(folder=tmp_path, space=LARGE, study=make_study(minutes=None, trials=5, sampler="tpe"))
    study.run()
    assert len(numbers_of(study.sessions("search"))) == 5
    assert stubborn.asked >= 60


@pytest.mark.parametrize("distinct", [1, 100])
def test_a_space_too_large_to_list_does_not_keep_a_stubborn_sampler_forever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, distinct: int
) -> None:
    space = space_of(*(parameter(f"X{i}", *range(10)) for i in range(5)), parameter("CPU_RUNTIME_X", *range(distinct)))
    Repeating(next(space.assignments())).patch(monkeypatch)
    bench = make_bench(surface=flat)
    study = Virtual(folder=tmp_path, space=space, bench=bench, study=make_study(minutes=None, trials=3))
    study.run()
    assert len(numbers_of(study.sessions("search"))) == (3 if distinct > 1 else 1)


def test_too_large_a_space_is_sampled_although_a_race_is_asked_for(tmp_path: Path) -> None:
    space = space_of(*LARGE.parameters, *(parameter(f"X{i}", *range(10)) for i in range(2)))
    study = Virtual(folder=tmp_path, space=space, study=make_study(minutes=None, trials=4, sampler="race"))
    study.run()
    points = [point for line in study.sessions("search") for point in line.assignments[1:]]
    assert len(points) == 4
    assert len({str(point) for point in points}) == 4
    first = list(map(str, (point for _, point in zip(range(4), space.assignments(), strict=False))))
    assert list(map(str, points)) != first, "sampled, not taken in order"


def test_what_a_device_reports_may_differ_from_what_it_resolves(tmp_path: Path) -> None:
    """As where the suggested number of requests depends on the batch: nothing is measured for ever."""

    def meddle(plan: SessionPlan, session: Session) -> Session:
        def odd(member: Windows | Failure) -> Windows | Failure:
            if isinstance(member, Failure) or member.effective.batch_size == 1:
                return member
            return replace(member, effective=replace(member.effective, infer_requests=99))

        return replace(session, members=tuple(map(odd, session.members)))

    for sampler in ("race", "random"):
        folder = tmp_path / sampler
        folder.mkdir()
        space = space_of(parameter("NUM_STREAMS", 2, 8), parameter("batch_size", 1, 2))
        plan = make_study(minutes=None, trials=100, sampler=sampler)
        study = Virtual(folder=folder, space=space, study=plan)
        study.run(Meddler(study.bench, meddle))
        assert len(set(numbers_of(study.sessions("race", "search")))) == 4


# Duplicates


@dataclass(slots=True)
class Repeating:
    """Makes a sampler's choice the same point again and again."""

    assignment: Assignment
    asked: int = 0

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        propose = Search.propose

        def stubborn(search: Search, assignment: Assignment | None = None) -> Proposal:
            self.asked += assignment is None
            return propose(search, assignment or self.assignment)

        monkeypatch.setattr(Search, "propose", stubborn)


def test_the_number_of_duplicates_survives_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sampler chooses the first point again and again: twenty times before each new one."""
    Repeating({"NUM_STREAMS": 1, "infer_requests": 8}).patch(monkeypatch)
    found = []
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
        study = Virtual(folder=tmp_path / name, study=make_study(trials=3, sampler="random"))
        if name == "parts":
            with pytest.raises(PowerCut):
                study.run(PhaseFuse(study.bench, "search", 3))
        found.append(study.run().line.duplicates)
    assert found[0] == found[1] > 40


def test_a_duplicate_is_answered_and_counts_neither_as_trial_nor_as_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight streams of two threads are two streams: one effective configuration, asked for in three ways."""
    clamped = [{"NUM_STREAMS": s, "INFERENCE_NUM_THREADS": 2, "infer_requests": 8} for s in (2, 4, 8)]
    space = space_of(*(p for p in LARGE.parameters if p.name in clamped[0]), parameter("CPU_RUNTIME_X", *range(9)))
    seeds = [{**point, "CPU_RUNTIME_X": 0} for point in (*clamped, *clamped)]
    Repeating(seeds[1]).patch(monkeypatch)
    study = Virtual(folder=tmp_path, space=space, seeds=seeds, study=make_study(trials=2, sampler="random"))
    study.run()
    assert len(numbers_of(study.sessions("search"))) == 2
    same = [trial for trial in study.trials() if trial.record.get("same_as") == "trial 0"]
    assert same
    assert {trial.value for trial in same} == {study.trials()[0].value}


def test_a_duplicate_of_a_baseline_is_told_what_the_baseline_is_worth(tmp_path: Path) -> None:
    same = {"NUM_STREAMS": 1, "infer_requests": 1}
    space = space_of(parameter("NUM_STREAMS", 1, 8), parameter("infer_requests", 1, 8, 16))
    limit = Limit(metric="latency_mean_ms", max=1e-3)
    study = Virtual(folder=tmp_path, space=space, study=make_study(trials=3, sampler="grid", limits=[limit]))
    study.run()
    (trial,) = (t for t in study.trials() if t.assignment == same)
    assert str(trial.record["same_as"]).startswith("baseline ")
    ranking = study.reference().ranking
    name = str(trial.record["same_as"]).removeprefix("baseline ")
    assert trial.value == ranking.values[name]
    assert trial.constraints == ranking.violations[name]
    assert trial.constraints["latency_mean_ms"] > 0.0


# The length of a trial


def windows_of(study: Virtual) -> dict[int, int]:
    """Trial -> windows on its side."""
    return {
        number: len(member.windows)
        for line in study.sessions("search")
        for number, member in zip(line.trials, line.session.members, strict=True)
        if number is not None and isinstance(member, Windows)
    }


def trials_by_streams(noise: float, tmp_path: Path) -> dict[int, int]:
    """Streams -> windows of the trial: eight are much better than the reference, one is far behind."""
    space = space_of(parameter("NUM_STREAMS", 8, 7, 1), parameter("infer_requests", 8))
    bench = SyntheticBench(surface=by_streams(s8=150.0, s7=145.0, s1=20.0), effects=[Noise(noise, seed=3)])
    study = Virtual(folder=tmp_path, space=space, bench=bench, study=make_study(trials=3, sampler="grid"))
    study.run()
    windows = windows_of(study)
    return {int(str(t.assignment["NUM_STREAMS"])): windows[t.number] for t in study.trials()}


def test_a_trial_far_behind_ends_early_and_others_take_their_time(tmp_path: Path) -> None:
    windows = trials_by_streams(0.05, tmp_path)
    assert windows[1] == 1
    assert max(windows[7], windows[8]) == 2


def test_a_precise_trial_ends_with_its_first_window(tmp_path: Path) -> None:
    assert trials_by_streams(0.001, tmp_path)[8] == 1


@pytest.mark.parametrize("metric", ["latency_mean_ms", "latency_p90_ms", "latency_p99_ms"])
def test_a_latency_study_calls_synchronously_and_has_the_requests_it_claims(tmp_path: Path, metric: str) -> None:
    def surface(config: DeploymentConfig) -> float:
        return {2: 125.0}.get(int(config.properties.get("INFERENCE_NUM_THREADS", 0)), 100.0)

    space = space_of(parameter("INFERENCE_NUM_THREADS", 1, 2, 4, 6))
    plan = make_study(metric=metric, minutes=3.0)
    study = Virtual(folder=tmp_path, space=space, bench=calm(surface), study=plan)
    result = study.run()
    assert result.is_tuned
    assert (result.config.api, result.config.infer_requests) == ("sync", 1)
    assert result.config.properties["INFERENCE_NUM_THREADS"] == 2
    for line in study.sessions("confirm"):
        for member in line.session.members:
            assert isinstance(member, Windows)
            assert member.effective.api == "sync"
            assert request_count(member.windows) >= METRICS[metric].min_requests


def test_a_winner_with_fewer_requests_a_window_gets_the_windows_its_percentile_needs(tmp_path: Path) -> None:
    """Batches make fewer requests of the same samples, and a ratio is judged in each session alone."""
    limit = Limit(metric="latency_p90_ms", max_ratio=40.0)
    space = space_of(parameter("NUM_STREAMS", 8), parameter("infer_requests", 8), parameter("batch_size", 4))
    study = Virtual(
        folder=tmp_path,
        space=space,
        bench=calm(by_streams(s8=140.0)),
        study=make_study(minutes=None, trials=1, limits=[limit]),
    )
    result = study.run()
    assert result.is_tuned
    assert all(
        request_count(member.windows) >= METRICS["latency_p90_ms"].min_requests
        for line in study.sessions("confirm")
        for member in line.session.members
        if isinstance(member, Windows)
    )


def test_under_a_quota_windows_cover_ten_scheduler_periods(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path, cpu_quota=1.0)
    study.run()
    for line in study.sessions():
        for member in line.session.members:
            assert isinstance(member, Windows)
            assert all(window.duration_s >= 1.0 for window in member.windows)


def test_a_small_space_in_a_long_budget_has_time_for_long_windows(tmp_path: Path) -> None:
    """Four rounds of one request at 1 sample/s take four seconds."""
    failed = {}
    for minutes in (5.0, 10.0):
        bench = calm(by_streams(s2=1.0, s8=150.0))
        space = space_of(parameter("NUM_STREAMS", 2, 8), parameter("infer_requests", 1))
        study = Virtual(folder=tmp_path / f"{minutes}", space=space, bench=bench, study=make_study(minutes=minutes))
        study.folder.mkdir()
        study.run()
        failed[minutes] = [trial.state for trial in study.trials()].count("fail")
    assert failed == {5.0: 1, 10.0: 0}


def test_a_candidate_too_slow_for_its_windows_fails_as_such(tmp_path: Path) -> None:
    bench = calm(by_streams(s2=1.0, s8=150.0))
    study = Virtual(folder=tmp_path, space=space_of(parameter("NUM_STREAMS", 2, 8)), bench=bench)
    assert study.run().is_tuned
    (failed,) = (trial for trial in study.trials() if trial.state == "fail")
    assert failed.failure is not None
    assert failed.failure.startswith(f"{FailureKind.TIMEOUT}: too slow")
