"""Keeps everything that a run tells and shows in run.log. A Reporter in front of another one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from tuner.errors import OutputError
from tuner.phases.progress import Event, Reporter, Status
from tuner.report.words.progress import event_lines
from tuner.report.words.status import news_of, status_line
from tuner.report.words.text import printable


@dataclass(slots=True, kw_only=True)
class RunLog:
    """Passes everything on and appends it, with the local time, to a file: events, and each status that has news."""

    inner: Reporter
    path: Path
    now: Callable[[], datetime] = datetime.now
    _last: str = field(default="", init=False)
    """News of the status that was written last."""

    def tell(self, event: Event) -> None:
        """Passes an event on and writes its lines. Raises OutputError."""
        self.inner.tell(event)
        self._write(event_lines(event))

    def show(self, status: Status) -> None:
        """Passes the status on and writes its line if more than the time has changed. Raises OutputError."""
        self.inner.show(status)
        if (news := news_of(status)) != self._last:
            self._write([status_line(status)])
        self._last = news

    def _write(self, lines: Sequence[str]) -> None:
        time = self.now().isoformat(timespec="seconds")
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.writelines(f"{time} {printable(line)}\n" for line in lines)
        except OSError as error:
            raise OutputError(
                f"cannot write {self.path}: {error.strerror}", advice="free some space and run the same command"
            ) from error
