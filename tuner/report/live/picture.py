"""Makes SVG pictures of the terminal of a run, for documents.

An example, which runs a study and keeps what its terminal showed while it searched, and at the end:

    camera = Camera(size=Size(width=100, height=30))
    report = run_study(path, options, camera)
    during = terminal_svg([camera.screens["search"]], command="tuner run configs/quickstart.yaml")
    after = terminal_svg(picture_of_the_end(report), command="tuner run configs/quickstart.yaml")

Responsible for pictures. Must not run a study.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.terminal_theme import MONOKAI
from rich.text import Text

from tuner.outcome.study_report import StudyReport
from tuner.phases.progress import Event, Status
from tuner.report.live.ending import verdict_panel
from tuner.report.live.screen import Size, screen
from tuner.report.live.view import STAGES, View
from tuner.report.outcome import end_lines
from tuner.report.terminal import plain

FONTS = re.compile(r"@font-face \{.*?\}\s*", flags=re.DOTALL)
"""Fonts that rich's pictures load from another host; without them a picture has the reader's monospace font."""


@dataclass(slots=True, kw_only=True)
class Camera:
    """A Reporter that keeps the last screen of each phase, as a terminal of this size would show it."""

    size: Size
    view: View = field(default_factory=View, init=False)
    screens: dict[str, Group] = field(default_factory=dict, init=False)
    """Phase on the screen (`STAGES`) -> its last screen."""

    def tell(self, event: Event) -> None:
        """Takes something that happened."""
        self.view.tell(event)

    def show(self, status: Status) -> None:
        """Takes the current state."""
        self.view.show(status)
        self.screens[STAGES[status.phase]] = screen(self.view, self.size)


def picture_of_the_end(report: StudyReport, *, width: int = 100) -> Sequence[RenderableType]:
    """Returns what a terminal shows at the end of a study: the panel, then the table with its notes."""
    lines: Sequence[RenderableType] = end_lines(report)
    if report.best is None or report.result is None:
        return lines
    end = lines.index("") if "" in lines else len(lines)
    return [verdict_panel(report, report.best, report.result, width), *lines[end:]]


def terminal_svg(parts: Sequence[RenderableType], *, command: str, title: str = "tuner", width: int = 100) -> str:
    """Returns an SVG picture of a terminal, `width` columns wide, in which a command has printed these parts.

    The picture is the same for the same parts, and loads nothing from anywhere.
    """
    console = Console(
        file=io.StringIO(),
        record=True,
        width=width,
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
        legacy_windows=False,
        _environ={},
    )
    console.print(Text.assemble(("$ ", "dim"), (plain(command).plain, "bold")))
    for part in parts:
        console.print(plain(part) if isinstance(part, str) else part)
    svg = console.export_svg(title=plain(title).plain, theme=MONOKAI, unique_id="tuner")
    return FONTS.sub("", svg)
