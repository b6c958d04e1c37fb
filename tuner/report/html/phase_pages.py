"""Rewrites report.html after each phase of a run. A Reporter in front of another one.

Pages are made between two sessions, in the process that sleeps while windows are timed, and outside of the time of the
search. A page takes 0.3 to 1.3 s, the first one 0.7 s more for the import of plotly (2 CPUs of a cloud machine, 2 to
200 candidates): about 3 s of a run with three phases, none of it of the budget.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tuner.errors import SignalError
from tuner.outcome.space_file import write_space
from tuner.outcome.study_report import StudyReport
from tuner.phases.progress import (
    BaselinesMeasured,
    Event,
    PageNotWritten,
    Reporter,
    SearchEnded,
    SpaceEnumerated,
    Status,
)


@dataclass(slots=True, kw_only=True)
class PhasePages:
    """Passes everything on, and writes the page of the study whenever a phase has ended."""

    inner: Reporter
    folder: Path
    read: Callable[[], StudyReport]
    """Returns the study as it stands."""
    _phase: str = field(default="", init=False)

    def tell(self, event: Event) -> None:
        """Passes an event on; two of them end a phase, a third describes the space."""
        self.inner.tell(event)
        if isinstance(event, SpaceEnumerated):
            attempt(lambda: write_space(self.folder, event.enumeration), self.folder, self.inner.tell)
        if isinstance(event, BaselinesMeasured | SearchEnded):
            self.write()

    def show(self, status: Status) -> None:
        """Passes the status on; the first one of a confirmation says that the final has ended."""
        self.inner.show(status)
        is_new, self._phase = status.phase != self._phase, status.phase
        if is_new and status.phase == "confirm":
            self.write()

    def write(self) -> None:
        """Writes the page of the study as it stands."""
        write_or_tell(self.read, self.folder, self.inner.tell)


def write_or_tell(read: Callable[[], StudyReport], folder: Path, tell: Callable[[Event], None]) -> None:
    """Writes report.html; a study whose page cannot be made has its answer all the same."""

    def make() -> None:
        from tuner.report.html.page import FILE, write_page  # imports late: plotly takes most of a second

        write_page(read(), folder / FILE)

    attempt(make, folder, tell)


def attempt(make: Callable[[], None], folder: Path, tell: Callable[[Event], None]) -> None:
    """Calls a function and tells of its failure. Raises SignalError: Ctrl-C ends a run at any moment."""
    try:
        make()
    except SignalError:
        raise
    except Exception as error:
        tell(PageNotWritten(folder=folder, cause=str(error)))
