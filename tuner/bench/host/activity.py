"""The activity of the host during a window: steal, other processes, CPU pressure, frequency, throttling.

Responsible for counters of Linux and their differences; a missing counter is zero or None. Must not decide what is too
much.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from tuner.bench.measurement import HostActivity
from tuner.bench.protocol import Clock
from tuner.model.host import cpu_stat_files
from tuner.model.kernel_files import read_text

STAT = Path("/proc/stat")
"""CPU times of the host."""

SAMPLED_CPUS = 8
"""Largest number of CPUs whose frequency and heat are read: each has own files, a host may have hundreds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTimes:
    """CPU seconds since boot, summed over CPUs; `own_s` is that of this process."""

    total_s: float
    busy_s: float
    steal_s: float
    own_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCounts:
    """One reading of all counters."""

    at_s: float
    cpu: CpuTimes
    pressure_s: float | None
    thermal_throttles: int
    quota_throttles: int


class HostReader:
    """Reads the counters of this host; made before anything is compiled, because a pinned thread has other CPUs.

    The existing files are found once, so that the two readings of a window are cheap: 0.2 ms on a virtual machine of
    2 CPUs, 0.5 ms with 16 files of heat and the lines of 128 CPUs.
    """

    def __init__(
        self,
        root: Path = Path("/"),
        *,
        cpus: Collection[int] | None = None,
        clock: Clock = time.perf_counter,
    ) -> None:
        allowed = sorted(_allowed_cpus() if cpus is None else cpus)
        folder = root / "sys/devices/system/cpu"
        sampled = [folder / f"cpu{allowed[i * len(allowed) // SAMPLED_CPUS]}" for i in range(SAMPLED_CPUS)]
        if len(allowed) <= SAMPLED_CPUS:
            sampled = [folder / f"cpu{cpu}" for cpu in allowed]
        heat = [cpu / f"thermal_throttle/{of}_throttle_count" for cpu in sampled for of in ("core", "package")]
        self._clock = clock
        self._stat = root / "proc/stat"
        self._cpus = frozenset(allowed) if _online(self._stat) - set(allowed) else None
        self._pressure = root / "proc/pressure/cpu"
        self._frequency = [f for cpu in sampled if (f := cpu / "cpufreq/scaling_cur_freq").is_file()]
        self._heat = [file for file in heat if file.is_file()]
        self._groups = cpu_stat_files(root)

    def read(self) -> HostCounts:
        """Returns one reading of all counters."""
        return HostCounts(
            at_s=self._clock(),
            cpu=read_cpu_times(self._stat, self._cpus),
            pressure_s=_read_pressure_s(self._pressure),
            thermal_throttles=sum(_integer(read_text(file)) for file in self._heat),
            quota_throttles=sum(_read_throttles(file) for file in self._groups),
        )

    def frequency_mhz(self) -> float | None:
        """Returns the present mean frequency of the sampled CPUs, or None if the system does not report it."""
        found = [khz for file in self._frequency if (khz := _integer(read_text(file))) > 0]
        return round(sum(found) / len(found) / 1e3, 1) if found else None

    def load_over(self, seconds: float, sleep: Callable[[float], None] = time.sleep) -> HostActivity:
        """Returns the activity of the host in the next `seconds`, in which this process sleeps."""
        before = self.read()
        sleep(seconds)
        return load_between(before, self.read(), frequency_mhz=self.frequency_mhz())


def read_cpu_times(stat: Path = STAT, cpus: Collection[int] | None = None) -> CpuTimes:
    """Returns the CPU times of `cpus`, those that this process may use, or of all CPUs."""
    own = time.process_time()
    wanted = {"cpu"} if cpus is None else {f"cpu{cpu}" for cpu in cpus}
    total = busy = steal = 0.0
    try:
        tick = os.sysconf("SC_CLK_TCK")
        for line in read_text(stat).splitlines():
            if not line.startswith("cpu"):
                break  # the CPUs come first
            name, _, figures = line.partition(" ")
            if name in wanted:
                user, nice, system, idle, iowait, irq, softirq, stolen = (int(x) / tick for x in figures.split()[:8])
                used = user + nice + system + irq + softirq
                busy, steal, total = busy + used, steal + stolen, total + used + idle + iowait + stolen
    except ValueError:
        # The sandbox of a container may show other text.
        return CpuTimes(total_s=0.0, busy_s=0.0, steal_s=0.0, own_s=own)
    return CpuTimes(total_s=total, busy_s=busy, steal_s=steal, own_s=own)


def loads_pct(before: CpuTimes, after: CpuTimes) -> tuple[float, float, float]:
    """Returns per cent of the CPUs for steal, other processes and this process between two readings.

    The resolution is one scheduler tick (10 ms).
    """
    total = after.total_s - before.total_s
    if total <= 0.0:
        return 0.0, 0.0, 0.0
    steal = (after.steal_s - before.steal_s) / total
    own = (after.own_s - before.own_s) / total
    other = (after.busy_s - before.busy_s) / total - own
    return _percent(steal), _percent(other), _percent(own)


def load_between(before: HostCounts, after: HostCounts, *, frequency_mhz: float | None = None) -> HostActivity:
    """Returns the activity of the host between two readings."""
    steal_pct, other_cpu_pct, own_cpu_pct = loads_pct(before.cpu, after.cpu)
    wall_s = after.at_s - before.at_s
    pressure_pct = None
    if before.pressure_s is not None and after.pressure_s is not None and wall_s > 0.0:
        pressure_pct = _percent((after.pressure_s - before.pressure_s) / wall_s)
    return HostActivity(
        steal_pct=steal_pct,
        other_cpu_pct=other_cpu_pct,
        own_cpu_pct=own_cpu_pct,
        pressure_pct=pressure_pct,
        frequency_mhz=frequency_mhz,
        thermal_throttles=max(0, after.thermal_throttles - before.thermal_throttles),
        quota_throttles=max(0, after.quota_throttles - before.quota_throttles),
    )


def _percent(share: float) -> float:
    return round(100 * min(max(share, 0.0), 1.0), 2)


def _allowed_cpus() -> Collection[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return range(os.cpu_count() or 1)


def _online(stat: Path) -> set[int]:
    words = [line.split(" ", 1)[0] for line in read_text(stat).splitlines() if line.startswith("cpu")]
    return {int(word[3:]) for word in words if word[3:].isdigit()}


def _read_pressure_s(path: Path) -> float | None:
    """Returns the seconds of `some avg10=0.00 ... total=1234`, in microseconds (the kernel's accounting/psi.rst)."""
    first = read_text(path).split("\n", 1)[0]
    total = first.rpartition("total=")[2].strip() if first.startswith("some ") else ""
    return int(total) / 1e6 if total.isdigit() else None


def _read_throttles(path: Path) -> int:
    for line in read_text(path).splitlines():
        name, _, value = line.partition(" ")
        if name == "nr_throttled":
            return _integer(value)
    return 0


def _integer(text: str) -> int:
    text = text.strip()
    return int(text) if text.isdigit() else 0
