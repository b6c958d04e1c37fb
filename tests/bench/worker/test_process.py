"""What comes over the channel, without a process at the other end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from tuner.bench.configuration import Failure, FailureKind
from tuner.bench.session.member import CommandFailed
from tuner.bench.worker.main import failure_of
from tuner.bench.worker.process import Garbage, WorkerProcess, outcome_of
from tuner.errors import DeviceError


def test_an_answer_is_its_content() -> None:
    assert outcome_of(b'{"ok": {"duration_s": 0.4}}') == {"duration_s": 0.4}
    assert outcome_of(b'{"ok": null}') is None


def test_a_failed_command_says_how() -> None:
    outcome = outcome_of(b'{"failed": {"kind": "memory", "message": "too large"}}')
    assert isinstance(outcome, CommandFailed)
    assert outcome.failure == Failure(kind=FailureKind.MEMORY, message="too large")


def test_a_refusal_is_the_error_that_the_worker_raised() -> None:
    line = {"refused": {"error": "DeviceError", "message": "no GPU", "advice": "take the CPU"}}
    outcome = outcome_of(json.dumps(line).encode())
    assert isinstance(outcome, DeviceError)
    assert str(outcome) == "no GPU"
    assert outcome.advice == "take the CPU"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\x00\xff nonsense",
        b"[INFO] loading",
        b"5",
        b"[]",
        b"null",
        b"{}",
        b'{"ok": 1',
        b'{"ok": 1, "failed": 2}',
        b'{"fine": 1}',
        b'{"failed": null}',
        b'{"failed": {"kind": "sad", "message": ""}}',
        b'{"failed": {"kind": "crash"}}',
        b'{"refused": {"error": "NoSuchError", "message": "", "advice": ""}}',
        b"[" * 100_000,
    ],
)
def test_everything_else_is_garbage(line: bytes) -> None:
    with pytest.raises(Garbage):
        outcome_of(line)


@pytest.mark.parametrize(
    ("command", "error", "kind"),
    [
        ("compile", RuntimeError("Unsupported property FOO"), FailureKind.COMPILE),
        ("resolve", RuntimeError("Unsupported property FOO"), FailureKind.COMPILE),
        ("turn", RuntimeError("The input tensor size is not equal"), FailureKind.RUNTIME),
        ("settle", ValueError("what"), FailureKind.RUNTIME),
        ("compile", MemoryError(), FailureKind.MEMORY),
        ("turn", RuntimeError("std::bad_alloc"), FailureKind.MEMORY),
        ("compile", RuntimeError("Exception from a.cpp:1:\nFailed to allocate 67239936 bytes"), FailureKind.MEMORY),
        ("compile", RuntimeError("[Errno 12] Cannot allocate memory"), FailureKind.MEMORY),
        ("compile", RuntimeError("Resource temporarily unavailable"), FailureKind.MEMORY),
    ],
)
def test_an_error_is_classified_by_its_stage_and_its_text(command: str, error: Exception, kind: FailureKind) -> None:
    failure = failure_of(command, error)
    assert failure.kind is kind
    assert failure.message
    assert "\n" not in failure.message


def test_a_killed_process_is_waited_for_though_a_signal_left_the_lock_of_popen_taken() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    worker = WorkerProcess.__new__(WorkerProcess)
    worker._process = process  # type: ignore[assignment]
    process._waitpid_lock.acquire()  # type: ignore[attr-defined]
    os.killpg(process.pid, signal.SIGKILL)
    worker._reap()
    assert process.returncode == -signal.SIGKILL
    assert process.stdin is not None
    process.stdin.close()
