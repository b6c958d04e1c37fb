"""Defines every expected failure with its exit code, and the advice that several share. Must not know what raises it.

TunerError
├── InputError           2   what the user gave is wrong
│   ├── StudyFileError       a study file; carries every Problem found
│   ├── ModelError           a model that is missing, unreadable or cannot run
│   ├── BestFileError        a best.yaml that cannot be used
│   ├── StudyChangedError    a results folder that belongs to another study
│   ├── ClosedError          a deployment that the application has closed
│   └── ForkError            a deployment that is used in a forked child
├── HostError            3   the environment is broken
│   ├── DeviceError          the device does not exist here
│   ├── OutputError          the results cannot be written (no right, no space)
│   ├── RecordError          the records on disk are damaged or newer than this program
│   ├── BusyError            another study is measuring on this host
│   └── QueueFullError       more calls wait for a deployment than may wait
├── NoAnswerError        1   the question was fine, the answer is no
└── SignalError        130   a signal stopped the command; the same command resumes

Exit code 4 belongs to no error: `tuner verify` ends with it where its sessions cannot tell.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass


class TunerError(Exception):
    """Reports an expected failure: `str(error)` says what happened, `advice` what to do next."""

    exit_code = 3

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


class InputError(TunerError):
    """Reports that a file, an option or an argument of the user is wrong."""

    exit_code = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Describes one thing wrong in a file, with its place; `line` and `column` count from 1."""

    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.message}"


class StudyFileError(InputError):
    """Lists everything wrong with one study file, in the order of its lines."""

    def __init__(self, path: str, problems: list[Problem], *, advice: str = "") -> None:
        self.path = path
        self.problems = sorted(problems, key=lambda p: (p.line, p.column, p.message))
        super().__init__("\n".join(f"{path}:{p}" for p in self.problems), advice=advice)


class ModelError(InputError):
    """Reports that a model is missing, cannot be read or cannot run."""


class BestFileError(InputError):
    """Reports that a best.yaml or front.yaml cannot be used."""


class StudyChangedError(InputError):
    """Reports that a results folder belongs to another study."""


class ClosedError(InputError):
    """Reports a call to a deployment that the application has closed."""


class ForkError(InputError):
    """Reports that a deployment is used in a process that was forked after it was compiled."""


class HostError(TunerError):
    """Reports that the environment is broken."""

    exit_code = 3


class DeviceError(HostError):
    """Reports that a device does not exist on this host."""


class OutputError(HostError):
    """Reports that results cannot be written: no right, or no space."""


class RecordError(HostError):
    """Reports that the records on disk are damaged, or newer than this program."""


class BusyError(HostError):
    """Reports that another study is measuring on this host."""


class QueueFullError(HostError):
    """Reports that more calls wait for a deployment than may wait: a server answers 503."""


class NoAnswerError(TunerError):
    """Reports that the question was right, and the answer is no."""

    exit_code = 1


class SignalError(TunerError):
    """Reports that a signal stopped the command; the same command resumes."""

    exit_code = 130


def full_disk_advice(error: OSError) -> str:
    """Returns advice about a failed write, in one line."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "free some space and run the same command: it continues after the last finished session"
    return "make the folder writable, or name another with --results"
