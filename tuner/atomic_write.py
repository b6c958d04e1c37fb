"""Replaces a text file in one step, so that a crash leaves the old file or the new one.

Responsible for files alone. Must import the standard library only: an application that deploys a model imports it too.
"""

from __future__ import annotations

import os
from pathlib import Path


def write_atomically(file: Path, text: str) -> None:
    """Writes `text` as UTF-8 beside `file`, syncs it to the disk and renames it to `file`.

    The folder is synced last: before that a crash may still undo the renaming. Raises OSError; then `file` keeps what
    it held and nothing is left beside it.
    """
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(file.parent)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # Windows cannot open a folder.
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
