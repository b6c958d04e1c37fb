"""A finished study read back from its folder, for who asks again while another study measures on this host.

Knows the files of a results folder; opens neither device nor model, and so takes no lock.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tuner.decision.result import Result, is_finished, read_result
from tuner.deploy.best import Best
from tuner.deploy.best_file import load_best
from tuner.deploy.front_file import FrontFile, load_front
from tuner.evidence.state import StudyState
from tuner.outcome.metrics_table import FinalMetrics, final_metrics
from tuner.records.identity import calls_identity, read_environment
from tuner.records.session_log import read_log
from tuner.study.setup import StudySetup
from tuner.study.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """A finished run: the verdict, what was deployed, and every baseline's metrics beside it."""

    folder: Path
    best: Best
    result: Result
    metrics: FinalMetrics
    front: FrontFile | None = None
    """Of a study with several objectives; `best` is its knee then."""


def read_state(study: Study, folder: Path) -> StudyState:
    """Returns what a folder has on record of a study, without its space. Raises RecordError."""
    quota = read_environment(folder)["host"].get("cpu_quota")
    return StudyState(setup=StudySetup(study=study, cpu_quota=quota), log=read_log(folder / "sessions.jsonl"))


def read_finished(study: Study, folder: Path) -> RunReport | None:
    """Returns the outcome on record; None where the folder holds no verdict of this very file for this budget.

    Model, device and host are not looked at. Raises RecordError and BestFileError.
    """
    file, best = folder / "study.yaml", folder / "best.yaml"
    if not file.exists() or not best.exists() or file.read_text(encoding="utf-8") != study.text:
        return None
    state = read_state(study, folder)
    if read_environment(folder)["identity"].get("calls") != calls_identity(study).get("calls"):
        return None  # of an earlier version, which called a server otherwise
    if not is_finished(state):
        return None
    result = read_result(state)
    front = load_front(folder / "front.yaml") if result.front is not None else None
    metrics = final_metrics(state, result)
    return RunReport(folder=folder, best=load_best(best), result=result, metrics=metrics, front=front)
