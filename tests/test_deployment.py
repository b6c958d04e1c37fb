"""Studies under a deployment's conditions through the command line: what they write, refuse, and leave behind."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from tests.conftest import ROOT, Tuner, command, environment, wait_for
from tuner.bench.host.cgroup import _hierarchies, open_group
from tuner.errors import HostError
from tuner.records.session_log import read_log

SPACE = "space: {NUM_STREAMS: {choices: [1, 2]}, INFERENCE_NUM_THREADS: {choices: [1, 2]}}\n"


def write_study(folder: Path, *, minutes: float = 0.2, **sections: str) -> Path:
    path = folder / "study.yaml"
    text = "schema_version: 1\nmodel: builtin:mlp\ndevice: CPU\nobjective: {maximize: throughput}\n"
    more = "".join(f"{key}: {value}\n" for key, value in sections.items())
    path.write_text(f"{text}budget: {{minutes: {minutes}}}\n{more}")
    return path


def groups() -> set[Path]:
    """Of every tuner on this host."""
    parents = {parent for hierarchy in _hierarchies(Path("/")) for parent in hierarchy.parents()}
    return {folder for parent in parents for folder in parent.glob("tuner-*")}


def is_of_another(folder: Path) -> bool:
    """Somebody else's tuner runs meanwhile."""
    maker = int(folder.name.split("-")[1])
    return maker != os.getpid() and psutil.pid_exists(maker)


def made_by(pid: int) -> list[Path]:
    return [folder for folder in groups() if folder.name.startswith(f"tuner-{pid}-")]


@pytest.fixture
def may_limit() -> Iterator[None]:
    for cpus, memory_bytes in ((1.0, None), (None, 64 << 20)):
        try:
            open_group(cpus=cpus, memory_bytes=memory_bytes).remove()
        except HostError as error:
            pytest.skip(f"needs the right to make control groups: {error}")
    before = groups()
    yield
    assert {folder for folder in groups() - before if not is_of_another(folder)} == set()


def test_a_quota_above_the_host_exits_2_with_its_line_before_anything_starts(tuner_here: Tuner, tmp_path: Path) -> None:
    path = write_study(tmp_path, deployment="{cpus: 5000, cpuset: [4999]}")
    done = tuner_here("run", path, "--results", tmp_path / "results")
    assert done.code == 2
    assert f"{path}:6:20: a quota of 5000 CPUs is no limit" in done.err
    assert f"{path}:6:34: CPU 4999 is not there for this process; it may use" in done.err
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
@pytest.mark.openvino
def test_a_study_of_two_replicas_under_a_quota_ends_in_a_file_that_says_so(
    tuner_here: Tuner, tmp_path: Path, may_limit: None, short_windows: None
) -> None:
    path = write_study(tmp_path, deployment="{cpus: 0.9, replicas: 2}")
    path.write_text(path.read_text() + SPACE)
    done = tuner_here("run", path, "--results", tmp_path / "results")
    assert done.code == 0, done.err
    folder = tmp_path / "results/study"
    best = yaml.safe_load((folder / "best.yaml").read_text())
    assert (best["replicas"], best["deployment"]) == (2, {"cpus": 0.9, "replicas": 2})
    assert best["environment"]["cpu_quota"] == 0.9
    assert "2 replicas" in done.out
    sessions = read_log(folder / "sessions.jsonl").sessions("baselines", "race", "search", "final", "confirm")
    assert {config.replicas for line in sessions for config in line.session.configurations} == {2}
    windows = [w for line in sessions for m in line.session.members if hasattr(m, "windows") for w in m.windows]
    assert sum(w.quota_throttles for w in windows) > 0

    shown = json.loads(tuner_here("show", folder, "--json").out)
    assert shown["verdict"]
    applied = tuner_here("apply", folder / "best.yaml")
    assert applied.code == 0, applied.err
    assert "a quota of 0.9 CPUs (here " in applied.err
    assert "# Measured under the deployment's conditions: cpus 0.9, replicas 2" in applied.out
    again = tuner_here("run", path, "--results", tmp_path / "results")
    assert (again.code, again.out) == (0, done.out)
    changed = path.read_text().replace("cpus: 0.9", "cpus: 0.8")
    path.write_text(changed)
    refused = tuner_here("run", path, "--results", tmp_path / "results")
    assert refused.code == 2
    assert "cpu_quota: was 0.9, is 0.8" in refused.err
    assert "--fresh" in refused.err


@pytest.mark.slow
@pytest.mark.openvino
@pytest.mark.parametrize("memory", ["16M", "32M"])
def test_a_memory_limit_that_is_too_small_exits_2_with_its_line_and_leaves_nothing(
    tuner_here: Tuner, tmp_path: Path, may_limit: None, memory: str
) -> None:
    path = write_study(tmp_path, deployment=f"{{memory: {memory}}}")
    done = tuner_here("run", path, "--results", tmp_path / "results")
    assert done.code == 2, done.err
    assert f"{path}:6:22: a limit of {memory[:-1]} MiB does not hold a process that measures" in done.err
    assert not (tmp_path / "results/study/sessions.jsonl").exists()


@pytest.mark.slow
@pytest.mark.openvino
def test_more_replicas_than_memory_holds_end_with_the_figures_before_they_start(
    tuner_here: Tuner, tmp_path: Path
) -> None:
    path = write_study(tmp_path, deployment="{replicas: 9000}")
    done = tuner_here("run", path, "--results", tmp_path / "results")
    assert done.code == 1, done.err
    assert "9000 replicas need about" in done.err
    assert "MiB are free: give fewer replicas" in done.err


@pytest.mark.slow
@pytest.mark.openvino
def test_a_run_that_was_killed_under_a_quota_leaves_groups_that_the_next_start_takes_away(
    tuner: Tuner, tmp_path: Path, may_limit: None
) -> None:
    path = write_study(tmp_path, deployment="{cpus: 0.8}")
    path.write_text(path.read_text() + SPACE)
    log = tmp_path / "results/study/sessions.jsonl"
    words = ["run", str(path), "--results", str(tmp_path / "results")]
    with subprocess.Popen(
        command(*words),
        cwd=ROOT,
        env=environment(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            wait_for(lambda: (log.exists() and made_by(process.pid)) or process.poll() is not None)
            assert process.poll() is None
        finally:
            process.kill()
    left = made_by(process.pid)
    assert left
    assert tuner("run", path, "--results", tmp_path / "results", "--plan").code == 0
    assert not any(folder.exists() for folder in left)
