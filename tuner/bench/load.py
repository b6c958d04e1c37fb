"""What else the host was doing during a window: CPU time stolen by the hypervisor and used by other processes.

Linux only (/proc/stat); elsewhere there is nothing to read and the figures are zero.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

STAT = Path("/proc/stat")


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTimes:
    """Seconds since boot, summed over all CPUs; `own_s` is this process."""

    total_s: float
    busy_s: float
    steal_s: float
    own_s: float


def read_cpu_times(stat: Path = STAT) -> CpuTimes:
    own = time.process_time()
    try:
        line = stat.read_text().split("\n", 1)[0].split()
        tick = os.sysconf("SC_CLK_TCK")
        user, nice, system, idle, iowait, irq, softirq, steal = (int(x) / tick for x in line[1:9])
    except (OSError, ValueError):
        # No such file, or one that a container's sandbox left empty: no figures, but no failure either.
        return CpuTimes(total_s=0.0, busy_s=0.0, steal_s=0.0, own_s=own)
    busy = user + nice + system + irq + softirq
    return CpuTimes(total_s=busy + idle + iowait + steal, busy_s=busy, steal_s=steal, own_s=own)


def loads_pct(before: CpuTimes, after: CpuTimes) -> tuple[float, float]:
    """(steal, other processes) between two readings, in per cent of all CPUs, to one scheduler tick (10 ms)."""
    total = after.total_s - before.total_s
    if total <= 0.0:
        return 0.0, 0.0
    steal = (after.steal_s - before.steal_s) / total
    other = (after.busy_s - before.busy_s - (after.own_s - before.own_s)) / total
    return round(100 * min(max(steal, 0.0), 1.0), 2), round(100 * min(max(other, 0.0), 1.0), 2)
