"""The reporters of a run: a screen on a terminal, a few lines elsewhere, or everything, or nothing.

They write only when they are called, which is between windows: no thread of their own disturbs one that is timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from textwrap import wrap
from typing import Protocol, Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from tuner.phases.progress import Event, Status
from tuner.report.live.screen import Size, cut, gain_words, screen
from tuner.report.live.view import AWAITED, NOTICES, STAGES, View
from tuner.report.terminal import plain
from tuner.report.words.configuration import name_by
from tuner.report.words.progress import event_lines
from tuner.report.words.status import left_words, measuring_words, news_of, status_line
from tuner.report.words.text import printable

LINE = 120
"""Number of characters of a line off a terminal at most: what a log viewer shows without scrolling."""

DRAW_EVERY_S = 0.4
"""Seconds between two drawings of one phase at least: a drawing takes some 5 ms, and windows take 0.4 s."""


class Display(Protocol):
    """A Reporter that is used as a context manager: it leaves the terminal as it was."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def tell(self, event: Event) -> None:
        """Takes something that happened."""

    def show(self, status: Status) -> None:
        """Takes the current state, between windows."""


def reporter(stream: TextIO, *, is_verbose: bool | None = None) -> Display:
    """Returns the reporter for a stream: a screen on a terminal that can move its cursor, else lines.

    `is_verbose` True prints every event, False nothing but what is awaited; run.log has everything always.
    """
    if is_verbose is False:
        return Quiet(stream)
    console = Console(file=stream, highlight=False, soft_wrap=True)
    if stream.isatty() and console.is_terminal and not console.is_dumb_terminal:
        return Dashboard(stream, is_verbose=bool(is_verbose))
    return Everything(stream) if is_verbose else Lines(stream)


@dataclass(slots=True)
class _Printer:
    """Prints lines on a stream, and nothing at the beginning and the end."""

    stream: TextIO

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leaves everything as it is."""

    def line(self, text: str) -> None:
        """Prints one line, in which nothing controls a terminal."""
        print(printable(text), file=self.stream, flush=True)


@dataclass(slots=True)
class Quiet(_Printer):
    """Prints only what a run waits for."""

    def tell(self, event: Event) -> None:
        """Prints what is awaited."""
        if isinstance(event, AWAITED):
            for line in event_lines(event):
                self.line(line)

    def show(self, status: Status) -> None:
        """Prints nothing."""


@dataclass(slots=True)
class Everything(_Printer):
    """Prints every event, and every status that has news."""

    _last: str = field(default="", init=False)

    def tell(self, event: Event) -> None:
        """Prints the lines of an event."""
        for line in event_lines(event):
            self.line(line)

    def show(self, status: Status) -> None:
        """Prints the status if more than the time has changed."""
        if (news := news_of(status)) != self._last:
            self.line(status_line(status))
        self._last = news


@dataclass(slots=True)
class Lines(_Printer):
    """Prints one line for each phase, each new best candidate, and what a user has to know."""

    view: View = field(default_factory=View, init=False)
    _stage: str = field(default="", init=False)
    _best: str = field(default="", init=False)
    """Effective key of the best candidate that was printed last."""

    def tell(self, event: Event) -> None:
        """Prints an event that is a notice, in as many lines as it needs."""
        self.view.tell(event)
        if isinstance(event, NOTICES):
            for line in event_lines(event):
                for part in wrap(printable(line), LINE, subsequent_indent="  ", break_on_hyphens=False):
                    self.line(part)

    def show(self, status: Status) -> None:
        """Prints the phase and the best candidate if they are new ones.

        The candidate is better than the reference; what several objectives trade has no best.
        """
        self.view.show(status)
        begun = self.view.begun
        best = self.view.leaders[0] if self.view.leaders else None
        is_single = begun is not None and not begun.state.study.objective.has_several
        if is_single and best is not None and best.candidate.key != self._best:
            self._best = best.candidate.key
            if best.gain > 0.0 and best.is_feasible:
                name = name_by(best.candidate.config, status.differing)
                self._told("new best", status, f"{gain_words(best.gain, best.sd)}, not confirmed: {name}")
        if (stage := STAGES[status.phase]) and stage != self._stage:
            self._stage = stage
            self._told(stage, status, measuring_words(status))

    def _told(self, what: str, status: Status, words: str) -> None:
        left = "" if status.remaining_s is None else left_words(status.remaining_s)
        self.line(cut(f"{what:<10} {left:>9}  {words}", LINE))


@dataclass(slots=True)
class Dashboard:
    """Draws a screen that changes in place, and is gone at the end; what a user has to know stays."""

    stream: TextIO
    is_verbose: bool = False
    """True if every event is also printed above the screen, where it stays."""
    clock: Callable[[], float] = time.monotonic
    view: View = field(default_factory=View, init=False)
    console: Console = field(init=False)
    _live: Live | None = field(default=None, init=False)
    _size: Size | None = field(default=None, init=False)
    _shown: tuple[object, float] = field(default=(None, 0.0), init=False)
    """Subject of the status that was drawn last, and the time of its drawing."""

    def __post_init__(self) -> None:
        self.console = Console(file=self.stream, highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        if not self.is_verbose:
            for line in self.view.notices:
                style = "yellow" if line.startswith("warning") else ""
                self.console.print(plain(line), style=style, soft_wrap=False)

    def tell(self, event: Event) -> None:
        """Takes an event and draws it."""
        self.view.tell(event)
        if self.is_verbose:
            for line in event_lines(event):
                self.console.print(plain(line))
        self._draw()

    def show(self, status: Status) -> None:
        """Takes the status and draws it, at once if what is measured has changed."""
        self.view.show(status)
        what, drawn_s = self._shown
        now = (status.phase, status.measuring if status.phase != "enumeration" else None)
        if now == what and self.clock() - drawn_s < DRAW_EVERY_S:
            return
        self._shown = (now, self.clock())
        self._draw()

    def _draw(self) -> None:
        size = self._measured_size()
        if self._live is None:
            return
        if size != self._size:
            # What was drawn has been wrapped or cut by the terminal: where it is now, nothing can tell.
            self._stop()
            self.console.clear()
            self._start()
            size = self._measured_size()
        self._size = size
        self._live.update(screen(self.view, size), refresh=True)

    def _measured_size(self) -> Size:
        width, height = self.console.size
        return Size(width=width, height=height, is_ascii=self.console.options.ascii_only)

    def _start(self) -> None:
        self._size = self._measured_size()
        self._live = Live(Text(), console=self.console, auto_refresh=False, transient=True, vertical_overflow="crop")
        self._live.start()

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
        self._live = None
