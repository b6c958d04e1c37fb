"""The README is true: its study file loads, its first commands are those of CI, and every study file can be run.

Beside it, `test_documents.py` checks all documents, and `test_life.py` runs their commands on a real study.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import ROOT, Tuner
from tests.documents import WRITTEN, blocks, commands, text_of
from tuner.cli import app
from tuner.deploy.front_file import load_front
from tuner.study.file.loader import load_study

README = text_of("README.md")
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
PICK = "latency_p90_ms<="
"""Begins the bound of the documents' `--pick`."""


def test_the_study_file_of_the_readme_loads(tmp_path: Path) -> None:
    (whole,) = blocks("README.md", "yaml")
    (tmp_path / "whole.yaml").write_text(whole)
    assert load_study(tmp_path / "whole.yaml").objective.metric == "throughput"


def test_every_command_of_the_command_line_stands_in_the_readme() -> None:
    names = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert names == {shlex.split(command)[1] for command in commands("README.md")}


def test_ci_runs_the_two_commands_of_the_first_screen() -> None:
    script = (ROOT / ".ci/run").read_text()
    patterns = re.findall(r"grep -m1 -E '([^']+)' README\.md", script)
    assert len(patterns) == 2
    for pattern in patterns:
        assert len([line for line in README.splitlines() if re.search(pattern, line)]) == 1


@pytest.mark.openvino
@pytest.mark.parametrize("path", [p for p in CONFIGS if p.stem != "quickstart"], ids=lambda p: p.stem)
def test_every_study_file_is_ready_to_run(path: Path, tuner_here: Tuner, tmp_path: Path) -> None:
    """Preflight, batching proof and enumeration with the real model; whole runs of all are a benchmark's affair. The
    quickstart is planned and run in test_life.py."""
    done = tuner_here("run", path, "--plan", "--results", tmp_path / "results")
    assert done.code == 0, done.err
    assert re.search(r"space: \d+ requested, \d+ distinct", done.out)
    assert not (tmp_path / "results" / path.stem / "best.yaml").exists()


@pytest.mark.openvino
def test_a_front_is_measured_shown_picked_from_and_applied(
    tuner_here: Tuner, tmp_path: Path, short_windows: None
) -> None:
    """With a real model and a small space; a budget so short claims little, but writes every file."""
    path = tmp_path / "ocr-angle-cpu-front.yaml"
    space = "space: {NUM_STREAMS: {choices: [1, 2]}, batch_size: {choices: [1, 4]}}"
    path.write_text((ROOT / "configs" / path.name).read_text().replace("space: auto", space))
    done = tuner_here("run", path, "--minutes", "0.2", "--results", tmp_path / "results")
    assert done.code == 0, done.err
    folder = tmp_path / "results" / "ocr-angle-cpu-front"
    front = load_front(folder / "front.yaml")
    assert front.points
    assert "the front: " in tuner_here("show", folder).out
    last = front.points[-1]
    pick = f"{PICK}{1.001 * last.metrics['latency_p90_ms']:.6g}"
    (command,) = (command for command in commands(*WRITTEN) if "--pick" in command)
    words = shlex.split(command)[1:]
    words = [pick if word.startswith(PICK) else word for word in words]
    words = [str(folder) if word == "results/ocr-angle-cpu-front" else word for word in words]
    picked = tuner_here(*words, "--out", tmp_path / "picked.yaml")
    assert picked.code == 0, picked.err
    assert "tuner apply" in picked.out
    applied = tuner_here("apply", tmp_path / "picked.yaml")
    assert applied.code == 0, applied.err
    assert tuner_here("show", folder, "--pick", "latency_p90_ms<=0.000001").code == 1
    assert "did you mean latency_p90_ms?" in tuner_here("show", folder, "--pick", "latency_p90ms<=5").err
