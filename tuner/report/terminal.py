"""Prints lines and tables of metrics on a terminal, or on anything else that takes text.

Responsible for layout and harmless characters. Must not compute results.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import TextIO

from rich.console import Console, RenderableType
from rich.table import Column as TableColumn
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


def print_lines(lines: Sequence[RenderableType], stream: TextIO) -> None:
    """Prints lines, tables and panels: as they are off a terminal, and within its width on one."""
    real = Console(file=stream, highlight=False)
    if not stream.isatty():
        wide = Console(file=stream, highlight=False, soft_wrap=True, width=max(160, real.width))
        for line in lines:
            wide.print(plain(line) if isinstance(line, str) else line)
        return
    for line in lines:
        if isinstance(line, Table):
            for part in within(line, real):
                real.print(part)
        elif isinstance(line, str) and _is_note(line):
            real.print(*(plain(part) for part in wrap(printable(line), real.width, subsequent_indent="    ")), sep="\n")
        else:
            # The terminal wraps a long line itself, so that a command is copied in one piece.
            real.print(plain(line) if isinstance(line, str) else line, soft_wrap=isinstance(line, str))


def within(table: Table, console: Console) -> list[Table]:
    """Returns a table in as many parts as a terminal is too narrow for it, each with the first column.

    A table whose last column may be folded is one part.
    """
    if _width(table, console) <= console.width or table.columns[-1].overflow == "fold":
        return [table]
    first, *others = table.columns
    parts: list[list[TableColumn]] = []
    for column in others:
        if parts and _width(_table_of([first, *parts[-1], column]), console) <= console.width:
            parts[-1].append(column)
        else:
            parts.append([column])
    return [_table_of([first, *part]) for part in parts]


def _width(table: Table, console: Console) -> int:
    """Returns the columns that a table takes where there is room for it."""
    return console.measure(table, options=console.options.update(max_width=10_000)).maximum


def _table_of(columns: Sequence[TableColumn]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.header, justify=column.justify)
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*row)
    return table


def _is_note(line: str) -> bool:
    """Returns True for a line of prose below a table, which may be wrapped; a command stays in one piece."""
    return line.startswith("  ") and "tuner " not in line
