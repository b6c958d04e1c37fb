"""report.html: one file with all figures of a study, which opens offline and asks no other host for anything.

Responsible for the page. jinja2 escapes every text; plotly and jinja2 are imported when a page is made.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner import __version__
from tuner.bench.metrics import METRICS
from tuner.deploy.best import Best
from tuner.outcome.study_report import StudyReport
from tuner.records.folder import write_text
from tuner.report.front import front_lines
from tuner.report.html import figures, time_figures
from tuner.report.html.points import (
    Compared,
    Point,
    Setting,
    compared_of,
    deployed_name,
    points_of,
    settings_of,
    zero_of,
)
from tuner.report.html.remarks import failed_configurations, host_tiles, host_words, remarks_of
from tuner.report.terminal import figure
from tuner.report.words.answer import (
    answer_of,
    callers_words,
    evidence_lines,
    headline,
    limit_phrase,
    validity_words,
)
from tuner.report.words.text import printable

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

FILE = "report.html"
"""Name of the page in a results folder."""

SEEN_FIRST = ("throughput", "latency_p50_ms", "latency_p99_ms")
"""Metrics that every reader asks for, whatever the objective."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One number of a table: its text, and the value by which the table is sorted."""

    text: str
    number: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One configuration of the table of all figures."""

    name: str
    cells: tuple[Cell, ...]
    config: str = ""
    """Every property, to be exact."""
    css: str = ""


def write_page(report: StudyReport, path: Path) -> None:
    """Writes the page of a study in one step. Raises OutputError."""
    write_text(path, page(report))


def page(report: StudyReport) -> str:
    """Returns the page of a study as HTML, with the script of plotly in it once."""
    points, compared = points_of(report), compared_of(report)
    settings, best = settings_of(points), report.best
    lines = _verdict(report, points)
    confirmation = report.result.confirmation if report.result else None
    interval = confirmation.interval if confirmation else None
    columns = _columns(report, [*(p.metrics.values for p in points), *(one.metrics.values for one in compared)])
    return rendered(
        "page.html.j2",
        _figures(report, points, settings),
        title=f"{report.study.name}: tuner report",
        verdict=f"{lines[0][:1].upper()}{lines[0][1:]}",
        verdict_class=_css(best),
        evidence=lines[1:],
        study=report.study,
        environment=report.environment,
        confidence=f"{100 * interval.confidence:.1f}" if interval else "",
        compared=compared,
        compared_rows=_compared_rows(compared, _first(report)),
        is_finished=report.result is not None,
        batch_size=best.batch_size if best else 1,
        has_limit=any(limit.min or limit.max for limit in report.study.objective.limits),
        has_reference=report.reference is not None,
        reference=report.reference.name if report.reference else "",
        zero=zero_of(report),
        settings=settings,
        tiles=host_tiles(report),
        disturbed=host_words(report),
        remarks=remarks_of(report),
        has_failed=bool(failed_configurations(report)),
        columns=["configuration", "gain", "+-", "sessions", *map(_heading, columns)],
        rows=[*_compared_table(compared, columns), *_point_rows(points, columns)],
        **_applying(report),
    )


def rendered(template: str, drawn: Mapping[str, Figure], **values: Any) -> str:
    """Returns a template of this folder with its figures and values filled in; every text is escaped."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    def source(name: str) -> str:
        return files("tuner.report.html").joinpath(name).read_text(encoding="utf-8")

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_printable, loader=FunctionLoader(source)
    )
    return environment.get_template(template).render(
        plotly_js=get_plotlyjs(),
        figures=_figures_json(drawn),
        figure_ids=list(drawn),
        version=__version__,
        **values,
    )


def _figures(report: StudyReport, points: list[Point], settings: list[Setting]) -> dict[str, Figure]:
    """Returns id -> figure; nothing before the baselines have run."""
    if report.reference is None:
        return {}
    return {
        "intervals": figures.intervals_figure(report),
        "tradeoff": figures.tradeoff_figure(report, points),
        **{f"setting-{i}": figures.setting_figure(points, one.name) for i, one in enumerate(settings)},
        "progress": time_figures.progress_figure(report),
        "reference": time_figures.reference_figure(report),
        "host": time_figures.host_figure(report),
    }


def _figures_json(drawn: Mapping[str, Figure]) -> str:
    """Returns id -> figure as JSON that cannot end the script element that holds it."""
    text = json.dumps({name: json.loads(one.to_json()) for name, one in drawn.items()})
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _css(best: Best | None) -> str:
    """Returns the class of the verdict: `good` to deploy something else than today, `same`, or `open`."""
    answer = answer_of(best) if best is not None else None
    return {"settings": "good", "hint": "good", "nothing": "same"}.get(answer or "", "open")


def _verdict(report: StudyReport, points: list[Point]) -> list[str]:
    """Returns the verdict in one sentence, then its evidence; before a verdict what is known so far."""
    if report.front is not None:
        return [line.strip() for line in front_lines(report.front) if isinstance(line, str) and line.strip()][:3]
    if report.best is not None:
        return _answer_lines(report, report.best)
    if report.reference is None:
        return ["nothing is measured yet"]
    if report.result is not None:
        return [f"verdict: {report.result.line.verdict}; the same `tuner run` writes its best.yaml"]
    lines = ["no verdict yet: the study is going on, or the same `tuner run` continues it"]
    found = next((p for p in points if not p.beyond), None)
    if found is not None:
        lines.append(f"best so far, not confirmed: {found.name}, {_gain(found.value)} against {report.reference.name}")
    return lines


def _answer_lines(report: StudyReport, best: Best) -> list[str]:
    """Returns what to deploy and what that changes, why that is sure, and what it is valid for."""
    lines = [headline(best), f"deployed: {deployed_name(report, best)}", *evidence_lines(best)]
    lines += [best.reason] if best.reason and not evidence_lines(best) else []
    lines += [limit_phrase(constraint) for constraint in best.constraints]
    return [*lines, f"valid {validity_words(best)}", *filter(None, [callers_words(best)])]


def _first(report: StudyReport) -> list[str]:
    """Returns the metrics that a reader of this study asks for first: objectives, limits, throughput and latency."""
    objective = report.study.objective
    wanted = [*objective.metrics, *(limit.metric for limit in objective.limits), *SEEN_FIRST]
    return [name for name in dict.fromkeys(wanted) if name in METRICS]


def _columns(report: StudyReport, measured: list[Mapping[str, float]]) -> list[str]:
    """Returns every metric that was measured, those first that a reader asks for first."""
    names = dict.fromkeys([*_first(report), *METRICS])
    return [name for name in names if any(name in values for values in measured)]


def _heading(name: str) -> str:
    unit = METRICS[name].unit
    return name if unit.lower() in name.split("_") else f"{name} ({unit})"


def _compared_rows(compared: list[Compared], metrics: list[str]) -> list[dict[str, Any]]:
    """Returns what the verdict compares, a row for each metric."""
    shown = [name for name in metrics if any(name in one.metrics.values for one in compared)]
    return [
        {"title": _heading(name), "cells": [figure(one.metrics.values.get(name)) for one in compared]} for name in shown
    ]


def _compared_table(compared: list[Compared], columns: list[str]) -> list[Row]:
    empty = (Cell(text=""), Cell(text=""), Cell(text=""))
    return [
        Row(
            name=": ".join(filter(None, [one.title, one.name])),
            cells=(*empty, *(_cell(one.metrics.values.get(name)) for name in columns)),
            css="deployed" if one.is_deployed else "",
        )
        for one in compared
    ]


def _point_rows(points: list[Point], columns: list[str]) -> list[Row]:
    return [
        Row(
            name=f"trial {p.trial}: {p.name}" + (f" ({p.beyond})" if p.beyond else ""),
            cells=(
                Cell(text=_gain(p.value), number=p.value),
                Cell(text=f"{100 * p.sd:.1f} %", number=p.sd),
                Cell(text=str(p.sessions), number=p.sessions),
                *(_cell(p.metrics.values.get(name)) for name in columns),
            ),
            config=str(p.config),
            css="beyond" if p.beyond else "",
        )
        for p in points
    ]


def _cell(value: float | None) -> Cell:
    return Cell(text=figure(value), number=value)


def _gain(value: float) -> str:
    """Returns a gain (log-ratio) in few characters: per cent, or times from a factor of two."""
    return f"{math.exp(value):.2g} times" if value >= math.log(2) else f"{100 * math.expm1(value):+.1f} %"


def _applying(report: StudyReport) -> dict[str, str]:
    """Returns what a reader copies to use best.yaml; empty before there is one."""
    if report.best is None or report.best.source is None:
        return {"best_text": "", "apply_command": "", "export_command": "", "code": ""}
    path = str(report.folder / "best.yaml")
    lines = [
        "import tuner",
        "",
        f"best = tuner.load_best({path!r})",
        "with best.compile() as deployment:",
        "    answer = deployment.infer(inputs)  # input's name -> one sample as an array; from any thread",
    ]
    return {
        "best_text": report.best.source.read_text(encoding="utf-8"),
        "apply_command": f"tuner apply {shlex.quote(path)}",
        "export_command": f"tuner export {shlex.quote(path)} --list",
        "code": "\n".join(lines),
    }


def _printable(value: Any) -> Any:
    """Returns a short text without control characters; longer texts keep their line breaks."""
    return printable(value) if type(value) is str and "\n" not in value else value
