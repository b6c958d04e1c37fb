"""Shows the end of a run: a panel on a terminal that is understood at a glance, then the table.

Responsible for what stands in the panel. Must not compute results.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TextIO

from rich.console import Console, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tuner.bench.metrics import METRICS
from tuner.decision.result import Result
from tuner.deploy.best import Best
from tuner.evidence.candidates import MetricValues
from tuner.outcome.metrics_table import FinalMetrics
from tuner.outcome.study_report import StudyReport
from tuner.report.live.screen import WIDEST
from tuner.report.outcome import column_title, end_lines, searched_parameters
from tuner.report.terminal import Column, plain
from tuner.report.words.answer import answer_of, evidence_lines, headline, limit_phrase, validity_words
from tuner.report.words.configuration import name_by
from tuner.report.words.gain import amount_words, metric_name, number

COST_FROM = math.log(1.1)
"""Change for the worse (log-ratio) from which on a metric is a cost.

Less than 10 % is within what hosts drift between sessions.
"""

TODAY = ("today", "default")
"""Names of the baseline that runs today, in a best.yaml that does not say which it is."""

SHOWN_COSTS = 2
"""Number of costs in the panel; the table has every metric."""

STYLES = {"settings": "green", "hint": "green", "nothing": "cyan", None: "red"}
"""Answer of a study -> colour of the panel."""


def ending(report: StudyReport, stream: TextIO, *, is_verbose: bool | None = None) -> Sequence[RenderableType]:
    """Returns what a run prints at its end, with a panel on a terminal.

    It is the verdict alone if `is_verbose` is False.
    Off a terminal the lines are those of `end_lines`, which programs and documents quote.
    """
    lines = end_lines(report)
    end = lines.index("") if "" in lines else len(lines)
    head: Sequence[RenderableType] = lines[:end]
    if stream.isatty() and report.best is not None and report.result is not None:
        head = [verdict_panel(report, report.best, report.result, Console(file=stream).width)]
    return head if is_verbose is False else [*head, *lines[end:]]


def verdict_panel(report: StudyReport, best: Best, result: Result, width: int) -> Panel:
    """Returns the panel of a study that has a verdict, at most `width` columns wide."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for i, (label, words) in enumerate(panel_rows(report, best, result)):
        text = plain(words)
        if i == 0:
            text.stylize("bold")
        grid.add_row(label, text)
    style = STYLES[answer_of(best)]
    title = Text(plain(report.study.name).plain, "bold")
    return Panel(grid, title=title, title_align="left", border_style=style, width=min(WIDEST, width))


def panel_rows(report: StudyReport, best: Best, result: Result) -> list[tuple[str, str]]:
    """Returns labels and words: what was found, how sure that is, what it costs, and what to do next."""
    front = report.front
    rows = [("found", headline(best) if front is None else f"{front.verdict}: {front.reason}")]
    if answer_of(best) == "settings":
        config = replace(result.config, infer_requests=best.infer_requests, api=best.api)
        rows.append(("set", name_by(config, searched_parameters(report))))
    evidence = evidence_lines(best) or [result.line.detail]
    rows += [("sure" if i == 0 else "", words) for i, words in enumerate(evidence)]
    rows += [("limit", limit_phrase(constraint)) for constraint in best.constraints]
    if report.metrics is not None and front is None:
        rows.append(("costs", cost_words(best, result, report.metrics)))
    rows.append(("valid", validity_words(best)))
    path = report.folder / "best.yaml"
    following = "relax a limit, or give it a wider space or a longer budget" if best.broken else f"tuner apply {path}"
    return [*rows, ("next", following)]


def cost_words(best: Best, result: Result, metrics: FinalMetrics) -> str:
    """Returns what becomes worse, against the baseline that the answer is compared with, as it was measured."""
    if answer_of(best) == "nothing":
        return "nothing: it is what runs"
    named = metrics.named(result.reference)
    today = best.today.name if best.today is not None else next((name for name in TODAY if name in named), "")
    name = best.baseline.name if best.today_gain is None and best.gain is not None else today
    before = named.get(name, metrics.reference)
    after = metrics.winner if result.is_tuned else named.get(best.baseline.name)
    if after is None:
        return "not measured beside it"
    costs = _costs(
        before, after, is_counted=lambda metric: metric not in best.gains and metric != best.objective.metric
    )
    words = [
        f"{metric_name(metric)} {number(before.values[metric])} to {number(after.values[metric])} "
        f"{METRICS[metric].unit}, {amount_words(metric, gain)}"
        for metric, gain in costs
    ]
    return "; ".join(words) or f"nothing that was measured is more than 10 % worse than with {column_title(name)}"


def _costs(before: MetricValues, after: MetricValues, *, is_counted: Callable[[str], bool]) -> list[tuple[str, float]]:
    """Returns the metrics that became worst, each with its gain (log-ratio, below 0), the worst first.

    Of latencies it is the highest percentile, of the metrics of another kind the worst; percentiles of too few requests
    are left out.
    """
    sides = [Column(title="", metrics=one) for one in (before, after)]
    worst: dict[str, tuple[str, float]] = {}
    for name, row in METRICS.items():
        values = [side.metrics.values.get(name) for side in sides]
        if not is_counted(name) or any(value is None or value <= 0.0 for value in values):
            continue
        if row.is_maximum or any(side.is_thin(name) for side in sides):
            continue
        gain = row.sign * math.log(after.values[name] / before.values[name])
        if gain < -COST_FROM and (row.kind == "latency" or gain < worst.get(row.kind, ("", 0.0))[1]):
            worst[row.kind] = (name, gain)
    return sorted(worst.values(), key=lambda cost: cost[1])[:SHOWN_COSTS]
