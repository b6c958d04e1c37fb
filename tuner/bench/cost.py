"""What a member costs beside time: the CPU seconds and the peak memory of its process.

Reads this process's own counters; what is divided by how many samples is decided elsewhere.
"""

from __future__ import annotations

from pathlib import Path

STATUS = Path("/proc/self/status")


def read_peak_memory_bytes(status: Path = STATUS) -> int | None:
    """The most that this process has had in memory since it started (VmHWM); None where the system does not tell.

    Resident pages, shared ones in full: a proportional share (PSS) falls as more processes map the same libraries, and
    would make a member of seven look smaller than the same one deployed alone. Not `ru_maxrss`, which a child inherits.
    """
    try:
        text = status.read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        name, _, value = line.partition(":")
        words = value.split()
        if name == "VmHWM" and len(words) == 2 and words[0].isdigit() and words[1] == "kB":
            return int(words[0]) * 1024
    return None
