"""What the command line makes of flags, signals and failures; what a command does is tested where it is done."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.conftest import Done
from tuner import cli
from tuner.errors import NoAnswerError

Call = Callable[..., Done]
WITHOUT = "       the same command without --fresh continues where it stopped\n"
AS_IT_WAS = "       the same command continues where it stopped\n"


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    """A command line in this process; a traceback may be shown."""

    def run(*words: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["tuner", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return Done(code=end.value.code, out=out, err=err)

    before = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT)}
    yield run
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.fixture
def signalled(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Every study that is run gets a signal."""

    def run_study(*_: object) -> NoReturn:
        os.kill(os.getpid(), request.param)
        raise AssertionError("the signal has been handled")

    monkeypatch.setattr("tuner.commands.run.run_study", run_study)


@pytest.mark.parametrize(
    ("signalled", "what"), [(signal.SIGTERM, "terminated"), (signal.SIGINT, "interrupted")], indirect=["signalled"]
)
@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["run", "study.yaml"], AS_IT_WAS),
        (["run", "--fresh", "study.yaml"], WITHOUT),
        (["run", "study.yaml", "--fresh"], WITHOUT),
        (["run", "--results", "--fresh", "study.yaml"], AS_IT_WAS),
        (["run", "--results=--fresh", "study.yaml"], AS_IT_WAS),
        (["run", "--", "--fresh"], AS_IT_WAS),
    ],
)
def test_a_signal_ends_a_run_with_the_command_that_resumes_it(
    call: Call, signalled: None, what: str, words: list[str], advice: str
) -> None:
    done = call(*words)
    assert (done.code, done.out) == (130, "")
    assert done.err == f"tuner: {what}\n{advice}"


@pytest.mark.parametrize(
    ("words", "is_shown"),
    [
        (["show", "nowhere"], False),
        (["--debug", "show", "nowhere"], True),
        (["--debug", "nonsense"], True),
        (["--debug", "run", "--fast"], True),
        (["show", "--", "--debug"], False),
        (["show", "nowhere", "--out", "--debug"], False),
        (["run", "--results", "--debug", "nowhere.yaml"], False),
        (["show", "nowhere", "--debug"], False),
    ],
)
def test_only_the_flag_itself_shows_the_traceback_of_an_expected_failure(
    call: Call, words: list[str], is_shown: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call(*words)
    assert done.code == 2
    assert done.err.count("tuner: ") == 1
    assert ("Traceback" in done.err) is is_shown
    assert list(tmp_path.iterdir()) == []


def test_a_flag_is_forgotten_after_its_call(call: Call) -> None:
    assert "Traceback" in call("--debug", "show", "nowhere").err
    assert "Traceback" not in call("show", "nowhere").err


def test_an_answer_that_is_no_exits_1_and_a_failure_that_nothing_expects_exits_3_with_its_traceback(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raises(error: Exception) -> Callable[..., NoReturn]:
        def read(folder: Path) -> NoReturn:
            raise error

        return read

    reader = "tuner.outcome.study_report.StudyReport.read"
    monkeypatch.setattr(reader, raises(NoAnswerError("no", advice="ask again")))
    assert call("show", "x") == Done(code=1, out="", err="tuner: no\n       ask again\n")
    monkeypatch.setattr(reader, raises(KeyError("what")))
    done = call("show", "x")
    assert done.code == 3
    assert "KeyError: 'what'" in done.err
    monkeypatch.setattr(reader, raises(OSError(28, "No space left on device", "file")))
    assert call("show", "x") == Done(code=3, out="", err="tuner: file: No space left on device\n")
