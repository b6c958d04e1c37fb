"""The sentences about the record of studies: what was suggested, what was kept, what could not be.

Responsible for words. Must not read the record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from tuner.records.past.distance import Likeness
from tuner.records.past.events import RecordEvent, RecordKept, RecordNotKept, RecordUnread, Suggested
from tuner.report.words.text import printable

LIKENESS: Mapping[Likeness, str] = {
    Likeness.SAME: "the same model and host",
    Likeness.OTHER_HOST: "the same model on another host",
    Likeness.OTHER_VERSION: "another version of the model",
    Likeness.LIKE: "a model like this one",
}
"""Relation of an earlier study -> its words."""


def _suggested(event: Suggested) -> list[str]:
    counts = Counter((source.likeness, source.study, day(source.ended_unix_s)) for source in event.sources)
    parts = [
        f"{count} of {printable(study)} ({LIKENESS[likeness]}, {day})"
        for (likeness, study, day), count in counts.items()
    ]
    return [
        f"tried first, as suggestions that are measured like any other: {', '.join(parts)}; `--no-record` leaves out "
        "what earlier studies found"
    ]


def _unread(event: RecordUnread) -> list[str]:
    where = printable(str(event.folder))
    if event.files:
        files = "1 file" if event.files == 1 else f"{event.files} files"
        return [
            f"warning: {files} in {where} cannot be read and suggest nothing; `tuner record clear` removes the record"
        ]
    return [f"warning: the record of earlier studies cannot be read and suggests nothing: {where}: {event.cause}"]


def _not_kept(event: RecordNotKept) -> list[str]:
    if event.folder is None:
        why = "this user has no home folder; TUNER_RECORD may name another folder"
    else:
        why = f"{printable(str(event.folder))}: {event.cause}"
    return [f"warning: this study is complete, but not on record for later ones: {why}"]


def day(unix_s: float) -> str:
    """Returns the day (UTC) of a time, whatever the clock was that gave it."""
    try:
        return datetime.fromtimestamp(unix_s, UTC).date().isoformat()
    except (OverflowError, OSError, ValueError):  # a clock that is no clock
        return "some day"


RECORD_WORDS: Mapping[type[RecordEvent], Callable[[Any], list[str]]] = {
    Suggested: _suggested,
    RecordUnread: _unread,
    RecordKept: lambda event: [f"on record for later studies: {printable(str(event.folder))}"],
    RecordNotKept: _not_kept,
}
"""Event -> what is told of it."""
