"""Defines the model of a study file or a best.yaml as plain values. Must not import OpenVINO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """Describes one input of a model."""

    shape: tuple[int, ...] | None = None
    """Shape of one request at batch size 1; None keeps the shape of the model."""
    layout: str | None = None
    """One letter for each dimension; `N` marks the batch axis (`NCHW`)."""
    range: tuple[float, float] = (0.0, 1.0)
    """Range of random data: [low, high) for floats; integers from low to high, both included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """Describes a model and its inputs."""

    path: str
    """Path as it is written: `builtin:mlp`, `package:...`, absolute, or relative to `folder`."""
    folder: Path
    inputs: Mapping[str, InputSpec] = field(default_factory=dict)
    assume_batch_legal: bool = False
    """True if the user vouches that batching is right where the outputs cannot prove it."""
    batch_tolerance: float | None = None
    """Largest difference of a batched result, relative to the output's scale, that the user calls equal."""
    steps: int | None = None
    """Number of inferences after which the state of a request is emptied; None for the default of a stateful model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Describes one thing wrong with a model or with its section of a study file."""

    at: tuple[str, ...]
    """Path of the key below `model` in the study file."""
    message: str
    advice: str = ""
