"""Events of study.db, apart from the file itself: the words about them are made without an import of Optuna.

Responsible for values. Must not write.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ASIDE = ".aside"
"""Suffix of a file that was in the way of study.db."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseRenewed:
    """The file of a study that has begun is written again from sessions.jsonl."""

    path: Path
    cause: str = ""
    """Message of SQLite or the system about a file that was moved aside; empty for a file that was missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseGivenUp:
    """The file cannot be written, and the study goes on without it."""

    path: Path
    cause: str
    """Message of SQLite or the system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseLocked:
    """Another program keeps the file locked; the study goes on, and trials are written once the file is free."""

    path: Path


DatabaseEvent = DatabaseRenewed | DatabaseLocked | DatabaseGivenUp
