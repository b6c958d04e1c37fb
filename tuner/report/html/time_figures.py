"""The figures of how a study went: progress, the reference, and the host over time.

Names come from files, and plotly reads tags in texts: every name is escaped. plotly is imported when a figure is made.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

from tuner.bench.measurement import Windows
from tuner.evidence.candidates import ranked
from tuner.evidence.pooled_metrics import metrics_of
from tuner.outcome.study_report import StudyReport
from tuner.records.session_log import SessionLine
from tuner.report.html.axes import GREY, ORANGE, PHASES, RED, SOFT, dot, finished, ratio_axis
from tuner.report.outcome import searched_parameters
from tuner.report.words.configuration import name_by
from tuner.statistics.disturbance import DISTURBED_OTHER_PCT, DISTURBED_STEAL_PCT, mean_load, windows_of

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

LONGEST_GAP_S = 60.0
"""Seconds between two sessions that figures show at most: a study may be resumed days later."""


def progress_figure(report: StudyReport) -> Figure:
    """Returns the gain of every member of every session over time, and of the best candidate so far."""
    import plotly.graph_objects as go

    figure, lines = go.Figure(), report.state.log.all_sessions()
    starts = minutes_of(lines)
    shown: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    names, reference = searched_parameters(report), report.reference
    labels = {config: name for name, config in report.state.setup.baselines.items()}
    for minute, line in zip(starts, lines, strict=True):
        ran = dict(line.session.ran())
        ours = ran.get(reference.configuration) if reference else None
        for config, trial in zip(line.session.configurations, line.trials, strict=True):
            if reference is None or ours is None or config == reference.configuration or config not in ran:
                continue
            comparison = reference.comparer.compare(ran[config], ours) if ours.windows and ran[config].windows else None
            if comparison is not None:
                name = labels.get(config) or (f"trial {trial}: " if trial is not None else "") + name_by(config, names)
                shown[line.phase].append((minute, math.exp(comparison.value), escape(name)))
    for phase, found in shown.items():
        figure.add_scatter(
            x=[x for x, _, _ in found],
            y=[y for _, y, _ in found],
            text=[f"{text}<br>{phase}, {100 * (y - 1):+.1f} %" for _, y, text in found],
            mode="markers",
            name=phase,
            marker={**dot(PHASES.get(phase, GREY), 8), "opacity": 0.8},
            hovertemplate="%{text}<extra></extra>",
        )
    best = _best_so_far(report, starts, lines)
    if best:
        xs, ys = [x for x, _ in best], [y for _, y in best]
        style = {"color": GREY, "shape": "hv", "width": 2}
        figure.add_scatter(x=xs, y=ys, mode="lines", name="best so far, not confirmed", line=style, hoverinfo="skip")
    finished(figure, "minutes", f"gain over {escape(reference.name) if reference else 'the reference'}")
    every = [y for found in shown.values() for _, y, _ in found]
    figure.update_yaxes(**ratio_axis(every))
    figure.add_hline(y=1, line={"dash": "dot", "color": GREY})
    _add_phases(figure, starts, lines)
    return figure


def reference_figure(report: StudyReport) -> Figure:
    """Returns what the reference measured in each session over time; it shows the drift of the host."""
    import plotly.graph_objects as go

    metric, figure, lines = report.study.objective.row, go.Figure(), report.state.log.all_sessions()
    starts, found = minutes_of(lines), reference_values(report)
    shown = [(minute, value, line.phase) for minute, line, value in zip(starts, lines, found, strict=True) if value]
    figure.add_scatter(
        x=[x for x, _, _ in shown],
        y=[y for _, y, _ in shown],
        mode="lines+markers",
        line={"color": GREY, "width": 1},
        marker={"size": 8, "color": [PHASES.get(phase, GREY) for _, _, phase in shown]},
        text=[phase for _, _, phase in shown],
        hovertemplate="%{text}: %{y:.4g}<extra></extra>",
    )
    finished(figure, "minutes", metric.title, height=300)
    figure.update_layout(showlegend=False)
    figure.update_yaxes(rangemode="tozero")
    _add_phases(figure, starts, lines)
    return figure


def host_figure(report: StudyReport) -> Figure:
    """Returns steal and CPU of other processes over time, and below them the gaps between sessions."""
    from plotly.subplots import make_subplots

    lines = report.state.log.all_sessions()
    starts, loads = minutes_of(lines), [mean_load(windows_of([line.session])) for line in lines]
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.65, 0.35], vertical_spacing=0.08)
    for name, colour, values, limit in (
        ("steal", RED, [load.steal_pct for load in loads], DISTURBED_STEAL_PCT),
        ("other processes", ORANGE, [load.other_cpu_pct for load in loads], DISTURBED_OTHER_PCT),
    ):
        row = {"mode": "lines+markers", "line": {"color": colour, "width": 1}, "marker": {"size": 5}}
        words = "%{y:.1f} % of the CPUs<extra>" + name + "</extra>"
        figure.add_scatter(x=starts, y=values, name=name, row=1, col=1, hovertemplate=words, **row)
        figure.add_hline(y=limit, row=1, col=1, line={"dash": "dot", "color": colour, "width": 1})
    gaps = gaps_of(lines)
    words = "%{y:.1f} s<extra>before the session</extra>"
    marker = {"color": GREY}
    figure.add_bar(x=starts, y=gaps, name="gap before the session", marker=marker, row=2, col=1, hovertemplate=words)
    finished(figure, "", "", height=400)
    figure.update_xaxes(title="minutes", row=2, col=1)
    _fit(figure, starts, lines)
    figure.update_yaxes(title="% of the CPUs", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title="gap (s)", rangemode="tozero", row=2, col=1)
    return figure


def minutes_of(lines: Sequence[SessionLine]) -> list[float]:
    """Returns the minutes from the first session to the beginning of each; longer gaps count as `LONGEST_GAP_S`."""
    starts, at_s = [], 0.0
    for line, gap in zip(lines, gaps_of(lines), strict=True):
        at_s += min(gap, LONGEST_GAP_S)
        starts.append(at_s / 60)
        at_s += line.session.wall_s
    return starts


def gaps_of(lines: Sequence[SessionLine]) -> list[float]:
    """Returns the seconds between each session and the one before it, zero for the first."""
    ends = [line.session.started_unix_s + line.session.wall_s for line in lines]
    gaps = [max(0.0, line.session.started_unix_s - end) for end, line in zip(ends, lines[1:], strict=False)]
    return [0.0, *gaps][: len(lines)]


def reference_values(report: StudyReport) -> list[float | None]:
    """Returns what the reference measured of the (first) objective in each session; None where it did not run."""
    metric, reference = report.study.objective.metric, report.reference
    found: list[float | None] = []
    for line in report.state.log.all_sessions():
        member = dict(line.session.items()).get(reference.configuration) if reference else None
        is_there = isinstance(member, Windows) and bool(member.windows)
        found.append(metrics_of(member).values.get(metric) if is_there and isinstance(member, Windows) else None)
    return found


def _best_so_far(
    report: StudyReport, starts: Sequence[float], lines: Sequence[SessionLine]
) -> list[tuple[float, float]]:
    """Returns the steps of the best candidate that keeps the limits: (minutes, ratio to the reference)."""
    if report.reference is None:
        return []
    evidence, steps = report.reference.new_evidence(), []
    for position, line in enumerate(lines):
        best = ranked(evidence.read(lines[: position + 1]).values())
        if best and best[0].is_feasible:
            steps.append((starts[position] + line.session.wall_s / 60, math.exp(best[0].value)))
    return steps


def _add_phases(figure: Figure, starts: Sequence[float], lines: Sequence[SessionLine]) -> None:
    """Adds a thin line where a phase begins, and gives all figures over time the same range."""
    _fit(figure, starts, lines)
    for (_, before), (minute, after) in pairwise(zip(starts, lines, strict=True)):
        if before.phase != after.phase:
            figure.add_vline(x=minute, line={"color": SOFT, "width": 1})


def _fit(figure: Figure, starts: Sequence[float], lines: Sequence[SessionLine]) -> None:
    """Sets the range of the minutes, so that figures below each other agree."""
    if lines:
        end = starts[-1] + lines[-1].session.wall_s / 60
        figure.update_xaxes(range=[-0.02 * end, 1.02 * end])
