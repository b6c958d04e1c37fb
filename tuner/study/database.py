"""A SQLite file that may be damaged, foreign, locked or full: opened with cheap commits, its errors explained.

Must not know what the file is for, beyond the advice that everything in it can be rebuilt.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tuner.errors import OutputError, RecordError, TunerError

REBUILD = "sessions.jsonl holds the evidence: move study.db aside and run the same command, it is rebuilt"
LOCK_WAIT_S = 5.0
"""Longer than a reader (optuna-dashboard) holds a lock; Optuna tries a new trial five times."""

_WRITABLE = "make the file and its folder writable and run the same command"
_LOCKED = "close the program that holds it open and run the same command"
_ADVICE = {
    sqlite3.SQLITE_FULL: "make room on the disk and run the same command, it goes on",
    sqlite3.SQLITE_IOERR: "check the disk, then run the same command, it goes on",
    sqlite3.SQLITE_READONLY: _WRITABLE,
    sqlite3.SQLITE_PERM: _WRITABLE,
    sqlite3.SQLITE_CANTOPEN: _WRITABLE,
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
}
"""SQLite's answers that speak of the disk and not of the content: https://www.sqlite.org/rescode.html."""


def connect(path: Path, *, table: str) -> sqlite3.Connection:
    """A checked connection. A file with content has a `table`, or it is somebody else's.

    Commits wait for the disk only at checkpoints: a power cut may cost the last ones, never the file.
    Raises `RecordError` where the content is not right, `OutputError` where the disk is not.
    """
    with explained(path):
        connection = sqlite3.connect(path, timeout=LOCK_WAIT_S, check_same_thread=False)
    try:
        with explained(path):
            found = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            if found and table not in found:
                raise RecordError(f"{path} is a database of something else", advice=REBUILD)
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise RecordError(f"{path} is damaged: {' '.join(verdict.split())}", advice=REBUILD)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns what SQLite raises, however wrapped, into `OutputError` or `RecordError`; lets everything else through."""
    try:
        yield
    except TunerError:
        raise
    except Exception as error:
        cause = _sqlite_error(error)
        if cause is None:
            raise
        # The lower byte is the primary code; errors of the module itself have none.
        code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in _ADVICE:
            raise OutputError(f"cannot write {path}: {cause}", advice=_ADVICE[code]) from error
        raise RecordError(f"{path} is damaged: {cause}", advice=REBUILD) from error


def _sqlite_error(error: BaseException | None) -> sqlite3.Error | None:
    while error is not None and not isinstance(error, sqlite3.Error):
        error = error.__cause__
    return error
