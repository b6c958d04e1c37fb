"""Defines every expected failure with its exit code. Must not know what raises it.

TunerError
├── InputError           2   what the user gave is wrong
│   ├── StudyFileError       a study file; carries every Problem found
│   ├── ModelError           a model that is missing, unreadable or cannot run
│   ├── BestFileError        a best.yaml that cannot be used
│   └── StudyChangedError    a results folder that belongs to another study
├── HostError            3   the environment is broken
│   ├── DeviceError          the device does not exist here
│   ├── OutputError          the results cannot be written (no right, no space)
│   ├── RecordError          the records on disk are damaged or newer than this program
│   └── BusyError            another study is measuring on this host
├── NoAnswerError        1   the question was fine, the answer is no
└── SignalError        130   a signal stopped the command; the same command resumes
"""

from __future__ import annotations

from dataclasses import dataclass


class TunerError(Exception):
    """An expected failure: `str(error)` says what happened, `advice` what to do next."""

    exit_code = 3

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


class InputError(TunerError):
    """What the user gave is wrong."""

    exit_code = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong in a file, with its place; `line` and `column` count from 1."""

    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.message}"


class StudyFileError(InputError):
    """Everything wrong with one study file, in the order of its lines."""

    def __init__(self, path: str, problems: list[Problem], *, advice: str = "") -> None:
        self.path = path
        self.problems = sorted(problems, key=lambda p: (p.line, p.column, p.message))
        super().__init__("\n".join(f"{path}:{p}" for p in self.problems), advice=advice)


class ModelError(InputError):
    """A model is missing, cannot be read or cannot run."""


class BestFileError(InputError):
    """A best.yaml or front.yaml cannot be used."""


class StudyChangedError(InputError):
    """A results folder belongs to another study."""


class HostError(TunerError):
    """The environment is broken."""

    exit_code = 3


class DeviceError(HostError):
    """A device does not exist on this host."""


class OutputError(HostError):
    """Results cannot be written: no right, or no space."""


class RecordError(HostError):
    """The records on disk are damaged, or newer than this program."""


class BusyError(HostError):
    """Another study is measuring on this host."""


class NoAnswerError(TunerError):
    """The question was right, and the answer is no."""

    exit_code = 1


class SignalError(TunerError):
    """A signal stopped the command; the same command resumes."""

    exit_code = 130
