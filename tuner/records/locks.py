"""Locks of a host and of a results folder: one study measures at a time.

Responsible for taking, waiting and releasing. Must not know what is measured.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tuner.errors import BusyError, OutputError

HOST_LOCK = Path("/tmp/tuner-measuring.lock")
"""One measuring study per host: two would measure each other. Not where TMPDIR says: that differs between users."""

WAIT_STEP_S = 1.0

PLAN = "a plan"


@contextmanager
def locked(
    folder: Path | None,
    *,
    wait: bool,
    say: Callable[[str], None],
    host_lock: Path = HOST_LOCK,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Holds the host's lock and, where there is one, the folder's, which stands beside it so that a folder moved aside
    takes no lock along. Both end with the process, however it ends; children inherit neither.

    Raises BusyError that names the holder, or waits where `wait` is given.
    """
    what = PLAN if folder is None else str(folder)
    with _lock(host_lock, "this host is already measuring", what, wait, say, sleep):
        if folder is None:
            yield
            return
        lock = folder.with_name(f".{folder.name}.lock")
        with _lock(lock, f"{folder} is already in use", what, wait, say, sleep):
            yield


@contextmanager
def _lock(
    path: Path,
    refusal: str,
    what: str,
    wait: bool,
    say: Callable[[str], None],
    sleep: Callable[[float], None],
) -> Iterator[None]:
    try:
        fd = _open_lock(path)
    except OSError as error:
        raise OutputError(f"cannot open the lock {path}: {error.strerror}") from error
    try:
        has_said = False
        while not _try_lock(fd):
            holder = os.pread(fd, 4096, 0).decode(errors="replace").strip() or "another process"
            if not wait:
                why = "a plan compiles configurations, which would disturb it: " if what == PLAN else ""
                raise BusyError(f"{refusal}: {holder}", advice=f"{why}wait for it to end, or run with --wait")
            if not has_said:
                say(f"waiting for {holder}")
                has_said = True
            sleep(WAIT_STEP_S)
        with suppress(OSError):  # on a full disk the lock holds all the same, it only has no name
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"process {os.getpid()}, {what}\n".encode(), 0)
        yield
    finally:
        os.close(fd)


def _open_lock(path: Path) -> int:
    """Whoever made it: the host's lock is shared by all its users, and Linux may refuse to create what is there."""
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        with suppress(PermissionError):
            os.fchmod(fd, 0o666)
        return fd


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
