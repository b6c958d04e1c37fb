"""Everything that a study's folder holds: the one read model of `tuner run`, `tuner show` and their JSON.

Knows the files of a results folder; opens neither device nor model, takes no lock and writes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tuner.bench.measurement import Windows
from tuner.decision.result import Result, is_finished, read_result
from tuner.deploy.best import Best
from tuner.deploy.best_file import load_best
from tuner.deploy.front_file import FrontFile, load_front
from tuner.errors import InputError
from tuner.evidence.candidates import Candidate, MetricValues, ranked_for
from tuner.evidence.pooled_metrics import metrics_of
from tuner.evidence.state import Reference, StudyState
from tuner.outcome.metrics_table import FinalMetrics, final_metrics
from tuner.outcome.space_file import SpaceSeen, read_space
from tuner.records.identity import calls_identity, read_environment
from tuner.records.session_log import VerdictLine, read_log
from tuner.statistics.disturbance import count_disturbed, windows_of
from tuner.study.baselines import with_recorded_servers
from tuner.study.file.loader import load_study
from tuner.study.setup import StudySetup
from tuner.study.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyReport:
    """A study as its folder has it, at any moment of its life."""

    folder: Path
    study: Study
    state: StudyState
    """The record, without the space."""
    environment: Mapping[str, Any]
    """Facts of the host."""
    reference: Reference | None = None
    """None before the baselines were measured."""
    baselines: Mapping[str, MetricValues]
    """Baseline -> metrics, as first measured."""
    candidates: Sequence[Candidate] = ()
    """Candidates that were measured, best first."""
    failures: Sequence[Candidate] = ()
    """Candidates that failed."""
    spent_s: float = 0.0
    """Seconds that all sessions took."""
    windows: int = 0
    """Number of windows on record, of all members of all sessions."""
    disturbed: int = 0
    """Number of windows that the host disturbed."""
    provable_gain_pct: float | None = None
    """Smallest gain that the budget could prove, as it was printed before the search."""
    result: Result | None = None
    """Verdict with its confirmation; None before the first verdict."""
    metrics: FinalMetrics | None = None
    """Metrics of what the verdict compared; None before the first verdict."""
    best: Best | None = None
    """Content of best.yaml."""
    front: FrontFile | None = None
    """Content of front.yaml, in a study with several objectives; `best` is its knee then."""
    space: SpaceSeen | None = None
    """The space as the device saw it; None if it was not listed, and in older folders."""
    is_going_on: bool = False
    """True if more was measured since the verdict: with a larger budget, which has no verdict of its own yet."""

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> StudyReport:
        """Returns the report of a folder.

        Raises InputError if it holds no study, RecordError and BestFileError if its files are damaged.
        """
        folder = Path(folder)
        if not (folder / "study.yaml").is_file():
            below = [str(path.parent) for path in sorted(folder.glob("*/study.yaml"))]
            usual = "name a folder below results/, as `tuner run` prints it"
            raise InputError(f"{folder} holds no study", advice=f"name one of {', '.join(below)}" if below else usual)
        study = replace(load_study(folder / "study.yaml"), name=folder.resolve().name)
        return cls.of(folder, read_state(study, folder))

    @classmethod
    def of(cls, folder: Path, state: StudyState) -> StudyReport:
        """Returns the report of a folder whose record has been read. Raises RecordError and BestFileError."""
        log, reference = state.log, state.reference if state.has_reference else None
        candidates = list(state.candidates.values()) if reference else []
        windows = windows_of(line.session for line in log.all_sessions())
        result = read_result(state) if reference and log.verdicts() else None
        best, front, fixed = folder / "best.yaml", folder / "front.yaml", log.calibration()
        return cls(
            folder=folder,
            study=state.study,
            state=state,
            environment=read_environment(folder)["host"],
            reference=reference,
            baselines=_first_measured(state),
            candidates=ranked_for(state.study.objective, candidates),
            failures=[c for c in candidates if c.failure is not None],
            spent_s=log.spent_s(),
            windows=len(windows),
            disturbed=count_disturbed(windows),
            provable_gain_pct=fixed.provable_gain_pct if fixed else None,
            result=result,
            metrics=final_metrics(state, result) if result else None,
            best=load_best(best) if best.exists() else None,
            front=load_front(front) if state.study.objective.has_several and front.exists() else None,
            space=read_space(folder),
            is_going_on=bool(log.verdicts()) and not isinstance(log.lines[-1], VerdictLine),
        )


def read_finished(study: Study, folder: Path) -> StudyReport | None:
    """Returns the report of a study with a verdict for its budget; None if the folder has none.

    The verdict has to be about this very file. Model, device and host are not looked at, so that the report can be had
    while another study measures. Raises RecordError and BestFileError.
    """
    file = folder / "study.yaml"
    if not file.exists() or not (folder / "best.yaml").exists() or file.read_text(encoding="utf-8") != study.text:
        return None
    if read_environment(folder)["identity"].get("calls") != calls_identity(study).get("calls"):
        return None  # of an earlier version, which called a server otherwise
    state = read_state(study, folder)
    return StudyReport.of(folder, state) if is_finished(state) else None


def read_state(study: Study, folder: Path) -> StudyState:
    """Returns what a folder has on record of a study, without its space. Raises RecordError."""
    environment = read_environment(folder)
    study = with_recorded_servers(study, environment["identity"].get("baselines", {}))
    quota = environment["host"].get("cpu_quota")
    return StudyState(setup=StudySetup(study=study, cpu_quota=quota), log=read_log(folder / "sessions.jsonl"))


def _first_measured(state: StudyState) -> dict[str, MetricValues]:
    """Returns the metrics of the baselines that ran in the last session of the baselines."""
    return {
        name: metrics_of(member)
        for line in state.log.sessions("baselines")[-1:]
        for name, member in zip(state.setup.baselines, line.session.members, strict=True)
        if isinstance(member, Windows)
    }
