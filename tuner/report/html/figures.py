"""The figures of a study's page; each function returns one figure. plotly is imported when a figure is made.

Names come from files, and plotly reads tags in texts: every name is escaped. Must not compute results.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from tuner.bench.measurement import Windows
from tuner.bench.metrics import METRICS
from tuner.evidence.pooled_metrics import metrics_of
from tuner.outcome.study_report import StudyReport
from tuner.report.html.points import Point, compared_metrics, latency_shown
from tuner.statistics.disturbance import mean_load, windows_of
from tuner.statistics.sequential_test import gain_pct

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

BLUE, ORANGE, GREEN, GREY, RED = "#3b82f6", "#e08a1e", "#22a06b", "#8b93a1", "#d64545"
"""Colours that are legible on white and on black."""


def intervals_figure(report: StudyReport) -> Figure:
    """Returns the gain of what was confirmed with its interval, and the baselines as first measured."""
    import plotly.graph_objects as go

    figure = go.Figure()
    gain = report.best.gain if report.best else None
    interval = report.result.confirmation.interval if report.result and report.result.confirmation else None
    if interval is not None:
        low, middle, high = gain_pct(interval.low), gain_pct(interval.estimate), gain_pct(interval.high)
    elif gain is not None:
        low, middle, high = gain.low_pct, gain.estimate_pct, gain.high_pct
    if interval is not None or gain is not None:
        bars = {"type": "data", "symmetric": False, "array": [high - middle], "arrayminus": [middle - low]}
        name = "tuned" if report.result and report.result.is_tuned else "candidate"
        figure.add_scatter(x=[middle], y=[name], error_x=bars, mode="markers", name="confirmed", marker=_dot(GREEN, 12))
    if report.reference is not None:
        values = sorted(report.reference.ranking.values.items(), key=lambda item: -item[1])
        figure.add_scatter(
            x=[gain_pct(value) for _, value in values],
            y=[escape(name) for name, _ in values],
            mode="markers",
            name="baselines, as first measured",
            marker=_dot(BLUE, 10),
        )
    figure.add_vline(x=0, line={"dash": "dot", "color": GREY})
    figure.update_yaxes(autorange="reversed", automargin=True)
    return _finished(figure, f"gain in {report.study.objective.metric} (%)", "")


def tradeoff_figure(report: StudyReport, points: Sequence[Point]) -> Figure:
    """Returns throughput against latency, with a line for each absolute limit of the two."""
    import plotly.graph_objects as go

    latency, figure = latency_shown(report), go.Figure()
    kept = [("within the limits", BLUE, True), ("beyond a limit", RED, False)]
    measured = [(p.name, p.metrics.values, p.is_feasible) for p in points]
    for title, colour, wanted in kept:
        _add_metrics(figure, latency, title, _dot(colour, 8), [(n, v) for n, v, ok in measured if ok is wanted])
    compared = [(name, metrics.values) for name, metrics in compared_metrics(report).items()]
    _add_metrics(figure, latency, "baselines and confirmed", _dot(ORANGE, 12, "diamond"), compared)
    for limit in report.study.objective.limits:
        for bound in (limit.min, limit.max):
            line: dict[str, Any] = {"line": {"dash": "dash", "color": RED}}
            if bound is not None and limit.metric == latency:
                figure.add_vline(x=bound, **line)
            elif bound is not None and limit.metric == "throughput":
                figure.add_hline(y=bound, **line)
    figure.update_xaxes(type="log")
    return _finished(figure, f"{latency}, logarithmic", f"throughput ({METRICS['throughput'].unit})")


def setting_figure(points: Sequence[Point], parameter: str) -> Figure:
    """Returns the gain of each distinct configuration by its value of one parameter."""
    import plotly.graph_objects as go

    shown = sorted((p for p in points if parameter in p.settings), key=lambda p: _order(p.settings[parameter]))
    figure = go.Figure()
    figure.add_scatter(
        x=[escape(str(p.settings[parameter])) for p in shown],
        y=[p.gain_pct for p in shown],
        text=[escape(p.name) for p in shown],
        mode="markers",
        marker=_dot(BLUE, 8),
        hovertemplate="%{text}<br>%{y:+.1f} %<extra></extra>",
    )
    figure.update_xaxes(type="category")
    return _finished(figure, escape(parameter), "gain (%)")


def progress_figure(report: StudyReport) -> Figure:
    """Returns what the reference measured in each session over time, coloured by phase; it shows drift."""
    return _over_time(report, is_reference=True)


def members_figure(report: StudyReport) -> Figure:
    """Returns what every other member of each session measured over time, coloured by phase."""
    return _over_time(report, is_reference=False)


def host_figure(report: StudyReport) -> Figure:
    """Returns steal, CPU of other processes and gaps between sessions over time."""
    import plotly.graph_objects as go

    lines = report.state.log.all_sessions()
    minutes = _minutes(report)
    loads = [mean_load(windows_of([line.session])) for line in lines]
    ends = [line.session.started_unix_s + line.session.wall_s for line in lines]
    gaps = [0.0, *(max(0.0, b.session.started_unix_s - end) for end, b in zip(ends, lines[1:], strict=False))]
    figure = go.Figure()
    figure.add_scatter(x=minutes, y=[load.steal_pct for load in loads], name="steal (% of CPUs)", line={"color": RED})
    others = [load.other_cpu_pct for load in loads]
    figure.add_scatter(x=minutes, y=others, name="other processes (% of CPUs)", line={"color": ORANGE})
    figure.add_bar(x=minutes, y=gaps[: len(minutes)], name="gap before the session (s)", marker={"color": GREY})
    return _finished(figure, "minutes", "% or s")


def _over_time(report: StudyReport, *, is_reference: bool) -> Figure:
    import plotly.graph_objects as go

    metric, figure = report.study.objective.metric, go.Figure()
    found: dict[str, list[tuple[float, float]]] = {}
    reference = report.reference.configuration if report.reference else None
    for minute, line in zip(_minutes(report), report.state.log.all_sessions(), strict=True):
        for config, member in line.session.items():
            if (config == reference) is is_reference and isinstance(member, Windows) and member.windows:
                value = metrics_of(member).values.get(metric)
                if value is not None:
                    found.setdefault(line.phase, []).append((minute, value))
    for phase, values in found.items():
        xs, ys = zip(*values, strict=True)
        figure.add_scatter(x=xs, y=ys, mode="markers", name=phase, marker={"size": 8})
    return _finished(figure, "minutes", f"{metric} ({METRICS[metric].unit})")


def _minutes(report: StudyReport) -> list[float]:
    """Returns the minutes from the first session to the beginning of each."""
    starts = [line.session.started_unix_s for line in report.state.log.all_sessions()]
    return [(start - starts[0]) / 60 for start in starts]


def _add_metrics(figure: Figure, latency: str, title: str, marker: dict[str, Any], found: Sequence[Any]) -> None:
    shown = [(name, values) for name, values in found if latency in values and "throughput" in values]
    if shown:
        figure.add_scatter(
            x=[values[latency] for _, values in shown],
            y=[values["throughput"] for _, values in shown],
            text=[escape(name) for name, _ in shown],
            mode="markers",
            name=title,
            marker=marker,
            hovertemplate="%{text}<br>%{x:.4g} ms, %{y:.4g}/s<extra></extra>",
        )


def _dot(colour: str, size: int, symbol: str = "circle") -> dict[str, Any]:
    return {"color": colour, "size": size, "symbol": symbol}


def _order(value: object) -> tuple[bool, float, str]:
    is_number = isinstance(value, int | float)
    return not is_number, float(value) if isinstance(value, int | float) else 0.0, str(value)


def _finished(figure: Figure, x: str, y: str) -> Figure:
    """Returns a figure with titles of its axes, a legend below and no background of its own."""
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 60, "r": 15, "t": 20, "b": 50},
        legend={"orientation": "h", "y": -0.25},
        height=380,
    )
    figure.update_xaxes(title=x, gridcolor="rgba(128,128,128,.25)", automargin=True)
    figure.update_yaxes(title=y, gridcolor="rgba(128,128,128,.25)", automargin=True)
    return figure
