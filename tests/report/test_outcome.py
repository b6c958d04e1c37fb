"""The table at the end of a study: equal baselines are one column, and the conditions stand above it."""

from __future__ import annotations

import json
from dataclasses import replace

from tests.report.test_study import GAIN, KEPT, STUDY, TUNED, outcome, row_of, text_of
from tuner.bench.configuration import Conditions
from tuner.deploy.best import BestBaseline
from tuner.report.outcome import end_lines, verdict_lines
from tuner.report.study import study_lines
from tuner.report.study_json import study_json
from tuner.report.words.answer import next_words
from tuner.report.words.conditions import conditions_line
from tuner.study.study import Limit, Objective


def test_baselines_that_are_one_configuration_have_one_column() -> None:
    found = outcome(KEPT)
    assert found.reference is not None
    same = replace(found, reference=replace(found.reference, baseline_keys={"THROUGHPUT": "a", "default": "a"}))
    text = text_of(end_lines(same))
    assert row_of(text, "candidate") == ["candidate", "THROUGHPUT", "=", "default", "*"]
    shown = text_of(study_lines(same))
    assert "THROUGHPUT = default *" in shown


def test_the_conditions_stand_above_every_table() -> None:
    study = replace(
        STUDY,
        conditions=Conditions(cpus=1.0, background="work -j2"),
        objective=Objective(metric="throughput", limits=(Limit(metric="latency_p99_ms", max=20.0),)),
    )
    line = (
        "measured with each configuration's own number of requests in flight, under a quota of 1 CPU, "
        "beside this load: work -j2; limits: p99 at most 20 ms"
    )
    found = replace(outcome(TUNED), study=study)
    assert conditions_line(study) == line
    assert text_of(study_lines(found)).count(line) == 2
    assert line in text_of(end_lines(found))


def test_the_json_of_a_run_has_the_answer_and_the_gain_over_what_runs_today() -> None:
    today = BestBaseline(name="default", value=100.0, properties={})
    hint = replace(KEPT, answer="hint", today=today, today_gain=GAIN, baseline_gains={"THROUGHPUT": GAIN})
    found = json.loads(json.dumps(study_json(outcome(hint))))
    assert (found["answer"], found["today"], found["gain_over_today"]["low_pct"]) == ("hint", "default", GAIN.low_pct)
    assert found["baseline_gains"]["THROUGHPUT"] == found["gain_over_today"]


def test_nothing_to_change_shows_what_the_strongest_baseline_was_measured_to_gain() -> None:
    today = BestBaseline(name="default", value=100.0, properties={})
    unsure = replace(GAIN, low_pct=-5.0)
    kept = replace(KEPT, answer="nothing", today=today, baseline_gains={"THROUGHPUT": unsure})
    lines = verdict_lines(kept, "default")
    assert lines[0] == "verdict: change nothing: default stays"
    assert any("THROUGHPUT, the strongest baseline, against default" in line for line in lines)
    assert next_words(kept, "results/x").startswith("keep what runs")
