"""Facts of the host that decide whether a measurement made elsewhere still means anything here.

Responsible for reading them. Must import the standard library only, and must not know what they are compared with.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tuner.model.kernel_files import own_cgroups, read_text

V2_MOUNTS = ("sys/fs/cgroup", "sys/fs/cgroup/unified")
"""Mount points of cgroup v2: alone, and beside cgroup v1 (systemd's hybrid layout)."""
V1_MOUNTS = ("sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct", "sys/fs/cgroup/cpuacct,cpu")
"""Mount points of cgroup v1's CPU controller, which is mounted alone or together with CPU accounting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """Holds the facts of a process and its host on which a measurement depends."""

    cpu_model: str
    cpus_allowed: int
    """Number of CPUs in the affinity mask of the process."""
    cpu_list: str = ""
    """Numbers of these CPUs, as Linux writes them: `0-3,6`."""
    cpu_quota: float | None
    """CPU time per second of wall time that the control groups allow, in CPUs; None without a limit."""
    openvino: str
    system: str
    kernel: str
    machine: str


def host_facts(root: Path = Path("/")) -> HostFacts:
    """Returns the facts of this process on this host; files are looked for below `root`."""
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
    """Returns the number of CPUs that the affinity mask of this process allows."""
    return len(cpu_list())


def cpu_list() -> tuple[int, ...]:
    """Returns the CPUs that the affinity mask of this process allows, ascending."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def cpu_share(cpus: Sequence[int], index: int, parts: int) -> Sequence[int]:
    """Returns the CPUs of part `index`, counted from 0, if `cpus` are split into `parts` neighbouring parts.

    The parts differ by at most one CPU; some are empty if there are more parts than CPUs.
    """
    n = len(cpus)
    return cpus[index * n // parts : (index + 1) * n // parts]


def cpu_ranges(cpus: Iterable[int]) -> str:
    """Returns ascending numbers of CPUs as Linux writes them: `0-3,6`."""
    runs: list[list[int]] = []
    for cpu in cpus:
        if runs and cpu == runs[-1][-1] + 1:
            runs[-1].append(cpu)
        else:
            runs.append([cpu])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def physical_cores(cpus: Iterable[int], root: Path = Path("/")) -> int:
    """Returns the number of physical cores of these CPUs.

    A CPU whose siblings are unknown counts as a core of its own.
    """
    folder = root / "sys/devices/system/cpu"
    return len({read_text(folder / f"cpu{cpu}/topology/thread_siblings_list").strip() or cpu for cpu in cpus})


def has_smt(root: Path = Path("/")) -> bool:
    """Returns True if hyper-threads are switched on; False on systems other than Linux, which do not tell."""
    return read_text(root / "sys/devices/system/cpu/smt/active").strip() == "1"


def is_hybrid(root: Path = Path("/")) -> bool:
    """Returns True if there are performance and efficiency cores, which Linux lists as two kinds of CPU."""
    return (root / "sys/devices/cpu_core").exists() and (root / "sys/devices/cpu_atom").exists()


def openvino_version() -> str:
    """Returns the version of the installed package without importing it: `2026.4.1`.

    A build that is no package is asked for its version; the text is empty if there is no OpenVINO.
    """
    try:
        return importlib.metadata.version("openvino")
    except importlib.metadata.PackageNotFoundError:
        try:
            return str(importlib.import_module("openvino").get_version())
        except ImportError:
            return ""


def cpu_model(root: Path = Path("/")) -> str:
    """Returns the name of the CPU by /proc/cpuinfo (x86), else the device tree (Arm), else the platform module."""
    for line in read_text(root / "proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model") and value.strip():
            return " ".join(value.split())
    tree = read_text(root / "proc/device-tree/model").strip("\0\n ")
    return tree or platform.processor() or platform.machine()


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Returns the CPUs' worth of time that this process may use, by cgroup v1 or v2; None without a limit.

    The parents of a group limit it too, so the smallest quota counts. Within a container the path in /proc/self/cgroup
    may not exist under the mount; its parents up to the mount itself do.
    """
    quotas = (read_quota(folder) for folder, read_quota in _cpu_groups(root))
    return min((quota for quota in quotas if quota is not None), default=None)


def cpu_stat_files(root: Path = Path("/")) -> list[Path]:
    """Returns the cpu.stat files that count throttling by a CPU quota: of this process's group and of its parents."""
    return [file for folder, _ in _cpu_groups(root) if (file := folder / "cpu.stat").is_file()]


def _cpu_groups(root: Path) -> Iterator[tuple[Path, Callable[[Path], float | None]]]:
    """Yields every folder that may limit this process's CPU time, with the reader of its quota; not each exists."""
    for entry in own_cgroups(root):
        parts = [part for part in entry.group.parts if part not in ("/", "..")]
        levels = [parts[:depth] for depth in range(len(parts) + 1)]
        if entry.is_v2:
            yield from ((root.joinpath(mount, *level), _v2_quota) for mount in V2_MOUNTS for level in levels)
        elif "cpu" in entry.controllers:
            yield from ((root.joinpath(mount, *level), _v1_quota) for mount in V1_MOUNTS for level in levels)


def _v2_quota(folder: Path) -> float | None:
    # "max 100000" or "150000 100000": microseconds of CPU time in each period.
    words = read_text(folder / "cpu.max").split()
    return _ratio(words[0], words[1]) if len(words) == 2 else None


def _v1_quota(folder: Path) -> float | None:
    return _ratio(read_text(folder / "cpu.cfs_quota_us").strip(), read_text(folder / "cpu.cfs_period_us").strip())


def _ratio(quota_us: str, period_us: str) -> float | None:
    # "max" (v2) and -1 (v1) mean no limit.
    if not quota_us.isdigit() or not period_us.isdigit() or int(period_us) == 0:
        return None
    return int(quota_us) / int(period_us)
