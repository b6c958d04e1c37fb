"""What a run tells while it runs, as values: the report package makes words of it, the run log keeps the lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from tuner.errors import OutputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One look at a run. Gains are log-ratios to the reference; None where nothing is known yet."""

    phase: str
    remaining_s: float | None
    """Of the whole budget, negative beyond it; None where only trials are budgeted."""
    reference: str = ""
    incumbent: str = ""
    incumbent_gain: float | None = None
    trials: int = 0
    duplicates: int = 0
    failures: int = 0
    noise: float | None = None
    """The sd of one pair of windows, a log-ratio."""
    note: str = ""


class Reporter(Protocol):
    def say(self, line: str) -> None:
        """One line that stays: a phase's result, the plan, a warning."""

    def show(self, status: Status) -> None:
        """The current state; called between windows only, never while one is being timed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLog:
    """Passes everything on and keeps the lines that stay in run.log, each with its local time. A Reporter."""

    inner: Reporter
    path: Path
    now: Callable[[], datetime] = datetime.now

    def say(self, line: str) -> None:
        self.inner.say(line)
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{self.now().isoformat(timespec='seconds')} {line}\n")
        except OSError as error:
            raise OutputError(
                f"cannot write {self.path}: {error.strerror}", advice="free some space and run the same command"
            ) from error

    def show(self, status: Status) -> None:
        self.inner.show(status)
