"""What is fixed on disk before the first session of a confirmation, for one objective and for several.

Knows the two kinds of lines that sessions.jsonl has for it; not what the sessions show.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tuner.bench.protocol import DeploymentConfig
from tuner.study.decision import looks


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationPlan:
    """The members, the size and the error of a confirmation.

    A confirmation of one objective has one member and up to four looks, one of several objectives has the points of a
    front and one look, at its end.
    """

    attempt: int
    reference: str
    """Name of the baseline that is the first member of every session."""
    members: tuple[DeploymentConfig, ...]
    """Configurations that are confirmed, without the reference."""
    names: tuple[str, ...] = ()
    """Names of the members of a front, a baseline's or `trial 12`; empty for one objective."""
    looks: tuple[int, ...]
    """Numbers of sessions after which the evidence is judged, ascending."""
    alpha: float
    """Probability of a false win that the study may spend here, one-sided."""
    pairs: int
    """Number of pairs of windows in a session."""
    window_s: float
    sd_floor: float = 0.0
    """Least standard deviation between sessions (log-ratio) that is assumed: four that agree by luck prove nothing."""

    @property
    def is_front(self) -> bool:
        """True if the study has several objectives."""
        return bool(self.names)

    @property
    def max_sessions(self) -> int:
        """Number of sessions at most."""
        return self.looks[-1]

    def line(self) -> ConfirmationLine | FrontLine:
        """Returns the line that records the plan."""
        if self.is_front:
            return FrontLine(
                round=self.attempt,
                members=self.members,
                names=self.names,
                reference=self.reference,
                sessions=self.max_sessions,
                share=self.alpha,
                pairs=self.pairs,
                window_s=self.window_s,
                sd_floor=self.sd_floor,
            )
        return ConfirmationLine(
            round=self.attempt,
            winner=self.members[0],
            reference=self.reference,
            k_max=self.max_sessions,
            share=self.alpha,
            pairs=self.pairs,
            window_s=self.window_s,
            sd_floor=self.sd_floor,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationLine:
    """The plan of a confirmation of one objective as it is written, see `ConfirmationPlan`."""

    kind: Literal["confirmation"] = "confirmation"
    round: int
    winner: DeploymentConfig
    reference: str
    k_max: int
    share: float
    pairs: int
    window_s: float
    sd_floor: float = 0.0

    def plan(self) -> ConfirmationPlan:
        """Returns the plan that the line records. Raises ValueError for a number of sessions without looks."""
        return ConfirmationPlan(
            attempt=self.round,
            reference=self.reference,
            members=(self.winner,),
            looks=looks(self.k_max),
            alpha=self.share,
            pairs=self.pairs,
            window_s=self.window_s,
            sd_floor=self.sd_floor,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontLine:
    """The plan of a confirmation of several objectives as it is written, see `ConfirmationPlan`."""

    kind: Literal["front"] = "front"
    round: int
    members: tuple[DeploymentConfig, ...]
    names: tuple[str, ...]
    reference: str
    sessions: int
    share: float
    pairs: int
    window_s: float
    sd_floor: float = 0.0

    def plan(self) -> ConfirmationPlan:
        """Returns the plan that the line records."""
        return ConfirmationPlan(
            attempt=self.round,
            reference=self.reference,
            members=self.members,
            names=self.names,
            looks=(self.sessions,),
            alpha=self.share,
            pairs=self.pairs,
            window_s=self.window_s,
            sd_floor=self.sd_floor,
        )
