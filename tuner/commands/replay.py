"""Evaluates strategies on recorded tables, as `tuner replay` does. Must not print."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tuner.replay.evaluation import Replays
from tuner.replay.studies import ReplayOptions, replay_tables

__all__ = ["ReplayOptions", "replay_results"]


def replay_results(results: Sequence[Path], options: ReplayOptions) -> Replays:
    """Returns the evaluations on the tables of these folders and CSV files. Raises TunerError."""
    return replay_tables(results, options)
