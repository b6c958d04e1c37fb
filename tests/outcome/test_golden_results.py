"""Results folders that version 0.1 wrote are shown, resumed and deployed by every later version.

Both are of virtual studies on a made-up host: `results-0.1` of one objective, `front-0.1` of two. `study.db` is kept as
the SQL that makes it. A later version adds folders of its own, written with

    PYTHONPATH=. python tests/study/test_golden_results.py VERSION

and leaves those that are there alone.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

import tuner as package
from tests.conftest import Tuner
from tests.outcome.test_best_config import best_of
from tests.phases.test_conditions import EIGHT, identity_of
from tests.phases.test_front_study import files_of
from tests.virtual import Virtual, quiet, space_of
from tuner.bench.simulated.synthetic import SyntheticBench
from tuner.deploy.best import Best, BestInput, BestModel
from tuner.deploy.best_file import write_best
from tuner.deploy.deployment import DeploymentWarning
from tuner.deploy.front_file import load_front, write_front
from tuner.errors import StudyChangedError
from tuner.model.locate import sha256
from tuner.records.identity import check_identity
from tuner.report.run_log import RunLog
from tuner.study.file.loader import load_study
from tuner.study.study import Budget

GOLDEN = Path(__file__).parents[1] / "golden"
FOLDERS = sorted(path.name for path in GOLDEN.glob("*-*.*") if path.is_dir())
FRONTS = [name for name in FOLDERS if name.startswith("front")]
BASELINES = ("default", "LATENCY", "THROUGHPUT", "today")
STUDY = """\
schema_version: 1
name: golden
model: builtin:mlp
device: CPU
{objective}
baselines: {{today: {{INFERENCE_NUM_THREADS: 7}}}}
space:
  NUM_STREAMS: {{choices: [1, 2, 4, 8]}}
  INFERENCE_NUM_THREADS: {{choices: [2, 4, 8]}}
  ENABLE_CPU_PINNING: {{choices: [true, false]}}
  infer_requests: {{choices: [4, 8, 16, 32]}}
  batch_size: {{choices: [1, 2, 4, 8]}}
budget: {{minutes: {minutes}}}
"""
TEXTS = {
    "results": STUDY.format(
        objective="objective: {maximize: throughput, subject_to: {latency_p90_ms: {max: 60}}}", minutes=4
    ),
    "front": STUDY.format(objective="objectives: [{maximize: throughput}, {minimize: latency_p90_ms}]", minutes=3),
}
LARGER_MIN = 12.0
STARTED_UNIX_S = 1_788_264_000.0
"""When the studies began, by the clock of their host; they go on a day later, in other processes."""
INPUTS: list[dict[str, Any]] = [{"name": "x", "shape": [1, 64], "batch_axis": 0}]


def opened(folder: Path, *, day: int = 0) -> Virtual:
    """The study of the folder on its made-up host."""
    study = load_study(folder / "study.yaml")
    bench = SyntheticBench(effects=quiet(), process=1000 * day)
    bench.clock.now_s = STARTED_UNIX_S + 86_400.0 * day
    return Virtual(folder=folder, study=study, space=space_of(*study.space.parameters), bench=bench, has_database=True)


def recognise(virtual: Virtual, *, is_started: bool = True) -> None:
    """Writes environment.json, or raises where it is that of another study."""
    identity = {**identity_of(virtual.study, EIGHT), "model": sha256(virtual.study.model), "inputs": INPUTS}
    check_identity(virtual.folder, identity, asdict(EIGHT), is_started=is_started)


def write_answer(virtual: Virtual, result: Any) -> None:
    """best.yaml and, of several objectives, front.yaml."""

    def deployed(best: Best) -> Best:
        inputs = {given["name"]: BestInput(shape=(1, 64), batch_axis=0) for given in INPUTS}
        return replace(best, inputs=inputs, model=BestModel(path="builtin:mlp", sha256=sha256(virtual.study.model)))

    if virtual.study.objective.has_several:
        front, knee = files_of(virtual, result)
        points = tuple(replace(point, best=deployed(point.best)) for point in front.points)
        write_front(virtual.folder / "front.yaml", replace(front, points=points))
    else:
        knee = best_of(virtual, result)
    write_best(virtual.folder / "best.yaml", deployed(knee))


@pytest.fixture
def restored(tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a golden folder as the version that wrote it had left it."""

    def restore(name: str) -> Path:
        folder = tmp_path / name
        shutil.copytree(GOLDEN / name, folder)
        script = folder / "study.db.sql"
        with closing(sqlite3.connect(folder / "study.db")) as database:
            database.executescript(script.read_text())
        script.unlink()
        return folder

    return restore


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "sessions.jsonl").read_text().splitlines()]


def searched(lines: list[dict[str, Any]]) -> set[int]:
    """The numbers of the trials that searches have measured."""
    found = [line["trials"] for line in lines if line["kind"] == "session" and line["phase"] in ("race", "search")]
    return {number for trials in found for number in trials if number is not None}


def verdicts(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line["kind"] == "verdict"]


def trials_of(folder: Path) -> dict[int, str]:
    """Number -> state, as any program reads them from study.db."""
    with closing(sqlite3.connect(folder / "study.db")) as database:
        return dict(database.execute("SELECT number, state FROM trials").fetchall())


def test_there_is_a_folder_of_each_kind() -> None:
    assert {"results-0.1", "front-0.1"} <= set(FOLDERS)


@pytest.mark.parametrize("name", FOLDERS)
def test_it_is_shown_with_its_verdict_and_its_baselines(
    restored: Callable[[str], Path], tuner_here: Tuner, name: str
) -> None:
    folder = restored(name)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = tuner_here("show", folder)
    assert done.code == 0, done.err
    (line,) = [line for line in done.out.splitlines() if line.startswith("verdict: ")]
    said = {"tuned": ("use these settings", "tuned"), "baseline": ("use the ", "change nothing", "baseline")}
    assert line.removeprefix("verdict: ").startswith(said[verdicts(lines_of(folder))[-1]["verdict"]])
    for baseline in BASELINES:
        assert baseline in done.out
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before, "looking changes nothing"


@pytest.mark.parametrize("name", FOLDERS)
def test_it_is_shown_as_json(restored: Callable[[str], Path], tuner_here: Tuner, name: str) -> None:
    folder = restored(name)
    done = tuner_here("show", folder, "--json")
    assert done.code == 0, done.err
    shown = json.loads(done.out)
    assert set(shown["baselines"]) == set(BASELINES)
    assert shown["verdict"] == verdicts(lines_of(folder))[-1]["verdict"]
    assert len(shown["candidates"]) + len(shown["failures"]) > 5


@pytest.mark.slow
@pytest.mark.parametrize("database", ["there", "missing", "garbage"])
@pytest.mark.parametrize("name", FOLDERS)
def test_a_larger_budget_goes_on_from_it(restored: Callable[[str], Path], name: str, database: str) -> None:
    folder = restored(name)
    before, old = (folder / "sessions.jsonl").read_bytes(), lines_of(folder)
    if database == "missing":
        (folder / "study.db").unlink()
    if database == "garbage":
        (folder / "study.db").write_bytes(b"garbage" * 1000)
    study = opened(folder, day=1)
    recognise(study)
    study.study = replace(study.study, budget=Budget(minutes=LARGER_MIN))
    write_answer(study, study.run())
    assert (folder / "sessions.jsonl").read_bytes().startswith(before)
    new = lines_of(folder)[len(old) :]
    assert verdicts([new[-1]]), "it ends with a verdict"
    assert len(verdicts(new)) == 1
    assert [line["phase"] for line in new if line["kind"] == "session" and line["phase"] == "baselines"] == []
    assert {line["round"] for line in new if line["kind"] == "session"} == {2}
    assert len(searched(new)) > 5
    assert min(searched(new)) > max(searched(old)), "trials are numbered on"
    assert searched(old) | searched(new) <= trials_of(folder).keys()
    said = [line for line in study.listener.lines if "study.db" in line]
    assert len(said) == (database != "there")
    assert package.load_best(folder / "best.yaml").provenance["trials"] > len(searched(old))


@pytest.mark.slow
@pytest.mark.parametrize("name", FOLDERS)
def test_without_a_larger_budget_it_says_the_same_and_measures_nothing(
    restored: Callable[[str], Path], name: str
) -> None:
    folder = restored(name)
    names = [path.name for path in folder.glob("*.yaml")] + ["sessions.jsonl", "environment.json"]
    before = {name: (folder / name).read_bytes() for name in names}
    study = opened(folder, day=1)
    recognise(study)
    write_answer(study, study.run())
    assert study.bench.sessions == []
    assert {name: (folder / name).read_bytes() for name in names} == before


@pytest.mark.parametrize("name", FOLDERS)
def test_another_study_is_refused_in_its_folder(restored: Callable[[str], Path], name: str) -> None:
    study = opened(restored(name))
    study.study = replace(study.study, baselines={})
    with pytest.raises(StudyChangedError, match="baselines"):
        recognise(study)


@pytest.mark.openvino
@pytest.mark.parametrize("name", FOLDERS)
def test_its_answer_is_loaded_and_compiled(name: str) -> None:
    path = GOLDEN / name / "best.yaml"
    content, best = yaml.safe_load(path.read_text()), package.load_best(path)
    assert (best.verdict, dict(best.properties)) == (content["verdict"], content["properties"])
    compiles(best)


@pytest.mark.openvino
@pytest.mark.parametrize("name", FRONTS)
def test_a_point_of_its_front_is_loaded_and_compiled(
    restored: Callable[[str], Path], tuner_here: Tuner, name: str
) -> None:
    folder = restored(name)
    front = load_front(folder / "front.yaml")
    assert len(front.points) > 1
    low = min(point.metrics["latency_p90_ms"] for point in front.points)
    done = tuner_here("show", folder, "--pick", f"latency_p90_ms<={1.001 * low:.3f}", "--out", folder / "picked.yaml")
    assert done.code == 0, done.err
    best = package.load_best(folder / "picked.yaml")
    assert best.properties in [point.best.properties for point in front.points]
    compiles(best)


def compiles(best: Best) -> None:
    """On this host, which is another one than it was tuned on."""
    with pytest.warns(DeploymentWarning) as said:
        deployment = best.compile()
    assert any("Made-up" in str(warning.message) for warning in said)
    assert not deployment.is_fallback
    assert deployment.batch_size == best.batch_size
    with deployment.infer_queue() as queue:
        assert len(queue) == best.infer_requests


def write_folder(folder: Path, text: str) -> None:
    """Runs the study from its file to its answer, and keeps its database as SQL."""
    folder.mkdir()
    (folder / "study.yaml").write_text(text)
    virtual = opened(folder)
    recognise(virtual, is_started=False)

    def now() -> datetime:
        return datetime.fromtimestamp(virtual.clock.now_s, UTC).replace(tzinfo=None)

    virtual.listener = RunLog(inner=virtual.listener, path=folder / "run.log", now=now)  # type: ignore[assignment]
    write_answer(virtual, virtual.run())
    with closing(sqlite3.connect(folder / "study.db")) as database:
        script = "".join(f"{line}\n" for line in database.iterdump())
    (folder / "study.db.sql").write_text(script)
    for path in folder.glob("study.db*"):
        if path.suffix != ".sql":
            path.unlink()


if __name__ == "__main__":
    for kind, study_text in TEXTS.items():
        write_folder(GOLDEN / f"{kind}-{sys.argv[1]}", study_text)
