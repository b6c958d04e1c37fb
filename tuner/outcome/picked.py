"""Writes another point of a front as a best file.

Knows the files of a results folder; measures nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tuner.deploy.best import portable_path
from tuner.deploy.best_file import write_best
from tuner.deploy.front_file import Bound, FrontFile, FrontPoint, parse_bound, pick
from tuner.errors import InputError
from tuner.outcome.study_report import StudyReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """A point that was picked from a front."""

    front: FrontFile
    point: FrontPoint
    bounds: list[Bound]
    """Bounds that the point keeps."""
    path: Path
    """File that deploys the point."""


def pick_point(folder: Path, picks: Sequence[str], out: Path | None) -> Picked:
    """Writes the best file of the front's point that keeps all the bounds, to `out` or beside best.yaml.

    Raises InputError for a bound or a folder that is not right, NoAnswerError if no point keeps the bounds.
    """
    report = StudyReport.read(folder)
    if not report.study.objective.has_several:
        raise InputError(f"{folder}: a study with one objective has no front", advice="its best.yaml is all there is")
    if report.front is None:
        raise InputError(f"{folder}: the study has no front yet", advice="the same `tuner run` continues")
    points = report.front.points
    measured = [name for name in (points[0].metrics if points else ()) if all(name in p.metrics for p in points)]
    bounds = [parse_bound(text, measured) for text in picks]
    point = pick(report.front, bounds)
    path = out or folder / f"best-{'-'.join(bound.slug for bound in bounds)}.yaml"
    model = replace(point.best.model, path=portable_path(point.best.spec(), path.parent.resolve()))
    write_best(path, replace(point.best, model=model))
    return Picked(front=report.front, point=point, bounds=bounds, path=path)
