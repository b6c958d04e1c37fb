"""What the tests of a run's terminal share: a terminal as far as a program can ask, and studies in virtual time."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from tests.virtual import Virtual
from tuner.model.host import HostFacts
from tuner.phases.order import run_phases
from tuner.phases.progress import StudyBegins

HOSTILE = "\x1b[2Jgone\r\x9b1m[bold]x[/bold][/]\u202eback\u200f\n\x07"
"""A name that clears a screen, writes bold, turns the direction of writing and rings."""

HARMLESS = "\\x1b[2Jgone\\r\\x9b1m[bold]x[/bold][/]\\u202eback\\u200f\\n\\x07"

HOST = HostFacts(
    cpu_model="Made-up 9000",
    cpus_allowed=8,
    cpu_quota=2.5,
    openvino="2026.4.1-23264-abcdef",
    system="Linux",
    kernel="6.1",
    machine="x86_64",
)


class Screen(io.StringIO):
    """A terminal, as far as a program can ask."""

    def isatty(self) -> bool:
        return True


def rendered(part: RenderableType, width: int, *, encoding: str = "utf-8") -> list[str]:
    """The lines of something drawn on a terminal of this width, without colours."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    console = Console(file=stream, width=width, force_terminal=True, no_color=True, color_system=None, highlight=False)
    console.print(part)
    stream.flush()
    return stream.buffer.getvalue().decode(encoding).splitlines()  # type: ignore[attr-defined]


def run_through(reporter: Any, folder: Path, **given: Any) -> Virtual:
    """A whole study in virtual time, told to a reporter as `tuner run` tells it."""
    virtual = Virtual(folder=folder, listener=reporter, **given)
    runner = virtual.runner()
    reporter.tell(StudyBegins(state=runner.state, host=HOST))
    with virtual.search() as search:
        run_phases(runner, search)
    return virtual
