"""The page of a study that goes on: written after each phase, between sessions, and never the end of a study."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.outcome.test_study_report import virtual
from tests.virtual import SMALL, Listener, Virtual
from tuner.bench.configuration import DeploymentConfig, Effective, Failure
from tuner.bench.measurement import Session
from tuner.bench.protocol import Phase, Progress, SessionRequest
from tuner.bench.simulated.synthetic import SyntheticBench
from tuner.errors import SignalError
from tuner.outcome.space_file import read_space
from tuner.outcome.study_report import StudyReport
from tuner.phases.order import run_phases
from tuner.phases.progress import BaselinesMeasured, PageNotWritten, SearchEnded, Status
from tuner.report.html.phase_pages import PhasePages, attempt

pytestmark = pytest.mark.slow


@dataclass(slots=True)
class Watcher:
    """A bench that notes in which phase a session is when the page has changed since the session before."""

    inner: SyntheticBench
    page: Path
    changed: list[Phase] = field(default_factory=list)
    text: str = ""

    def resolve(self, config: DeploymentConfig) -> Effective | Failure:
        return self.inner.resolve(config)

    def measure(self, request: SessionRequest, progress: Progress | None = None) -> Session:
        text = self.page.read_text() if self.page.exists() else ""
        if text != self.text:
            self.changed.append(request.plan.phase)
        self.text = text
        session = self.inner.measure(request, progress)
        assert (self.page.read_text() if self.page.exists() else "") == text, "written while a session ran"
        return session


def run(study: Virtual, listener: Listener) -> Watcher:
    study.space = SMALL
    watcher = Watcher(study.bench, study.folder / "report.html")
    runner = study.runner(watcher)
    runner.reporter = PhasePages(
        inner=listener, folder=study.folder, read=lambda: StudyReport.of(study.folder, runner.state)
    )
    with study.search() as search:
        run_phases(runner, search)
    return watcher


def test_the_page_is_new_before_the_search_the_final_and_the_confirmation(tmp_path: Path) -> None:
    listener = Listener()
    watcher = run(virtual(tmp_path), listener)
    assert watcher.changed == ["race", "final", "confirm"]
    assert not [event for event in listener.events if isinstance(event, PageNotWritten)]
    assert "No verdict yet" in watcher.text
    assert "best so far, not confirmed: " in watcher.text


def test_everything_is_passed_on_and_the_space_is_kept(tmp_path: Path) -> None:
    listener = Listener()
    run(virtual(tmp_path), listener)
    assert {BaselinesMeasured, SearchEnded} <= {type(event) for event in listener.events}
    assert {"baselines", "search", "confirm"} <= {status.phase for status in listener.shown}
    seen = read_space(tmp_path)
    assert seen is not None
    assert seen.requested == 24


def test_a_page_that_cannot_be_made_is_told_and_ends_nothing(tmp_path: Path) -> None:
    study, listener = virtual(tmp_path), Listener()
    (tmp_path / "report.html").mkdir()
    study.space = SMALL
    runner = study.runner()
    runner.reporter = PhasePages(inner=listener, folder=tmp_path, read=lambda: StudyReport.of(tmp_path, runner.state))
    with study.search() as search:
        result = run_phases(runner, search)
    assert result.is_tuned
    assert [event.folder for event in listener.events if isinstance(event, PageNotWritten)] == [tmp_path] * 3


def test_a_signal_while_a_page_is_made_ends_the_run(tmp_path: Path) -> None:
    def interrupted() -> None:
        raise SignalError("interrupted")

    with pytest.raises(SignalError):
        attempt(interrupted, tmp_path, Listener().tell)


def test_a_status_within_a_phase_writes_nothing(tmp_path: Path) -> None:
    written: list[int] = []

    def read() -> StudyReport:
        written.append(1)
        raise ValueError

    pages = PhasePages(inner=Listener(), folder=tmp_path, read=read)
    for phase in ("baselines", "race", "race", "confirm", "confirm"):
        pages.show(Status(phase=phase, remaining_s=None))  # type: ignore[arg-type]
    assert len(written) == 1
