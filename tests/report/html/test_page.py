"""The page of a study: what is on it, what it asks of other hosts, and what names from files may do to it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs
from typer.testing import CliRunner

from tuner.cli import app
from tuner.outcome.study_report import StudyReport
from tuner.report.html.figures import setting_figure, tradeoff_figure
from tuner.report.html.page import page
from tuner.report.html.points import points_of

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
def test_a_page_has_its_sections_and_a_place_for_each_figure(name: str) -> None:
    own = made(name).replace(get_plotlyjs(), "")
    figures = figures_of(own)
    assert {"intervals", "tradeoff", "reference", "members", "host", "setting-0"} <= set(figures)
    assert all(f'id="{figure}"' in own for figure in figures)
    assert own.count("<h2>") == 8
    assert "<h1 id=" in own
    assert "schema_version: 1" in own


@each_folder
def test_a_page_asks_no_other_host_and_is_small(name: str) -> None:
    text = made(name)
    own = text.replace(get_plotlyjs(), "")
    assert "default-src 'none'" in own
    assert re.findall(r"https?://|//cdn|@import|<link(?! rel=\"icon\" href=\"data:)|src=", own) == []
    assert text.count(get_plotlyjs()) == 1
    assert len(text.encode()) < 6_000_000


def test_hostile_names_do_not_reach_the_page_unescaped() -> None:
    report = StudyReport.read(GOLDEN / "results-0.1")
    assert report.reference is not None
    assert report.best is not None
    assert report.metrics is not None
    ranking = replace(report.reference.ranking, values={HOSTILE: 0.0})
    study = replace(report.study, name=HOSTILE, model=replace(report.study.model, path=HOSTILE))
    hostile = replace(
        report,
        study=study,
        reference=replace(report.reference, ranking=ranking),
        best=replace(report.best, baseline=replace(report.best.baseline, name=HOSTILE)),
        metrics=replace(report.metrics, baselines={HOSTILE: report.metrics.reference}),
    )
    text = page(hostile).replace(get_plotlyjs(), "")
    assert "<img" not in text
    assert "&lt;img src=x" in text
    assert "<img" not in json.dumps(figures_of(text))


def test_the_figures_show_every_configuration_once() -> None:
    report = StudyReport.read(GOLDEN / "results-0.1")
    points = points_of(report)
    assert len(points) == len(report.candidates)
    assert len(setting_figure(points, "NUM_STREAMS").data[0].x) == len(points)
    assert any("8 streams x 1 thread" in text for trace in tradeoff_figure(report, points).data for text in trace.text)


def test_the_command_writes_the_page_where_it_is_told(tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    done = CliRunner().invoke(app, ["report", str(GOLDEN / "results-0.1"), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert out.read_text().startswith("<!doctype html>")
