"""Writes study.db, a mirror of the search for optuna-dashboard and `optuna.load_study` that is never read back.

Responsible for a file that may be missing, locked, foreign, damaged or on a full disk, none of which ends a study. Must
not know proposals, nor the meaning of a trial's numbers.
"""

from __future__ import annotations

import json
import sqlite3
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import optuna
from optuna.distributions import distribution_to_json
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from tuner.search.database.events import ASIDE, DatabaseEvent, DatabaseGivenUp, DatabaseLocked, DatabaseRenewed
from tuner.search.database.presentation import Presentation

LOCK_WAIT_S = 1.0
"""Seconds to wait for a lock, in which nothing is said; readers such as optuna-dashboard hold one for milliseconds."""

FAILURES = (sqlite3.Error, SQLAlchemyError, StorageInternalError, OSError, KeyError)
"""Exceptions of a failed write; Optuna raises KeyError if another program has deleted the study."""

SCHEMA: Mapping[str, Sequence[str]] = {
    "trials": ("trial_id", "number", "study_id", "state", "datetime_start", "datetime_complete"),
    "trial_values": ("trial_id", "objective", "value", "value_type"),
    "trial_params": ("trial_id", "param_name", "param_value", "distribution_json"),
    "trial_user_attributes": ("trial_id", "key", "value_json"),
    "trial_system_attributes": ("trial_id", "key", "value_json"),
}
"""Tables of Optuna's trials and their columns, in schema 12 (Optuna 5.0).

`Study.add_trial` takes 8 ms of computing for each trial, rows of these tables 0.1 ms (tests/benchmarks/ask_tell.py).
"""


@dataclass(slots=True, kw_only=True)
class StudyDatabase:
    """Writes every finished trial to study.db once; for one process and one thread."""

    path: Path
    name: str
    """Name of the study in the file."""
    metrics: Sequence[str]
    """Names of the objectives, which are maximized log-ratios without a presentation."""
    tell: Callable[[DatabaseEvent], None]
    """Receives an event if the file had to be replaced, is locked for long, or is given up."""
    presentation: Presentation | None = None
    """Form in which trials are written; None writes them as the search has them."""
    about: Mapping[str, str] = field(default_factory=dict)
    """Attributes of the study for a reader."""
    _connection: sqlite3.Connection | None = field(default=None, init=False)
    _study: optuna.Study | None = field(default=None, init=False)
    """None before `renew`, and once the file is given up."""
    _storage: RDBStorage | None = field(default=None, init=False)
    _waiting: list[FrozenTrial] = field(default_factory=list, init=False)
    """Trials that are not written yet, because another program keeps the file locked."""
    _is_locked: bool = field(default=False, init=False)
    """True if the user knows that the file is locked."""
    _inode: int = field(default=-1, init=False)
    """Number of the file on its disk, which another file of this name does not have."""

    def renew(self, trials: Sequence[FrozenTrial]) -> None:
        """Makes study.db hold these trials and nothing else.

        The trials are written in memory and copied by one transaction of SQLite, which a program that has the file
        open survives. A file that refuses the copy is moved aside.
        """
        is_missing = bool(trials) and not self.path.exists()
        self._connection = memory = sqlite3.connect(":memory:")
        # One connection, ours: its pragmas hold, and it is closed even where Optuna refuses the file.
        engine = {"creator": lambda: self._connection, "poolclass": StaticPool}
        storage = RDBStorage("sqlite:///study.db", engine)
        shown = self.presentation
        every_up: list[Literal["minimize", "maximize"]] = ["maximize"] * len(self.metrics)
        directions = shown.directions if shown else every_up
        study = optuna.create_study(storage=storage, study_name=self.name, directions=directions)
        for key, text in self.about.items():
            study.set_user_attr(key, text)
        trials = [self._shown(trial) for trial in trials]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(shown.names if shown else list(self.metrics))
        try:
            _insert(memory, trials)
        except sqlite3.Error:
            study.add_trials(trials)  # Slow, and right for the tables of every Optuna.
        try:
            file = self._replaced(memory)
        except FAILURES as error:
            self._give_up(error)
            return
        self._storage, self._study = storage, study
        self._open(file)
        if is_missing:
            self.tell(DatabaseRenewed(path=self.path))

    def add(self, trial: FrozenTrial) -> None:
        """Appends a finished trial; the first failure but a lock gives the file up until the next run.

        A file that was deleted meanwhile is written again, from what is still open of it.
        """
        if self._study is None:
            return
        self._waiting.append(self._shown(trial))
        try:
            self._write(self._study)
        except FAILURES as error:
            self._give_up(error)

    def close(self) -> None:
        """Closes the file; trials that are added later are not written."""
        if self._study is not None:
            try:
                if not self._write(self._study):
                    raise sqlite3.OperationalError("database is locked")
            except FAILURES as error:
                self._give_up(error)
        self._close()

    def _close(self) -> None:
        self._study = None
        if self._connection is not None:
            self._connection.close()

    def _shown(self, trial: FrozenTrial) -> FrozenTrial:
        """Returns a trial in the form in which it is written, with the times of the search."""
        if self.presentation is None:
            return trial
        shown = self.presentation(trial)
        shown.datetime_start, shown.datetime_complete = trial.datetime_start, trial.datetime_complete
        return shown

    def _open(self, file: sqlite3.Connection) -> None:
        """Makes a connection the one that the storage uses from now on."""
        self._connection, self._inode = file, self.path.stat().st_ino
        assert self._storage is not None
        self._storage.engine.dispose()

    def _write(self, study: optuna.Study) -> bool:
        """Writes the trials that wait; returns False if another program keeps the file locked. Raises FAILURES."""
        if not self.path.exists() or self.path.stat().st_ino != self._inode:
            self._write_again()
        if self._waiting and not self._is_free():
            return False
        while self._waiting:
            study.add_trial(self._waiting[0])
            del self._waiting[0]
        return True

    def _write_again(self) -> None:
        """Writes a file that was deleted or replaced, and tells it."""
        assert self._connection is not None
        memory = sqlite3.connect(":memory:")
        self._connection.backup(memory)
        self._connection.close()
        if not self.path.exists():
            for suffix in ("-wal", "-shm", "-journal"):  # SQLite would take what is left for a part of the new file.
                self.path.with_name(f"{self.path.name}{suffix}").unlink(missing_ok=True)
        self._open(self._copied(memory))
        memory.close()
        self.tell(DatabaseRenewed(path=self.path))

    def _is_free(self) -> bool:
        """Returns True if no other program keeps the file locked; the first time the lock is waited for.

        Optuna would try five times, a second apart, and say nothing.
        """
        assert self._connection is not None
        self._connection.execute(f"PRAGMA busy_timeout = {0 if self._is_locked else round(1000 * LOCK_WAIT_S)}")
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.rollback()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
            if not self._is_locked:
                self.tell(DatabaseLocked(path=self.path))
            self._is_locked = True
            return False
        self._is_locked = False
        return True

    def _replaced(self, memory: sqlite3.Connection) -> sqlite3.Connection:
        """Returns a connection to the file, whose content is now that of `memory`."""
        try:
            return self._copied(memory)
        except FAILURES as error:
            for suffix in ("", "-wal", "-shm", "-journal"):
                with suppress(FileNotFoundError):
                    self.path.with_name(f"{self.path.name}{suffix}").rename(
                        self.path.with_name(f"{self.path.name}{ASIDE}{suffix}")
                    )
            file = self._copied(memory)
            self.tell(DatabaseRenewed(path=self.path, cause=_cause(error)))
            return file

    def _copied(self, memory: sqlite3.Connection) -> sqlite3.Connection:
        """Returns a connection to the file, into which `memory` was copied.

        Raises `sqlite3.Error` if the file is no database, belongs to another program, or cannot be written.
        """
        file = sqlite3.connect(self.path, timeout=LOCK_WAIT_S)
        try:
            tables = {name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if tables and "studies" not in tables:
                raise sqlite3.DatabaseError("a database of another program")
            # Commits wait for the disk only at checkpoints: a power cut may cost the last ones.
            file.execute("PRAGMA journal_mode = WAL")
            file.execute("PRAGMA synchronous = NORMAL")
            memory.backup(file, progress=_refuse_lock)
        except BaseException:
            file.close()
            raise
        return file

    def _give_up(self, error: Exception) -> None:
        self._close()
        self.tell(DatabaseGivenUp(path=self.path, cause=_cause(error)))


def _insert(memory: sqlite3.Connection, trials: Sequence[FrozenTrial]) -> None:
    """Inserts finished trials into the empty tables of `SCHEMA`, all of them or none.

    Raises `sqlite3.Error` if this Optuna has other tables.
    """
    (study,) = memory.execute("SELECT study_id FROM studies").fetchone()
    rows: dict[str, list[Sequence[object]]] = {table: [] for table in SCHEMA}
    for number, trial in enumerate(trials):
        key = number + 1
        rows["trials"].append(
            (key, number, study, trial.state.name, _utc(trial.datetime_start), _utc(trial.datetime_complete))
        )
        rows["trial_values"] += [(key, i, value, "FINITE") for i, value in enumerate(trial.values or ())]
        for name, value in trial.params.items():
            distribution = trial.distributions[name]
            row = (key, name, distribution.to_internal_repr(value), distribution_to_json(distribution))
            rows["trial_params"].append(row)
        for kind, attributes in (("user", trial.user_attrs), ("system", trial.system_attrs)):
            rows[f"trial_{kind}_attributes"] += [(key, name, json.dumps(value)) for name, value in attributes.items()]
    with memory:
        for table, columns in SCHEMA.items():
            places = ", ".join("?" for _ in columns)
            memory.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", rows[table])


def _utc(local: datetime | None) -> str | None:
    """Returns a local time as Optuna's tables hold it."""
    return None if local is None else local.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def _refuse_lock(status: int, remaining: int, total: int) -> None:
    """Raises if a copy meets a lock after `LOCK_WAIT_S`: Python would try again for ever."""
    if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        raise sqlite3.OperationalError("database is locked")


def _cause(error: BaseException) -> str:
    """Returns the message of SQLite or the system in one line, out of Optuna's own exceptions."""
    while error.__cause__ is not None and not isinstance(error, sqlite3.Error | OSError):
        error = error.__cause__
    return " ".join(str(error).split())
