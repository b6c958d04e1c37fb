"""Facts of the host that decide whether a measurement made elsewhere still means anything here.

Standard library only; importing it loads nothing heavy. Must not know what the facts are compared with.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

V2_MOUNTS = ("sys/fs/cgroup", "sys/fs/cgroup/unified")
V1_MOUNTS = ("sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct", "sys/fs/cgroup/cpuacct,cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """`cpus_allowed` counts the CPUs of the affinity mask; `cpu_quota` is in CPUs, None where there is no limit."""

    cpu_model: str
    cpus_allowed: int
    cpu_list: str = ""
    """Their numbers: `0-3,6`."""
    cpu_quota: float | None
    openvino: str
    system: str
    kernel: str
    machine: str


def host_facts(root: Path = Path("/")) -> HostFacts:
    """The facts of this process on this host; files are looked for below `root`."""
    return HostFacts(
        cpu_model=cpu_model(root),
        cpus_allowed=cpus_allowed(),
        cpu_list=cpu_ranges(cpu_list()),
        cpu_quota=cpu_quota(root),
        openvino=openvino_version(),
        system=platform.system(),
        kernel=platform.release(),
        machine=platform.machine(),
    )


def cpus_allowed() -> int:
    """How many CPUs the affinity mask of this process allows."""
    return len(cpu_list())


def cpu_list() -> tuple[int, ...]:
    """The CPUs that the affinity mask of this process allows, ascending."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def cpu_ranges(cpus: Iterable[int]) -> str:
    """Ascending numbers as Linux writes them: `0-3,6`."""
    runs: list[list[int]] = []
    for cpu in cpus:
        if runs and cpu == runs[-1][-1] + 1:
            runs[-1].append(cpu)
        else:
            runs.append([cpu])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def has_smt(root: Path = Path("/")) -> bool:
    """Whether hyper-threads are there and switched on (Linux; elsewhere nobody tells)."""
    return _text(root / "sys/devices/system/cpu/smt/active").strip() == "1"


def is_hybrid(root: Path = Path("/")) -> bool:
    """Whether there are performance and efficiency cores (Linux lists them as two kinds of CPU)."""
    return (root / "sys/devices/cpu_core").exists() and (root / "sys/devices/cpu_atom").exists()


def openvino_version() -> str:
    """Of the installed package, without importing it: `2026.4.1`; empty where it is not installed."""
    try:
        return importlib.metadata.version("openvino")
    except importlib.metadata.PackageNotFoundError:
        return ""


def cpu_model(root: Path = Path("/")) -> str:
    """`model name` of /proc/cpuinfo (x86), the device tree's model (Arm), else what the platform says."""
    for line in _text(root / "proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model") and value.strip():
            return " ".join(value.split())
    tree = _text(root / "proc/device-tree/model").strip("\0\n ")
    return tree or platform.processor() or platform.machine()


def cpu_quota(root: Path = Path("/")) -> float | None:
    """CPUs' worth of time this process may use, by cgroup v1 or v2; None without a limit.

    A group is limited by its parents too: the tightest counts. Within a container the path in /proc/self/cgroup may
    not exist under the mount; its parents up to the mount itself do.
    """
    quotas = (read_quota(folder) for folder, read_quota in _cpu_groups(root))
    return min((quota for quota in quotas if quota is not None), default=None)


def cpu_stat_files(root: Path = Path("/")) -> list[Path]:
    """The cpu.stat files in which throttling by a CPU quota is counted: of this process's group and of its parents."""
    return [file for folder, _ in _cpu_groups(root) if (file := folder / "cpu.stat").is_file()]


def _cpu_groups(root: Path) -> Iterator[tuple[Path, Callable[[Path], float | None]]]:
    """Every folder that may limit this process's CPU time, with how its quota is read; not each of them exists."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        parts = [part for part in PurePosixPath(group).parts if part not in ("/", "..")]
        levels = [parts[:depth] for depth in range(len(parts) + 1)]
        if number == "0" and not controllers:
            yield from ((root.joinpath(mount, *level), _v2_quota) for mount in V2_MOUNTS for level in levels)
        elif "cpu" in controllers.split(","):
            yield from ((root.joinpath(mount, *level), _v1_quota) for mount in V1_MOUNTS for level in levels)


def _v2_quota(folder: Path) -> float | None:
    # "max 100000" or "150000 100000": microseconds of CPU time in each period.
    words = _text(folder / "cpu.max").split()
    return _ratio(words[0], words[1]) if len(words) == 2 else None


def _v1_quota(folder: Path) -> float | None:
    return _ratio(_text(folder / "cpu.cfs_quota_us").strip(), _text(folder / "cpu.cfs_period_us").strip())


def _ratio(quota_us: str, period_us: str) -> float | None:
    # "max" (v2) and -1 (v1) mean no limit.
    if not quota_us.isdigit() or not period_us.isdigit() or int(period_us) == 0:
        return None
    return int(quota_us) / int(period_us)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
