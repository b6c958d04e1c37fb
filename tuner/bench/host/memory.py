"""The memory of a process, which is a member's cost beside time.

Responsible for the counters of one process. Must not know samples.
"""

from __future__ import annotations

from pathlib import Path

from tuner.model.kernel_files import read_text

STATUS = Path("/proc/self/status")
"""Counters of this process."""


def read_peak_memory_bytes(status: Path = STATUS) -> int | None:
    """Returns the peak resident memory of a process (VmHWM), or None if the system does not report it.

    Shared pages count in full. A proportional share (PSS) falls as more processes map the same libraries; it would make
    one of seven members look smaller than the same member deployed alone. `ru_maxrss` is inherited by a child.
    """
    for line in read_text(status).splitlines():
        name, _, value = line.partition(":")
        words = value.split()
        if name == "VmHWM" and len(words) == 2 and words[0].isdigit() and words[1] == "kB":
            return int(words[0]) * 1024
    return None
