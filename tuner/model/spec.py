"""What a study file or a best.yaml says of its model: plain values, no OpenVINO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """One input of the model. `shape` is for one request at batch size 1; None keeps the model's own."""

    shape: tuple[int, ...] | None = None
    layout: str | None = None
    """One letter a dimension, `N` marks the batch axis (`NCHW`)."""
    range: tuple[float, float] = (0.0, 1.0)
    """Random data: [low, high) for floats; integers from low to high, both included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A model and how to feed it.

    `path` is as written: `builtin:mlp`, `package:...`, absolute, or relative to `folder`.
    """

    path: str
    folder: Path
    inputs: Mapping[str, InputSpec] = field(default_factory=dict)
    assume_batch_legal: bool = False
