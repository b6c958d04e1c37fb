"""Bad input through the command line: one clear message, the documented exit code, nothing half-written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, Tuner, call, command, environment
from tuner.model.locate import locate
from tuner.model.spec import ModelSpec
from tuner.records.session_log import read_log

SILERO = ModelSpec(path="package:silero_vad/data/silero_vad.onnx", folder=Path())


def write_study(folder: Path, model: str = "builtin:mlp", *, more: str = "", minutes: float = 0.1) -> Path:
    path = folder / "study.yaml"
    text = f"schema_version: 1\nmodel: {model}\ndevice: CPU\nobjective: {{maximize: throughput}}\n"
    path.write_text(f"{text}budget: {{minutes: {minutes}}}\n{more}")
    return path


def test_a_missing_model_exits_2_and_says_where_it_was_looked_for(tuner_here: Tuner, tmp_path: Path) -> None:
    done = tuner_here("run", write_study(tmp_path, "nowhere.onnx"), "--results", tmp_path / "results")
    assert done.code == 2
    assert "nowhere.onnx" in done.err
    assert done.out == ""
    assert not (tmp_path / "results").exists()


@pytest.mark.openvino
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("garbage.onnx", b"\x00\x01garbage" * 100),
        ("empty.onnx", b""),
        ("truncated.xml", b'<?xml version="1.0"?><net name="m" version="11"><layers><layer id="0"'),
    ],
)
def test_an_unreadable_model_exits_2_without_c_plus_plus_frames(
    tuner_here: Tuner, tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    done = tuner_here("run", write_study(tmp_path, name), "--results", tmp_path / "results")
    assert done.code == 2, done.err
    assert name in done.err
    assert "Exception from src" not in done.err


@pytest.mark.openvino
def test_an_unconvertible_model_exits_2_with_the_cause(tuner_here: Tuner, tmp_path: Path) -> None:
    done = tuner_here("run", write_study(tmp_path, str(locate(SILERO))), "--results", tmp_path / "results")
    assert done.code == 2, done.err
    assert "silero_vad.onnx" in done.err


@pytest.mark.openvino
def test_every_problem_of_a_file_is_reported_at_once_unknown_properties_too(tuner_here: Tuner, tmp_path: Path) -> None:
    more = "space:\n  NUM_STREAM: {choices: [1, 2]}\n  batch_sise: {choices: [1]}\nspeed: fast\n"
    path = write_study(tmp_path, more=more)
    done = tuner_here("run", path, "--results", tmp_path / "results")
    assert done.code == 2
    for line, words in ((7, "NUM_STREAMS"), (8, "batch_size"), (9, "speed")):
        assert any(f"{path}:{line}:" in text and words in text for text in done.err.splitlines()), done.err
    assert not (tmp_path / "results").exists()


MIXED = """schema_version: 1
model: {path: package:onnx/backend/test/data/light/light_squeezenet.onnx, inputs: {data_0: {shape: [1]}, dat: {}}}
device: NPU
objective: {maximize: throughput}
budget: {minutes: 0.1}
deployment: {memory: 32M, cpus: lots}
"""


@pytest.mark.openvino
def test_what_device_model_and_limits_lack_is_reported_at_once_with_what_is_wrong_in_the_file(
    tuner_here: Tuner, tmp_path: Path
) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(MIXED)
    done = tuner_here("run", path, "--results", tmp_path / "results")
    assert done.code == 2
    for place, words in (
        ("2:100", "'data_0' of 'package:onnx/backend/test/data/light/light_squeezenet.onnx' has 4 dimensions"),
        ("2:111", "has no input 'dat'"),
        ("3:9", "device NPU is not available here; available: CPU"),
        ("6:22", "a limit of 32 MiB does not hold"),
        ("6:33", 'expected a number, got "lots"'),
    ):
        assert any(line.find(f"{path}:{place}:") >= 0 and words in line for line in done.err.splitlines()), done.err
    assert not (tmp_path / "results").exists()


@pytest.mark.openvino
def test_a_device_that_this_host_lacks_exits_3_with_its_line_and_with_the_rest_of_the_file_2(
    tuner_here: Tuner, tmp_path: Path
) -> None:
    path = tmp_path / "study.yaml"
    alone = "schema_version: 1\nmodel: builtin:mlp\ndevice: NPU\nobjective: {maximize: throughput}\n"
    path.write_text(alone + "budget: {minutes: 0.1}\n")
    done = tuner_here("run", path, "--results", tmp_path / "results")
    assert done.code == 3
    assert f"{path}:3:9: device NPU is not available here; available: CPU" in done.err
    model = "model: {path: builtin:mlp, inputs: {y: {shape: [1, 64]}}}"
    path.write_text(path.read_text().replace("model: builtin:mlp", model))
    done = tuner_here("run", path, "--results", tmp_path / "results")
    assert done.code == 2
    assert f"{path}:3:9: device NPU is not available" in done.err
    assert f"{path}:2:{model.index('{shape') + 1}: 'builtin:mlp' has no input 'y'" in done.err


@pytest.mark.openvino
def test_a_value_that_the_device_refuses_exits_2_before_anything_is_measured(tuner_here: Tuner, tmp_path: Path) -> None:
    more = "space:\n  PERFORMANCE_HINT: {choices: [TROUGHPUT, LATENCY]}\nbaselines: {today: {NUM_STREAMS: lots}}\n"
    path = write_study(tmp_path, more=more)
    done = tuner_here("run", path, "--results", tmp_path / "results")
    assert done.code == 2
    assert f"{path}:7:32: CPU refuses this value: Wrong value TROUGHPUT" in done.err
    assert f"{path}:8:34: CPU refuses this value: Could not read number of streams from str: lots" in done.err
    done = tuner_here("measure", write_study(tmp_path), "--set", "NUM_STREAMS=lots", "--results", tmp_path / "results")
    assert done.code == 2
    assert "--set NUM_STREAMS" in done.err
    assert "lots" in done.err


@pytest.mark.slow
def test_an_output_folder_that_cannot_be_written_is_found_before_openvino_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "results").write_text("a file where a folder is wanted")
    (tmp_path / "openvino.py").write_text("raise SystemExit('imported')")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    words = [sys.executable, "-m", "tuner", "run", str(write_study(tmp_path)), "--results", str(tmp_path / "results")]
    done = call(words, cwd=ROOT, env=environment(tmp_path))
    assert done.code == 3
    assert "cannot write" in done.err
    assert "--results" in done.err


@pytest.mark.openvino
def test_a_study_whose_every_configuration_fails_stops_early_with_the_cause(
    tuner_here: Tuner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short_windows: None
) -> None:
    """Of values that are refused only with the model itself."""
    monkeypatch.setattr("tuner.study.file.device_checks.probe_properties", lambda device, values: {})
    more = "space:\n  NUM_STREAMS: {choices: [a, b, c, d, e, f, g, h]}\n  infer_requests: {choices: [1, 2, 4, 8]}\n"
    done = tuner_here("run", write_study(tmp_path, more=more), "--results", tmp_path / "results")
    assert done.code == 1, done.err
    assert "no configuration of the space could be measured" in done.out
    assert "streams" in done.out
    log = read_log(tmp_path / "results/study/sessions.jsonl")
    assert log.verdicts()[0].reason == "failed"
    assert not log.sessions("search", "race", "final")
    assert all(number is None for line in log.sessions("confirm") for number in line.trials), "the baselines alone"


@pytest.mark.openvino
def test_records_of_a_newer_version_exit_3_and_are_left_alone(tuner_here: Tuner, tmp_path: Path) -> None:
    folder = tmp_path / "results/study"
    folder.mkdir(parents=True)
    newer = b'{"kind":"header","schema_version":99}\n'
    (folder / "sessions.jsonl").write_bytes(newer)
    done = tuner_here("run", write_study(tmp_path), "--results", tmp_path / "results")
    assert done.code == 3
    assert "newer" in done.err
    assert (folder / "sessions.jsonl").read_bytes() == newer


@pytest.mark.openvino
def test_a_refused_study_leaves_no_folder(tuner_here: Tuner, tmp_path: Path) -> None:
    (tmp_path / "garbage.onnx").write_bytes(b"garbage")
    done = tuner_here("run", write_study(tmp_path, "garbage.onnx"), "--results", tmp_path / "results")
    assert done.code == 2
    assert not (tmp_path / "results" / "study").exists()


@pytest.mark.openvino
def test_a_device_that_is_not_there_exits_3_and_names_those_that_are(tuner_here: Tuner, tmp_path: Path) -> None:
    path = write_study(tmp_path)
    path.write_text(path.read_text().replace("device: CPU", "device: NPU"))
    done = tuner_here("run", path, "--results", tmp_path / "results")
    assert done.code == 3
    assert "available: CPU" in done.err


def test_show_of_a_folder_without_a_study_exits_2(tuner_here: Tuner, tmp_path: Path) -> None:
    done = tuner_here("show", tmp_path)
    assert done.code == 2
    assert "no study" in done.err


def test_a_replay_of_what_is_no_table_exits_2(tuner_here: Tuner, tmp_path: Path) -> None:
    for path in (tmp_path / "missing.csv", tmp_path):
        done = tuner_here("replay", path)
        assert done.code == 2
        assert "a table" in done.err


def test_apply_of_garbage_exits_2(tuner_here: Tuner, tmp_path: Path) -> None:
    (tmp_path / "best.yaml").write_text("[1, 2")
    done = tuner_here("apply", tmp_path / "best.yaml")
    assert done.code == 2
    assert "best.yaml" in done.err


def test_a_best_file_and_a_study_file_are_not_taken_for_each_other(tuner_here: Tuner, tmp_path: Path) -> None:
    best = tmp_path / "best.yaml"
    best.write_text((Path(__file__).parent / "deploy/golden/best-v1.yaml").read_text())
    done = tuner_here("run", best)
    assert done.code == 2
    assert done.err == f"tuner: {best}: this is a best.yaml, not a study file\n       `tuner apply {best}` uses it\n"
    done = tuner_here("apply", path := write_study(tmp_path))
    assert done.code == 2
    assert done.err == f"tuner: {path}: this is a study file, not a best.yaml\n       `tuner run {path}` makes one\n"


def test_a_misspelt_set_is_told_what_was_meant(tuner_here: Tuner, tmp_path: Path) -> None:
    done = tuner_here("measure", write_study(tmp_path), "--set", "batch_sise=2")
    assert done.code == 2
    assert "did you mean batch_size?" in done.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "code"), [(["schema"], 0), (["--help"], 0), (["--version"], 0), (["show", "results"], 2)]
)
def test_a_reader_that_leaves_changes_no_exit_code_and_shows_no_traceback(
    tmp_path: Path, words: list[str], code: int
) -> None:
    """As `| head -1` does; here nothing is read at all, which needs no luck with timing."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        command(*words), cwd=tmp_path, env=environment(tmp_path), stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    assert done.returncode == code, done.stderr
    assert ("holds no study" in done.stderr) == (code == 2)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_publishing_without_matplotlib_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "matplotlib.py").write_text("raise ImportError('not here')")
    done = subprocess.run(
        [sys.executable, ROOT / "tests/benchmarks/publish.py", tmp_path, "--page"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "the page's figures need matplotlib: pip install -e '.[dev]'\n"


@pytest.mark.parametrize("words", [["--set", "NUM_STREAMS"], ["--set", "speed=3"], ["--set", "batch_size=no"]])
def test_a_bad_set_exits_2_before_anything_is_measured(tuner_here: Tuner, tmp_path: Path, words: list[str]) -> None:
    done = tuner_here("measure", write_study(tmp_path), "--results", tmp_path / "results", *words)
    assert done.code == 2
    assert "--set" in done.err


def test_a_wrong_option_exits_2_and_points_to_help(tuner_here: Tuner) -> None:
    done = tuner_here("run", "--fast")
    assert done.code == 2
    assert done.err.endswith("try: tuner run --help\n")
