"""Does what `tuner record list` and `tuner record clear` ask for. Must not print."""

from __future__ import annotations

from tuner.errors import InputError, OutputError
from tuner.records.past.study_record import Cleared, Recorded, StudyRecord, study_record


def list_record() -> Recorded:
    """Returns every study on record. Raises InputError for a user without a home, OutputError for a folder at fault."""
    record = _record()
    try:
        return record.read()
    except OSError as error:
        raise OutputError(f"cannot read {record.folder}: {error.strerror or error}") from error


def clear_record() -> Cleared:
    """Removes every study from the record. Raises InputError for a user without a home, OutputError otherwise."""
    record = _record()
    try:
        return record.clear()
    except OSError as error:
        raise OutputError(f"cannot remove files from {record.folder}: {error.strerror or error}") from error


def _record() -> StudyRecord:
    record = study_record()
    if record is None:
        raise InputError("this user has no home folder, and so no record", advice="TUNER_RECORD may name a folder")
    return record
