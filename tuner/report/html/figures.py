"""The figures of what a study found; each function returns one figure. plotly is imported when a figure is made.

Names come from files, and plotly reads tags in texts: every name is escaped. Must not compute results.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from tuner.bench.metrics import METRICS, Metric
from tuner.outcome.study_report import StudyReport
from tuner.report.html.axes import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    dot,
    finished,
    ratio_axis,
    value_axis,
)
from tuner.report.html.points import (
    Bar,
    Point,
    bars_of,
    compared_of,
    latency_shown,
    points_of,
    settings_of,
    zero_of,
)
from tuner.report.words.gain import Gain, amount_words, gain_words

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MANY_VALUES = 12
"""Number of values of a parameter above which its axis is one of numbers, not of words."""


def intervals_figure(report: StudyReport) -> Figure:
    """Returns the gain of what was confirmed and of the baselines, each with its interval."""
    import plotly.graph_objects as go

    figure, bars, metric = go.Figure(), bars_of(report), report.study.objective.row
    kinds = [
        ("confirmed in fresh sessions", GREEN, [bar for bar in bars if bar.is_confirmed]),
        ("measured before, not confirmed", BLUE, [bar for bar in bars if not bar.is_confirmed]),
    ]
    for title, colour, shown in kinds:
        if shown:
            places = [_label(bar.name, is_deployed=bar.is_deployed) for bar in shown]
            add_bars(figure, shown, places, metric, title=title, colour=colour)
    figure.add_vline(x=1, line={"dash": "dot", "color": GREY})
    finished(figure, _gain_title(report), "", height=140 + 44 * max(1, len(bars)))
    figure.update_xaxes(**ratio_axis([math.exp(x) for bar in bars for x in (bar.low, bar.high)]))
    names = [_label(bar.name, is_deployed=bar.is_deployed) for bar in bars]
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1], type="category")
    return figure


def add_bars(
    figure: Figure, bars: Sequence[Bar], places: Sequence[str], metric: Metric, *, title: str, colour: str
) -> None:
    """Adds dots with intervals to a figure whose horizontal axis has ratios; `places` are escaped labels."""
    shown = [(bar, math.exp(bar.estimate), math.exp(bar.low), math.exp(bar.high)) for bar in bars]
    figure.add_scatter(
        x=[middle for _, middle, _, _ in shown],
        y=list(places),
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [high - middle for _, middle, _, high in shown],
            "arrayminus": [middle - low for _, middle, low, _ in shown],
            "thickness": 3,
        },
        text=[escape(f"{bar.name}: {bar_words(bar, metric)}") for bar in bars],
        mode="markers",
        name=title,
        marker=dot(colour, 12),
        hovertemplate="%{text}<extra></extra>",
    )


def bar_words(bar: Bar, metric: Metric) -> str:
    """Returns the change of a metric with its interval, as people say it."""
    gain = Gain(estimate=bar.estimate, low=bar.low, high=bar.high)
    return amount_words(metric.name, bar.estimate) if bar.low == bar.high else gain_words(metric.name, gain)


def tradeoff_figure(report: StudyReport, points: Sequence[Point] | None = None) -> Figure:
    """Returns throughput against latency, with a line for each absolute limit of the two.

    `points` are those of the report, for a caller that has read them already.
    """
    import plotly.graph_objects as go

    latency, figure = latency_shown(report), go.Figure()
    points = points_of(report) if points is None else points
    for title, colour, is_beyond in (("tried, not confirmed", BLUE, False), ("beyond a limit", RED, True)):
        shown = [(_described(p), p.metrics.values) for p in points if bool(p.beyond) is is_beyond]
        _add_metrics(figure, latency, title, dot(colour, 8), shown)
    compared = compared_of(report)
    for title, marker, is_confirmed in (
        ("baselines", dot(ORANGE, 12, "diamond"), False),
        ("confirmed", dot(GREEN, 15, "star"), True),
    ):
        named = [one for one in compared if one.is_confirmed is is_confirmed]
        shown = [(escape(": ".join(filter(None, [one.title, one.name]))), one.metrics.values) for one in named]
        _add_metrics(figure, latency, title, marker, shown)
    values = [x for trace in figure.data for x in trace.x]
    for limit in report.study.objective.limits:
        for bound in filter(None, (limit.min, limit.max)):
            if limit.metric in (latency, "throughput"):
                values += [bound] if limit.metric == latency else []
                _add_limit(figure, bound, is_vertical=limit.metric == latency)
    finished(figure, f"{latency}, logarithmic", METRICS["throughput"].title, height=440)
    figure.update_xaxes(**value_axis([x for x in values if x > 0]))
    figure.update_yaxes(rangemode="tozero")
    return figure


def _add_limit(figure: Figure, bound: float, *, is_vertical: bool) -> None:
    """Adds the line of a limit with its value; on a logarithmic axis plotly places texts by their logarithms."""
    line, font = {"dash": "dash", "color": RED}, {"color": RED}
    text = f"limit {bound:g}"
    if is_vertical:
        figure.add_vline(x=bound, line=line)
        figure.add_annotation(
            x=math.log10(bound),
            y=0,
            yref="paper",
            text=text,
            font=font,
            showarrow=False,
            xanchor="left",
            yanchor="bottom",
        )
    else:
        figure.add_hline(y=bound, line=line)
        figure.add_annotation(
            x=1, xref="paper", y=bound, text=text, font=font, showarrow=False, xanchor="right", yanchor="bottom"
        )


def settings_figures(report: StudyReport) -> dict[str, Figure]:
    """Returns each parameter that was searched -> the gain of each distinct configuration by its value."""
    points = points_of(report)
    return {setting.name: setting_figure(points, setting.name) for setting in settings_of(points)}


def setting_figure(points: Sequence[Point], parameter: str) -> Figure:
    """Returns the gain of each distinct configuration by its value of one parameter, and the best for each value."""
    import plotly.graph_objects as go

    shown = sorted((p for p in points if parameter in p.settings), key=lambda p: _order(p.settings[parameter]))
    values = list(dict.fromkeys(p.settings[parameter] for p in shown))
    is_numeric = len(values) > MANY_VALUES and all(isinstance(value, int | float) for value in values)
    place = (lambda value: value) if is_numeric else (lambda value: escape(str(value)))
    figure = go.Figure()
    kept = [p for p in shown if not p.beyond]
    best = {value: max((p.value for p in kept if p.settings[parameter] == value), default=None) for value in values}
    line = [(place(value), math.exp(top)) for value, top in best.items() if top is not None]
    figure.add_scatter(x=[x for x, _ in line], y=[y for _, y in line], mode="lines", line={"color": GREY, "width": 1})
    for colour, group in ((BLUE, kept), (RED, [p for p in shown if p.beyond])):
        if group:
            figure.add_scatter(
                x=[place(p.settings[parameter]) for p in group],
                y=[math.exp(p.value) for p in group],
                text=[_described(p) for p in group],
                mode="markers",
                marker={**dot(colour, 8), "opacity": 0.8},
                hovertemplate="%{text}<extra></extra>",
            )
    finished(figure, escape(parameter), "", height=300)
    figure.update_layout(showlegend=False)
    if is_numeric:
        figure.update_xaxes(type="log" if min(float(v) for v in values) > 0 else "linear")
    else:
        figure.update_xaxes(type="category", categoryorder="array", categoryarray=[place(value) for value in values])
    figure.update_yaxes(**ratio_axis([math.exp(p.value) for p in shown]))
    figure.add_hline(y=1, line={"dash": "dot", "color": GREY})
    return figure


def _gain_title(report: StudyReport) -> str:
    metric = report.study.objective.row
    better = "" if metric.is_higher_better else ", turned over: right is lower"
    return f"{metric.name} compared with {escape(zero_of(report))}{better}"


def _label(name: str, *, is_deployed: bool) -> str:
    return f"{escape(name)} *" if is_deployed else escape(name)


def _described(point: Point) -> str:
    """Returns the name of a configuration, its gain and the limits that it exceeds, in lines of plotly."""
    lines = [point.name, f"gain {100 * math.expm1(point.value):+.1f} % +- {100 * point.sd:.1f} %, not confirmed"]
    if point.trial is not None:
        lines[0] = f"trial {point.trial}: {lines[0]}"
    return "<br>".join(escape(line) for line in [*lines, *filter(None, [point.beyond])])


def _add_metrics(figure: Figure, latency: str, title: str, marker: dict[str, Any], found: Sequence[Any]) -> None:
    """Adds configurations, given as (text that is escaped already, metric -> value), as dots."""
    shown = [(name, values) for name, values in found if latency in values and "throughput" in values]
    if shown:
        figure.add_scatter(
            x=[values[latency] for _, values in shown],
            y=[values["throughput"] for _, values in shown],
            text=[name for name, _ in shown],
            mode="markers",
            name=title,
            marker=marker,
            hovertemplate="%{text}<br>%{x:.4g} ms, %{y:.4g} samples/s<extra></extra>",
        )


def _order(value: object) -> tuple[bool, float, str]:
    is_number = isinstance(value, int | float)
    return not is_number, float(value) if isinstance(value, int | float) else 0.0, str(value)
