"""What to try next, asked of Optuna: with `book.py` the only use of it in the project, behind plain values.

Must not know how a candidate is measured, what its numbers mean, or which candidate wins.

A study lives twice. Samplers read it in memory; study.db is written beside it, for resuming and for optuna-dashboard:
asking and telling through SQLite alone takes twice the statements, and they cost more than sampling. The source of
truth is neither of them but sessions.jsonl, see `Search.reconcile`.
"""

from __future__ import annotations

import hashlib
import sqlite3
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.pool import StaticPool

from tuner.errors import RecordError, TunerError
from tuner.study.axis import Axis
from tuner.study.book import Book, open_book
from tuner.study.database import REBUILD, connect, explained
from tuner.study.space import Assignment, Space, Value
from tuner.study.study import SamplerName
from tuner.study.trial import FinishedTrial, Proposal, TrialSummary

__all__ = ["INTERRUPTED", "SAMPLERS", "UNRECORDED", "FinishedTrial", "Proposal", "Search", "TrialSummary"]

INTERRUPTED = "interrupted"
UNRECORDED = "not in sessions.jsonl"

_NOTHING: Mapping[str, Any] = MappingProxyType({})


def _tpe(space: Space, seed: int) -> BaseSampler:
    is_conditional = any(p.when for p in space.parameters)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*group", category=ExperimentalWarning)
        return TPESampler(seed=seed, multivariate=True, constant_liar=True, group=is_conditional)


SAMPLERS: Mapping[SamplerName, Callable[[Space, int], BaseSampler] | None] = {
    "auto": _tpe,
    "gp": _tpe,
    "tpe": _tpe,
    "random": lambda _, seed: RandomSampler(seed=seed),
    "grid": None,
    "race": _tpe,
}
"""Made from a space and a seed; None asks in the order of the space. `race`, `gp` and `auto` need the space listed, and
choose from the list themselves; where it is too large they are sampled by TPE."""


class Search:
    """One study: proposes points of its space, is told how they did, keeps study.db. For one process and one thread."""

    def __init__(
        self,
        path: Path | None,
        connection: sqlite3.Connection | None,
        *,
        name: str,
        space: Space,
        sampler: SamplerName,
        seed: int,
        objectives: Sequence[str] = (),
    ) -> None:
        self.space = space
        self._count = max(1, len(objectives))
        self._path = path
        self._connection = connection
        self._sampler = sampler
        self._seed = seed
        self._is_seeded = False
        self._axes = {p.name: Axis.of(p) for p in space.parameters}
        memory = InMemoryStorage()
        never = optuna.pruners.NopPruner()
        directions = [StudyDirection.MAXIMIZE] * self._count
        self._study = optuna.create_study(storage=memory, study_name=name, directions=directions, pruner=never)
        self._memory = Book(storage=memory, study_id=memory.get_study_id_from_name(name))
        self._database: Book | None = None
        if connection is None or path is None:
            return
        # One connection, ours: its pragmas hold, and it is closed even where Optuna refuses the file.
        settings = {"creator": lambda: connection, "poolclass": StaticPool}
        storage = RDBStorage("sqlite:///study.db", settings)
        self._database = open_book(storage, path, name=name, space=space, objectives=objectives)
        for expected, trial in enumerate(self._database.trials()):
            is_point = self._is_point(self._decode(trial)) or trial.user_attrs.get("failure") == UNRECORDED
            if trial.number != expected or not is_point:
                raise RecordError(f"{path} is damaged: trial {expected} is missing or not whole", advice=REBUILD)
            self._study.add_trial(trial)

    @classmethod
    def open(
        cls,
        db_path: Path,
        *,
        name: str,
        space: Space,
        sampler: SamplerName,
        seed: int,
        objectives: Sequence[str] = (),
    ) -> Search:
        """The study in `db_path`, made where there is none; `name`, `space` and the number of objectives are its
        identity. `objectives` names several, all maximized because every value is a log-ratio; none is one.

        Raises `RecordError` where the file is damaged, of another Optuna or of another study, `OutputError` where it
        cannot be written.
        """
        optuna.logging.set_verbosity(optuna.logging.CRITICAL)
        connection = connect(db_path, table="studies")
        try:
            with explained(db_path):
                return cls(
                    db_path, connection, name=name, space=space, sampler=sampler, seed=seed, objectives=objectives
                )
        except BaseException as error:
            connection.close()
            if isinstance(error, TunerError) or not isinstance(error, Exception):
                raise
            # Whatever Optuna stumbles over: a number that is text, a missing row, a version from the future.
            raise RecordError(f"{db_path} cannot be read: {' '.join(str(error).split())}", advice=REBUILD) from error

    @classmethod
    def in_memory(cls, *, space: Space, sampler: SamplerName, seed: int) -> Search:
        """A study that leaves nothing behind, for replays."""
        optuna.logging.set_verbosity(optuna.logging.CRITICAL)
        return cls(None, None, name="replay", space=space, sampler=sampler, seed=seed)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def __enter__(self) -> Search:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def propose(self, assignment: Assignment | None = None) -> Proposal:
        """A new running trial: of the point given (a seed, a member of a race), else of the sampler's choice.

        The sampler may repeat itself: tell it what is known. In the order of the space, it starts again at the end.
        Raises `OutputError` where study.db cannot be written.
        """
        number = len(self._memory.trials())
        if assignment is None and SAMPLERS[self._sampler] is None:
            assignment = self._next_in_order()
        if assignment is None:
            point = self._sample(number)
            running = self._trial(TrialState.RUNNING, point)
            self._on_disk(lambda book: book.create(running))
        else:
            point = dict(assignment)
            if not self._is_point(point):
                raise ValueError(f"{point} is not a point of the space")
            self._add(self._trial(TrialState.RUNNING, point))
        return Proposal(number=number, assignment=point)

    def tell(
        self,
        number: int,
        *,
        value: float | None = None,
        others: Sequence[float] = (),
        constraints: Mapping[str, float] = _NOTHING,
        record: Mapping[str, object] = _NOTHING,
        failure: str | None = None,
    ) -> None:
        """Ends a running trial, see `FinishedTrial`. Raises `OutputError` where study.db cannot be written;
        `reconcile` tells it later."""
        running = {t.number: t for t in self._memory.trials() if not t.state.is_finished()}
        if number not in running:
            raise ValueError(f"trial {number} is not running")
        point = self._decode(running[number])
        self._finish(
            FinishedTrial(
                number=number,
                assignment=point,
                value=value,
                others=tuple(others),
                constraints=constraints,
                record=record,
                failure=failure,
            )
        )

    def reconcile(self, finished: Sequence[FinishedTrial]) -> None:
        """Brings study.db to what the records say, while nothing is running.

        Running trials are told from the records, or fail as interrupted. Trials that study.db lacks are added under
        their numbers, gaps as failures. Raises `RecordError` where the two know different points for a number.
        """
        for trial in sorted(finished, key=lambda t: t.number):
            while (count := len(self._memory.trials())) < trial.number:
                self._add(self._ended(FinishedTrial(number=count, assignment={}, failure=UNRECORDED)))
            if count == trial.number:
                self._add(self._ended(trial))
                continue
            stored = self._memory.trials()[trial.number]
            if stored.params and stored.params != self._encode(trial.assignment):
                message = f"{self._path}: trial {trial.number} is not the one in sessions.jsonl"
                raise RecordError(message, advice=REBUILD)
            if not stored.state.is_finished():
                self._finish(trial)
        for stored in self._memory.trials():
            if not stored.state.is_finished():
                self.tell(stored.number, failure=INTERRUPTED)

    def trials(self) -> list[TrialSummary]:
        """Every trial by number, running ones too."""
        return [
            TrialSummary(
                number=trial.number,
                assignment=self._decode(trial),
                state="running" if not trial.state.is_finished() else "fail" if trial.values is None else "complete",
                value=trial.values[0] if trial.values else None,
                others=tuple(trial.values[1:]) if trial.values else (),
                failure=trial.user_attrs.get("failure"),
                constraints=trial.constraints,
                record=trial.user_attrs.get("record", {}),
            )
            for trial in self._memory.trials()
        ]

    def _is_point(self, point: Assignment) -> bool:
        return point.keys() == self.space.nearest(point).keys()

    def _add(self, trial: FrozenTrial) -> None:
        self._on_disk(lambda book: book.create(trial))
        self._memory.create(trial)

    def _finish(self, trial: FinishedTrial) -> None:
        ended = self._ended(trial)
        self._on_disk(lambda book: book.finish(trial.number, ended))
        self._memory.finish(trial.number, ended)

    def _on_disk(self, write: Callable[[Book], None]) -> None:
        if self._database is not None and self._path is not None:
            with explained(self._path):
                write(self._database)

    def _ended(self, trial: FinishedTrial) -> FrozenTrial:
        failure = {} if trial.failure is None else {"failure": trial.failure}
        return self._trial(
            TrialState.FAIL if failure else TrialState.COMPLETE,
            trial.assignment,
            values=None if trial.value is None else [trial.value, *trial.others],
            constraints=dict(trial.constraints),
            user_attrs={"record": dict(trial.record), **failure},
        )

    def _trial(self, state: TrialState, point: Assignment, **more: Any) -> FrozenTrial:
        distributions = {name: _distribution(self._axes[name]) for name in point}
        return create_trial(state=state, params=self._encode(point), distributions=distributions, **more)

    def _sample(self, number: int) -> dict[str, Value]:
        if not self._is_seeded and (factory := SAMPLERS[self._sampler]):
            # From the number of trials too: a resumed study must not draw the same points again.
            digest = hashlib.sha256(f"{self._seed}:{number}".encode()).digest()
            self._study.sampler = factory(self.space, int.from_bytes(digest[:4]))
            self._is_seeded = True
        trial = self._study.ask()
        point: dict[str, Value] = {}
        for parameter in self.space.parameters:
            if parameter.is_active(point):
                axis = self._axes[parameter.name]
                if parameter.is_ordinal:
                    choice: Value = trial.suggest_int(parameter.name, 0, len(axis.choices) - 1)
                else:
                    choice = trial.suggest_categorical(parameter.name, axis.choices)
                point[parameter.name] = axis.decode(choice)
        return point

    def _next_in_order(self) -> dict[str, Value]:
        tried = (t for t in self._memory.trials() if t.user_attrs.get("failure") != INTERRUPTED)
        asked = Counter(frozenset(t.params.items()) for t in tried)

        def times(point: Assignment) -> int:
            return asked[frozenset(self._encode(point).items())]

        unasked = (point for point in self.space.assignments() if not times(point))
        return next(unasked, None) or min(self.space.assignments(), key=times)

    def _encode(self, point: Assignment) -> dict[str, Any]:
        return {name: self._axes[name].encode(value) for name, value in point.items()}

    def _decode(self, trial: FrozenTrial) -> dict[str, Value]:
        return {name: self._axes[name].decode(choice) for name, choice in trial.params.items()}


def _distribution(axis: Axis) -> BaseDistribution:
    is_ordinal = axis.parameter.is_ordinal
    return IntDistribution(0, len(axis.choices) - 1) if is_ordinal else CategoricalDistribution(axis.choices)
