"""Small files in which the kernel reports and takes figures, under /proc and /sys.

Responsible for files that a host or a sandbox may not have. Must not know what they mean.
"""

from __future__ import annotations

from pathlib import Path


def read_text(path: Path) -> str:
    """Returns the content of a file, or "" if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
