"""The folder of a study under results/, made and proved to be writable.

Responsible for files. Must not know their content.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tuner.atomic_write import write_atomically
from tuner.errors import OutputError, full_disk_advice


def prepare(folder: Path, *, is_fresh: bool = False) -> None:
    """Makes the folder and proves that it can be written, before anything slow happens.

    `is_fresh` moves an older folder aside to `<name>.1`, `<name>.2`, ... Raises OutputError.
    """
    try:
        if is_fresh and folder.exists():
            folder.rename(_free_name(folder))
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".writable-") as probe:
            probe.write(b"x" * 4096)
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        raise OutputError(
            f"cannot write to {folder}: {error.strerror or error}", advice=full_disk_advice(error)
        ) from error


def write_text(path: Path, text: str) -> None:
    """Writes a file in one step: a reader sees the old text or the new one. Raises OutputError."""
    try:
        write_atomically(path, text)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}", advice=full_disk_advice(error)) from error


@contextmanager
def not_left_empty(folder: Path) -> Iterator[None]:
    """Removes an empty folder if the block raises: a study that is refused leaves no folder behind."""
    try:
        yield
    except BaseException:
        with suppress(OSError):  # the folder holds something, or was never made
            folder.rmdir()
        raise


def _free_name(folder: Path) -> Path:
    number = 1
    while (aside := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    return aside
