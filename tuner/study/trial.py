"""The values that cross between the search and its caller. Plain data; knows neither Optuna nor files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tuner.study.space import Assignment, Value

TrialStateName = Literal["running", "complete", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One candidate to answer for, by its number, with `Search.tell`."""

    number: int
    assignment: dict[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedTrial:
    """What the records know of one trial: a `value` (log-ratio to the reference, positive is better) or a `failure`.
    `others` are the values on the objectives after the first, where a study has several.

    A constraint is kept where it is <= 0; `record` can be written as JSON. Raises `ValueError` where there is not
    exactly one of the two, or the value is not a finite number.
    """

    number: int
    assignment: Assignment
    value: float | None = None
    constraints: Mapping[str, float] = field(default_factory=dict)
    record: Mapping[str, object] = field(default_factory=dict)
    failure: str | None = None
    others: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if (self.value is None) == (self.failure is None):
            raise ValueError(f"trial {self.number} needs either a value or a failure")
        if self.value is not None and not all(map(math.isfinite, (self.value, *self.others))):
            raise ValueError(f"trial {self.number} has the value {self.value}; what has none is a failure")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSummary:
    """One trial as study.db has it. `assignment` is empty where nobody knows it any more."""

    number: int
    assignment: dict[str, Value]
    state: TrialStateName
    value: float | None
    failure: str | None
    constraints: Mapping[str, float]
    record: Mapping[str, object]
    others: tuple[float, ...] = ()
