"""Values for what a few inferences on the device show of a model.

Responsible for facts that a user should hear before anything is measured. Must not hold sentences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class StateKept:
    """The model keeps a state from one inference to the next, which each request empties after some steps."""

    variables: tuple[str, ...]
    """Names of the variables of the model."""
    steps: int
    """Number of inferences after which a request empties its state."""
    is_stated: bool
    """True if the study file states `steps`."""
    timed_steps: int
    """Number of steps that were timed: all of them, or as many as take `LONGEST_CONVERSATION_S`."""
    step_s: float
    """Mean seconds of the timed steps."""

    @property
    def is_long(self) -> bool:
        """True if the steps between two resets make every window long."""
        return self.timed_steps < self.steps

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Self:
        """Returns the facts from the fields that crossed a process border."""
        return cls(**{**given, "variables": tuple(given["variables"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeDependsOnData:
    """An inference takes more CPU time on some random inputs than on others."""

    fastest_s: float
    """Seconds on the fastest of the inputs."""
    slowest_s: float
    """Seconds on the slowest of the inputs."""
