from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tuner.model.host import cpu_model, cpu_quota, cpu_share, cpu_stat_files, host_facts


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def v1(folder: str, quota: int, period: int = 100_000) -> dict[str, str]:
    return {f"{folder}/cpu.cfs_quota_us": f"{quota}\n", f"{folder}/cpu.cfs_period_us": f"{period}\n"}


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, None),
        ({"proc/self/cgroup": "0::/\n"}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "50000 50000\n"}, 1.0),
        # The parent is tighter, and the child has no limit at all.
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/cpu.max": "200000 100000\n",
                "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
            },
            2.0,
        ),
        # A container that shows the host's path: only the mount itself exists.
        ({"proc/self/cgroup": "0::/docker/123\n", "sys/fs/cgroup/cpu.max": "300000 100000\n"}, 3.0),
        ({"proc/self/cgroup": "0::/../..\n", "sys/fs/cgroup/cpu.max": "300000 100000\n"}, 3.0),
        # v1, the controllers of cpu mounted alone, together and in the other order.
        ({"proc/self/cgroup": "1:cpu:/\n", **v1("sys/fs/cgroup/cpu", -1)}, None),
        ({"proc/self/cgroup": "1:cpu:/x\n", **v1("sys/fs/cgroup/cpu/x", 50_000)}, 0.5),
        ({"proc/self/cgroup": "4:cpu,cpuacct:/x\n", **v1("sys/fs/cgroup/cpu,cpuacct/x", 250_000)}, 2.5),
        ({"proc/self/cgroup": "4:cpuacct,cpu:/x\n", **v1("sys/fs/cgroup/cpuacct,cpu", 250_000, 50_000)}, 5.0),
        # Both hierarchies: v1 holds the limit, v2 is mounted beside it without controllers.
        ({"proc/self/cgroup": "1:cpu:/x\n0::/\n", **v1("sys/fs/cgroup/cpu/x", 100_000)}, 1.0),
        # cpuset is not cpu.
        ({"proc/self/cgroup": "2:cpuset:/x\n", **v1("sys/fs/cgroup/cpu/x", 100_000)}, None),
        ({"proc/self/cgroup": "nonsense\n\n1:cpu\n", "sys/fs/cgroup/cpu.max": "what"}, None),
        ({"proc/self/cgroup": "1:cpu:/\n", **v1("sys/fs/cgroup/cpu", 1000, 0)}, None),
    ],
)
def test_the_tightest_quota_of_a_group_and_its_parents_counts(
    tmp_path: Path, files: dict[str, str], quota: float | None
) -> None:
    assert cpu_quota(write(tmp_path, files)) == quota


def test_throttling_is_counted_where_a_group_and_its_parents_are(tmp_path: Path) -> None:
    names = ["sys/fs/cgroup/a/b/cpu.stat", "sys/fs/cgroup/a/cpu.stat", "sys/fs/cgroup/cpu/x/cpu.stat"]
    others = ["sys/fs/cgroup/c/cpu.stat", "sys/fs/cgroup/memory/x/cpu.stat"]
    groups = {"proc/self/cgroup": "1:cpu:/x\n4:memory:/x\n0::/a/b\n"}
    root = write(tmp_path, groups | dict.fromkeys([*names, *others], "nr_throttled 0\n"))
    assert sorted(cpu_stat_files(root)) == sorted(root / name for name in names)


@pytest.mark.parametrize(
    ("cpus", "parts", "shares"),
    [
        ([0, 2, 4, 6], 1, [[0, 2, 4, 6]]),
        ([0, 2, 4, 6], 2, [[0, 2], [4, 6]]),
        ([0, 2, 4], 2, [[0], [2, 4]]),
        ([5], 3, [[], [], [5]]),
        ([], 2, [[], []]),
    ],
)
def test_cpus_are_split_into_neighbouring_parts(cpus: list[int], parts: int, shares: list[list[int]]) -> None:
    assert [list(cpu_share(cpus, i, parts)) for i in range(parts)] == shares


def test_the_name_of_the_cpu_is_found_on_x86_and_arm(tmp_path: Path) -> None:
    x86 = write(tmp_path / "x86", {"proc/cpuinfo": "processor : 0\nmodel : 1\nmodel name\t: AMD  EPYC 7B13 \n"})
    arm = write(tmp_path / "arm", {"proc/cpuinfo": "processor : 0\n", "proc/device-tree/model": "Raspberry Pi 5\0"})
    assert cpu_model(x86) == "AMD EPYC 7B13"
    assert cpu_model(arm) == "Raspberry Pi 5"
    assert cpu_model(tmp_path / "nothing")


def test_the_facts_of_this_host_are_complete() -> None:
    facts = host_facts()
    assert facts.cpu_model
    assert 1 <= facts.cpus_allowed <= (os.cpu_count() or 1)
    assert facts.openvino.count(".") >= 2
    assert facts.system
    assert facts.kernel
    assert facts.machine


def test_reading_the_facts_imports_nothing_heavy() -> None:
    program = (
        "import sys; from tuner.model.host import host_facts; host_facts();"
        "heavy = {'openvino', 'numpy', 'optuna', 'pydantic'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])
