"""Puts a finished study on the record for later ones; what goes wrong there never harms the study."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tuner.decision.result import Result
from tuner.evidence.state import StudyState
from tuner.outcome.past_study import past_study
from tuner.records.identity import read_environment
from tuner.records.past.events import RecordKept, RecordNotKept
from tuner.records.past.past_study import Circumstances
from tuner.records.past.study_record import study_record


def keep_study(state: StudyState, result: Result, about: Circumstances, folder: Path) -> RecordKept | RecordNotKept:
    """Writes the study of a results folder to the record of this user, and returns the event that says so.

    The study's identity in environment.json is its key: a larger budget replaces what a smaller one found.
    """
    record = study_record()
    if record is None:
        return RecordNotKept(folder=None)
    identity = json.dumps(read_environment(folder)["identity"], sort_keys=True)
    key = hashlib.sha256(identity.encode()).hexdigest()[:16]
    try:
        record.keep(past_study(state, result, about, key))
    except OSError as error:
        return RecordNotKept(folder=record.folder, cause=error.strerror or str(error))
    return RecordKept(folder=record.folder)
