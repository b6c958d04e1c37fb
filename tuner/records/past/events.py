"""Events about the record of studies: what it suggests to a run, and what a run leaves to it.

Responsible for values. Must not hold sentences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tuner.bench.value import Value
from tuner.records.past.distance import Likeness


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestionSource:
    """The earlier study that a suggestion is from."""

    likeness: Likeness
    study: str
    model: str
    cpu_model: str
    cpus: float
    """CPUs of one replica."""
    ended_unix_s: float
    gain_pct: float
    """Gain of the configuration there."""
    is_proved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A point of the space that a search tries first, and measures like any other."""

    point: Mapping[str, Value]
    source: SuggestionSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggested:
    """Configurations of earlier studies are tried first."""

    sources: tuple[SuggestionSource, ...]
    """Source of each configuration, in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordUnread:
    """The record of studies, or a part of it, cannot be read and suggests nothing."""

    folder: Path
    files: int = 0
    """Number of files that cannot be read; 0 if the folder itself cannot be read."""
    cause: str = ""
    """Reason why the folder cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordKept:
    """The finished study is on record for later ones."""

    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordNotKept:
    """The finished study could not be put on record; its results are complete."""

    folder: Path | None
    """Folder of the record; None for a user without a home."""
    cause: str = ""


RecordEvent = Suggested | RecordUnread | RecordKept | RecordNotKept
"""Something about the record of studies that a user is told."""
