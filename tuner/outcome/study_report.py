"""A study read back from its folder, without measuring and without its model.

Knows the files of a results folder; words and tables are the report's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tuner.bench.measurement import Windows
from tuner.deploy.best import Best, portable_path
from tuner.deploy.best_file import load_best, write_best
from tuner.deploy.front_file import Bound, FrontFile, FrontPoint, load_front, parse_bound, pick
from tuner.errors import InputError
from tuner.evidence.baseline_ranking import BaselineRanking
from tuner.evidence.candidates import Candidate, MetricValues, ranked_for
from tuner.evidence.noise import Calibration
from tuner.evidence.pooled_metrics import metrics_of
from tuner.outcome.finished import read_state
from tuner.records.identity import read_environment
from tuner.records.session_log import VerdictLine
from tuner.statistics.disturbance import count_disturbed, windows_of
from tuner.study.file.loader import load_study
from tuner.study.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRecord:
    """What a folder holds. `candidates` best first, then the failures; None before the baselines were measured."""

    folder: Path
    study: Study
    environment: Mapping[str, Any]
    ranking: BaselineRanking | None
    noise: Calibration | None
    baselines: Mapping[str, MetricValues]
    candidates: Sequence[Candidate]
    failures: Sequence[Candidate]
    spent_s: float
    verdict: VerdictLine | None
    best: Best | None
    front: FrontFile | None = None
    """Of a study with several objectives, once it is finished."""
    windows: int = 0
    """On record, of all members of all sessions; the host disturbed `disturbed` of them."""
    disturbed: int = 0
    is_going_on: bool = False
    """Whether more was measured since the verdict: with a larger budget, which has not come to its own yet."""
    provable_gain_pct: float | None = None
    """The smallest gain that the budget could prove, as it was printed before the search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    front: FrontFile
    point: FrontPoint
    bounds: list[Bound]
    path: Path


def pick_point(folder: Path, picks: Sequence[str], out: Path | None) -> Picked:
    """Writes the best file of the front's point that keeps all the bounds, beside best.yaml or to `out`. Raises
    InputError for a bound or a folder that is not right, NoAnswerError where no point keeps them."""
    study = read_study(folder)
    if not study.study.objective.has_several:
        raise InputError(f"{folder}: a study with one objective has no front", advice="its best.yaml is all there is")
    if study.front is None:
        raise InputError(f"{folder}: the study has no front yet", advice="the same `tuner run` continues")
    points = study.front.points
    measured = [name for name in (points[0].metrics if points else ()) if all(name in p.metrics for p in points)]
    bounds = [parse_bound(text, measured) for text in picks]
    point = pick(study.front, bounds)
    path = out or folder / f"best-{'-'.join(bound.slug for bound in bounds)}.yaml"
    best = point.best
    model = replace(best.model, path=portable_path(best.spec(), path.parent.resolve()))
    write_best(path, replace(best, model=model))
    return Picked(front=study.front, point=point, bounds=bounds, path=path)


def read_study(folder: Path) -> StudyRecord:
    """Raises InputError where there is no study, RecordError where its files are damaged."""
    if not (folder / "study.yaml").is_file():
        below = [str(path.parent) for path in sorted(folder.glob("*/study.yaml"))]
        advice = (
            f"name one of {', '.join(below)}" if below else "name a folder below results/, as `tuner run` prints it"
        )
        raise InputError(f"{folder} holds no study", advice=advice)
    study = replace(load_study(folder / "study.yaml"), name=folder.resolve().name)
    state = read_state(study, folder)
    log, reference = state.log, state.reference if state.has_reference else None
    candidates = state.candidates if reference else {}
    first = log.sessions("baselines")[-1:]
    windows = windows_of(line.session for line in log.all_sessions())
    levels = {
        name: metrics_of(member)
        for line in first
        for name, member in zip(state.setup.baselines, line.session.members, strict=True)
        if isinstance(member, Windows)
    }
    fixed = log.calibration()
    return StudyRecord(
        folder=folder,
        study=study,
        environment=read_environment(folder)["host"],
        ranking=reference.ranking if reference else None,
        noise=reference.noise if reference else None,
        baselines=levels,
        candidates=ranked_for(study.objective, list(candidates.values())),
        failures=[c for c in candidates.values() if c.failure is not None],
        spent_s=log.spent_s(),
        is_going_on=bool(log.verdicts()) and not isinstance(log.lines[-1], VerdictLine),
        windows=len(windows),
        disturbed=count_disturbed(windows),
        provable_gain_pct=fixed.provable_gain_pct if fixed else None,
        verdict=log.verdicts()[-1] if log.verdicts() else None,
        best=load_best(folder / "best.yaml") if (folder / "best.yaml").exists() else None,
        front=load_front(folder / "front.yaml") if (folder / "front.yaml").exists() else None,
    )
