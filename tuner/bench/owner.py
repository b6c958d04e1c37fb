"""Which process made something that outlives it: a mark for names, and whether its process is still there.

Knows /proc; not what carries such a name.
"""

from __future__ import annotations

import os
from pathlib import Path

MARK = r"(?P<pid>\d+)-(?P<started>\d+)"
"""In regular expressions, what `own_mark` makes."""


def own_mark(root: Path = Path("/")) -> str:
    return f"{os.getpid()}-{_started(os.getpid(), root)}"


def is_gone(pid: str, started: str, root: Path = Path("/")) -> bool:
    """Whether the process that a mark names has ended; another one may have its number."""
    return _started(int(pid), root) != started


def _started(pid: int, root: Path) -> str:
    """When a process started, in ticks since boot: with its number it names one process for good. Empty: no such."""
    # The name of the program, in parentheses, may hold anything; `starttime` is the 20th field after it (proc(5)).
    try:
        fields = (root / f"proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return fields[19] if len(fields) > 19 else ""
