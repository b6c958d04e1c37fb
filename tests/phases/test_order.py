"""Whole studies in virtual time: the phases in their order, from the baselines to the verdict and beyond."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.virtual import (
    LARGE,
    NULL_SPACE,
    ORDER,
    SMALL,
    TINY,
    Fuse,
    Meddler,
    Virtual,
    by_streams,
    calm,
    flat,
    make_bench,
    make_study,
    numbers_of,
    parameter,
    slowed,
    space_of,
    streams,
)
from tuner.bench.configuration import DeploymentConfig
from tuner.bench.measurement import Session, Windows
from tuner.bench.protocol import Phase, SessionPlan
from tuner.bench.simulated.synthetic import Noise, SyntheticBench, effective_of, hill
from tuner.decision.result import Result
from tuner.search.optuna_study import Search
from tuner.study.space import Space
from tuner.study.study import BaselineSpec, Limit, SamplerName

pytestmark = pytest.mark.slow


# The verdict


@pytest.mark.parametrize(("space", "trials"), [(TINY, None), (SMALL, None), (LARGE, 12)])
def test_a_study_with_something_to_gain_ends_tuned_with_a_truly_better_winner(
    tmp_path: Path, space: Space, trials: int | None
) -> None:
    study = Virtual(folder=tmp_path, space=space, study=make_study(minutes=2.5, trials=trials))
    result = study.run()
    assert result.is_tuned
    assert result.is_answer
    assert result.confirmation is not None
    interval = result.confirmation.interval
    assert interval is not None
    assert interval.low > 0.0
    reference = study.setup.baselines[result.reference]
    true_gain = math.log(hill(result.config) / hill(reference))
    assert true_gain > 0.0
    assert interval.low - 0.02 <= true_gain <= interval.high + 0.02


def null_study(folder: Path, seed: int) -> Virtual:
    study = make_study(seed=seed)
    return Virtual(folder=folder, study=study, space=NULL_SPACE, bench=make_bench(seed, surface=flat))


def test_an_a_a_study_keeps_the_baseline_and_says_why(tmp_path: Path) -> None:
    result = null_study(tmp_path, seed=1).run()
    assert not result.is_tuned
    assert result.is_answer
    assert result.line.reason in ("futile", "not_significant")
    assert result.config.properties.keys() <= {"PERFORMANCE_HINT"}


@pytest.mark.slow
def test_copies_of_one_configuration_are_rarely_taken_for_a_gain(tmp_path: Path) -> None:
    wins = confirmations = 0
    for seed in range(100):
        folder = tmp_path / str(seed)
        folder.mkdir()
        study = null_study(folder, seed)
        study.study = make_study(seed=seed, minutes=(1.0, 2.0, 6.0)[seed % 3])
        wins += study.run().is_tuned
        confirmations += bool(study.sessions("confirm"))
    assert confirmations >= 80, "an A/A study that ends before its confirmation proves nothing"
    assert wins <= 8, "more than 8 of 100 have a probability below 0.1 % where each is wrong in 2.5 %"


def test_a_gain_below_min_gain_is_no_reason_to_change(tmp_path: Path) -> None:
    bench = SyntheticBench(surface=by_streams(s2=105.0, s8=104.0), effects=[Noise(0.005)])
    space = space_of(parameter("NUM_STREAMS", 2, 8))
    result = Virtual(folder=tmp_path, space=space, bench=bench, study=make_study(min_gain_pct=10.0)).run()
    assert (result.line.verdict, result.line.reason) == ("baseline", "futile")
    assert result.confirmation is not None


def test_where_the_final_finds_another_baseline_stronger_it_is_the_one_to_beat(tmp_path: Path) -> None:
    own = {"today": BaselineSpec(properties={"INFERENCE_NUM_THREADS": 7})}

    def meddle(plan: SessionPlan, session: Session) -> Session:
        return slowed(session, "INFERENCE_NUM_THREADS", 0.75) if plan.phase == "baselines" else session

    def surface(config: DeploymentConfig) -> float:
        return 130.0 if config.properties.get("INFERENCE_NUM_THREADS") == 7 else by_streams(s8=150.0)(config)

    study = Virtual(
        folder=tmp_path,
        space=space_of(parameter("NUM_STREAMS", 2, 8)),
        bench=SyntheticBench(surface=surface, effects=[Noise(0.005)]),
        study=make_study(minutes=6.0, baselines=own),
    )
    result = study.run(Meddler(study.bench, meddle))
    assert study.reference().ranking.reference != "today"
    assert result.reference == "today"
    assert result.confirmation is not None
    assert result.confirmation.interval is not None
    assert result.confirmation.interval.estimate == pytest.approx(math.log(150 / 130), abs=0.01)


# The order


def test_the_phases_follow_each_other_and_the_verdict_comes_last(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path, space=LARGE, study=make_study(minutes=6.0, trials=8))
    study.run()
    found = study.phases()
    assert found == sorted(found, key=ORDER.index)
    assert [found.count(phase) for phase in ORDER[:4]] == [1, 2, 0, 2], "eight trials are two sessions"
    assert found.count("final") >= 1
    assert found.count("confirm") in (4, 6, 9, 12)
    kinds = [line.kind for line in study.log()]
    assert kinds[0] == "header"
    assert kinds[-1] == "verdict"
    assert kinds.index("confirmation") == len(kinds) - 2 - found.count("confirm")


def test_confirmations_and_baselines_are_measured_in_fresh_processes(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path, space=LARGE, study=make_study(trials=4))
    study.run()
    fresh = [line.session.process for line in study.sessions("baselines", "confirm")]
    assert len(set(fresh)) == len(fresh)
    assert not set(fresh) & {line.session.process for line in study.sessions("search", "final")}


def test_a_session_is_on_disk_before_optuna_hears_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Virtual(folder=tmp_path, space=LARGE, study=make_study(trials=5, sampler="random"))
    tell, told = Search.tell, []

    def watched(search: Search, number: int, **answer: Any) -> None:
        if "same_as" not in answer.get("record", {}):
            assert number in numbers_of(study.sessions("search"))
            told.append(number)
        tell(search, number, **answer)

    monkeypatch.setattr(Search, "tell", watched)
    study.run()
    assert len(told) == 5


@pytest.mark.parametrize(
    ("space", "sampler", "phase"),
    [
        (SMALL, "auto", "race"),
        (LARGE, "race", "race"),
        (LARGE, "auto", "search"),
        (LARGE, "random", "search"),
        (SMALL, "tpe", "search"),
        (SMALL, "grid", "search"),
    ],
)
def test_a_budget_of_trials_measures_as_many_with_every_sampler(
    tmp_path: Path, space: Space, sampler: SamplerName, phase: Phase
) -> None:
    plan = make_study(minutes=None, trials=7, sampler=sampler)
    study = Virtual(folder=tmp_path, space=space, study=plan)
    study.run()
    lines = study.sessions("race", "search")
    assert len(set(numbers_of(lines))) == 7
    assert {line.phase for line in lines} == {phase}


def test_a_budget_of_time_is_kept_to_a_session(tmp_path: Path) -> None:
    for minutes, space in ((1.0, LARGE), (2.0, LARGE), (2.0, SMALL)):
        folder = tmp_path / f"{minutes}-{space.size}"
        folder.mkdir()
        study = Virtual(folder=folder, space=space, study=make_study(minutes=minutes))
        study.run()
        longest_s = max(line.session.wall_s for line in study.sessions())
        assert study.log().spent_s() <= 60 * minutes + longest_s


# After the verdict


def test_a_finished_study_measures_nothing_and_says_the_same(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path)
    first = study.run()
    again = study.run(Fuse(study.bench, 1))
    assert again == first


@pytest.mark.parametrize("minutes", [1.0, 2.0])
def test_a_smaller_or_equal_budget_does_not_search_on(tmp_path: Path, minutes: float) -> None:
    study = Virtual(folder=tmp_path)
    study.run()
    study.study = make_study(minutes=minutes)
    study.run(Fuse(study.bench, 1))


def searched_on(tmp_path: Path, surface: Callable[[DeploymentConfig], float]) -> tuple[Virtual, Result, Result]:
    """A study of two trials that searches on with six: in the order of the space, which is that of the streams."""
    space = space_of(parameter("NUM_STREAMS", 2, 3, 4, 5, 6, 7), parameter("infer_requests", 8))
    study = Virtual(
        folder=tmp_path,
        space=space,
        bench=SyntheticBench(surface=surface, effects=[Noise(0.005)]),
        study=make_study(minutes=None, trials=2, sampler="grid"),
    )
    first = study.run()
    study.study = make_study(minutes=None, trials=6, sampler="grid")
    return study, first, study.run()


def test_a_larger_budget_searches_on_and_spends_only_what_is_left_of_the_error(tmp_path: Path) -> None:
    study, _, second = searched_on(tmp_path, by_streams(s2=130.0, s3=110.0, s4=120.0, s5=160.0))
    heads = [study.log().confirmation(round) for round in (1, 2)]
    assert heads[0] is not None
    assert heads[1] is not None
    assert (heads[0].alpha, heads[1].alpha) == (0.02, 0.0025)
    assert [(line.attempt, len(numbers_of([line]))) for line in study.sessions("search")] == [(1, 2), (2, 4)]
    assert len(study.sessions("baselines")) == 1
    assert streams(heads[1].members[0]) == 5
    assert second.line.attempt == 2
    assert second.is_tuned


def test_a_confirmed_gain_is_not_replaced_by_a_smaller_one(tmp_path: Path) -> None:
    study, first, second = searched_on(tmp_path, by_streams(s2=160.0, s3=110.0, s4=120.0, s5=130.0))
    head = study.log().confirmation(2)
    assert head is not None
    assert streams(head.members[0]) == 5, "what was confirmed is not confirmed again"
    assert study.log().verdicts()[1].verdict == "tuned"
    assert second == first
    assert study.run(Fuse(study.bench, 1)) == first


def test_a_confirmed_gain_outlives_a_round_that_finds_nothing(tmp_path: Path) -> None:
    study, first, second = searched_on(tmp_path, by_streams(s2=160.0, s3=80.0, s4=80.0, s5=80.0, s6=80.0, s7=80.0))
    assert study.log().verdicts()[1].verdict == "baseline"
    assert second == first
    assert second.is_tuned


def test_a_candidate_that_was_turned_down_is_not_confirmed_again(tmp_path: Path) -> None:
    lucky: dict[str, float] = {"s2": 102.0, "s3": 101.0, "s5": 100.0}

    def meddle(plan: SessionPlan, session: Session) -> Session:
        """Every candidate was lucky before the confirmation."""
        return session if plan.phase in ("baselines", "confirm") else slowed(session, "NUM_STREAMS", 1.2)

    study = Virtual(
        folder=tmp_path,
        space=space_of(parameter("NUM_STREAMS", 2, 3, 5)),
        bench=SyntheticBench(surface=by_streams(**{k: v - 4 for k, v in lucky.items()}), effects=[Noise(0.005)]),
        study=make_study(minutes=2.0),
    )
    winners = []
    for round in range(1, 5):
        study.study = make_study(minutes=2.0 * round)
        assert not study.run(Meddler(study.bench, meddle)).is_tuned
        head = study.log().confirmation(round)
        winners.append(head and streams(head.members[0]))
    assert winners == [2, 3, 5, None]
    assert [study.log().verdicts()[i].reason for i in range(4)] == ["futile"] * 4


def test_a_candidate_whose_gain_was_not_significant_may_be_proved_with_a_larger_budget(tmp_path: Path) -> None:
    speeds = itertools.cycle([0.8, 1.25])

    def meddle(plan: SessionPlan, session: Session) -> Session:
        return slowed(session, "NUM_STREAMS", next(speeds)) if plan.phase == "confirm" else session

    space = space_of(parameter("NUM_STREAMS", 5), parameter("infer_requests", 8))
    study = Virtual(folder=tmp_path, space=space, bench=calm(by_streams(s5=120.0)))
    first = study.run(Meddler(study.bench, meddle))
    assert (first.line.verdict, first.line.reason) == ("baseline", "not_significant")
    study.study = make_study(minutes=6.0)
    second = study.run()
    assert second.is_tuned
    heads = [study.log().confirmation(round) for round in (1, 2)]
    assert heads[0] is not None
    assert heads[1] is not None
    assert heads[0].members[0] == heads[1].members[0]
    assert heads[1].alpha == 0.0025
    assert second.confirmation is not None
    assert len(second.confirmation.sessions) < 8, "fresh data: what was measured before counts no more"


# What a person sees


def test_the_reporter_hears_the_plan_and_sees_every_phase(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path, space=LARGE, study=make_study(minutes=6.0, trials=4))
    study.run()
    text = "\n".join(study.listener.lines)
    for words in (
        "reference: ",
        "noise: ",
        "plan: ",
        "provable on this machine",
        "space: 384 requested",
    ):
        assert words in text
    phases = [status.phase for status in study.listener.shown]
    assert list(dict.fromkeys(phases)) == ["enumeration", "baselines", "calibration", "search", "final", "confirm"]
    last = study.listener.shown[-1]
    assert last.remaining_s is not None
    assert last.reference
    assert last.incumbent


def loaded(phase: Phase, **load: float) -> Callable[[SessionPlan, Session], Session]:
    """Sessions of one phase on a host that did something else as well; none was slower for it."""

    def meddle(plan: SessionPlan, session: Session) -> Session:
        if plan.phase != phase:
            return session
        members = tuple(
            replace(m, windows=tuple(replace(w, **load) for w in m.windows)) if isinstance(m, Windows) else m  # type: ignore[arg-type]
            for m in session.members
        )
        return replace(session, members=members)

    return meddle


def test_on_a_calm_host_there_is_no_warning(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path)
    study.run()
    assert not [line for line in study.listener.lines if "warning" in line or "disturbed" in line]


def test_a_host_that_is_busy_from_the_start_is_warned_about_once(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path)
    study.run(Meddler(study.bench, loaded("baselines", other_cpu_pct=33.0)))
    warnings = [line for line in study.listener.lines if line.startswith("warning: ")]
    assert len(warnings) == 1
    assert warnings[0].startswith("warning: while the baselines were measured other processes used 33 % of the CPUs.")
    assert any(line.startswith("disturbed by the host: ") for line in study.listener.lines)


def test_a_host_that_becomes_much_worse_is_warned_about_at_the_verdict(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path)
    result = study.run(Meddler(study.bench, loaded("confirm", steal_pct=9.0)))
    (warning,) = [line for line in study.listener.lines if line.startswith("warning: ")]
    assert warning.startswith("warning: while the winner was confirmed the hypervisor gave 9 % of the CPUs to other")
    assert study.listener.lines.index(warning) > next(
        i for i, line in enumerate(study.listener.lines) if line.startswith("search ended: ")
    )
    assert result.is_tuned, "sessions that are disturbed throughout are taken as they are"


def test_a_search_that_the_budget_cut_short_says_how_little_it_tried(tmp_path: Path) -> None:
    def ending(minutes: float) -> str:
        folder = tmp_path / str(minutes)
        folder.mkdir()
        study = Virtual(folder=folder, space=LARGE, study=make_study(minutes=minutes))
        study.run()
        return next(line for line in study.listener.lines if line.startswith("search ended: "))

    assert "configurations were tried: a longer budget tries more" in ending(0.7)
    assert "were tried" not in ending(5.0)


def test_a_baseline_that_is_better_than_the_reference_is_said_to_break_a_limit(tmp_path: Path) -> None:
    limits = [Limit(metric="throughput", max=100.0)]
    bench = calm(lambda config: 150.0 if config.properties.get("PERFORMANCE_HINT") == "THROUGHPUT" else 90.0)
    study = Virtual(folder=tmp_path, bench=bench, study=make_study(limits=limits))
    study.run()
    line = next(line for line in study.listener.lines if line.startswith("reference: "))
    assert "throughput of THROUGHPUT 6" in line
    assert " % higher (beyond the limit of throughput)" in line


def test_windows_that_neighbours_slowed_do_not_cost_a_winner_its_gain(tmp_path: Path) -> None:
    def meddle(plan: SessionPlan, session: Session) -> Session:
        """In the confirmation three of the winner's windows take three times as long, and the host says why."""
        if plan.phase != "confirm" or not isinstance(session.members[1], Windows):
            return session
        winner = session.members[1]
        slow = tuple(replace(w, duration_s=3 * w.duration_s, other_cpu_pct=60.0) for w in winner.windows[:3])
        windows = (*slow, *winner.windows[3:])
        return replace(session, members=(session.members[0], replace(winner, windows=windows), *session.members[2:]))

    study = Virtual(folder=tmp_path, bench=calm())
    result = study.run(Meddler(study.bench, meddle))
    assert result.is_tuned
    assert result.confirmation is not None
    assert result.confirmation.interval is not None
    truth = math.log(hill(result.config) / hill(study.setup.baselines[result.reference]))
    assert result.confirmation.interval.estimate == pytest.approx(truth, abs=0.02)


def test_effective_configurations_decide_not_requests() -> None:
    asked = DeploymentConfig(device="CPU", properties={"NUM_STREAMS": 99})
    assert effective_of(asked).key == effective_of(replace(asked, properties={"NUM_STREAMS": 8})).key
