"""Keeps what a run tells in run.log. A Reporter in front of another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tuner.errors import OutputError
from tuner.phases.progress import Event, Reporter, Status
from tuner.report.words.progress import event_lines
from tuner.report.words.text import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLog:
    """Passes everything on and appends the lines of each event, with their local time, to a file."""

    inner: Reporter
    path: Path
    now: Callable[[], datetime] = datetime.now

    def tell(self, event: Event) -> None:
        """Passes an event on and writes its lines. Raises OutputError."""
        self.inner.tell(event)
        time = self.now().isoformat(timespec="seconds")
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.writelines(f"{time} {printable(line)}\n" for line in event_lines(event))
        except OSError as error:
            raise OutputError(
                f"cannot write {self.path}: {error.strerror}", advice="free some space and run the same command"
            ) from error

    def show(self, status: Status) -> None:
        """Passes the status on; a file keeps none."""
        self.inner.show(status)
