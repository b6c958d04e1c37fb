"""Values that cross between the search and its caller: plain data, without Optuna and without files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tuner.bench.value import Value
from tuner.study.space import Assignment

TrialStateName = Literal["running", "complete", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A candidate to answer for with `Search.tell`."""

    number: int
    assignment: dict[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer that Optuna is told about a trial: a value with its constraints, or a failure."""

    value: float | None = None
    """Value on the first objective: a log-ratio to the reference, positive is better."""
    others: tuple[float, ...] = ()
    """Values on the objectives after the first."""
    failure: str | None = None
    constraints: Mapping[str, float] = field(default_factory=dict)
    """Metric -> excess over its limit; the limit is kept at 0 and below."""
    record: Mapping[str, object] = field(default_factory=dict)
    """Description of the trial that can be written as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedTrial(Answer):
    """A trial that ended with a value or with a failure.

    Raises ValueError if a trial has both or neither, or a value that is not a finite number.
    """

    number: int
    assignment: Assignment

    def __post_init__(self) -> None:
        if (self.value is None) == (self.failure is None):
            raise ValueError(f"trial {self.number} needs either a value or a failure")
        if self.value is not None and not all(map(math.isfinite, (self.value, *self.others))):
            raise ValueError(f"trial {self.number} has the value {self.value}; what has none is a failure")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSummary(Answer):
    """A trial as the search knows it; `assignment` is empty if no record has it."""

    number: int
    assignment: dict[str, Value]
    state: TrialStateName
