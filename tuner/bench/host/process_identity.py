"""The identity of a process, in the names of what outlives the process.

Responsible for tags and for telling whether their process still runs. Must not know what carries a tag.
"""

from __future__ import annotations

import os
from pathlib import Path

TAG = r"(?P<pid>\d+)-(?P<started>\d+)"
"""Regular expression of the tags that `process_tag` makes."""


def process_tag(root: Path = Path("/")) -> str:
    """Returns the tag of this process: its number and its start time."""
    return f"{os.getpid()}-{_started(os.getpid(), root)}"


def is_gone(pid: str, started: str, root: Path = Path("/")) -> bool:
    """Returns True if the process of a tag has ended, even if another process has its number now."""
    return _started(int(pid), root) != started


def _started(pid: int, root: Path) -> str:
    """Returns the start time of a process in ticks since boot, or "" if there is no such process.

    Number and start time together identify one process for good.
    """
    # The name of the program, in parentheses, may hold anything; `starttime` is the 20th field after it (proc(5)).
    try:
        fields = (root / f"proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return fields[19] if len(fields) > 19 else ""
