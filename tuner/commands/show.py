"""Reads what `tuner show` prints: a study's folder, or a point that is picked from its front.

Must not measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tuner.errors import InputError
from tuner.outcome.picked import Picked, pick_point
from tuner.outcome.study_report import StudyReport

__all__ = ["Picked", "show_folder"]


def show_folder(folder: Path, picks: Sequence[str], out: Path | None) -> StudyReport | Picked:
    """Returns what a folder holds; with `picks`, writes the point that keeps them to `out` and returns that point.

    Raises TunerError.
    """
    if picks:
        return pick_point(folder, picks, out)
    if out is not None:
        raise InputError("--out goes with --pick", advice="--pick 'latency_p90_ms<=8' says which point is written")
    return StudyReport.read(folder)
