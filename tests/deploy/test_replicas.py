"""Replicas in best.yaml: written, read back, and each process on its share of the CPUs. What binds CPUs runs in a
process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import openvino
import pytest
import yaml

from tuner.deploy import deployment
from tuner.deploy.apply import describe
from tuner.deploy.best import Best, BestBaseline
from tuner.deploy.best_file import format_best, load_best, parse_best, write_best
from tuner.deploy.deployment import DeploymentWarning
from tuner.errors import BestFileError, InputError
from tuner.model.host import cpu_list

GOLDEN = Path(__file__).parent / "golden" / "best-v1-replicas.yaml"
MakeBest = Callable[..., Best]
needs_two_cpus = pytest.mark.skipif(len(cpu_list()) < 2, reason="needs two CPUs to split")


@pytest.fixture
def split(illustration: Best) -> Best:
    conditions = {"cpus": 0.5, "cpuset": "0-1", "memory_bytes": 1 << 29, "replicas": 2, "background": "./other"}
    return replace(illustration, replicas=2, affinity="split", deployment=conditions)


def test_the_file_with_replicas_stays_readable_and_is_written_as_ever(split: Best, tmp_path: Path) -> None:
    assert load_best(GOLDEN) == split
    write_best(tmp_path / "best.yaml", split)
    assert (tmp_path / "best.yaml").read_text() == GOLDEN.read_text()
    content = yaml.safe_load(GOLDEN.read_text())
    assert (content["replicas"], content["affinity"], content["deployment"]["cpus"]) == (2, "split", 0.5)


@pytest.mark.parametrize("replicas", [1, 2, 64])
@pytest.mark.parametrize("stated", [{}, {"cpus": 1.0}, {"cpuset": "0,2", "background": "while true; do :; done"}])
def test_what_is_written_is_what_is_read(illustration: Best, replicas: int, stated: dict[str, Any]) -> None:
    best = replace(illustration, replicas=replicas, deployment=stated, source=None)
    text = format_best(best)
    assert parse_best(text, "best.yaml") == best
    assert ("replicas:" in text.splitlines()) is False
    assert any(line.startswith("replicas: ") for line in text.splitlines()) == (replicas > 1)
    assert any(line.startswith("deployment:") for line in text.splitlines()) == bool(stated)


@pytest.mark.parametrize(
    ("key", "value"), [("replicas", 0), ("replicas", "two"), ("affinity", "apart"), ("deployment", [1])]
)
def test_what_no_tuner_writes_is_named(split: Best, key: str, value: object) -> None:
    content = yaml.safe_load(format_best(split)) | {key: value}
    with pytest.raises(BestFileError, match=key):
        parse_best(yaml.safe_dump(content), "best.yaml")


def test_every_replica_has_its_share_of_the_cpus(split: Best) -> None:
    assert [list(split.replica_cpus(i, [0, 2, 4])) for i in (0, 1)] == [[0], [2, 4]]
    shared = replace(split, affinity="shared")
    assert [list(shared.replica_cpus(i, [0, 2])) for i in (0, 1)] == [[0, 2], [0, 2]]


def test_the_words_say_how_many_there_are_where_and_under_what(split: Best, illustration: Best) -> None:
    text = describe(split)
    assert "# Replicas: 2 identical processes, CPUs split among them; start each as below" in text
    assert "cpus 0.5, cpuset 0-1, memory_bytes 536870912, replicas 2, background ./other" in text
    assert ".compile(replica=0)" in text
    assert "all on the same CPUs" in describe(replace(split, affinity="shared"))
    assert "eplica" not in describe(illustration)


# Compiling


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The CPUs that a process was bound to; this one is not."""
    calls: list[list[int]] = []
    monkeypatch.setattr("tuner.deploy.deployment.cpu_list", lambda: (0, 1, 2))
    monkeypatch.setattr("tuner.deploy.deployment.os.sched_setaffinity", lambda pid, cpus: calls.append(list(cpus)))
    return calls


@pytest.mark.openvino
@pytest.mark.parametrize(("replica", "cpus"), [(0, [0]), (1, [1, 2])])
def test_a_replica_keeps_to_its_share(
    make_best: MakeBest, core: openvino.Core, bound: list[list[int]], replica: int, cpus: list[int]
) -> None:
    make_best(replicas=2, affinity="split").compile(replica=replica, core=core, strict=True)
    assert bound == [cpus]


@pytest.mark.openvino
@pytest.mark.parametrize("replica", [2, 5, -1])
@pytest.mark.parametrize("affinity", ["shared", "split"])
def test_a_replica_that_there_is_not_is_refused(
    make_best: MakeBest, core: openvino.Core, bound: list[list[int]], replica: int, affinity: str
) -> None:
    with pytest.raises(InputError, match=f"replica {replica}: this configuration has 2, counted from 0"):
        make_best(replicas=2, affinity=affinity).compile(replica=replica, core=core)
    assert bound == []


@pytest.mark.openvino
def test_a_replica_without_a_number_is_warned(make_best: MakeBest, core: openvino.Core, bound: list[list[int]]) -> None:
    best = make_best(replicas=2, affinity="split")
    with pytest.warns(DeploymentWarning, match=r"not told which of them this is, as by compile\(replica=0\)"):
        best.compile(core=core)
    with pytest.raises(BestFileError, match="not told which"):
        best.compile(core=core, strict=True)
    assert bound == []


@pytest.mark.openvino
def test_replicas_that_share_the_cpus_need_no_number(
    make_best: MakeBest, core: openvino.Core, bound: list[list[int]]
) -> None:
    for replica in (None, 0, 1):
        make_best(replicas=2).compile(core=core, strict=True, replica=replica)
    assert bound == []


@pytest.mark.openvino
def test_too_few_cpus_to_split_are_a_difference(
    make_best: MakeBest, core: openvino.Core, bound: list[list[int]]
) -> None:
    best = make_best(replicas=4, affinity="split")
    with pytest.warns(DeploymentWarning, match="cannot be split among 4 replicas"):
        best.compile(core=core, replica=0)
    with pytest.raises(BestFileError, match="cannot be split"):
        best.compile(core=core, replica=0, strict=True)


@pytest.mark.openvino
def test_where_a_process_cannot_choose_its_cpus_it_is_said(
    make_best: MakeBest, core: openvino.Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(deployment.os, "sched_setaffinity")
    with pytest.warns(DeploymentWarning, match="does not let a process choose its CPUs"):
        make_best(replicas=2, affinity="split").compile(core=core, replica=0)


TODAY = BestBaseline(name="today", value=96.0, properties={}, replicas=4, affinity="shared")


def test_the_file_says_how_many_processes_the_baseline_had(split: Best) -> None:
    best = replace(split, baseline=TODAY, source=None)
    text = format_best(best)
    assert "infer_requests: null, replicas: 4, affinity: shared}" in text
    assert parse_best(text, "best.yaml") == best
    assert "# The baseline today, used where this does not compile: 4 identical processes, all on" in describe(best)
    alone = replace(best, replicas=1, affinity="shared", baseline=replace(TODAY, replicas=1, affinity=None))
    assert "used where this does not compile" not in describe(alone)
    assert "used where this does not compile: one process" in describe(replace(alone, replicas=2))
    with pytest.raises(BestFileError, match="affinity"):
        parse_best(text.replace("affinity: shared}", "affinity: apart}"), "best.yaml")


@pytest.mark.openvino
def test_a_fallback_says_in_how_many_processes_it_was_measured_and_gives_the_cpus_back(
    make_best: MakeBest, core: openvino.Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    here: list[tuple[int, ...]] = [(0, 1, 2)]
    monkeypatch.setattr("tuner.deploy.deployment.cpu_list", lambda: here[-1])
    monkeypatch.setattr("tuner.deploy.deployment.os.sched_setaffinity", lambda pid, cpus: here.append(tuple(cpus)))
    best = make_best(replicas=2, affinity="split", properties={"NO_SUCH": 1}, baseline=TODAY)
    with pytest.warns(DeploymentWarning, match="measured in 4 identical processes, all on the same CPUs") as said:
        assert best.compile(core=core, replica=0).is_fallback
    assert any("(tuned: 2)" in str(one.message) for one in said)
    assert here == [(0, 1, 2), (0,), (0, 1, 2)]
    alike = replace(TODAY, replicas=2, affinity="split")
    with pytest.warns(DeploymentWarning, match="using the baseline today instead"):
        replace(best, baseline=alike).compile(core=core, replica=0)
    assert here[3:] == [(0,)]


def run(program: str, cwd: Path) -> list[str]:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    words = [sys.executable, "-W", "error", "-c", textwrap.dedent(program)]
    return subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize(("replicas", "cpus"), [(2, [0, 1]), (2, [0, 2, 4]), (3, list(range(8))), (5, [1, 3])])
def test_the_printed_code_splits_cpus_as_a_replica_does(split: Best, replicas: int, cpus: list[int]) -> None:
    best = replace(split, replicas=replicas)
    code = describe(best)
    binding = code[code.index("import os") : code.index("import openvino")].replace("import os\n", "")
    for replica in range(replicas):
        bound: list[list[int]] = []
        fake = SimpleNamespace(sched_getaffinity=lambda _: set(cpus), sched_setaffinity=lambda _, c: bound.append(c))  # noqa: B023
        exec(binding.replace("= 0,", f"= {replica},"), {"os": fake})
        assert bound == [list(best.replica_cpus(replica, cpus))]


@needs_two_cpus
@pytest.mark.openvino
@pytest.mark.slow
def test_the_printed_code_binds_each_of_two_processes_to_its_own_cpus(
    make_best: MakeBest, saved_mlp: str, tmp_path: Path
) -> None:
    best = make_best(path=saved_mlp, replicas=2, affinity="split", effective={})
    write_best(tmp_path / "best.yaml", best)
    code = describe(best)
    with_tuner, alone = code[: code.index("# With OpenVINO alone")], code[code.index("# With OpenVINO alone") :]
    tell = "\nimport os; print(sorted(os.sched_getaffinity(0)))\n"
    n = len(cpu_list())
    for replica, share in enumerate((cpu_list()[: n // 2], cpu_list()[n // 2 :])):
        ours = with_tuner.replace("replica=0", f"replica={replica}")
        plain = alone.replace("replica, replicas = 0, 2", f"replica, replicas = {replica}, 2")
        assert (ours != with_tuner, plain != alone) == (replica == 1, replica == 1)
        for program in (ours, plain):
            assert run(program + tell, tmp_path) == [str(list(share))]
