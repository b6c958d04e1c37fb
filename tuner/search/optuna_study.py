"""Wraps Optuna's study in plain values: it is asked for points of the space and told their values.

The study lives in memory and is rebuilt from sessions.jsonl at every start; study.db is a mirror of it. Must not know
how a candidate is measured, what its numbers mean, or which one is best. `study_database.py` alone uses Optuna too.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from tuner.bench.value import Value
from tuner.search.database.study_database import StudyDatabase
from tuner.search.encoding import Axis
from tuner.search.optuna_constraints import attributes_of, constraints_of, set_constraints, tpe_options
from tuner.study.space import Assignment, Space
from tuner.study.study import SamplerName
from tuner.study.trial import FinishedTrial, Proposal, TrialSummary

__all__ = ["SAMPLERS", "UNRECORDED", "FinishedTrial", "Proposal", "Search", "StrategySampler", "TrialSummary"]

UNRECORDED = "not in sessions.jsonl"
"""Failure of a trial whose number no session has.

Most of these trials were answered from what was known, and such answers are not in sessions.jsonl.
"""

_NOTHING: Mapping[str, Any] = MappingProxyType({})


def _tpe(space: Space, seed: int) -> BaseSampler:
    is_conditional = any(p.when for p in space.parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # `group`, and in Optuna 4 every argument but the seed
        return TPESampler(seed=seed, multivariate=True, constant_liar=True, group=is_conditional, **tpe_options())


SAMPLERS: Mapping[SamplerName, Callable[[Space, int], BaseSampler]] = {
    "tpe": _tpe,
    "random": lambda _, seed: RandomSampler(seed=seed),
}
"""Name -> function of a space and a seed that makes Optuna's sampler.

TPE also serves the strategies that choose by themselves, in a space that is too large to be listed.
"""

IN_ORDER: SamplerName = "grid"
"""Name that takes the points in the order of the space."""


class Search:
    """One study in memory, which proposes points and is told their values; for one process and one thread."""

    def __init__(
        self,
        *,
        space: Space,
        sampler: SamplerName,
        seed: int,
        metrics: int = 1,
        database: StudyDatabase | None = None,
    ) -> None:
        """Makes a study without trials, which `restore` fills and mirrors in `database`.

        `metrics` is the number of values of each trial, all of which are maximized.
        """
        optuna.logging.set_verbosity(optuna.logging.CRITICAL)
        self.space = space
        self.duplicates = 0
        """Number of proposals that were answered from what was known."""
        self._name = sampler
        self._seed = seed
        self._database = database
        self._written = 0
        self._axes = {p.name: Axis.of(p) for p in space.parameters}
        self._sampler = StrategySampler()
        self._study: Study = optuna.create_study(directions=["maximize"] * metrics, sampler=self._sampler)
        self._running: dict[int, Trial] = {}

    def close(self) -> None:
        """Closes study.db."""
        if self._database is not None:
            self._database.close()

    def __enter__(self) -> Search:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def restore(self, finished: Sequence[FinishedTrial], *, duplicates: int = 0) -> None:
        """Fills the empty study with the recorded trials, then writes study.db.

        Trials keep their numbers: a number without a record becomes a trial that failed as `UNRECORDED`.
        """
        self.duplicates = duplicates
        known = {trial.number: trial for trial in finished}
        for number in range(max(known, default=-1) + 1):
            missing = FinishedTrial(number=number, assignment={}, failure=UNRECORDED)
            self._study.add_trial(self._frozen(known.get(number, missing)))
        if self._database is not None:
            self._database.renew(self._trials())
        self._written = len(self._trials())

    def propose(self, assignment: Assignment | None = None) -> Proposal:
        """Returns a new running trial of the given point, or of the point that the sampler chooses.

        A sampler may choose a point again; the order of the space starts again at its end. Raises `ValueError` if the
        assignment is not a point of the space.
        """
        if assignment is None and self._name == IN_ORDER:
            assignment = self._next_in_order()
        if assignment is not None and not self._is_point(assignment):
            raise ValueError(f"{assignment} is not a point of the space")
        self._sampler.chosen = None if assignment is None else self._encode(assignment)
        if assignment is None and self._sampler.sampled is None:
            # From the number of trials too: a resumed study must not draw the same points again.
            digest = hashlib.sha256(f"{self._seed}:{len(self._trials())}".encode()).digest()
            self._sampler.sampled = SAMPLERS.get(self._name, _tpe)(self.space, int.from_bytes(digest[:4]))
        trial = self._study.ask()
        self._running[trial.number] = trial
        return Proposal(number=trial.number, assignment=self._suggested(trial))

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
        """Ends a running trial, see `FinishedTrial`. Raises `ValueError` if no trial of the number is running."""
        if number not in self._running:
            raise ValueError(f"trial {number} is not running")
        trial = self._running[number]
        ended = FinishedTrial(
            number=number,
            assignment=self._decode(trial.params),
            value=value,
            others=tuple(others),
            constraints=constraints,
            record=record,
            failure=failure,
        )
        set_constraints(trial, ended.constraints)
        for key, content in _attributes(ended).items():
            trial.set_user_attr(key, content)
        self._study.tell(trial, _values(ended), state=_state(ended))
        del self._running[number]
        self._write()

    def trials(self) -> list[TrialSummary]:
        """Returns every trial by number, running ones too."""
        return [
            TrialSummary(
                number=trial.number,
                assignment=self._decode(trial.params),
                state="running" if not trial.state.is_finished() else "fail" if trial.values is None else "complete",
                value=trial.values[0] if trial.values else None,
                others=tuple(trial.values[1:]) if trial.values else (),
                failure=trial.user_attrs.get("failure"),
                constraints=constraints_of(trial),
                record=trial.user_attrs.get("record", {}),
            )
            for trial in self._trials()
        ]

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _is_point(self, point: Assignment) -> bool:
        return point.keys() == self.space.nearest(point).keys()

    def _write(self) -> None:
        """Mirrors the trials up to the first that is running: study.db numbers them in the order of writing."""
        for trial in self._trials()[self._written :]:
            if not trial.state.is_finished():
                return
            if self._database is not None:
                self._database.add(trial)
            self._written += 1

    def _frozen(self, trial: FinishedTrial) -> FrozenTrial:
        return create_trial(
            state=_state(trial),
            params=self._encode(trial.assignment),
            distributions={name: _distribution(self._axes[name]) for name in trial.assignment},
            values=_values(trial),
            system_attrs=attributes_of(trial.constraints),
            user_attrs=_attributes(trial),
        )

    def _suggested(self, trial: Trial) -> dict[str, Value]:
        """Returns the point of a trial; a parameter's condition follows from the parameters before it."""
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
        asked = Counter(frozenset(t.params.items()) for t in self._trials())

        def times(point: Assignment) -> int:
            return asked[frozenset(self._encode(point).items())]

        unasked = (point for point in self.space.assignments() if not times(point))
        return next(unasked, None) or min(self.space.assignments(), key=times)

    def _encode(self, point: Assignment) -> dict[str, Any]:
        return {name: self._axes[name].encode(value) for name, value in point.items()}

    def _decode(self, params: Mapping[str, Any]) -> dict[str, Value]:
        return {name: self._axes[name].decode(choice) for name, choice in params.items()}


class StrategySampler(BaseSampler):
    """A sampler that answers with the point of a strategy, or else with the point of another sampler."""

    def __init__(self) -> None:
        self.chosen: Mapping[str, Any] | None = None
        """Parameters of the trial to come, as Optuna has them."""
        self.sampled: BaseSampler | None = None
        """Sampler that is asked if no point was chosen; it neither sees nor draws anything for a chosen point."""

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Prepares the other sampler, if it is asked."""
        if self.chosen is None and self.sampled is not None:
            self.sampled.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Returns the parameters that the other sampler draws together; none for a chosen point."""
        if self.chosen is not None or self.sampled is None:
            return {}
        return self.sampled.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Returns the values that the other sampler draws together; none for a chosen point."""
        if self.chosen is not None or self.sampled is None:
            return {}
        return self.sampled.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Returns the chosen value of a parameter, or the value that the other sampler draws."""
        if self.chosen is not None:
            return self.chosen[param_name]
        assert self.sampled is not None
        return self.sampled.sample_independent(study, trial, param_name, param_distribution)


def _state(trial: FinishedTrial) -> TrialState:
    return TrialState.COMPLETE if trial.failure is None else TrialState.FAIL


def _values(trial: FinishedTrial) -> list[float] | None:
    return None if trial.value is None else [trial.value, *trial.others]


def _attributes(trial: FinishedTrial) -> dict[str, Any]:
    """Returns the attributes of a trial beside its values; `record` can be written as JSON."""
    failure = {} if trial.failure is None else {"failure": trial.failure}
    return {"record": dict(trial.record), **failure}


def _distribution(axis: Axis) -> BaseDistribution:
    is_ordinal = axis.parameter.is_ordinal
    return IntDistribution(0, len(axis.choices) - 1) if is_ordinal else CategoricalDistribution(axis.choices)
