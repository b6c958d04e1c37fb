"""Studies in virtual time in which candidates, baselines, references and winners fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.virtual import (
    LARGE,
    SMALL,
    TINY,
    Fuse,
    Meddler,
    Virtual,
    crash,
    make_bench,
    make_study,
    numbers_of,
    parameter,
    refuse,
    space_of,
    streams,
)
from tuner.bench.measurement import Session, Windows
from tuner.bench.protocol import Phase, SessionPlan
from tuner.errors import NoAnswerError
from tuner.study.space import Space

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("is_fatal", [True, False])
@pytest.mark.parametrize("space", [TINY, SMALL, LARGE])
def test_where_every_configuration_fails_the_study_stops_with_the_cause(
    tmp_path: Path, space: Space, is_fatal: bool
) -> None:
    bench = make_bench(failure_of=lambda c: crash("no memory") if streams(c) else None, is_fatal=lambda c: is_fatal)
    study = Virtual(folder=tmp_path, space=space, bench=bench, study=make_study(minutes=30.0))
    result = study.run()
    assert (result.line.verdict, result.line.reason) == ("baseline", "failed")
    assert "crash: no memory" in result.line.detail
    assert result.line.answer == "hint", "the baselines ran, and fresh sessions show one to be better than today's"
    assert len(set(numbers_of(study.sessions("race", "search")))) <= 6
    assert not study.sessions("final")
    assert numbers_of(study.sessions("confirm")) == []
    assert study.run(Fuse(study.bench, 1)).line.answer == "hint"


def test_where_every_configuration_fails_and_the_baselines_are_one_there_is_no_answer(tmp_path: Path) -> None:
    bench = make_bench(
        failure_of=lambda c: crash("no memory") if streams(c) or "PERFORMANCE_HINT" in c.properties else None
    )
    study = Virtual(folder=tmp_path, bench=bench, study=make_study(minutes=30.0))
    result = study.run()
    assert (result.line.reason, result.line.answer, result.is_answer) == ("failed", "none", False)
    assert not study.sessions("confirm")


@pytest.mark.parametrize("space", [TINY, SMALL, LARGE])
def test_where_nothing_compiles_nothing_is_measured(tmp_path: Path, space: Space) -> None:
    bench = make_bench(failure_of=lambda c: refuse() if streams(c) else None)
    study = Virtual(folder=tmp_path, space=space, bench=bench)
    result = study.run()
    assert (result.line.reason, result.line.answer) == ("failed", "hint"), "the baselines ran, and one is better"
    assert "not supported" in result.line.detail
    assert set(study.phases()) == {"baselines", "confirm"}
    assert numbers_of(study.sessions()) == []


@pytest.mark.parametrize("trials", [2, 100])
def test_a_few_candidates_that_all_fail_are_a_failure_too(tmp_path: Path, trials: int) -> None:
    space = space_of(parameter("NUM_STREAMS", 2, 3, 5))
    bench = make_bench(failure_of=lambda c: crash() if streams(c) else None)
    study = Virtual(folder=tmp_path, space=space, bench=bench, study=make_study(trials=trials, sampler="grid"))
    result = study.run()
    assert (result.line.reason, result.line.answer) == ("failed", "hint"), "the baselines ran, and one is better"


def test_failed_candidates_are_trials_that_failed_and_the_others_go_on(tmp_path: Path) -> None:
    bench = make_bench(failure_of=lambda c: crash("boom") if streams(c) == 8 else None, is_fatal=lambda c: True)
    study = Virtual(folder=tmp_path, bench=bench, study=make_study(minutes=6.0))
    result = study.run()
    assert result.is_tuned
    assert streams(result.config) == 4
    failed = [trial for trial in study.trials() if trial.state == "fail"]
    assert {trial.assignment["NUM_STREAMS"] for trial in failed} == {8}
    assert {trial.failure for trial in failed} == {"crash: boom"}


def test_where_every_baseline_fails_the_causes_are_named_and_the_same_command_tries_again(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path)
    study.bench.failure_of = lambda c: crash(f"boom {len(c.properties)}")
    with pytest.raises(NoAnswerError, match=r"default: crash: boom 0; LATENCY: crash: boom 1; THROUGHPUT: crash"):
        study.run()
    assert study.phases() == ["baselines"]
    study.bench.failure_of = lambda config: None
    assert study.run().is_tuned


def test_a_baseline_that_fails_is_said_and_the_study_goes_on_without_it(tmp_path: Path) -> None:
    bench = make_bench(failure_of=lambda c: crash() if c.properties.get("PERFORMANCE_HINT") == "THROUGHPUT" else None)
    study = Virtual(folder=tmp_path, bench=bench, study=make_study(minutes=6.0))
    result = study.run()
    assert result.is_tuned
    assert result.reference in ("default", "LATENCY")
    assert "baseline THROUGHPUT failed: crash: boom" in study.listener.lines


def lose_reference(numbers: set[int], *phases: Phase) -> Callable[[SessionPlan, Session], Session]:
    """The reference fails in these sessions of these phases, and nothing is compared with anything."""
    count = iter(range(1000))

    def meddle(plan: SessionPlan, session: Session) -> Session:
        if plan.phase not in phases or next(count) not in numbers:
            return session
        others = tuple(replace(m, windows=()) if isinstance(m, Windows) else m for m in session.members[1:])
        return replace(session, members=(crash("out of luck"), *others))

    return meddle


@pytest.mark.parametrize(("space", "phase"), [(SMALL, "race"), (LARGE, "search")])
def test_a_reference_that_fails_once_costs_one_session(tmp_path: Path, space: Space, phase: Phase) -> None:
    plan = make_study(minutes=None, trials=24)
    study = Virtual(folder=tmp_path, space=space, study=plan)
    result = study.run(Meddler(study.bench, lose_reference({1}, phase)))
    assert result.is_tuned
    lost = {i for i in study.sessions(phase)[1].trials if i is not None}
    assert all(study.trials()[number].failure == "not measured beside the reference" for number in lost)


@pytest.mark.parametrize(("space", "phase"), [(TINY, "race"), (SMALL, "race"), (LARGE, "search")])
def test_a_reference_that_always_fails_ends_the_search(tmp_path: Path, space: Space, phase: Phase) -> None:
    plan = make_study(minutes=None, trials=40)
    study = Virtual(folder=tmp_path, space=space, study=plan)
    result = study.run(Meddler(study.bench, lose_reference(set(range(1000)), phase)))
    assert (result.line.reason, result.line.answer) == ("failed", "hint"), "the baselines ran, and one is better"
    assert "crash: out of luck" in result.line.detail


def test_a_reference_that_fails_late_in_a_race_does_not_stop_it(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path, space=SMALL, study=make_study(minutes=None, trials=24))
    result = study.run(Meddler(study.bench, lose_reference(set(range(4, 100)), "race")))
    assert result.is_tuned


@pytest.mark.parametrize("phase", ["final", "confirm"])
def test_a_reference_that_fails_once_later_on_does_no_harm(tmp_path: Path, phase: Phase) -> None:
    study = Virtual(folder=tmp_path)
    result = study.run(Meddler(study.bench, lose_reference({0}, phase)))
    assert result.is_tuned
    assert result.confirmation is not None
    assert not any(result.confirmation.failures)
    assert len(result.confirmation.invalid) == (phase == "confirm")


def test_a_reference_that_keeps_failing_in_the_confirmation_proves_nothing(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path)
    result = study.run(Meddler(study.bench, lose_reference(set(range(100)), "confirm")))
    assert (result.line.verdict, result.line.reason) == ("baseline", "not_significant")
    assert "the reference failed: crash: out of luck" in result.line.detail
    assert len(study.sessions("confirm")) == 3


def fail_winner(times: int) -> Callable[[SessionPlan, Session], Session]:
    left = iter(range(times))

    def meddle(plan: SessionPlan, session: Session) -> Session:
        if plan.phase != "confirm" or next(left, None) is None:
            return session
        return replace(session, members=(session.members[0], crash("gone"), *session.members[2:]))

    return meddle


def test_a_winner_that_fails_twice_in_fresh_processes_is_unstable(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path)
    study.run(Meddler(study.bench, fail_winner(2)))
    first = study.log().verdicts()[0]
    assert (first.verdict, first.reason) == ("baseline", "unstable")
    assert "crash: gone" in first.detail


def test_a_winner_that_fails_once_is_measured_once_more(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path)
    result = study.run(Meddler(study.bench, fail_winner(1)))
    assert result.is_tuned
    assert len(study.sessions("confirm")) == 5
