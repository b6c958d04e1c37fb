"""The plan of a confirmation, which is on disk before its first session, for one objective and for several.

Responsible for the two kinds of lines that sessions.jsonl has for it. Must not know results of sessions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from tuner.bench.configuration import DeploymentConfig
from tuner.statistics.sequential_test import looks

ON_DISK = {"attempt": "round", "index_in_phase": "step", "max_sessions": "k_max", "alpha": "share"}
"""Field of a line -> its key in sessions.jsonl, if the two differ: files of every version have these keys."""


def name_on_disk(field: str) -> str:
    """Returns the key of a line's field in sessions.jsonl."""
    return ON_DISK.get(field, field)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationLine:
    """The plan of a confirmation of one objective: one member, and up to four looks."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"alias_generator": name_on_disk}

    kind: Literal["confirmation"] = "confirmation"
    attempt: int
    """Number of the attempt."""
    winner: DeploymentConfig | None
    """Candidate that is confirmed; None if none is worth it, and the baselines alone are."""
    reference: str
    """Name of the baseline that is the first member of every session."""
    max_sessions: int
    """Number of sessions at the last look."""
    alpha: float
    """Probability of a false positive that the study may spend here, one-sided."""
    pairs: int
    """Number of pairs of windows in a session."""
    window_s: float
    """Length of a window (s)."""
    sd_floor: float = 0.0
    """Least standard deviation between sessions (log-ratio) that is assumed: four that agree by luck prove nothing."""
    today: Annotated[str | None, Field(exclude_if=lambda name: name is None)] = None
    """Baseline that runs today; None if it failed, and in files of earlier versions."""
    baselines: Annotated[tuple[str, ...], Field(exclude_if=lambda names: not names)] = ()
    """Further baselines, the last members of every session: today's, if it is not the reference, and weaker ones."""

    @property
    def claims_baseline(self) -> bool:
        """True if the reference is to be shown to be better than today's baseline."""
        return self.today is not None and self.today in self.baselines

    @property
    def is_front(self) -> bool:
        """False: the study has one objective."""
        return False

    @property
    def members(self) -> tuple[DeploymentConfig, ...]:
        """Candidates that are confirmed: one, or none."""
        return () if self.winner is None else (self.winner,)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the members: one winner has none."""
        return ()

    @property
    def looks(self) -> tuple[int, ...]:
        """Numbers of sessions at each look. Raises ValueError unless `max_sessions` is 4, 6, 9 or 12."""
        return looks(self.max_sessions)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontLine:
    """The plan of a confirmation of several objectives: the points of a front, and one look at the end."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"alias_generator": name_on_disk}

    kind: Literal["front"] = "front"
    attempt: int
    """Number of the attempt."""
    members: tuple[DeploymentConfig, ...]
    """Configurations that are confirmed, without the reference, which is the first of each session."""
    names: tuple[str, ...]
    """Name of each member, a baseline's or `trial 12`."""
    reference: str
    """Name of the baseline that is the first member of every session."""
    sessions: int
    alpha: float
    """Probability of a false positive that the study may spend here, one-sided."""
    pairs: int
    """Number of pairs of windows in a session."""
    window_s: float
    """Length of a window (s)."""
    sd_floor: float = 0.0
    """Least standard deviation between sessions (log-ratio) that is assumed."""

    @property
    def is_front(self) -> bool:
        """True: the study has several objectives."""
        return True

    @property
    def baselines(self) -> tuple[str, ...]:
        """Names of members that are no points: none."""
        return ()

    @property
    def claims_baseline(self) -> bool:
        """False: baselines are points of the front."""
        return False

    @property
    def looks(self) -> tuple[int, ...]:
        """Number of sessions at the only look: all of them."""
        return (self.sessions,)


ConfirmationPlan = ConfirmationLine | FrontLine
"""The members, the size and the alpha of a confirmation."""
