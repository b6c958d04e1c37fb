"""Temporary folders of model caches: made for one run, and taken away by the next where that was killed.

Knows names and folders; not what is cached.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from tuner.bench.owner import MARK, is_gone, own_mark

PREFIX = "tuner-cache-"


def make_cache_folder(root: Path = Path("/")) -> tempfile.TemporaryDirectory[str]:
    """A folder whose name says whose it is; it goes with its `cleanup`."""
    return tempfile.TemporaryDirectory(prefix=f"{PREFIX}{_namespace(root)}-{own_mark(root)}-")


def sweep_cache_folders(root: Path = Path("/")) -> int:
    """Removes those of processes that are gone, this user's own alone; returns how many."""
    pattern = re.compile(rf"{PREFIX}(?P<namespace>\d*)-{MARK}-\w+")
    removed = 0
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        match = pattern.fullmatch(folder.name)
        if match and match["namespace"] == _namespace(root) and is_gone(match["pid"], match["started"], root):
            with suppress(OSError):
                if folder.lstat().st_uid == os.getuid():
                    shutil.rmtree(folder)
                    removed += 1
    return removed


def _namespace(root: Path) -> str:
    """That of the process numbers: containers may share a temporary folder, and each has processes that none of the
    others sees. Empty where it cannot be read."""
    with suppress(OSError):
        return "".join(filter(str.isdigit, os.readlink(root / "proc/self/ns/pid")))
    return ""
