"""comparison.html: several studies on one page, with one table, one figure, and what of their conditions differs.

Responsible for the page; the rows of its tables are those of `tuner show`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.outcome.study_report import StudyReport
from tuner.records.folder import write_text
from tuner.report.comparison import CAUTION, condition_rows, differing_rows, found_rows, study_names
from tuner.report.html.axes import BLUE, GREEN, GREY, ORANGE, finished, ratio_axis
from tuner.report.html.figures import add_bars
from tuner.report.html.page import rendered
from tuner.report.html.points import Bar, bars_of, zero_of

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

FILE = "comparison.html"
"""Name of the page, beside the folder of the first study."""


def write_comparison(reports: Sequence[StudyReport], path: Path) -> None:
    """Writes the page of several studies in one step. Raises OutputError."""
    write_text(path, comparison_page(reports))


def comparison_page(reports: Sequence[StudyReport]) -> str:
    """Returns the page of several studies as HTML."""
    conditions = condition_rows(reports)
    differing = differing_rows(conditions)
    return rendered(
        "compare.html.j2",
        {"comparison": comparison_figure(reports)},
        title=f"{len(reports)} studies compared",
        names=study_names(reports),
        found=found_rows(reports),
        conditions={**differing, **conditions},
        differing=list(differing),
        caution=CAUTION,
    )


def comparison_figure(reports: Sequence[StudyReport]) -> Figure:
    """Returns the gain of what each study deploys and of its baselines, each study below the other."""
    import plotly.graph_objects as go

    figure, order, ratios = go.Figure(), list[str](), list[float]()
    kinds = {"baselines": BLUE, "confirmed, not deployed": ORANGE, "deployed": GREEN}
    shown: dict[str, list[tuple[StudyReport, Bar, str]]] = {title: [] for title in kinds}
    for name, report in zip(study_names(reports), reports, strict=True):
        for bar in bars_of(report):
            kind = "deployed" if bar.is_deployed else "confirmed, not deployed" if bar.is_confirmed else "baselines"
            shown[kind].append((report, bar, name))
        order.append(f"{escape(name)}<br>against {escape(zero_of(report) or 'nothing yet')}")
    places = dict(zip(study_names(reports), order, strict=True))
    for kind, found in shown.items():
        for i, (report, bar, name) in enumerate(found):
            add_bars(figure, [bar], [places[name]], report.study.objective.row, title=kind, colour=kinds[kind])
            figure.data[-1].update(legendgroup=kind, showlegend=i == 0)
            if kind == "baselines":  # their intervals would overlap; the page of each study has them
                figure.data[-1].update(error_x_visible=False, marker_size=8)
            ratios += [math.exp(x) for x in ((bar.estimate,) if kind == "baselines" else (bar.low, bar.high))]
    figure.add_vline(x=1, line={"dash": "dot", "color": GREY})
    finished(figure, "times as good as the baseline", "", height=150 + 70 * len(reports))
    figure.update_xaxes(**ratio_axis(ratios))
    figure.update_yaxes(categoryorder="array", categoryarray=order[::-1], type="category")
    return figure
