"""Prints lines and tables of metrics on a terminal, or on anything else that takes text.

Responsible for layout and harmless characters. Must not compute results.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tuner.bench.metrics import METRICS
from tuner.evidence.candidates import MetricValues
from tuner.report.words.text import printable

FEW = "~"
"""Mark before a percentile that rests on fewer requests than a claim about it needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One configuration of a table of metrics."""

    title: str
    metrics: MetricValues
    is_deployed: bool = False
    """True if best.yaml deploys the configuration."""

    def is_thin(self, row: str) -> bool:
        """Returns True for a percentile of fewer requests than a claim about it needs."""
        is_known = row in self.metrics.values and METRICS[row].quantile is not None
        return is_known and 0 < self.metrics.requests < METRICS[row].min_requests


def metrics_table(columns: Sequence[Column], *, objective: str) -> Table:
    """Returns configurations side by side, the row of the objective first; what no column has gets no row.

    A percentile of fewer requests than a claim needs is marked, see `few_requests`.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for column in columns:
        table.add_column(plain(column.title + (" *" if column.is_deployed else "")), justify="right")
    for row in [objective, *(name for name in METRICS if name != objective)]:
        unit = METRICS[row].unit
        if row == objective or any(row in column.metrics.values for column in columns):
            cells = [f"{FEW if c.is_thin(row) else ''}{figure(c.metrics.values.get(row))}" for c in columns]
            table.add_row(row if unit.lower() in row.split("_") else f"{row} ({unit})", *cells)
    if any(column.metrics.requests for column in columns):
        table.add_row("requests", *(f"{c.metrics.requests or '-'}" for c in columns))
    return table


def few_requests(columns: Sequence[Column]) -> list[str]:
    """Returns what the mark means, in one line, if a table of these columns has one."""
    rows = [row for row in METRICS.values() if any(column.is_thin(row.name) for column in columns)]
    needed = ", ".join(f"{row.name} needs {row.min_requests}" for row in rows)
    return [f"  {FEW} too few requests for a claim: {needed}"] if rows else []


def plain(text: str) -> Text:
    """Returns a text for a terminal: brackets are no markup, and control characters are shown as escapes."""
    return Text(printable(text))


def figure(value: float | None) -> str:
    """Returns a number with four significant digits and without an exponent."""
    if value is None:
        return "-"
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 3 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}"


def print_lines(lines: Sequence[str | Table], stream: TextIO) -> None:
    """Prints lines and tables; a table may take 160 characters even if the terminal is narrower."""
    console = Console(file=stream, highlight=False, soft_wrap=True, width=max(160, Console(file=stream).width))
    for line in lines:
        console.print(plain(line) if isinstance(line, str) else line)
