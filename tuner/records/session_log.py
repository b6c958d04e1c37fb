"""sessions.jsonl: the append-only evidence of a study and its only source of truth. Every line is one fact.

Responsible for writing, syncing and reading lines. Must not know their meaning for the search.
"""

from __future__ import annotations

import enum
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, TypeAdapter, ValidationError

from tuner.bench.configuration import PropertyValue
from tuner.bench.measurement import Session
from tuner.bench.protocol import Phase
from tuner.errors import OutputError, RecordError, full_disk_advice
from tuner.records.confirmation_plan import ConfirmationLine, ConfirmationPlan, FrontLine, name_on_disk
from tuner.study.setup import KnownNoise

SCHEMA_VERSION = 1
"""Version of sessions.jsonl."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderLine:
    """The first line of every file."""

    kind: Literal["header"] = "header"
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLine:
    """One session; `trials` and `assignments` are parallel to `session.configurations` and None for baselines."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"alias_generator": name_on_disk}

    kind: Literal["session"] = "session"
    phase: Phase
    attempt: int
    """Number of the attempt: 1 until the first verdict, then one more for each further one."""
    index_in_phase: int
    """Number of sessions of the same phase and attempt before it."""
    trials: tuple[int | None, ...]
    assignments: tuple[Mapping[str, PropertyValue | None] | None, ...]
    session: Session
    duplicates: int = 0
    """Number of proposals that were answered without a session before this session of a search; 0 is not written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationLine:
    """The end of the calibration, which fixes the noise that the study is planned with."""

    kind: Literal["calibration"] = "calibration"
    known: KnownNoise | None
    """Noise that an earlier study of the last day found."""
    session_sd: float
    """Standard deviation between sessions (log-ratio)."""
    session_df: int
    """Number of A/A values of this study that `session_sd` rests on."""
    provable_gain_pct: float
    """Smallest gain (%) that the budget can prove with a probability of 80 %."""


class Reason(enum.StrEnum):
    """Reason of a verdict, as the record has it."""

    PROVED = ""
    FIRST_FEASIBLE = "first_feasible"
    """A configuration keeps the limits, which no baseline does; no gain is claimed."""
    CONSTRAINT = "constraint"
    """No configuration is shown to keep the limits."""
    UNSTABLE = "unstable"
    """The winner of the final failed in fresh processes."""
    FUTILE = "futile"
    """No configuration that was tried gains enough to matter."""
    NOT_SIGNIFICANT = "not_significant"
    """The gain may be noise."""
    KNEE = "knee"
    """The knee of the front is a baseline, beside which points are proved."""
    FAILED = "failed"
    """Every configuration failed."""

    @property
    def is_tuned(self) -> bool:
        """True if the verdict deploys a candidate."""
        return self in (Reason.PROVED, Reason.FIRST_FEASIBLE)


class Answer(enum.StrEnum):
    """Advice that a verdict gives to the application."""

    SETTINGS = "settings"
    """Deploy the candidate."""
    HINT = "hint"
    """Deploy the strongest baseline, which is shown to be better than today's."""
    NOTHING = "nothing"
    """Change nothing: today's baseline stays."""
    NONE = "none"
    """No configuration is an answer: none keeps the limits, or every candidate failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictLine:
    """The end of an attempt."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"alias_generator": name_on_disk}

    kind: Literal["verdict"] = "verdict"
    attempt: int
    verdict: Literal["tuned", "baseline"]
    reason: Reason
    detail: str
    """Sentence for a user with the evidence behind `reason`."""
    minutes: float | None
    """Minutes of the budget that led here."""
    trials: int | None
    """Number of trials of the budget that led here; with a larger budget the search goes on."""
    duplicates: int = 0
    """Number of proposals that were answered without a session."""
    answer: Annotated[Answer | None, Field(exclude_if=lambda answer: answer is None)] = None
    """Advice; None for several objectives, and in files of earlier versions."""


Line = HeaderLine | SessionLine | CalibrationLine | ConfirmationLine | FrontLine | VerdictLine

_ADAPTER: TypeAdapter[Line] = TypeAdapter(Annotated[Line, Field(discriminator="kind")])


@dataclass(slots=True)
class Log:
    """The lines of one study, in memory and on disk. `append` returns once the line is on the disk."""

    path: Path | None
    """File of the lines; None keeps them in memory alone, as replays do."""
    lines: list[Line] = field(default_factory=list)
    dropped_torn_line: bool = False
    sync: Callable[[int], None] = os.fsync
    """Returns once what was written to a file descriptor is on the disk."""
    _size: int = 0

    def __iter__(self) -> Iterator[Line]:
        return iter(self.lines)

    def append(self, line: Line) -> None:
        """Writes and syncs a line. Raises OutputError, after which the file is as before."""
        if self.path is not None:
            self._write(self.path, line)
        self.lines.append(line)

    def _write(self, path: Path, line: Line) -> None:
        left_out = {"duplicates"} if isinstance(line, SessionLine) and line.duplicates == 0 else None
        data = _ADAPTER.dump_json(line, by_alias=True, exclude=left_out) + b"\n"
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                # The rest of a torn line may be longer than the line to come.
                os.ftruncate(fd, self._size)
                os.lseek(fd, self._size, os.SEEK_SET)
                try:
                    rest = data
                    while rest:
                        rest = rest[os.write(fd, rest) :]
                    self.sync(fd)
                except OSError:
                    os.ftruncate(fd, self._size)
                    raise
            finally:
                os.close(fd)
        except OSError as error:
            raise OutputError(
                f"cannot write {path}: {error.strerror or error}", advice=full_disk_advice(error)
            ) from error
        self._size += len(data)

    def sessions(self, *phases: Phase, attempt: int | None = None) -> list[SessionLine]:
        """Returns the sessions of these phases, of all attempts or of one."""
        return [line for line in self.all_sessions() if line.phase in phases and attempt in (None, line.attempt)]

    def all_sessions(self) -> list[SessionLine]:
        """Returns the sessions of all phases."""
        return [line for line in self.lines if isinstance(line, SessionLine)]

    def spent_s(self) -> float:
        """Returns the seconds of all sessions; a killed session is not on record and cost nothing."""
        return sum(line.session.wall_s for line in self.all_sessions())

    def winners_before(self, attempt: int) -> int:
        """Returns the number of earlier attempts that confirmed candidates: each has spent its part of alpha."""
        return len({plan.attempt for plan in self._confirmations() if plan.attempt < attempt and plan.members})

    def baselines_alone_before(self, attempt: int) -> int:
        """Returns the number of attempts since the last winner that confirmed baselines alone."""
        earlier = {plan.attempt: bool(plan.members) for plan in self._confirmations() if plan.attempt < attempt}
        last = max((number for number, has_members in earlier.items() if has_members), default=0)
        return sum(number > last for number in earlier)

    def calibration(self) -> CalibrationLine | None:
        """Returns the end of the calibration; None before it."""
        return next((line for line in self.lines if isinstance(line, CalibrationLine)), None)

    def duplicates(self) -> int:
        """Returns the number of proposals that were answered without a session."""
        return max((line.duplicates for line in self.lines if isinstance(line, SessionLine | VerdictLine)), default=0)

    def verdicts(self) -> list[VerdictLine]:
        """Returns the verdicts of all attempts that ended."""
        return [line for line in self.lines if isinstance(line, VerdictLine)]

    def confirmation(self, attempt: int) -> ConfirmationPlan | None:
        """Returns the plan of an attempt's confirmation; None if none was opened."""
        return next((plan for plan in reversed(self._confirmations()) if plan.attempt == attempt), None)

    def _confirmations(self) -> list[ConfirmationPlan]:
        return [line for line in self.lines if isinstance(line, ConfirmationLine | FrontLine)]


def open_log(path: Path, *, sync: Callable[[int], None] = os.fsync) -> Log:
    """Reads a log to append to; a file that does not exist is an empty log.

    A torn last line, as `kill -9` leaves it, is dropped, and overwritten by the next append. Raises RecordError for
    damage anywhere else and for newer files.
    """
    log = read_log(path)
    log.sync = sync
    if not log.lines:
        log.append(HeaderLine())
    return log


def read_log(path: Path) -> Log:
    """Reads a log as `open_log` does, and leaves the file as it is."""
    log = Log(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return log
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror}") from error
    pieces = data.split(b"\n")
    log.dropped_torn_line = bool(pieces.pop())
    for number, piece in enumerate(pieces, start=1):
        _refuse_newer(path, piece)
        try:
            log.lines.append(_ADAPTER.validate_json(piece))
        except ValidationError as error:
            raise RecordError(
                f"{path}:{number}: damaged: {error.errors()[0]['msg']}",
                advice="tuner run --fresh moves these results aside and starts anew",
            ) from error
        log._size += len(piece) + 1
    return log


def _refuse_newer(path: Path, piece: bytes) -> None:
    if not piece.startswith(b'{"kind":"header"'):
        return
    try:
        version = json.loads(piece)["schema_version"]
    except (ValueError, KeyError):
        return
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise RecordError(
            f"{path}: written by a newer tuner (schema {version}, this one reads {SCHEMA_VERSION})",
            advice="update tuner, or use tuner run --fresh to move these results aside",
        )
