"""The folder of a study: writable or not, fresh, whose it is, and the locks that keep two studies apart."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tuner.errors import BusyError, OutputError, RecordError, StudyChangedError
from tuner.records import locks as module
from tuner.records.folder import prepare, write_text
from tuner.records.identity import check_identity, read_environment
from tuner.records.locks import WaitingForHolder, locked
from tuner.report.words.progress import event_lines

# Writable


def test_preparing_a_folder_makes_its_parents_and_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    prepare(folder)
    assert list(folder.iterdir()) == []


def test_preparing_a_folder_keeps_its_content(tmp_path: Path) -> None:
    (tmp_path / "sessions.jsonl").write_text("evidence")
    prepare(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["sessions.jsonl"]


@pytest.mark.parametrize("where", ["file", "file/below", "/proc/nothing"])
def test_a_folder_that_cannot_be_written_is_refused_at_once(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write to") as error:
        prepare(tmp_path / where)
    assert "--results" in error.value.advice


def test_fresh_moves_older_results_aside_one_after_the_other(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    for content in "abc":
        prepare(folder, is_fresh=True)
        (folder / "sessions.jsonl").write_text(content)
    found = {path.parent.name: path.read_text() for path in tmp_path.glob("*/sessions.jsonl")}
    assert found == {"study.1": "a", "study.2": "b", "study": "c"}


def test_text_is_replaced_as_a_whole_and_leaves_no_other_file(tmp_path: Path) -> None:
    write_text(tmp_path / "study.yaml", "old")
    write_text(tmp_path / "study.yaml", "new")
    assert (tmp_path / "study.yaml").read_text() == "new"
    assert len(list(tmp_path.iterdir())) == 1


def test_text_that_cannot_be_written_leaves_the_old_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text(tmp_path / "study.yaml", "old")

    def fail(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tuner.records.folder.os.fsync", fail)
    with pytest.raises(OutputError, match="No space left") as error:
        write_text(tmp_path / "study.yaml", "new")
    assert "free some space" in error.value.advice
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("study.yaml", "old")]


# Identity

IDENTITY: dict[str, Any] = {
    "model": "abc",
    "objective": {"metric": "throughput", "limits": ()},
    "space": [{"name": "NUM_STREAMS", "values": (1, 2)}],
    "cpus_allowed": 2,
    "cpu_quota": None,
}


def test_the_identity_of_the_same_study_equals_that_on_disk(tmp_path: Path) -> None:
    for _ in range(2):
        check_identity(tmp_path, IDENTITY, {"kernel": "6.1"})
    check_identity(tmp_path, dict(reversed(IDENTITY.items())), {"kernel": "6.2"})
    assert read_environment(tmp_path)["host"] == {"kernel": "6.1"}


def test_every_difference_to_the_study_on_disk_is_named(tmp_path: Path) -> None:
    check_identity(tmp_path, IDENTITY, {})
    changed = {**IDENTITY, "model": "def", "cpu_quota": 1.5, "space": [{"name": "NUM_STREAMS", "values": (1, True)}]}
    del changed["cpus_allowed"]
    changed["device"] = "GPU"
    before = (tmp_path / "environment.json").read_bytes()
    with pytest.raises(StudyChangedError) as error:
        check_identity(tmp_path, changed, {})
    lines = str(error.value).splitlines()
    assert lines[1:] == [
        "  cpu_quota: was null, is 1.5",
        "  cpus_allowed: was 2, is null",
        '  device: was null, is "GPU"',
        '  model: was "abc", is "def"',
        "  space.NUM_STREAMS.values: was [1, 2], is [1, true]",
    ]
    assert "--fresh" in error.value.advice
    assert (tmp_path / "environment.json").read_bytes() == before


def test_values_of_another_type_are_a_difference(tmp_path: Path) -> None:
    check_identity(tmp_path, {"space": [1]}, {})
    with pytest.raises(StudyChangedError, match=r"was \[1\], is \[true\]"):
        check_identity(tmp_path, {"space": [True]}, {})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        "\x00",
        '{"schema_version": 1, "identity": {}}',
        '{"schema_version": "1", "identity": {}, "host": {}}',
        '{"schema_version": 1, "identity": [], "host": {}}',
        '{"schema_version": 99, "identity": {}, "host": {}}',
    ],
)
def test_a_damaged_or_newer_environment_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "environment.json").write_text(text)
    with pytest.raises(RecordError) as error:
        check_identity(tmp_path, IDENTITY, {})
    assert "--fresh" in error.value.advice
    assert (tmp_path / "environment.json").read_text() == text


# Locks

HOLD = """
import sys
from pathlib import Path
from tuner.records.locks import locked
with locked(Path(sys.argv[1]), wait=False, tell=print, host_lock=Path(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.read()
"""
HOLD_ALIKE = """
import fcntl, os, sys
parent, name = os.path.split(sys.argv[1])
for path in (sys.argv[2], f"{parent}/.{name}.lock"):
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    os.write(fd, f"process {os.getpid()}, {sys.argv[1]}".encode())
print("held", flush=True)
sys.stdin.read()
"""
"""What the other does, without its imports: a tenth of the time."""


def silent(event: WaitingForHolder) -> None:
    raise AssertionError(f"silent is waited for: {event}")


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "host.lock"


@contextmanager
def holding(folder: Path, lock: Path, program: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the locks of the folder and the host."""
    command = [sys.executable, "-c", program, str(folder), str(lock)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture
def holder(tmp_path: Path, lock: Path) -> Iterator[subprocess.Popen[str]]:
    with holding(tmp_path, lock, HOLD_ALIKE) as process:
        yield process


def test_a_second_study_is_refused_with_the_name_of_the_first_until_that_is_killed(tmp_path: Path, lock: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with holding(tmp_path, lock, HOLD) as holder:
        for folder in (tmp_path, other):
            with (
                pytest.raises(BusyError, match=f"process {holder.pid}, {tmp_path}") as error,
                locked(folder, wait=False, tell=silent, host_lock=lock),
            ):
                raise AssertionError("both hold it")
            assert "--wait" in error.value.advice
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with locked(tmp_path, wait=False, tell=silent, host_lock=lock):
        assert f"process {os.getpid()}," in lock.read_text()


def test_with_wait_the_second_study_begins_when_the_first_ends(
    tmp_path: Path, lock: Path, holder: subprocess.Popen[str]
) -> None:
    said: list[WaitingForHolder] = []
    steps: list[float] = []

    def pass_time(seconds: float) -> None:
        steps.append(seconds)
        if len(steps) == 3:
            holder.kill()
            holder.wait()

    with locked(tmp_path, wait=True, tell=said.append, host_lock=lock, sleep=pass_time):
        assert len(steps) == 3
    assert said == [WaitingForHolder(holder=f"process {holder.pid}, {tmp_path}")]
    assert event_lines(said[0]) == [f"waiting for process {holder.pid}, {tmp_path}"]


def test_a_folder_that_is_measured_elsewhere_is_refused_although_this_host_is_free(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    """Results on a shared disk: the folder has a lock of its own."""
    with (
        pytest.raises(BusyError, match=f"process {holder.pid}"),
        locked(tmp_path, wait=False, tell=silent, host_lock=tmp_path / "another host's"),
    ):
        raise AssertionError("both hold it")


def test_a_child_does_not_inherit_the_lock(tmp_path: Path, lock: Path) -> None:
    with locked(tmp_path, wait=False, tell=silent, host_lock=lock):
        child = subprocess.Popen(
            [sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE, close_fds=False, start_new_session=True
        )
    try:
        with locked(tmp_path, wait=False, tell=silent, host_lock=lock):
            assert child.poll() is None
    finally:
        child.communicate(b"\n")


def test_the_lock_of_the_host_is_shared_by_all_users(tmp_path: Path, lock: Path) -> None:
    before = os.umask(0o077)
    try:
        with locked(tmp_path, wait=False, tell=silent, host_lock=lock):
            assert stat.S_IMODE(lock.stat().st_mode) == 0o666
    finally:
        os.umask(before)


def test_a_lock_holds_although_its_name_cannot_be_written(
    tmp_path: Path, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int, data: bytes, offset: int) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tuner.records.locks.os.pwrite", full)
    with (
        locked(tmp_path, wait=False, tell=silent, host_lock=lock),
        pytest.raises(BusyError, match="another process"),
        locked(tmp_path, wait=False, tell=silent, host_lock=lock),
    ):
        raise AssertionError("both hold it")


def test_a_lock_that_cannot_be_made_is_the_environments_fault(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="cannot open the lock"),
        locked(tmp_path, wait=False, tell=silent, host_lock=tmp_path / "nowhere" / "lock"),
    ):
        raise AssertionError("no lock")


def test_one_lock_serves_the_whole_host() -> None:
    assert str(module.HOST_LOCK) == "/tmp/tuner-measuring.lock"


def test_the_environment_may_name_another_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNER_LOCK", str(tmp_path / "lock"))
    with (
        locked(None, wait=False, tell=silent, host_lock=tmp_path / "lock"),
        pytest.raises(BusyError),
        locked(tmp_path, wait=False, tell=silent),
    ):
        raise AssertionError("no lock")
