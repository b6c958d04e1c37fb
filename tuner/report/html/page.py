"""report.html: one file with all figures of a study, which opens offline and asks no other host for anything.

Responsible for the page. jinja2 escapes every text; plotly and jinja2 are imported when a page is made.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from tuner.bench.metrics import METRICS
from tuner.outcome.study_report import StudyReport
from tuner.records.folder import write_text
from tuner.report.html import figures
from tuner.report.html.points import (
    Point,
    clamped_words,
    compared_metrics,
    deployed_name,
    failure_words,
    latency_shown,
    points_of,
    same_configurations,
)
from tuner.report.outcome import verdict_lines
from tuner.report.terminal import figure
from tuner.report.words.host import disturbed_words
from tuner.report.words.text import printable

FILE = "report.html"
"""Name of the page in a results folder."""


def write_page(report: StudyReport, path: Path) -> None:
    """Writes the page of a study in one step. Raises OutputError."""
    write_text(path, page(report))


def page(report: StudyReport) -> str:
    """Returns the page of a study as HTML, with the script of plotly in it once."""
    from jinja2 import Environment, StrictUndefined
    from plotly.offline import get_plotlyjs

    template = files("tuner.report.html").joinpath("page.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, finalize=_printable)
    points = points_of(report)
    lines = _verdict(report)
    return environment.from_string(template).render(
        plotly_js=get_plotlyjs(),
        figures=_figures_json(report, points),
        verdict=f"{lines[0][:1].upper()}{lines[0][1:]}",
        evidence=lines[1:],
        study=report.study,
        environment=report.environment,
        latency=latency_shown(report),
        settings=_settings(points),
        disturbed=disturbed_words(report.disturbed, report.windows),
        same=same_configurations(report),
        duplicates=report.state.log.duplicates(),
        clamped=clamped_words(report),
        failures=failure_words(report),
        columns=_columns(report),
        rows=_rows(report, points),
        apply_command=f"tuner apply {report.folder / 'best.yaml'}",
        best_text=report.best.source.read_text(encoding="utf-8") if report.best and report.best.source else "",
    )


def _verdict(report: StudyReport) -> list[str]:
    if report.best is None:
        return ["no verdict yet: the same `tuner run` continues"]
    return verdict_lines(report.best, deployed_name(report, report.best))


def _settings(points: list[Point]) -> list[str]:
    """Returns the parameters with at least two values among the configurations that were measured."""
    names = {name: None for point in points for name in point.settings}
    return [name for name in names if len({str(p.settings[name]) for p in points if name in p.settings}) > 1]


def _figures_json(report: StudyReport, points: list[Point]) -> str:
    """Returns id -> figure as JSON that cannot end the script element that holds it."""
    made = {"intervals": figures.intervals_figure(report)}
    if report.state.log.all_sessions():
        made["tradeoff"] = figures.tradeoff_figure(report, points)
        made["reference"] = figures.progress_figure(report)
        made["members"] = figures.members_figure(report)
        made["host"] = figures.host_figure(report)
    made |= {f"setting-{i}": figures.setting_figure(points, name) for i, name in enumerate(_settings(points))}
    text = json.dumps({name: json.loads(one.to_json()) for name, one in made.items()})
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _columns(report: StudyReport) -> list[str]:
    """Returns the metrics of the table: the objectives, the limits, throughput and latency."""
    objective = report.study.objective
    wanted = [*objective.metrics, *(limit.metric for limit in objective.limits), "throughput", latency_shown(report)]
    return [name for name in dict.fromkeys(wanted) if name in METRICS]


def _rows(report: StudyReport, points: list[Point]) -> list[list[str]]:
    columns = _columns(report)
    named = compared_metrics(report).items()
    compared = [[name, "", "", "", *(figure(m.values.get(c)) for c in columns)] for name, m in named]
    return compared + [
        [
            f"trial {p.trial}: {p.name}" + ("" if p.is_feasible else " (beyond a limit)"),
            f"{p.gain_pct:+.1f}",
            f"{p.sd_pct:.1f}",
            str(p.sessions),
            *(figure(p.metrics.values.get(c)) for c in columns),
        ]
        for p in points
    ]


def _printable(value: Any) -> Any:
    """Returns a short text without control characters; longer texts keep their line breaks."""
    return printable(value) if type(value) is str and "\n" not in value else value
