"""Finds points to try first that were good before: that of a best.yaml, and those of earlier studies on record.

What was suggested is in the results folder before the first session (suggestions.json), and a study that goes on is
suggested the same. Suggestions say what is tried first, and never what is concluded.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from tuner.bench.own_parameters import OWN_PARAMETERS
from tuner.bench.value import Value
from tuner.deploy.best_file import load_best
from tuner.outcome.past_study import BEST_FEW
from tuner.phases.progress import Event, WarmStarted
from tuner.records.folder import write_text
from tuner.records.past.distance import Likeness, nearness, scaled
from tuner.records.past.events import RecordUnread, Suggested, Suggestion, SuggestionSource
from tuner.records.past.past_study import Circumstances, PastStudy, settings_from_json
from tuner.records.past.study_record import StudyRecord, study_record
from tuner.records.session_log import Log
from tuner.search.seeds import merged, warm_seed
from tuner.study.setup import StudySetup
from tuner.study.space import Space, is_same

FILE = "suggestions.json"
"""Name of the file in a results folder; a study without suggestions has none."""

SUGGESTED = BEST_FEW
"""Number of configurations that the record suggests at most: more would take the time of a short search."""


def suggested(
    setup: StudySetup,
    log: Log,
    about: Circumstances,
    tell: Callable[[Event], None],
    *,
    folder: Path,
    has_record: bool,
    may_write: bool,
) -> StudySetup:
    """Returns the setup with what earlier studies found among its seeds: no point twice, in turns with the others.

    A study with a session on record is suggested what it was at its beginning. `folder` is its results folder, which is
    written to if `may_write`; without `has_record` a new study is suggested nothing. Raises OutputError if the folder
    cannot be written. A record of studies that cannot be read only suggests nothing.
    """
    if log.all_sessions():
        points = _read(folder, setup.space)
    else:
        record = study_record() if has_record else None
        found = [] if record is None else _nearest(setup.space, about, record, tell)
        points = [dict(suggestion.point) for suggestion in found]
        if may_write:
            _write(folder, found)
        if found:
            tell(Suggested(sources=tuple(suggestion.source for suggestion in found)))
    return replace(setup, seeds=merged([points, [dict(point) for point in setup.seeds]])) if points else setup


def warmed(setup: StudySetup, path: Path | None, digest: str, tell: Callable[[Event], None]) -> StudySetup:
    """Returns the setup with what an earlier best.yaml deploys as its first seed; as it is without a file.

    `digest` is the sha256 of the model. Raises BestFileError.
    """
    if path is None:
        return setup
    earlier = load_best(path)
    given = {**earlier.properties, **{name: getattr(earlier, name) for name in OWN_PARAMETERS}}
    seed = warm_seed(setup.space, given)
    # The pinned precision is no choice of the space, and every candidate has it.
    differing = tuple(name for name, value in given.items() if name in seed and not is_same(seed[name], value))
    is_other = earlier.model.sha256 != digest
    tell(WarmStarted(source=str(earlier.source), differing=differing, is_other_model=is_other))
    return replace(setup, seeds=merged([[seed], [dict(point) for point in setup.seeds]]))


def _nearest(
    space: Space, about: Circumstances, record: StudyRecord, tell: Callable[[Event], None]
) -> list[Suggestion]:
    """Returns the best of each of the nearest studies in turns, as points of this space that differ."""
    try:
        recorded = record.read()
    except OSError as error:
        tell(RecordUnread(folder=record.folder, cause=error.strerror or str(error)))
        return []
    if recorded.unread:
        tell(RecordUnread(folder=record.folder, files=len(recorded.unread)))
    near = [(found, study) for study in recorded.studies if study.best and (found := nearness(about, study.about))]
    near.sort(key=lambda pair: pair[0].distance)  # of equals the newest, which is read first
    lists = [_suggestions(space, about, study, found.likeness) for found, study in near[:SUGGESTED]]
    several: dict[str, Suggestion] = {}
    for one in (one for turn in zip_longest(*lists) for one in turn if one is not None):
        several.setdefault(json.dumps(one.point), one)  # as JSON text, which keeps 1 and true apart
    return [*several.values()][:SUGGESTED]


def _suggestions(space: Space, mine: Circumstances, study: PastStudy, likeness: Likeness) -> list[Suggestion]:
    past = study.about
    return [
        Suggestion(
            point=warm_seed(space, scaled(one.settings, from_cpus=past.cpus, to_cpus=mine.cpus)),
            source=SuggestionSource(
                likeness=likeness,
                study=study.name,
                model=past.model.name,
                cpu_model=past.cpu_model,
                cpus=past.cpus,
                ended_unix_s=study.ended_unix_s,
                gain_pct=one.gain_pct,
                is_proved=one.is_proved,
            ),
        )
        for one in study.best
    ]


def _write(folder: Path, found: list[Suggestion]) -> None:
    """Writes the suggestions of a study that begins, in place of those of one that was never measured."""
    if not found:
        (folder / FILE).unlink(missing_ok=True)
        return
    content = {"schema_version": 1, "suggestions": [asdict(suggestion) for suggestion in found]}
    write_text(folder / FILE, json.dumps(content, indent=1) + "\n")


def _read(folder: Path, space: Space) -> list[dict[str, Value]]:
    """Returns the points of the file; none if it is missing or damaged."""
    try:
        content: Any = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return [space.nearest(settings_from_json(one["point"])) for one in content["suggestions"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
