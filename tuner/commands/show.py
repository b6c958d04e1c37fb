"""Reads what `tuner show` prints: one study, several of them, or a point that is picked from a front.

Must not measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tuner.errors import InputError
from tuner.outcome.picked import Picked, pick_point
from tuner.outcome.study_report import StudyReport

__all__ = ["Picked", "show_folders"]


def show_folders(folders: Sequence[Path], picks: Sequence[str], out: Path | None) -> list[StudyReport] | Picked:
    """Returns what each folder holds; with `picks`, writes the point that keeps them to `out` and returns that point.

    Raises TunerError.
    """
    if picks and len(folders) > 1:
        raise InputError("--pick goes with one folder", advice="several folders are compared, and nothing is written")
    if picks:
        return pick_point(folders[0], picks, out)
    if out is not None:
        raise InputError("--out goes with --pick", advice="--pick 'latency_p90_ms<=8' says which point is written")
    return [StudyReport.read(folder) for folder in folders]
