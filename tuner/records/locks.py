"""Locks of a host and of a results folder: one study measures at a time.

Responsible for taking, waiting and releasing. Must not know studies.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tuner.errors import BusyError, OutputError

HOST_LOCK = Path("/tmp/tuner-measuring.lock")
"""Lock of the host: two measuring studies would disturb each other. All users share it, so TMPDIR has no part."""

HOST_LOCK_VARIABLE = "TUNER_LOCK"
"""Environment variable that names another lock, for a run whose measurements mean nothing, such as a test."""

WAIT_STEP_S = 1.0
"""Seconds between two attempts to take a lock."""

PLAN = "a plan"
"""Name of the holder that measures for no folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingForHolder:
    """A command waits for the process that holds the lock of this host or of the results folder."""

    holder: str
    """Content of the lock file: the process and the folder that it measures for."""


@contextmanager
def locked(
    folder: Path | None,
    *,
    wait: bool,
    tell: Callable[[WaitingForHolder], None],
    host_lock: Path | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Holds the host lock and, if a folder is given, the folder lock.

    The host lock is `host_lock`, else the file that TUNER_LOCK names in the environment, else HOST_LOCK.
    The folder's lock file is a sibling of the folder, so renaming the folder does not move the lock. Both locks end
    with the process, however it ends; children inherit neither. Raises BusyError, which names the holder, unless `wait`
    is set; then `tell` receives one event for each lock that is waited for.
    """
    what = PLAN if folder is None else str(folder)
    host_lock = host_lock or Path(os.environ.get(HOST_LOCK_VARIABLE) or HOST_LOCK)
    with _lock(host_lock, "this host is already measuring", what, wait, tell, sleep):
        if folder is None:
            yield
            return
        lock = folder.with_name(f".{folder.name}.lock")
        with _lock(lock, f"{folder} is already in use", what, wait, tell, sleep):
            yield


@contextmanager
def _lock(
    path: Path,
    refusal: str,
    what: str,
    wait: bool,
    tell: Callable[[WaitingForHolder], None],
    sleep: Callable[[float], None],
) -> Iterator[None]:
    try:
        fd = _open_lock(path)
    except OSError as error:
        raise OutputError(f"cannot open the lock {path}: {error.strerror}") from error
    try:
        has_told = False
        while not _try_lock(fd):
            holder = os.pread(fd, 4096, 0).decode(errors="replace").strip() or "another process"
            if not wait:
                why = "a plan compiles configurations, which would disturb it: " if what == PLAN else ""
                raise BusyError(f"{refusal}: {holder}", advice=f"{why}wait for it to end, or run with --wait")
            if not has_told:
                tell(WaitingForHolder(holder=holder))
                has_told = True
            sleep(WAIT_STEP_S)
        with suppress(OSError):  # on a full disk the lock holds all the same, it only has no name
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"process {os.getpid()}, {what}\n".encode(), 0)
        yield
    finally:
        os.close(fd)


def _open_lock(path: Path) -> int:
    """Opens a lock of any user: Linux may refuse to create a file that another user has created."""
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
