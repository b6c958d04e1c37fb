"""Offers what programs call in place of the command line: the study file and the run.

Responsible for arguments as programs have them. Everything that is told comes as lines.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tuner.commands import run
from tuner.outcome.study_report import StudyReport
from tuner.phases.progress import Event, Status
from tuner.report.words.progress import event_lines
from tuner.study.file import loader
from tuner.study.study import Study


def load_study(path: str | os.PathLike[str]) -> Study:
    """Returns the study of a file. Raises StudyFileError with every problem, InputError if it cannot be read."""
    return loader.load_study(Path(path))


def run_study(
    path: str | os.PathLike[str],
    *,
    results: str | os.PathLike[str] = "results",
    minutes: float | None = None,
    trials: int | None = None,
    fresh: bool = False,
    wait: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> StudyReport:
    """Starts or resumes a study as `tuner run` does, and returns what its folder holds then.

    The files are those of the command: best.yaml, report.html and the record in a folder below `results`. `tell` takes
    each line that the command would print on the way. KeyboardInterrupt ends a run so that the next call resumes it.

    Args:
        path: Study file.
        results: Folder of the study folders.
        minutes: Total budget, instead of the file's.
        trials: Total number of trials, instead of the file's.
        fresh: True to move earlier results aside and start anew.
        wait: True to wait while another study measures on this host.
        tell: Function that takes one line.

    Raises:
        TunerError: What is wrong and what to do; its `exit_code` is that of the command.
    """
    options = run.RunOptions(results=Path(results), minutes=minutes, trials=trials, is_fresh=fresh, wait=wait)
    return run.run_study(Path(path), options, _Lines(tell))


@dataclass(frozen=True, slots=True)
class _Lines:
    """A Reporter that passes lines on and shows no status."""

    take: Callable[[str], None]

    def tell(self, event: Event) -> None:
        for line in event_lines(event):
            self.take(line)

    def show(self, status: Status) -> None:
        return None
