"""run.log has everything that happened, each thing once, whatever the terminal shows of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from tests.report.live.shown import HARMLESS, HOSTILE, run_through
from tests.virtual import TINY, Listener
from tuner.bench.configuration import DeploymentConfig
from tuner.errors import OutputError
from tuner.phases.progress import DeploymentNote, Measuring, Status
from tuner.report.run_log import RunLog
from tuner.report.words.progress import event_lines

NOON = datetime(2026, 11, 28, 12)
SEARCH = Status(
    phase="search",
    remaining_s=60.0,
    measuring=Measuring(configurations=(DeploymentConfig(device="CPU", properties={"NUM_STREAMS": 2}),)),
)


def log_in(folder: Path) -> RunLog:
    return RunLog(inner=Listener(), path=folder / "run.log", now=lambda: NOON)


def lines_of(log: RunLog) -> list[str]:
    return [line.removeprefix("2026-11-28T12:00:00 ") for line in log.path.read_text(encoding="utf-8").splitlines()]


def test_a_status_is_written_if_more_than_the_time_has_changed(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    for status in (SEARCH, replace(SEARCH, remaining_s=59.0), replace(SEARCH, trials=1, remaining_s=50.0)):
        log.show(status)
    assert lines_of(log) == [
        "search | 1:00 left | 2 streams",
        "search | 0:50 left | 1 trials, 0 repeats, 0 failures | 2 streams",
    ]


def test_a_space_that_is_listed_has_one_line(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    for number in range(1, 400):
        log.show(Status(phase="enumeration", remaining_s=60.0, measuring=Measuring(session=number)))
    assert lines_of(log) == ["enumeration | 1:00 left | configuration 1 of the space compiles"]


def test_a_file_is_utf_8_and_nothing_in_it_controls_a_terminal(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.tell(DeploymentNote(text=f"mod\u00e8le {HOSTILE} \udcff"))
    assert lines_of(log) == [f"mod\u00e8le {HARMLESS} \\udcff"]


def test_a_full_disk_is_an_output_error(tmp_path: Path) -> None:
    log = RunLog(inner=Listener(), path=tmp_path / "missing" / "run.log")
    for act in (lambda: log.tell(DeploymentNote(text="x")), lambda: log.show(SEARCH)):
        with pytest.raises(OutputError, match=r"cannot write .*run\.log"):
            act()


@pytest.mark.slow
def test_a_whole_study_is_in_its_log(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    virtual = run_through(log, tmp_path, space=TINY)
    listener = log.inner
    assert isinstance(listener, Listener)
    text = "\n".join(lines_of(log))
    assert all(line in text for event in listener.events for line in event_lines(event))
    phases = [line.split(" | ")[0] for line in lines_of(log) if " | " in line]
    assert list(dict.fromkeys(phases)) == list(
        dict.fromkeys(["enumeration", *("search" if phase == "race" else phase for phase in virtual.phases())])
    )
    assert "wanted: maximize throughput" in text
    assert len(lines_of(log)) < 40 + 2 * len(virtual.sessions())
