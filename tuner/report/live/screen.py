"""Draws the screen of a run from its view: header, phases with a bar, leaderboard, host, and the last events.

Pure: a view and a size come in, lines that fit go out. Must not write to a terminal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

from rich.cells import cell_len, set_cell_size
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tuner.bench.metrics import METRICS
from tuner.report.live.view import STAGES, Leader, View
from tuner.report.words.configuration import name_by
from tuner.report.words.opening import host_facts_words, wanted_words
from tuner.report.words.progress import percent
from tuner.report.words.status import left_words, measuring_words
from tuner.report.words.text import printable

WIDEST = 100
"""Number of columns that a screen uses at most: a longer line is hard to follow from name to figure."""

LABEL = 7
"""Number of columns of the labels in the header."""

TIMES_FROM = math.log(2.0)
"""Gain (log-ratio) from which the screen shows a factor, because per cent beyond a doubling mislead."""

WARNING = "warning: "
"""Begins a line that a user should read to its end."""

ELLIPSIS = "..."
"""Stands for the end of a line that does not fit; in ASCII, for every terminal has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Size of a terminal, and the characters that it can show."""

    width: int
    height: int
    is_ascii: bool = False
    """True if the terminal shows ASCII alone."""

    @property
    def columns(self) -> int:
        """Number of columns that are used: one less than there are, so that no line wraps."""
        return max(1, min(WIDEST, self.width - 1))


def cut(text: str, columns: int) -> str:
    """Returns a text without control characters that takes at most so many columns, an ellipsis where it was longer."""
    text = printable(text)
    if cell_len(text) <= columns:
        return text
    return set_cell_size(text, max(0, columns - len(ELLIPSIS))).rstrip() + ELLIPSIS[: max(0, columns)]


def gain_words(gain: float, sd: float) -> str:
    """Returns a gain with its standard error, both log-ratios: `+25.8 % +- 3.1 %`, or `3.2 +- 0.1 times`."""
    if gain >= TIMES_FROM:
        return f"{math.exp(gain):.2f} +- {math.exp(gain) * math.expm1(sd):.2f} times"
    return f"{percent(gain)} +- {100 * sd:.1f} %"


def screen(view: View, size: Size) -> Group:
    """Returns the screen, whose lines fit the terminal in width and number."""
    fixed = [*_header(view, size), Text(), *_progress(view, size), Text(), *_board(view, size)]
    room = size.height - 1 - len(fixed)
    if room < 0:  # A low terminal has progress and candidates, but no header.
        fixed = [*_progress(view, size), *_board(view, size)][: max(1, size.height - 1)]
        room = size.height - 1 - len(fixed)
    events = _events(view, size)[-room + 1 :] if room > 1 else []
    return Group(*fixed, *([Text(), *events] if events else []))


def _header(view: View, size: Size) -> list[Text]:
    if view.begun is None:
        return [_labelled("tuner", "looks at the model and its device", size)]
    study = view.begun.state.study
    return [
        _labelled("model", f"{study.name}: {study.model.path}", size),
        _labelled("host", host_facts_words(view.begun.host), size),
        _labelled("wanted", wanted_words(study), size),
    ]


def _labelled(label: str, text: str, size: Size) -> Text:
    words = cut(text, size.columns - LABEL)
    return Text.assemble((f"{label:<{LABEL}}"[: size.columns], "dim"), (words, "bold"))


def _progress(view: View, size: Size) -> list[RenderableType]:
    """Returns the phases, the bar with the time that is left, and what is being measured."""
    left = "" if view.remaining_s is None else left_words(view.remaining_s)
    left = cut(left, size.columns)
    row = Table.grid()
    if (room := size.columns - len(left) - 1) > 0:
        bar = ProgressBar(total=1.0, completed=view.share or 0.0, width=room, complete_style="cyan")
        row.add_row(bar, " ", Text(left, "bold", no_wrap=True, overflow="crop"))
    else:
        row.add_row(Text(left, "bold", no_wrap=True, overflow="crop"))
    if view.waiting:
        waited = f" ({view.waited})" if view.waited else ""
        now = Text(cut(view.waiting, size.columns - len(waited)) + waited, "yellow")
    else:
        now = Text(cut(measuring_words(view.status), size.columns))
    return [_stages(view, size), row, now]


def _stages(view: View, size: Size) -> Text:
    """Returns the phases in a row: those that are done, the present one, and those to come."""
    done, present, ahead = ("x", ">", ".") if size.is_ascii else ("✓", "▸", "·")
    stages = list(view.stages)
    stage = STAGES[view.status.phase]
    now = stages.index(stage) if stage else len(stages)
    line = Text()
    for i, name in enumerate(stages):
        mark, style = (done, "green") if i < now else (present, "bold cyan") if i == now else (ahead, "dim")
        line.append(f"{'  ' if i else ''}{mark} {name}", style)
    line.truncate(size.columns)
    return line


def _board(view: View, size: Size) -> list[Text]:
    """Returns the leaderboard, and the counts and the host below it."""
    lines: list[Text] = []
    if view.leaders:
        status, begun = view.status, view.begun
        metric = "" if begun is None else f" in {METRICS[begun.state.study.objective.metric].name}"
        over = f"gain{metric} over {printable(status.reference)}" if status.reference else f"gain{metric}"
        lines.append(_sides(Text("best so far, not confirmed", "bold"), Text(over, "dim"), size))
        lines += [_leader(i, one, view, size) for i, one in enumerate(view.leaders, start=1)]
    counts = f"{view.tried} tried, {view.failed} failed, {view.status.duplicates} repeats"
    host = Text()
    if view.quality is not None:
        full, empty = ("#", "-") if size.is_ascii else ("█", "░")
        style = "green" if view.quality.value >= 3 else "yellow" if view.quality.value == 2 else "red"
        bars = full * view.quality.value + empty * (4 - view.quality.value)
        host.append("host ", "dim").append(f"{bars} {view.quality.name.lower()}", style)
        if view.status.noise is not None:
            host.append(f", noise {100 * view.status.noise:.0f} %", "dim")
    is_counted = view.tried or view.failed or view.status.duplicates
    if is_counted or host:
        failed = "yellow" if view.failed else "dim"
        lines.append(_sides(Text(counts if is_counted else "", failed), host, size))
    return lines


def _leader(place: int, one: Leader, view: View, size: Size) -> Text:
    gain = gain_words(one.gain, one.sd)
    if not one.is_feasible:
        gain = f"beyond a limit {gain}"
    style = "dim" if not one.is_feasible else "bold green" if place == 1 and one.gain > 0.0 else ""
    name = name_by(one.candidate.config, view.status.differing)
    return _sides(Text(f" {place}  {name}", style), Text(gain, style), size)


def _sides(left: Text, right: Text, size: Size) -> Text:
    """Returns a line with a text at each side; the left one is shortened if both do not fit."""
    shown = Text(cut(right.plain, size.columns), right.style, spans=list(right.spans))
    room = size.columns - cell_len(shown.plain) - 1
    first = cut(left.plain, room) if room > 0 else ""
    line = Text(first, left.style)
    line.append(" " * max(0, size.columns - cell_len(first) - cell_len(shown.plain)), "")
    return line.append_text(shown)


def _events(view: View, size: Size) -> Sequence[Text]:
    """Returns the last events, one line each; a warning has as many as it needs."""
    lines = []
    for event in [event for event in view.events if event != view.waiting]:
        if event.startswith(WARNING):
            wrapped = wrap(event, max(len(WARNING) + 1, size.columns), subsequent_indent="  ")
            lines += [Text(cut(line, size.columns), "yellow") for line in wrapped]
        else:
            lines.append(Text(cut(event, size.columns), "dim"))
    return lines
