"""Writes report.html of a study, or comparison.html of several, as `tuner report` asks.

Must not measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tuner.outcome.study_report import StudyReport
from tuner.report.html import compare
from tuner.report.html.page import FILE, write_page


def write_report(folders: Sequence[Path], out: Path | None = None) -> Path:
    """Writes the page of a results folder, or the one that compares several, and returns its path. Raises TunerError.

    A comparison stands beside the first folder, unless `out` says otherwise.
    """
    reports = [StudyReport.read(folder) for folder in folders]
    if len(reports) == 1:
        path = out or folders[0] / FILE
        write_page(reports[0], path)
    else:
        path = out or folders[0].resolve().parent / compare.FILE
        compare.write_comparison(reports, path)
    return path
