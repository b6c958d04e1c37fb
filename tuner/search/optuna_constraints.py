"""Keeps the constraints of a trial in the form that the installed Optuna has for them.

Optuna 5 has one system attribute for each constraint, by name. Optuna 4 has one list, which only a sampler with a
`constraints_func` reads; the names stand beside it as in Optuna 5. Must not know what a constraint means.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from optuna.trial import FrozenTrial, Trial

KEY = "constraints"
"""System attribute of Optuna 4, and with `:NAME` behind it that of Optuna 5."""

IS_NAMED = hasattr(Trial, "set_constraint")
"""True if the installed Optuna knows constraints by name, as Optuna 5 does."""


def attributes_of(constraints: Mapping[str, float]) -> dict[str, Any]:
    """Returns the system attributes of constraints; a value of at most 0 is feasible."""
    named = {f"{KEY}:{name}": value for name, value in constraints.items()}
    return named if IS_NAMED else {**named, KEY: list(constraints.values())}


def set_constraints(trial: Trial, constraints: Mapping[str, float]) -> None:
    """Sets the constraints of a running trial, before it is told."""
    if IS_NAMED:
        for name, value in constraints.items():
            trial.set_constraint(name, value)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # deprecated in Optuna 4, which has nothing else
        for key, content in attributes_of(constraints).items():
            trial.set_system_attr(key, content)  # type: ignore[attr-defined]


def constraints_of(trial: FrozenTrial) -> dict[str, float]:
    """Returns the constraints of a trial by name."""
    prefix = f"{KEY}:"
    return {key.removeprefix(prefix): value for key, value in trial.system_attrs.items() if key.startswith(prefix)}


def tpe_options() -> dict[str, Any]:
    """Returns the arguments with which Optuna's TPE heeds constraints."""
    return {} if IS_NAMED else {"constraints_func": lambda trial: trial.system_attrs.get(KEY, ())}
