"""Baselines that a server completes: OpenVINO Model Server sets what its configuration leaves out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tuner.model.host import HostFacts, host_facts, physical_cores
from tuner.study.baselines import baseline_configs, with_recorded_servers, with_servers
from tuner.study.conditions import under
from tuner.study.file.loader import load_study
from tuner.study.study import Study

TEXT = """\
schema_version: 1
model: builtin:mlp
device: CPU
objective: {minimize: latency_p99_ms}
baselines: {own: {NUM_STREAMS: 1}, production: {server: ovms%s}}
deployment: {cpus: 1.5}
budget: {minutes: 5}
"""


def study(tmp_path: Path, more: str = "") -> Study:
    (tmp_path / "s.yaml").write_text(TEXT % more)
    return load_study(tmp_path / "s.yaml")


def host(cpus: int, quota: float | None) -> HostFacts:
    return replace(host_facts(), cpus_allowed=cpus, cpu_quota=quota)


@pytest.mark.parametrize(
    ("given", "cpus", "quota", "expected"),
    [
        ("", 8, 1.5, {"ENABLE_CPU_PINNING": False, "INFERENCE_NUM_THREADS": 2, "PERFORMANCE_HINT": "LATENCY"}),
        ("", 8, None, {"ENABLE_CPU_PINNING": True, "INFERENCE_NUM_THREADS": 8, "PERFORMANCE_HINT": "LATENCY"}),
        ("", 2, 3.0, {"ENABLE_CPU_PINNING": False, "INFERENCE_NUM_THREADS": 2, "PERFORMANCE_HINT": "LATENCY"}),
        (
            ", PERFORMANCE_HINT: THROUGHPUT",
            8,
            None,
            {
                "ENABLE_CPU_PINNING": True,
                "INFERENCE_NUM_THREADS": 8,
                "NUM_STREAMS": 4,
                "PERFORMANCE_HINT": "THROUGHPUT",
            },
        ),
        (
            ", NUM_STREAMS: 3, ENABLE_CPU_PINNING: true",
            8,
            2.0,
            {"ENABLE_CPU_PINNING": True, "INFERENCE_NUM_THREADS": 2, "NUM_STREAMS": 3},
        ),
    ],
)
def test_what_is_left_out_is_set_as_the_model_server_sets_it(
    tmp_path: Path, given: str, cpus: int, quota: float | None, expected: dict[str, Any]
) -> None:
    found = baseline_configs(with_servers(study(tmp_path, given), host(cpus, quota), physical_cores=4))
    assert found["production"].properties == expected
    assert found["own"].properties == {"NUM_STREAMS": 1}


def test_the_quota_of_the_deployment_counts(tmp_path: Path) -> None:
    one = study(tmp_path)
    found = baseline_configs(with_servers(one, under(host(8, None), one.conditions), physical_cores=8))
    assert found["production"].properties["INFERENCE_NUM_THREADS"] == 2


def test_a_record_is_read_with_what_the_server_set_where_it_was_measured(tmp_path: Path) -> None:
    one = study(tmp_path)
    record = {"production": {"properties": {"INFERENCE_NUM_THREADS": 7}}, "own": {"properties": {"NUM_STREAMS": 9}}}
    found = with_recorded_servers(one, record).baselines
    assert found["production"].properties == {"INFERENCE_NUM_THREADS": 7}
    assert found["own"].properties == {"NUM_STREAMS": 1}
    assert with_recorded_servers(one, {}) == one


def test_two_threads_of_a_core_are_one_core(tmp_path: Path) -> None:
    for cpu, siblings in enumerate(("0,2", "1,3", "0,2", "1,3")):
        folder = tmp_path / f"sys/devices/system/cpu/cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{siblings}\n")
    assert physical_cores(range(4), tmp_path) == 2
    assert physical_cores([0, 2], tmp_path) == 1
    assert physical_cores([0, 1, 8], tmp_path) == 3
