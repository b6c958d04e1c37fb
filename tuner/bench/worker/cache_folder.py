"""Temporary folders of model caches: made for one run, removed by a later run if the first one was killed.

Responsible for names and folders. Must not know what is cached.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from tuner.bench.host.process_identity import TAG, is_gone, process_tag

PREFIX = "tuner-cache-"


def make_cache_folder(root: Path = Path("/")) -> tempfile.TemporaryDirectory[str]:
    """Makes a folder whose name has the tag of this process; `cleanup` removes it."""
    return tempfile.TemporaryDirectory(prefix=f"{PREFIX}{_namespace(root)}-{process_tag(root)}-")


def sweep_cache_folders(root: Path = Path("/")) -> int:
    """Removes this user's folders whose process has ended and returns their number."""
    pattern = re.compile(rf"{PREFIX}(?P<namespace>\d*)-{TAG}-\w+")
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
    """Returns the number of this process's PID namespace, or "" if it cannot be read.

    Containers may share a temporary folder although none of them sees the processes of the others.
    """
    with suppress(OSError):
        return "".join(filter(str.isdigit, os.readlink(root / "proc/self/ns/pid")))
    return ""
