"""Writes report.html, as `tuner report` asks.

Must not measure.
"""

from __future__ import annotations

from pathlib import Path

from tuner.outcome.study_report import StudyReport
from tuner.report.html.page import FILE, write_page


def write_report(folder: Path, out: Path | None = None) -> Path:
    """Writes the page of a results folder, and returns its path. Raises TunerError."""
    path = out or folder / FILE
    write_page(StudyReport.read(folder), path)
    return path
