"""Shows the trials of a search as a person expects them in optuna-dashboard: real values, units, one attribute each.

The search itself has places in the order of a space and log-ratios, which serve its samplers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, create_trial

from tuner.bench.configuration import DeploymentConfig
from tuner.bench.metrics import METRICS, Metric
from tuner.search.encoding import Axis
from tuner.study.space import Parameter, Space

LOG_FROM = 8
"""Ratio of the largest to the smallest value of a parameter from which its axis is logarithmic."""

DASHBOARD_CONSTRAINTS = "constraints"
"""System attribute in which optuna-dashboard (0.21) looks for a list of constraints; Optuna 5 keeps them by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presentation:
    """Returns each trial with real values; a copy, because the search goes on with its own."""

    space: Space
    rows: Sequence[Metric]
    """The objectives, the first one first."""
    levels: Callable[[], Sequence[float]]
    """Returns what the reference measures of each objective: a value of a trial is its ratio times this level."""

    @property
    def names(self) -> list[str]:
        """Names of the objectives, with units."""
        return [row.title for row in self.rows]

    @property
    def directions(self) -> list[Literal["minimize", "maximize"]]:
        """Direction of each objective, as Optuna names it."""
        return ["maximize" if row.is_higher_better else "minimize" for row in self.rows]

    def __call__(self, trial: FrozenTrial) -> FrozenTrial:
        """Returns a trial as it is shown."""
        axes = {p.name: Axis.of(p) for p in self.space.parameters}
        shown = {name: axes[name].decode(choice) for name, choice in trial.params.items()}
        distributions = {name: _distribution(axes[name]) for name in shown}
        excesses = list(trial.constraints.values())
        return create_trial(
            state=trial.state,
            params={name: _choice(axes[name], value) for name, value in shown.items()},
            distributions=distributions,
            values=self._values(trial),
            constraints=dict(trial.constraints),
            user_attrs=self._attributes(trial),
            system_attrs={DASHBOARD_CONSTRAINTS: excesses} if excesses else {},
        )

    def _values(self, trial: FrozenTrial) -> list[float] | None:
        if trial.values is None:
            return None
        triples = zip(self.rows, self.levels(), trial.values, strict=True)
        return [_rounded(level * math.exp(row.sign * value)) for row, level, value in triples]

    def _attributes(self, trial: FrozenTrial) -> dict[str, Any]:
        """Returns the gain, the metrics with units, and what else a person asks; sessions.jsonl has the whole record.

        The dashboard writes an attribute in one line, however long it is.
        """
        record = dict(trial.user_attrs.get("record", {}))
        found: dict[str, Any] = {}
        if trial.values is not None:
            found["gain over the reference (%)"] = round(100 * math.expm1(trial.values[0]), 2)
        if "sd" in record:
            found["standard error of the gain (%)"] = round(100 * float(record["sd"]), 2)
        metrics = record.get("metrics", {})
        for name, value in metrics.items():
            found[f"measured {METRICS[name].title if name in METRICS else name}"] = _rounded(value)
        for name, excess in trial.constraints.items():
            found[f"limit of {name}"] = "kept" if excess <= 0 else f"exceeded by {100 * math.expm1(excess):.0f} %"
        for name in ("phase", "same_as"):
            if name in record:
                found[name.replace("_", " ")] = record[name]
        if "config" in record:
            found["configuration"] = str(DeploymentConfig(**record["config"]))
        return {**found, **{name: value for name, value in trial.user_attrs.items() if name != "record"}}


def _rounded(value: float) -> float:
    """Returns a value with five significant digits, more than a measurement has."""
    return float(f"{value:.5g}")


def _distribution(axis: Axis) -> BaseDistribution:
    """Returns the distribution of the values: numbers have an axis of numbers, everything else is a choice."""
    numbers = _numbers(axis.parameter)
    if not numbers:
        return CategoricalDistribution(axis.choices)
    low, high = numbers[0], numbers[-1]
    is_log = low >= 1 and high / low >= LOG_FROM
    if all(isinstance(value, int) for value in numbers):
        return IntDistribution(int(low), int(high), log=is_log)
    return FloatDistribution(low, high, log=is_log)


def _choice(axis: Axis, value: Any) -> Any:
    return value if _numbers(axis.parameter) else axis.encode(value)


def _numbers(parameter: Parameter) -> Sequence[int | float]:
    """Returns the values of a parameter whose order has a meaning; empty for any other."""
    return [v for v in parameter.values if isinstance(v, int | float)] if parameter.is_ordinal else []
