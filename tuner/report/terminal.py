"""Shows the progress of a study on a terminal, and the tables at its end.

It draws only when it is called: no thread of its own disturbs a window that is being timed. Must not compute results.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tuner.bench.metrics import METRICS
from tuner.study.evidence import REQUESTS
from tuner.study.status import Status

FEW = "~"
"""Mark before a percentile that rests on fewer requests than a claim about it needs."""


def percent(log_ratio: float) -> str:
    """Returns a log-ratio as per cent with its sign."""
    return f"{100 * math.expm1(log_ratio):+.1f} %"


def status_line(status: Status) -> str:
    """Returns one line with everything known: phase, remaining time, incumbent, counts, noise."""
    words = [status.phase]
    if status.remaining_s is not None:
        minutes, seconds = divmod(int(abs(status.remaining_s)), 60)
        words.append(f"{minutes}:{seconds:02d} {'left' if status.remaining_s >= 0.0 else 'over the budget'}")
    if status.incumbent:
        gain = f" {percent(status.incumbent_gain)}" if status.incumbent_gain is not None else ""
        words.append(f"best so far{gain}: {status.incumbent}")
    if status.trials or status.duplicates or status.failures:
        words.append(f"{status.trials} trials, {status.duplicates} repeats, {status.failures} failures")
    if status.noise is not None:
        words.append(f"noise {100 * status.noise:.0f} %")
    if status.note:
        words.append(status.note)
    return " | ".join(words)


class TerminalReporter:
    """Prints lines that stay and, on a terminal, one that changes below them. Use it as a context manager."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=True) if stream.isatty() else None
        self._last = ""

    def __enter__(self) -> TerminalReporter:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, line: str) -> None:
        """Prints a line that stays."""
        self._console.print(Text(line))

    def show(self, status: Status) -> None:
        """Shows the status, in place of the last one on a terminal and as a line elsewhere."""
        line = status_line(status)
        if self._live is not None:
            self._live.update(Text(line, no_wrap=True, overflow="ellipsis"), refresh=True)
        elif line != self._last:
            self._console.print(Text(line))
        self._last = line


def metrics_table(levels: Mapping[str, Mapping[str, float]], *, objective: str, deployed: str) -> Table:
    """Returns a table with winner, reference and the other baselines side by side.

    The row of the objective comes first; metrics without a value have no row. A percentile of too few requests for a
    claim is marked, see `few_requests`.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    names = list(levels)
    for name in names:
        table.add_column(name + (" *" if name == deployed else ""), justify="right")
    rows = [objective, *(name for name in METRICS if name != objective)]
    for row in rows:
        unit = METRICS[row].unit
        if row == objective or any(row in levels[name] for name in names):
            cells = [f"{FEW if _is_thin(levels[n], row) else ''}{figure(levels[n].get(row))}" for n in names]
            table.add_row(row if unit.lower() in row.split("_") else f"{row} ({unit})", *cells)
    if any(REQUESTS in levels[name] for name in names):
        counts = [levels[name].get(REQUESTS) for name in names]
        table.add_row(REQUESTS, *("-" if n is None else f"{n:.0f}" for n in counts))
    return table


def few_requests(levels: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Returns a line that explains the mark, if a table of these metrics has one."""
    rows = [row for row in METRICS.values() if any(_is_thin(level, row.name) for level in levels.values())]
    needed = ", ".join(f"{row.name} needs {row.min_requests}" for row in rows)
    return [f"  {FEW} too few requests for a claim: {needed}"] if rows else []


def _is_thin(level: Mapping[str, float], row: str) -> bool:
    is_known = row in level and METRICS[row].quantile is not None
    return is_known and level.get(REQUESTS, math.inf) < METRICS[row].min_requests


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
        console.print(Text(line) if isinstance(line, str) else line)
