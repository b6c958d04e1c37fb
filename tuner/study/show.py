"""A study read back from its folder, without measuring and without its model.

Knows the files of a results folder; words and tables are the report's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tuner.bench.protocol import Windows
from tuner.deploy.best import Best
from tuner.deploy.best_file import load_best
from tuner.errors import InputError
from tuner.study.baselines import Standing
from tuner.study.calibration import Calibration
from tuner.study.campaign import Setting, evidence_on, read_ground
from tuner.study.disturbance import count_disturbed, windows_of
from tuner.study.evidence import Candidate, metrics_of, ranked
from tuner.study.file import load_study
from tuner.study.folder import read_environment
from tuner.study.records import VerdictLine, read_log
from tuner.study.space import Space
from tuner.study.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRecord:
    """What a folder holds. `candidates` best first, then the failures; None before the baselines were measured."""

    folder: Path
    study: Study
    environment: Mapping[str, Any]
    standing: Standing | None
    calibration: Calibration | None
    baselines: Mapping[str, Mapping[str, float]]
    candidates: Sequence[Candidate]
    failures: Sequence[Candidate]
    spent_s: float
    verdict: VerdictLine | None
    best: Best | None
    windows: int = 0
    """On record, of all members of all sessions; the host disturbed `disturbed` of them."""
    disturbed: int = 0


def read_study(folder: Path) -> StudyRecord:
    """Raises InputError where there is no study, RecordError where its files are damaged."""
    if not (folder / "study.yaml").is_file():
        raise InputError(f"{folder} holds no study", advice="name a folder below results/, as `tuner run` prints it")
    study = replace(load_study(folder / "study.yaml"), name=folder.resolve().name)
    log = read_log(folder / "sessions.jsonl")
    host = read_environment(folder)["host"]
    setting = Setting(study=study, space=Space(parameters=()), seeds=(), cpu_quota=host.get("cpu_quota"))
    ground = read_ground(setting, log, round=len(log.verdicts()) + 1)
    candidates = evidence_on(ground, study.objective).read(log.lines) if ground else {}
    first = log.sessions("baselines")[-1:]
    windows = windows_of(line.session for line in log.all_sessions())
    levels = {
        name: metrics_of(member)
        for line in first
        for name, member in zip(setting.baselines, line.session.members, strict=True)
        if isinstance(member, Windows)
    }
    return StudyRecord(
        folder=folder,
        study=study,
        environment=host,
        standing=ground.standing if ground else None,
        calibration=ground.calibration if ground else None,
        baselines=levels,
        candidates=ranked(candidates.values()),
        failures=[c for c in candidates.values() if c.failure is not None],
        spent_s=log.spent_s(),
        windows=len(windows),
        disturbed=count_disturbed(windows),
        verdict=log.verdicts()[-1] if log.verdicts() else None,
        best=load_best(folder / "best.yaml") if (folder / "best.yaml").exists() else None,
    )
