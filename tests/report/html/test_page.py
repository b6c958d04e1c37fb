"""The page of a study: what is on it, what it asks of other hosts, and what names from files may do to it."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs
from typer.testing import CliRunner

from tuner.cli import app
from tuner.outcome.space_file import SpaceSeen
from tuner.outcome.study_report import StudyReport
from tuner.report.html.axes import ratio_axis
from tuner.report.html.figures import setting_figure, tradeoff_figure
from tuner.report.html.page import page
from tuner.report.html.points import bars_of, compared_of, points_of
from tuner.report.words.answer import headline, validity_words

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
HOSTILE = "<img src=x onerror=alert(1)></script>"
each_folder = pytest.mark.parametrize("name", ["results-0.1", "front-0.1"])


@cache
def made(name: str) -> str:
    return page(StudyReport.read(GOLDEN / name))


def figures_of(text: str) -> dict[str, object]:
    found = re.search(r'id="figures">(.*?)</script>', text, flags=re.DOTALL)
    assert found is not None
    return dict(json.loads(found[1]))


@each_folder
def test_a_page_has_its_sections_in_the_order_in_which_they_are_asked_for(name: str) -> None:
    own = made(name).replace(get_plotlyjs(), "")
    figures = figures_of(own)
    assert {"intervals", "tradeoff", "progress", "reference", "host", "setting-0"} <= set(figures)
    assert all(f'id="{figure}"' in own for figure in figures)
    assert re.findall(r"<h[12][^>]*>([^<]{,30})", own)[1:] == [
        "How sure it is",
        "Throughput against latency",
        "What each setting is worth",
        "Progress",
        "The host",
        "Equal, changed, refused and fa",
        "All figures",
        "How to apply it",
    ]
    assert own.index('<h1 id="verdict">') < own.index("<h2>")
    assert "schema_version: 1" in own
    assert own.count("data-copy=") == 4


@each_folder
def test_a_page_asks_no_other_host_and_is_small(name: str) -> None:
    text = made(name)
    own = text.replace(get_plotlyjs(), "")
    assert "default-src 'none'" in own
    assert re.findall(r"https?://|//cdn|@import|<link(?! rel=\"icon\" href=\"data:)|src=", own) == []
    assert text.count(get_plotlyjs()) == 1
    assert len(text.encode()) < 6_000_000


def hostile_report() -> StudyReport:
    """Returns a study whose name, model, baselines and verdict are HTML."""
    report = StudyReport.read(GOLDEN / "results-0.1")
    study = report.study
    evil = replace(
        study,
        name=HOSTILE,
        model=replace(study.model, path=HOSTILE),
        baselines={HOSTILE if name == "today" else name: spec for name, spec in study.baselines.items()},
    )
    found = StudyReport.of(GOLDEN / "results-0.1", replace(report.state, setup=replace(report.state.setup, study=evil)))
    assert found.best is not None
    best = replace(found.best, baseline=replace(found.best.baseline, name=HOSTILE))
    space = SpaceSeen(requested=2, distinct=1, without_effect=(HOSTILE,), refused=(HOSTILE,), changed=(HOSTILE,))
    return replace(found, best=best, space=space, environment={"cpu_model": HOSTILE})


def test_hostile_names_do_not_reach_the_page_unescaped() -> None:
    text = page(hostile_report()).replace(get_plotlyjs(), "")
    assert "<img" not in text
    assert text.count("&lt;img src=x") > 8
    drawn = json.dumps(figures_of(text))
    assert "<img" not in drawn
    assert "&lt;img src=x" in drawn, "plotly reads tags in texts"


def test_the_figures_show_every_configuration_once() -> None:
    report = StudyReport.read(GOLDEN / "results-0.1")
    points = points_of(report)
    assert len(points) == len(report.candidates)
    dots = [x for trace in setting_figure(points, "NUM_STREAMS").data if trace.mode == "markers" for x in trace.x]
    assert len(dots) == len(points)
    assert any("8 streams x 1 thread" in text for trace in tradeoff_figure(report, points).data for text in trace.text)


def test_baselines_have_intervals_and_are_not_said_to_be_confirmed() -> None:
    report = StudyReport.read(GOLDEN / "results-0.1")
    bars = {bar.name: bar for bar in bars_of(report)}
    assert report.result is not None
    assert [name for name, bar in bars.items() if bar.is_confirmed] == ["tuned"]
    assert bars[report.result.reference].low == bars[report.result.reference].high == 0.0
    others = set(bars) - {"tuned", report.result.reference}
    assert others
    assert all(bars[name].low < bars[name].estimate < bars[name].high for name in others)


def test_a_baseline_that_is_called_tuned_is_a_baseline() -> None:
    report = StudyReport.read(GOLDEN / "results-0.1")
    assert report.metrics is not None
    given = replace(report, metrics=replace(report.metrics, baselines={"tuned": report.metrics.reference}))
    found = [(one.title, one.is_confirmed) for one in compared_of(given)]
    assert found[0] == ("tuned", True)
    assert ("tuned (baseline)", False) in found


def test_a_candidate_beyond_a_limit_says_by_how_much() -> None:
    points = points_of(StudyReport.read(GOLDEN / "results-0.1"))
    beyond = [point.beyond for point in points if point.beyond]
    assert beyond
    assert all(re.fullmatch(r"p90 beyond its limit by .+", text) for text in beyond)


def test_the_limit_stands_where_its_line_is() -> None:
    """plotly takes the place of a line in its unit, and that of a text in logarithms."""
    figure = tradeoff_figure(StudyReport.read(GOLDEN / "results-0.1"))
    assert [shape.x0 for shape in figure.layout.shapes] == [60.0]
    assert [(text.text, text.x) for text in figure.layout.annotations] == [("limit 60", math.log10(60))]


@pytest.mark.parametrize("ratios", [[1.0], [0.98, 1.013], [0.5, 1.9], [0.3, 1.2], [0.01, 30.0], [1e-6, 1e6], []])
def test_an_axis_of_ratios_has_labels_that_fit_and_holds_every_value(ratios: list[float]) -> None:
    axis = ratio_axis(ratios)
    low, high = axis["range"]
    assert all(low < math.log10(ratio) < high for ratio in [1.0, *ratios])
    shown = [
        text for tick, text in zip(axis["tickvals"], axis["ticktext"], strict=True) if low < math.log10(tick) < high
    ]
    assert 1 <= len(shown) <= 15
    assert "0" in shown or "1x" in shown


def test_the_command_writes_the_page_where_it_is_told(tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    done = CliRunner().invoke(app, ["report", str(GOLDEN / "results-0.1"), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert out.read_text().startswith("<!doctype html>")


def test_baselines_that_were_confirmed_stand_beside_what_runs_today() -> None:
    report = StudyReport.read(GOLDEN / "results-0.1")
    assert report.best is not None
    assert report.best.gain is not None
    over = replace(report.best.gain, estimate_pct=80.0, low_pct=70.0, high_pct=90.0)
    hint = replace(report.best.gain, estimate_pct=30.0, low_pct=25.0, high_pct=35.0)
    today = replace(report.best.baseline, name="today")
    best = replace(report.best, today=today, today_gain=over, baseline_gains={"THROUGHPUT": hint})
    bars = bars_of(replace(report, best=best))
    assert [(bar.name, bar.is_confirmed, bar.is_deployed) for bar in bars[:2]] == [
        ("tuned", True, True),
        ("THROUGHPUT", True, False),
    ]
    assert math.exp(bars[0].estimate) == pytest.approx(1.8)
    assert math.exp(bars[1].low) == pytest.approx(1.25)
    assert next(bar for bar in bars if bar.name == "today").estimate == 0.0


def test_the_verdict_of_the_page_is_the_answer_for_the_reader() -> None:
    report = StudyReport.read(GOLDEN / "results-0.1")
    assert report.best is not None
    text = page(report)
    verdict = re.search(r'<h1 id="verdict">(.*?)</h1>', text)
    assert verdict is not None
    assert verdict[1][1:] == headline(report.best)[1:]
    assert f"<p>valid {validity_words(report.best)}</p>" in text


def test_a_study_that_is_not_finished_says_how_far_it_is(tmp_path: Path) -> None:
    report = StudyReport.read(GOLDEN / "results-0.1")
    cases = [
        (replace(report, reference=None, best=None, result=None, metrics=None), "Nothing is measured yet"),
        (replace(report, best=None, result=None, metrics=None), "No verdict yet: "),
        (replace(report, best=None), "Verdict: tuned; the same `tuner run` writes its best.yaml"),
    ]
    for given, words in cases:
        text = page(given)
        assert f'<h1 id="verdict">{words}' in text
        assert "There is no best.yaml yet" in text


def test_the_points_of_a_front_have_intervals_and_its_knee_is_marked() -> None:
    report = StudyReport.read(GOLDEN / "front-0.1")
    assert report.front is not None
    bars = {bar.name: bar for bar in bars_of(report) if bar.is_confirmed}
    assert set(bars) == {point.name for point in report.front.points} - set(report.state.setup.baselines)
    assert [name for name, bar in bars.items() if bar.is_deployed] == [report.front.knee]
    assert all(bar.low < bar.estimate < bar.high for bar in bars.values())
    compared = {one.title: one for one in compared_of(report)}
    assert [title for title, one in compared.items() if one.is_deployed] == [report.front.knee]
    assert report.front.knee is not None
    assert "8 streams x 1 thread" in compared[report.front.knee].name
