"""What to try next, asked of Optuna: the only use of it in the project, behind plain values.

Must not know how a candidate is measured, what its numbers mean, or which candidate wins.

A study lives twice. Samplers read it in memory; study.db is written beside it, for resuming and for optuna-dashboard:
asking and telling through SQLite alone takes twice the statements, and they cost more than sampling. The source of
truth is neither of them but sessions.jsonl, see `Search.reconcile`.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.pool import StaticPool

from tuner.errors import RecordError, TunerError
from tuner.study.axis import Axis
from tuner.study.database import REBUILD, connect, explained
from tuner.study.space import Assignment, Space, Value
from tuner.study.study import SamplerName
from tuner.study.trial import FinishedTrial, Proposal, TrialSummary

__all__ = ["INTERRUPTED", "SAMPLERS", "UNRECORDED", "FinishedTrial", "Proposal", "Search", "TrialSummary"]

INTERRUPTED = "interrupted"
UNRECORDED = "not in sessions.jsonl"

_METRIC_NAMES = "study:metric_names"
"""Where Optuna keeps them."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Book:
    """One of the two places where the trials are kept."""

    storage: BaseStorage
    study_id: int

    def trials(self) -> list[FrozenTrial]:
        return self.storage.get_all_trials(self.study_id, deepcopy=False)

    def create(self, trial: FrozenTrial) -> None:
        self.storage.create_new_trial(self.study_id, template_trial=trial)

    def finish(self, number: int, trial: FrozenTrial) -> None:
        """`Study.tell` without its six reads; the state comes last: until then the trial is running."""
        trial_id = self.storage.get_trial_id_from_study_id_trial_number(self.study_id, number)
        for key, value in trial.system_attrs.items():
            self.storage.set_trial_system_attr(trial_id, key, value)
        for key, value in trial.user_attrs.items():
            self.storage.set_trial_user_attr(trial_id, key, value)
        self.storage.set_trial_state_values(trial_id, trial.state, trial.values)


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
        self._memory = _Book(storage=memory, study_id=memory.get_study_id_from_name(name))
        self._database: _Book | None = None
        if connection is None or path is None:
            return
        # One connection, ours: its pragmas hold, and it is closed even where Optuna refuses the file.
        settings = {"creator": lambda: connection, "poolclass": StaticPool}
        storage = RDBStorage("sqlite:///study.db", settings)
        self._database = _database_book(storage, path, name=name, space=space, objectives=objectives)
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

    def _on_disk(self, write: Callable[[_Book], None]) -> None:
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


def _database_book(
    storage: RDBStorage, path: Path, *, name: str, space: Space, objectives: Sequence[str] = ()
) -> _Book:
    """The one study in the file, made where there is none."""
    content = json.dumps([[p.name, p.values, dict(p.when)] for p in space.parameters])
    if not storage.get_all_studies():
        storage.create_new_study([StudyDirection.MAXIMIZE] * max(1, len(objectives)), name)
    studies = storage.get_all_studies()
    book = _Book(storage=storage, study_id=studies[0]._study_id)
    # Killed before the space was written, a study has no trials either.
    known = studies[0].user_attrs.get("space", "" if book.trials() else content)
    is_known = [study.study_name for study in studies] == [name] and known == content
    if not is_known or len(studies[0].directions) != max(1, len(objectives)):
        raise RecordError(f"{path} belongs to another study or another space", advice=REBUILD)
    if "space" not in studies[0].user_attrs:
        storage.set_study_user_attr(book.study_id, "space", content)
        if objectives:
            # What `Study.set_metric_names` writes: optuna-dashboard labels its axes with them.
            storage.set_study_system_attr(book.study_id, _METRIC_NAMES, list(objectives))
    return book
