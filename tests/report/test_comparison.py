"""Several studies side by side: what they found, what of their conditions differs, in the terminal and as a page."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs
from typer.testing import CliRunner

from tests.report.html.test_page import HOSTILE, figures_of, hostile_report
from tests.report.test_study import text_of
from tuner.cli import app
from tuner.outcome.study_report import StudyReport
from tuner.report.comparison import (
    comparison_json,
    comparison_lines,
    condition_rows,
    differing_rows,
    found_rows,
    study_names,
)
from tuner.report.html.compare import comparison_figure, comparison_page

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
ONE, FRONT = GOLDEN / "results-0.1", GOLDEN / "front-0.1"


@cache
def read(folder: Path) -> StudyReport:
    return StudyReport.read(folder)


def both() -> list[StudyReport]:
    return [read(ONE), read(FRONT)]


def test_what_differs_is_named_and_what_is_equal_stands_apart() -> None:
    reports = both()
    differing = differing_rows(condition_rows(reports))
    assert "objective" in differing
    assert differing["objective"][0] == "maximize throughput"
    assert "OpenVINO" not in differing
    text = text_of(comparison_lines(reports))
    assert "their conditions differ in: " in text
    assert re.search(r"the same for all: .*OpenVINO 2026", text)


def test_studies_under_one_condition_differ_in_nothing() -> None:
    report = read(ONE)
    text = text_of(comparison_lines([report, report]))
    assert "their conditions do not differ in anything on record" in text


@pytest.mark.parametrize(
    ("change", "title"),
    [
        ({"cpu_quota": 1.5}, "CPU quota"),
        ({"openvino": "2027.1"}, "OpenVINO"),
        ({"cpu_model": "another"}, "CPU"),
        ({"cpus_allowed": 64}, "CPUs"),
        ({"kernel": "7.0"}, "system"),
    ],
)
def test_every_difference_of_the_hosts_is_seen(change: dict[str, object], title: str) -> None:
    report = read(ONE)
    other = replace(report, environment={**report.environment, **change})
    assert list(differing_rows(condition_rows([report, other]))) == [title]


def test_studies_of_one_name_are_told_apart() -> None:
    report = read(ONE)
    other = replace(report, folder=Path("elsewhere/results-0.1"))
    assert study_names([report, other]) == [str(ONE), "elsewhere/results-0.1"]
    assert len(set(study_names([report, report, other]))) == 3
    assert study_names(both()) == ["results-0.1", "front-0.1"]


def test_the_table_has_the_answer_the_gain_and_the_metrics_of_what_is_deployed() -> None:
    rows = found_rows(both())
    assert rows["answer"][0].startswith("use these settings: throughput ")
    assert "THROUGHPUT: " in rows["gain over the strongest baseline"][0]
    assert rows["throughput (samples/s)"][1] == "-", "a front deploys one of several points"
    assert float(rows["throughput (samples/s)"][0]) > 0
    assert all(len(cells) == 2 for cells in rows.values())


def test_a_study_without_a_verdict_has_its_place() -> None:
    begun = replace(read(ONE), best=None, result=None, metrics=None)
    assert found_rows([begun, *both()])["answer"][0] == "no verdict yet"
    assert "no verdict yet" in comparison_page([begun, *both()])


def test_json_has_every_study_and_what_differs() -> None:
    content = json.loads(json.dumps(comparison_json(both())))
    assert [study["study"] for study in content["studies"]] == content["names"] == ["results-0.1", "front-0.1"]
    assert "objective" in content["differing"]


def test_the_page_has_one_figure_one_table_and_the_conditions() -> None:
    reports = both()
    own = comparison_page(reports).replace(get_plotlyjs(), "")
    assert list(figures_of(own)) == ["comparison"]
    assert 'id="comparison"' in own
    assert re.findall(r'<table class="text" id="(\w+)"', own) == ["found", "conditions"]
    assert '<tr class="differs"><th scope="row">objective</th>' in own
    places = {place for trace in comparison_figure(reports).data for place in trace.y}
    assert len(places) == len(reports)


def test_hostile_names_do_not_reach_the_page_unescaped() -> None:
    text = comparison_page([hostile_report(), *both()]).replace(get_plotlyjs(), "")
    assert "<img" not in text
    assert "&lt;img src=x" in text
    assert "&lt;img src=x" in json.dumps(figures_of(text))
    assert HOSTILE in text_of(comparison_lines([hostile_report(), *both()]))


def test_the_commands_take_several_folders(tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    done = CliRunner().invoke(app, ["report", str(ONE), str(FRONT), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "2 studies compared" in out.read_text()
    shown = CliRunner().invoke(app, ["show", str(ONE), str(FRONT), "--json"])
    assert json.loads(shown.stdout)["names"] == ["results-0.1", "front-0.1"]


def test_pick_goes_with_one_folder() -> None:
    done = CliRunner().invoke(app, ["show", str(FRONT), str(ONE), "--pick", "latency_p90_ms<=8"])
    assert done.exit_code != 0
    assert "one folder" in str(done.exception)
