"""Where the trials of a study are kept, in Optuna's terms: in memory for the samplers, in study.db for resuming and for
optuna-dashboard.

Must not know what is proposed, nor what a trial's numbers mean.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from tuner.errors import RecordError
from tuner.study.database import REBUILD
from tuner.study.space import Space

_METRIC_NAMES = "study:metric_names"
"""Where Optuna keeps them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
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


def open_book(storage: RDBStorage, path: Path, *, name: str, space: Space, objectives: Sequence[str] = ()) -> Book:
    """The one study in the file, made where there is none."""
    content = json.dumps([[p.name, p.values, dict(p.when)] for p in space.parameters])
    if not storage.get_all_studies():
        storage.create_new_study([StudyDirection.MAXIMIZE] * max(1, len(objectives)), name)
    studies = storage.get_all_studies()
    book = Book(storage=storage, study_id=studies[0]._study_id)
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
