"""A finished study read back from its folder, for who asks again while another study measures on this host.

Knows the files of a results folder; opens neither device nor model, and so takes no lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tuner.bench.protocol import Bench
from tuner.deploy.best import Best
from tuner.deploy.best_file import load_best
from tuner.deploy.front_file import FrontFile, load_front
from tuner.study.campaign import Campaign, Setting, read_ground
from tuner.study.folder import read_environment
from tuner.study.identity import calls_identity
from tuner.study.outcome import standings
from tuner.study.phases import Result, is_finished, run_phases
from tuner.study.records import read_log
from tuner.study.search import Search
from tuner.study.space import Space
from tuner.study.status import Reporter
from tuner.study.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A finished run: the verdict, what was deployed, and every baseline's metrics beside it."""

    folder: Path
    best: Best
    result: Result
    levels: Mapping[str, Mapping[str, float]]
    front: FrontFile | None = None
    """Of a study with several objectives; `best` is its knee then."""


def read_finished(study: Study, folder: Path, reporter: Reporter, bench: Bench) -> Outcome | None:
    """None where the folder does not hold the verdict of this very file for this budget. Whether model, device and
    host are still the same is not looked at; `bench` measures nothing. Raises RecordError and BestFileError."""
    file, best = folder / "study.yaml", folder / "best.yaml"
    if not file.exists() or not best.exists() or file.read_text(encoding="utf-8") != study.text:
        return None
    log = read_log(folder / "sessions.jsonl")
    environment = read_environment(folder)
    if environment["identity"].get("calls") != calls_identity(study).get("calls"):
        return None  # of an earlier version, which called a server otherwise
    quota = environment["host"].get("cpu_quota")
    setting = Setting(study=study, space=Space(parameters=()), seeds=(), cpu_quota=quota)
    campaign = Campaign(
        setting=setting,
        bench=bench,
        log=log,
        reporter=reporter,
        clock=lambda: 0.0,
        round=len(log.verdicts()) + 1,
    )
    if not is_finished(campaign):
        return None
    result = run_phases(campaign, _no_search)
    ground = read_ground(setting, log, round=campaign.round)
    assert ground is not None
    levels = standings(campaign, ground, result)
    front = load_front(folder / "front.yaml") if result.front is not None else None
    return Outcome(folder=folder, best=load_best(best), result=result, levels=levels, front=front)


def _no_search() -> Search:
    raise AssertionError("a finished study does not search")
