"""What a run, a folder and a measurement end with: the words a person reads and the JSON a program reads."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from rich.table import Table

from tuner.bench.configuration import DeploymentConfig, Failure, FailureKind
from tuner.bench.metrics import METRICS
from tuner.decision.confirmation import Confirmation
from tuner.decision.result import Result
from tuner.deploy.best import Best, BestBaseline, BestConstraint, BestGain, BestInput, BestModel, BestObjective
from tuner.evidence.baseline_ranking import BaselineRanking
from tuner.evidence.candidates import Candidate, Comparison, MetricValues
from tuner.evidence.noise import Calibration
from tuner.evidence.session_cost import SessionCost
from tuner.evidence.state import Reference, StudyState
from tuner.model.spec import ModelSpec
from tuner.outcome.measured import Measured
from tuner.outcome.metrics_table import FinalMetrics
from tuner.outcome.study_report import StudyReport
from tuner.records.confirmation_plan import ConfirmationLine
from tuner.records.session_log import Log, Reason, VerdictLine
from tuner.report.measured import measured_json, measured_lines
from tuner.report.outcome import end_lines, verdict_lines
from tuner.report.study import SHOWN_TRIALS, study_lines
from tuner.report.study_json import study_json
from tuner.report.terminal import print_lines
from tuner.statistics.sequential_test import Interval
from tuner.study.setup import StudySetup
from tuner.study.study import Budget, Objective, SpaceSpec, Study

GAIN = BestGain(estimate_pct=25.8, low_pct=22.1, high_pct=29.4, confidence=0.96, sessions=6, pairs=48)
TUNED = Best(
    study="quickstart",
    verdict="tuned",
    device="CPU",
    model=BestModel(path="builtin:mlp", sha256="0" * 64),
    properties={"NUM_STREAMS": 2, "ENABLE_CPU_PINNING": False},
    inputs={"x": BestInput(shape=(1, 64), batch_axis=0)},
    batch_size=4,
    infer_requests=8,
    api="async",
    effective={"NUM_STREAMS": "2"},
    objective=BestObjective(metric="throughput", value=265.3, unit="samples/s"),
    baseline=BestBaseline(name="THROUGHPUT", value=210.9, properties={"PERFORMANCE_HINT": "THROUGHPUT"}),
    baselines={"default": 171.2, "THROUGHPUT": 210.9},
    gain=GAIN,
)
KEPT = replace(
    TUNED,
    verdict="baseline",
    reason="futile: no candidate was faster",
    properties={"PERFORMANCE_HINT": "THROUGHPUT"},
    batch_size=1,
    infer_requests=2,
    gain=None,
)
WINNER = MetricValues(values={"throughput": 265.3, "latency_p99_ms": 4.4}, requests=700)
BASELINES = {
    "THROUGHPUT": MetricValues(values={"throughput": 210.9, "latency_p99_ms": 5.0}, requests=680),
    "default": MetricValues(values={"throughput": 171.2, "latency_p99_ms": 6.0}, requests=670),
}
FOLDER = Path("results/quickstart")
NAME = "2 streams, batch 4, 8 requests, unpinned"
CONFIG = DeploymentConfig(device="CPU", properties={"NUM_STREAMS": 2}, batch_size=4, infer_requests=8)


def outcome(best: Best, *, own: str = "default") -> StudyReport:
    """A run that ended with `best`; the baseline that is not the reference has the name `own`."""
    is_tuned = best.verdict == "tuned"
    line = VerdictLine(
        attempt=1,
        verdict=best.verdict,
        reason=Reason.PROVED if is_tuned else Reason.FUTILE,
        detail=best.reason or "",
        minutes=2.0,
        trials=None,
    )
    result = Result(
        line=line,
        config=CONFIG if is_tuned else DeploymentConfig(device="CPU", properties=best.properties),
        reference="THROUGHPUT",
        baseline="THROUGHPUT",
        is_reference_feasible=True,
        confirmation=None,
    )
    metrics = FinalMetrics(winner=WINNER, reference=BASELINES["THROUGHPUT"], baselines={own: BASELINES["default"]})
    return replace(SEARCHED, best=best, result=result, metrics=metrics)


def candidate(trial: int, gain: float, *, violation: float = -1.0) -> Candidate:
    comparison = Comparison(
        value=math.log(gain), sd=0.02, violations={"latency_p99_ms": violation}, window_s=0.4, requests_per_window=80.0
    )
    config = DeploymentConfig(device="CPU", properties={"NUM_STREAMS": trial})
    return Candidate(key=str(trial), config=config, trial=trial, assignment={}, comparisons=[comparison] * 4)


def failed(trial: int) -> Candidate:
    one = candidate(trial, 1.0)
    return replace(one, comparisons=[], failure=Failure(kind=FailureKind.COMPILE, message=f"no streams {trial}"))


STUDY = Study(
    name="quickstart",
    path=Path("study.yaml"),
    text="",
    model=ModelSpec(path="builtin:mlp", folder=Path()),
    device="CPU",
    objective=Objective(metric="throughput", limits=()),
    space=SpaceSpec(is_auto=True),
    budget=Budget(minutes=2.0, trials=None),
    baselines={},
    seed=0,
    sampler="auto",
    min_gain_pct=1.0,
)
EMPTY = StudyReport(
    folder=FOLDER,
    study=STUDY,
    state=StudyState(setup=StudySetup(study=STUDY), log=Log(None)),
    environment={"cpu_model": "Example CPU", "cpus_allowed": 2, "openvino": "2026.4.1"},
    baselines={},
)
NOISE = Calibration(
    window_sd=0.034,
    session_sd=0.01,
    session_df=3,
    lag_correlation=0.2,
    drift_sd=0.01,
    window_s=0.4,
    cost=SessionCost(),
    requests_per_window=80.0,
    longest_window_s=0.4,
    steal_pct=0.0,
    other_cpu_pct=1.0,
    unsteady=(),
)
SEARCHED = replace(
    EMPTY,
    reference=Reference(
        ranking=BaselineRanking(
            reference="THROUGHPUT", is_feasible=True, values={}, violations={}, failures={}, limit_ratios={}
        ),
        noise=NOISE,
        configuration=DeploymentConfig(device="CPU", properties={"PERFORMANCE_HINT": "THROUGHPUT"}),
        baseline_keys={},
        line=None,  # type: ignore[arg-type]
        comparer=None,  # type: ignore[arg-type]
    ),
    baselines=BASELINES,
    candidates=[candidate(3, 1.25), candidate(1, 0.9), candidate(2, 1.5, violation=1.0)],
    failures=[failed(5)],
    spent_s=61.7,
)
MEASURED = Measured(
    config=CONFIG,
    metric="throughput",
    reference="THROUGHPUT",
    gains={
        "THROUGHPUT": Interval(estimate=math.log(1.1), low=math.log(0.95), high=math.log(1.3), alpha=0.025, sessions=4),
        "today": Interval(estimate=math.log(2.0), low=math.log(1.8), high=math.log(2.2), alpha=0.025, sessions=4),
    },
    metrics=WINNER,
    baselines={"THROUGHPUT": BASELINES["THROUGHPUT"]},
    folder=FOLDER,
)


def text_of(lines: list[str | Table]) -> str:
    stream = io.StringIO()
    print_lines(lines, stream)
    return stream.getvalue()


def row_of(text: str, first: str) -> list[str]:
    return next(words for line in text.splitlines() if (words := line.split()) and words[0] == first)


# The end of a run


def test_a_gain_is_announced_with_its_interval_and_what_it_is_valid_for() -> None:
    first, name, evidence, valid, callers = verdict_lines(TUNED, NAME)
    assert first == (
        "verdict: use these settings: throughput 211 to 265 samples/s, 26 % higher (22 to 30 %) than with THROUGHPUT"
    )
    assert name == f"  {NAME}"
    assert evidence == (
        "  against THROUGHPUT, the strongest baseline: 26 % higher (22 to 30 %), confidence 96.0 %, "
        "6 fresh sessions, 48 pairs"
    )
    assert valid == "  valid for 8 requests in flight, each of 4 samples"
    assert "queue" in callers


def test_a_hint_without_a_gain_says_so_and_why_no_settings_are_better() -> None:
    lines = verdict_lines(KEPT, "THROUGHPUT (2 requests)")
    assert lines[:2] == ["verdict: use the hint THROUGHPUT; no gain is claimed", "  THROUGHPUT (2 requests)"]
    assert "  no tuned settings: futile: no candidate was faster" in lines
    assert not any("%" in line for line in lines)


def test_a_winner_without_a_figure_claims_none() -> None:
    """The only configuration that keeps the limits is deployed whatever its gain."""
    lines = verdict_lines(replace(TUNED, gain=None, reason="the first that keeps the limits"), NAME)
    assert lines[0] == "verdict: use these settings; no gain is claimed"
    assert "  the first that keeps the limits" in lines


def test_the_winner_stands_beside_every_baseline_and_the_next_command_is_named() -> None:
    text = text_of(end_lines(outcome(TUNED)))
    assert row_of(text, "tuned") == ["tuned", "*", "THROUGHPUT", "default"]
    assert row_of(text, "throughput") == ["throughput", "(samples/s)", "265.3", "210.9", "171.2"]
    assert text.endswith(f"written: {FOLDER}/best.yaml\nnext:    tuner apply {FOLDER}/best.yaml\n")


def test_a_candidate_that_was_not_confirmed_is_not_called_tuned() -> None:
    text = text_of(end_lines(outcome(KEPT)))
    assert row_of(text, "candidate") == ["candidate", "THROUGHPUT", "*", "default"]
    assert "tuned" not in text.replace("no tuned settings", "")
    found = study_json(outcome(KEPT))
    assert set(found["metrics"]) == {"THROUGHPUT", "default"}
    assert found["candidate"] == WINNER.row()
    assert "tuned" not in found


@pytest.mark.parametrize(("best", "name"), [(TUNED, "tuned"), (KEPT, "candidate")])
def test_a_baseline_with_the_name_of_a_column_has_another_heading_and_its_own_place_in_json(
    best: Best, name: str
) -> None:
    found = outcome(best, own=name)
    text = text_of(end_lines(found))
    stars = ("*", "THROUGHPUT") if best is TUNED else ("THROUGHPUT", "*")
    assert row_of(text, name) == [name, *stars, name, "(baseline)"]
    values = json.loads(json.dumps(study_json(found)))
    assert values[name] == WINNER.row()
    assert values["metrics"] == {"THROUGHPUT": BASELINES["THROUGHPUT"].row(), name: BASELINES["default"].row()}


def test_the_candidate_that_was_turned_down_is_named() -> None:
    plan = ConfirmationLine(
        attempt=1, winner=CONFIG, reference="THROUGHPUT", max_sessions=4, alpha=0.02, pairs=8, window_s=0.4
    )
    confirmation = Confirmation(plan=plan, sessions=[], failures=[[]], invalid=[], is_reference_feasible=True)
    kept = outcome(KEPT)
    found = replace(kept, result=replace(kept.result, confirmation=confirmation))
    assert "  candidate, confirmed and not deployed: 2 streams\n" in text_of(end_lines(found))
    assert "not deployed" not in text_of(end_lines(kept))


def test_limits_are_shown_with_what_was_measured() -> None:
    limits = (
        BestConstraint(metric="latency_p99_ms", max=50.0, measured=4.4, requests=3120),
        BestConstraint(metric="throughput", min_ratio=0.9, measured=1.258),
    )
    text = text_of(end_lines(outcome(replace(TUNED, constraints=limits))))
    assert "  limit p99 at most 50 ms: kept as measured on 3120 requests (4.40 ms)\n" in text
    assert "  limit throughput at least 0.9 times the best baseline's: kept as measured (1.26 times)\n" in text


def test_a_batch_explains_its_latency_and_a_single_sample_need_not() -> None:
    assert "latency is per request of 4 samples" in text_of(end_lines(outcome(TUNED)))
    assert "per request of" not in text_of(end_lines(outcome(KEPT)))


@pytest.mark.parametrize("best", [TUNED, KEPT], ids=["tuned", "baseline"])
def test_the_json_of_a_run_says_what_the_lines_say(best: Best) -> None:
    found = json.loads(json.dumps(study_json(outcome(best))))
    assert (found["verdict"], found["reason"], found["reference"]) == (best.verdict, best.reason, "THROUGHPUT")
    assert found["properties"] == best.properties
    assert (found["answer"], found["today"], found["gain_over_today"], found["baseline_gains"]) == (
        None,
        None,
        None,
        {},
    )
    assert (found["batch_size"], found["infer_requests"], found["api"]) == (
        best.batch_size,
        best.infer_requests,
        "async",
    )
    assert (found["gain"] or {}).get("low_pct") == (best.gain.low_pct if best.gain else None)
    assert found["metrics"]["THROUGHPUT"] == BASELINES["THROUGHPUT"].row()


# A study's folder


def test_a_study_that_has_not_begun_says_so() -> None:
    text = text_of(study_lines(EMPTY))
    assert text.startswith("study quickstart: builtin:mlp on CPU, throughput\n")
    assert text.endswith("nothing is measured yet\n")


def test_a_study_under_way_shows_baselines_candidates_failures_and_how_to_go_on() -> None:
    text = text_of(study_lines(SEARCHED))
    assert "measured for 62 s on Example CPU, 2 CPUs, OpenVINO 2026.4.1" in text
    assert "noise: neighbouring windows differ by 3.4 % (sd)" in text
    assert row_of(text, "THROUGHPUT") == ["THROUGHPUT", "*", "default"]
    assert "candidates: 3 measured, 1 failed; best first" in text
    assert row_of(text, "3") == ["3", "25", "%", "higher", "1.0", "%", "4", "3", "streams"]
    assert "trial 5 failed: compile: no streams 5" in text
    assert text.endswith("no verdict yet: the same `tuner run` continues\n")


def test_candidates_keep_their_order_and_those_beyond_a_limit_are_marked() -> None:
    lines = text_of(study_lines(SEARCHED)).splitlines()
    rows = [line for line in lines if line.rstrip().endswith(("streams", "stream", "2.8)"))]
    assert [row.split()[0] for row in rows] == ["3", "1", "2"]
    assert ["(p99 beyond its limit by a factor of 2.8)" in row for row in rows] == [False, False, True]


def test_a_long_list_is_cut_but_counted() -> None:
    many = replace(
        SEARCHED,
        candidates=[candidate(n, 1.1) for n in range(100, 140)],
        failures=[failed(n) for n in range(200, 240)],
    )
    text = text_of(study_lines(many))
    assert "candidates: 40 measured, 40 failed" in text
    assert sum(line.rstrip().endswith(("streams", "stream", "2.8)")) for line in text.splitlines()) == SHOWN_TRIALS
    assert sum("failed: " in line for line in text.splitlines()) == SHOWN_TRIALS
    assert len(study_json(many)["candidates"]) == 40


def test_a_finished_study_ends_with_its_verdict_and_a_lost_file_is_written_again() -> None:
    finished = outcome(TUNED)
    assert text_of(study_lines(finished)).endswith(text_of(end_lines(finished))), "as the run ended"
    going_on = text_of(study_lines(replace(finished, is_going_on=True)))
    assert going_on.endswith("before a larger budget was begun: the same `tuner run` continues\n")
    lost = text_of(study_lines(replace(finished, best=None)))
    assert lost.endswith("verdict: tuned; the same `tuner run` writes its best.yaml\n")


def test_the_json_of_a_folder_has_every_part_before_and_after() -> None:
    before = json.loads(json.dumps(study_json(EMPTY)))
    after = json.loads(json.dumps(study_json(replace(SEARCHED, best=TUNED))))
    assert before.keys() == after.keys()
    assert (before["noise_pct"], before["reference"], before["verdict"], before["gain"]) == (None, None, None, None)
    assert (after["noise_pct"], after["reference"], after["verdict"]) == (pytest.approx(3.4), "THROUGHPUT", "tuned")
    assert [one["is_feasible"] for one in after["candidates"]] == [True, True, False]
    assert after["candidates"][0]["config"]["properties"] == {"NUM_STREAMS": 3}
    assert after["candidates"][0]["gain_pct"] == pytest.approx(25.0)
    assert after["failures"] == [{"trial": 5, "failure": "compile: no streams 5"}]


# One measurement


def test_a_measurement_shows_its_interval_even_where_it_contains_zero() -> None:
    text = text_of(measured_lines(MEASURED))
    first = (
        "2 streams, batch 4, 8 requests\n"
        "  throughput not shown to differ (5.0 % lower to 30 % higher) against THROUGHPUT, the best baseline"
    )
    assert text.startswith(first)
    assert "(confidence 95 %, 4 fresh sessions)" in text
    assert "  against today 2.0 times higher (1.8 to 2.2)\n" in text
    assert row_of(text, "measured") == ["measured", "THROUGHPUT"], "nothing is deployed, nothing has a star"
    assert text.endswith(f"evidence: {FOLDER}/measure.jsonl\n")


def test_the_json_of_a_measurement_has_the_configuration_the_gain_and_all_figures() -> None:
    found = json.loads(json.dumps(measured_json(MEASURED)))
    assert found["config"]["properties"] == {"NUM_STREAMS": 2}
    assert found["gain"]["low_pct"] == pytest.approx(-5.0)
    assert found["gain"]["confidence"] == pytest.approx(0.95)
    assert found["gains"]["today"]["low_pct"] == pytest.approx(80.0)
    assert found["metrics"] == {"THROUGHPUT": BASELINES["THROUGHPUT"].row()}
    assert found["measured"] == WINNER.row()
    assert found["measured"].keys() <= {*METRICS, "requests"}


def test_a_baseline_called_measured_is_told_from_the_configuration_that_was_measured() -> None:
    called = replace(MEASURED, baselines={"THROUGHPUT": WINNER, "measured": BASELINES["default"]})
    assert row_of(text_of(measured_lines(called)), "measured") == [
        "measured",
        "THROUGHPUT",
        "measured",
        "(baseline)",
    ]
    found = measured_json(called)
    assert (found["measured"], found["metrics"]["measured"]) == (WINNER.row(), BASELINES["default"].row())


def test_limits_that_nothing_keeps_come_first() -> None:
    limit = BestConstraint(metric="latency_p99_ms", max=20.0, measured=35.1, kept=False)
    text = text_of(end_lines(outcome(replace(KEPT, constraints=(limit,)))))
    assert "next:    relax a limit" in text
    assert text.startswith("verdict: no answer: no configuration that was tried keeps the limits\n")
    assert "NO CONFIGURATION KEEPS THE LIMITS of the study; this is the nearest to them\n" in text
    assert "  limit p99 at most 20 ms: broken by 76 % (35.1 ms)\n" in text
