"""Tries a best.yaml here, as `tuner apply` does. Must not print."""

from __future__ import annotations

from pathlib import Path

from tuner.deploy.apply import Applied, apply_best


def apply_file(path: Path, *, strict: bool) -> Applied:
    """Returns the code that uses a best.yaml, once it has run here. Raises TunerError."""
    return apply_best(path, strict=strict)
