"""Is the strongest baseline better than what runs today? Three answers, each with its evidence in fresh sessions."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.outcome.test_best_config import best_of
from tests.virtual import Virtual, calm, crash, make_study, numbers_of, parameter, space_of, streams
from tuner.bench.configuration import DeploymentConfig
from tuner.records.confirmation_plan import ConfirmationLine
from tuner.records.session_log import Answer
from tuner.statistics.sequential_test import BASELINE_SHARE, alpha_per_look
from tuner.study.study import BaselineSpec, Limit

pytestmark = pytest.mark.slow

SPACE = space_of(parameter("NUM_STREAMS", 3, 5), parameter("infer_requests", 8))


def speeds(*, hint: float, winner: float, default: float = 100.0) -> object:
    def speed(config: DeploymentConfig) -> float:
        if streams(config):
            return winner
        return hint if config.properties.get("PERFORMANCE_HINT") == "THROUGHPUT" else default

    return calm(speed)


def study_of(folder: Path, minutes: float = 6.0, **more: float) -> Virtual:
    bench = speeds(**more)
    return Virtual(folder=folder, space=SPACE, bench=bench, study=make_study(minutes=minutes))  # type: ignore[arg-type]


def test_where_no_candidate_is_better_the_hint_is_confirmed_against_what_runs_today(tmp_path: Path) -> None:
    study = study_of(tmp_path, hint=300.0, winner=150.0)
    result = study.run()
    plan = study.log().confirmation(1)
    assert isinstance(plan, ConfirmationLine)
    assert (plan.winner, plan.reference, plan.today, plan.baselines) == (None, "THROUGHPUT", "default", ("default",))
    assert numbers_of(study.sessions("confirm")) == []
    assert (result.line.verdict, result.line.answer, result.baseline) == ("baseline", Answer.HINT, "THROUGHPUT")
    best = best_of(study, result)
    assert (best.answer, best.gain, best.properties["PERFORMANCE_HINT"]) == ("hint", None, "THROUGHPUT")
    assert best.today is not None
    assert best.today.name == "default"
    assert best.today_gain is not None
    assert best.today_gain == best.baseline_gains["THROUGHPUT"]
    assert best.today_gain.low_pct == pytest.approx(200.0, rel=0.1)
    assert best.today_gain.confidence == round(1 - 2 * alpha_per_look(plan.looks[-1], BASELINE_SHARE * plan.alpha), 4)
    assert study.log().winners_before(2) == 0, "no winner was tested, and the next one has what is left"
    assert study.log().baselines_alone_before(2) == 1


def test_tuned_settings_have_both_gains(tmp_path: Path) -> None:
    study = study_of(tmp_path, hint=200.0, winner=300.0)
    result = study.run()
    best = best_of(study, result)
    assert (result.line.answer, best.answer, best.baseline.name) == (Answer.SETTINGS, "settings", "THROUGHPUT")
    assert best.gain is not None
    assert best.today_gain is not None
    assert best.gain.estimate_pct == pytest.approx(50.0, abs=3.0)
    assert best.today_gain.estimate_pct == pytest.approx(200.0, abs=9.0)
    assert best.baseline_gains["THROUGHPUT"].estimate_pct == pytest.approx(100.0, abs=5.0)
    assert {len(line.session.members) for line in study.sessions("confirm")} == {3}


def test_where_the_strongest_baseline_runs_today_nothing_is_to_be_changed_and_nothing_more_measured(
    tmp_path: Path,
) -> None:
    study = study_of(tmp_path, hint=80.0, winner=90.0)
    result = study.run()
    assert (result.line.answer, result.baseline, result.is_answer) == (Answer.NOTHING, "default", True)
    assert not study.sessions("confirm")
    best = best_of(study, result)
    assert (best.answer, best.today_gain) == ("nothing", None)
    assert "PERFORMANCE_HINT" not in best.properties


def test_a_hint_that_is_as_good_as_what_runs_today_changes_nothing(tmp_path: Path) -> None:
    study = study_of(tmp_path, hint=100.2, winner=90.0)
    study.study = make_study(minutes=6.0, baselines={"today": BaselineSpec(properties={"INFERENCE_NUM_THREADS": 7})})
    result = study.run()
    assert (result.line.answer, result.baseline) == (Answer.NOTHING, "today")
    assert best_of(study, result).properties["INFERENCE_NUM_THREADS"] == 7


def test_the_winners_level_is_whole_only_once_the_baselines_claim_is_proved(tmp_path: Path) -> None:
    for name, hint in (("proved", 200.0), ("open", 100.8)):
        (tmp_path / name).mkdir()
        study = study_of(tmp_path / name, hint=hint, winner=300.0)
        found = study.run().confirmation
        assert found is not None
        assert found.plan.claims_baseline
        assert found.interval is not None
        share = 1.0 if name == "proved" else 1.0 - BASELINE_SHARE
        assert found.interval.alpha == alpha_per_look(found.plan.looks[-1], share * found.plan.alpha)
        assert found.over_today is not None
        assert found.over_today.alpha == found.interval.alpha, "a fixed sequence: it needs no alpha of its own"


def test_a_baseline_that_fails_where_it_runs_today_is_replaced(tmp_path: Path) -> None:
    study = study_of(tmp_path, hint=200.0, winner=90.0)
    study.bench.failure_of = lambda config: crash() if config.properties.get("NUM_THREADS") else None
    study.study = make_study(minutes=6.0, baselines={"today": BaselineSpec(properties={"NUM_THREADS": 7})})
    result = study.run()
    assert (result.today, result.line.answer, result.baseline) == (None, Answer.HINT, "THROUGHPUT")
    best = best_of(study, result)
    assert (best.today, best.today_gain) == (None, None)


def test_a_baseline_that_keeps_the_limits_replaces_one_that_does_not(tmp_path: Path) -> None:
    """The hint has a lower throughput, but answers within the limit, and today's baseline does not."""
    study = study_of(tmp_path, hint=90.0, winner=60.0)
    study.study = make_study(minutes=6.0, limits=[Limit(metric="throughput", max=95.0)])
    result = study.run()
    assert (result.reference, result.line.answer, result.baseline) == ("THROUGHPUT", Answer.HINT, "THROUGHPUT")
    best = best_of(study, result)
    assert best.today_gain is None
    assert [limit.proof for limit in best.constraints] == ["proved"]


def test_a_hint_once_proved_stays_after_a_larger_budget(tmp_path: Path) -> None:
    study = study_of(tmp_path, hint=300.0, winner=150.0)
    study.run()
    sessions = len(study.sessions("confirm"))
    study.study = make_study(minutes=8.0)
    result = study.run()
    assert result.line.answer is Answer.HINT
    assert len(study.sessions("confirm")) == sessions, "what was shown is not measured again"
