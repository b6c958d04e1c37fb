"""One real study through a full disk, `kill -9`, a second run beside it, SIGTERM and resumes to its verdict."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
import yaml

from tests.browser import needs_browser, open_browser, read_as_a_person
from tests.conftest import ROOT, SHORTLY, Life, Tuner, call, command, environment
from tests.documents import WRITTEN, blocks, commands
from tuner.model.locate import locate
from tuner.model.spec import ModelSpec
from tuner.records.session_log import read_log

pytestmark = pytest.mark.openvino


def test_a_full_disk_exits_3_and_the_same_command_continues(life: Life) -> None:
    assert life.on_a_full_disk.code == 3, life.on_a_full_disk.err
    assert "run the same command" in life.on_a_full_disk.err
    assert "best.yaml" not in life.files_on_a_full_disk
    left = life.files_on_a_full_disk["sessions.jsonl"]
    assert left.endswith(b"\n"), "not torn"
    assert life.lines_after_kill[: left.count(b"\n")] == left.splitlines()
    assert life.finished.code == 0, life.finished.err
    assert (life.folder / "best.yaml").exists()


def test_a_killed_run_leaves_no_worker_behind(life: Life) -> None:
    assert life.workers_after_kill == []
    assert life.workers_after_term == []


def test_a_second_run_is_refused_and_told_which_study_holds_the_host(life: Life) -> None:
    assert life.second.code == 3
    assert "already measuring" in life.second.err
    assert "--wait" in life.second.err


def test_sigterm_exits_130_and_says_how_to_go_on(life: Life) -> None:
    assert life.terminated.code == 130
    assert "same command continues" in life.terminated.err


def test_a_resume_keeps_every_finished_line_and_drops_the_torn_one(life: Life) -> None:
    assert life.lines_after_term[: len(life.lines_after_kill)] == life.lines_after_kill
    assert life.lines_at_end[: len(life.lines_after_term)] == life.lines_after_term
    assert "torn" in life.terminated.err


def test_the_baselines_are_measured_once_over_all_resumes(life: Life) -> None:
    log = read_log(life.folder / "sessions.jsonl")
    assert len(log.sessions("baselines")) == 1


def test_the_finished_run_prints_the_verdict_on_stdout(life: Life) -> None:
    assert life.finished.code == 0, life.finished.err
    assert life.finished.out.startswith("verdict: ")
    assert "tuner apply" in life.finished.out


def test_running_a_finished_study_again_measures_nothing_and_says_the_same(life: Life) -> None:
    assert life.again.code == 0
    assert life.again.out == life.finished.out
    assert life.lines_after_again == life.lines_at_end


def test_best_yaml_is_plain_yaml_with_what_design_promises(life: Life) -> None:
    content = yaml.safe_load((life.folder / "best.yaml").read_text())
    assert content["schema_version"] == 1
    assert content["verdict"] in ("tuned", "baseline")
    assert content["properties"]["INFERENCE_PRECISION_HINT"] == content["effective"]["INFERENCE_PRECISION_HINT"]
    assert set(content["baselines"]) == {"default", "LATENCY", "THROUGHPUT"}
    assert content["verdict"] == "baseline" or content["gain"]["low_pct"] > 0


def test_a_larger_budget_goes_on_from_the_record(life: Life, tuner: Tuner) -> None:
    done = tuner("run", life.cwd / "configs/quickstart.yaml", "--results", life.results, "--minutes", "3", "--plan")
    assert done.code == 0, done.err
    assert re.search(r"space: \d+ requested, \d+ distinct", done.out)


def test_show_prints_baselines_candidates_and_verdict(life: Life, tuner: Tuner) -> None:
    done = tuner("show", life.folder)
    assert done.code == 0, done.err
    assert "THROUGHPUT" in done.out
    assert "verdict:" in done.out
    as_json = json.loads(tuner("show", life.folder, "--json").out)
    assert as_json["candidates"]


def test_apply_compiles_runs_and_prints_the_code(life: Life, tuner: Tuner) -> None:
    done = tuner("apply", life.folder / "best.yaml", "--strict")
    assert done.code == 0, done.err
    assert "compile_model" in done.out


def test_a_changed_objective_is_refused_with_the_difference_and_fresh_moves_the_old_aside(
    life: Life, tuner: Tuner
) -> None:
    study = life.cwd / "configs/quickstart.yaml"
    changed = life.cwd / "configs/changed.yaml"
    changed.write_text(
        study.read_text().replace("maximize: throughput", "minimize: latency_p50_ms") + "\nname: quickstart\n"
    )
    before = (life.folder / "sessions.jsonl").read_bytes()
    done = tuner("run", changed, "--results", life.results)
    assert done.code == 2
    assert "latency_p50_ms" in done.err
    assert "--fresh" in done.err
    assert (life.folder / "sessions.jsonl").read_bytes() == before


def test_a_damaged_study_db_is_written_again_from_the_record(life: Life, tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(life.results, results)
    database = results / life.folder.name / "study.db"
    database.write_bytes(b"garbage" * 1000)
    words = ("run", life.cwd / "configs/quickstart.yaml", "--results", results, "--minutes", "0.5")
    done = call(command(*words, program=SHORTLY), cwd=life.cwd, env=environment(tmp_path))
    assert done.code == 0, done.err
    assert "study.db.aside" in done.err
    assert optuna.load_study(study_name="quickstart", storage=f"sqlite:///{database}").trials


# What the documents say of such a study


def test_every_command_of_the_documents_runs(
    life: Life, tuner_here: Tuner, short_windows: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The replicas serve a small model here: each of their members has two processes of its own. `--pick` needs a
    front, which test_readme.py has."""
    monkeypatch.setattr("tuner.commands.measure.SESSIONS", 2)
    replicas = tmp_path / "squeezenet-cpu-replicas.yaml"
    text = (ROOT / "configs" / replicas.name).read_text()
    replicas.write_text(re.sub(r"model:\n(  .*\n)+", "model: builtin:mlp\n", text))
    squeezenet = locate(ModelSpec(path="package:onnx/backend/test/data/light/light_squeezenet.onnx", folder=ROOT))
    assert squeezenet is not None
    shutil.copy(squeezenet, tmp_path / "model.onnx")
    assert commands(*WRITTEN)
    for written in commands(*WRITTEN):
        words = shlex.split(written)[1:]
        if (words[0] == "run" and "--plan" not in words) or "--pick" in words or words[0] == "verify":
            continue  # the `life` fixture, test_readme.py (a front) and test_verify.py (a gain) run these
        if words[0] == "init":
            words = [str(tmp_path / word) if word.endswith((".onnx", ".yaml")) else word for word in words]
        if words[0] in ("run", "measure"):
            words += ["--results", str(life.results)]
        words = [word.replace("results/tables", str(ROOT / "results/tables")) for word in words]
        words = [word.replace(f"configs/{replicas.name}", str(replicas)) for word in words]
        done = tuner_here(*(word.replace("results/quickstart", str(life.folder)) for word in words))
        assert done.code == 0, f"{written}: {done.err}"
        assert done.out, written


@pytest.mark.parametrize("document", ["README.md", "results/README.md"])
def test_the_python_of_a_document_runs_where_its_results_are(document: str, life: Life) -> None:
    assert blocks(document, "python")
    for snippet in blocks(document, "python"):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", snippet],
            cwd=life.cwd,
            env=environment(life.cwd),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


@needs_browser
@pytest.mark.parametrize("width", [1280, 375])
def test_its_page_is_read_in_a_browser(life: Life, width: int, tmp_path: Path) -> None:
    with open_browser(tmp_path / "profile") as browser:
        read_as_a_person(browser, life.folder / "report.html", width)
        assert (
            browser.run("return document.getElementById('best').textContent") == (life.folder / "best.yaml").read_text()
        )
