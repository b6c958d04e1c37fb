"""The folder of a study under results/: where it is, whether it can be written, whose it is, and the locks.

Knows files and locks; not what is measured.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tuner.atomic_write import write_atomically
from tuner.errors import BusyError, OutputError, RecordError, StudyChangedError
from tuner.study.records import full_disk_advice

HOST_LOCK = Path("/tmp/tuner-measuring.lock")
"""One measuring study per host: two would measure each other. Not where TMPDIR says: that differs between users."""
SCHEMA_VERSION = 1
WAIT_STEP_S = 1.0
PLAN = "a plan"


def prepare(folder: Path, *, is_fresh: bool = False) -> None:
    """Makes the folder and proves that it can be written, before anything slow happens. `is_fresh` moves an older one
    aside to `<name>.1`, `<name>.2`, ... Raises OutputError."""
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


def check_identity(
    folder: Path, identity: Mapping[str, Any], host: Mapping[str, Any], *, is_started: bool = True
) -> None:
    """Writes environment.json where nothing has been measured; else refuses when the study on disk is another one, with
    every difference. Raises StudyChangedError or RecordError."""
    path = folder / "environment.json"
    wanted = json.loads(json.dumps(identity))
    if not path.exists() or not is_started:
        content = {"schema_version": SCHEMA_VERSION, "identity": wanted, "host": host}
        write_text(path, json.dumps(content, indent=2) + "\n")
        return
    found = read_environment(folder)["identity"]
    differences = [
        f"  {line}"
        for name in sorted({*found, *wanted})
        for line in _differences(name, found.get(name), wanted.get(name))
    ]
    if differences:
        raise StudyChangedError(
            f"{folder} holds the results of a different study:\n" + "\n".join(differences),
            advice="run with --fresh to move them aside and start anew, or change it back",
        )


def read_environment(folder: Path) -> dict[str, Any]:
    """environment.json as it was written. Raises RecordError when it is damaged or newer."""
    path = folder / "environment.json"
    advice = "--fresh moves these results aside and starts anew"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version, parts = content["schema_version"], (content["identity"], content["host"])
        if not isinstance(version, int) or not all(isinstance(part, dict) for part in parts):
            raise ValueError("not as tuner writes it")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{path} cannot be read: {error}", advice=advice) from error
    if version > SCHEMA_VERSION:
        raise RecordError(f"{path}: written by a newer tuner (schema {version})", advice=advice)
    return dict(content)


@contextmanager
def not_left_empty(folder: Path) -> Iterator[None]:
    """A study that is refused before anything is written leaves no folder behind."""
    try:
        yield
    except BaseException:
        with suppress(OSError):  # it holds something, or was never made
            folder.rmdir()
        raise


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


def _free_name(folder: Path) -> Path:
    number = 1
    while (aside := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    return aside


def _differences(at: str, was: Any, now: Any) -> list[str]:
    """One line for each part that differs, whatever it is part of."""
    if _exact(was) == _exact(now):
        return []
    old, new = _parts(was), _parts(now)
    if old is None or new is None:
        return [f"{at}: was {_short(was)}, is {_short(now)}"]
    found = [line for name in {**old, **new} for line in _differences(f"{at}.{name}", old.get(name), new.get(name))]
    return found or [f"{at}: the same in another order"]


def _parts(value: Any) -> dict[str, Any] | None:
    """A mapping, or a list of mappings that have names, by name; None where it is told as a whole."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list) and value and all(isinstance(part, dict) and "name" in part for part in value):
        return {part["name"]: {key: v for key, v in part.items() if key != "name"} for part in value}
    return None


def _exact(value: Any) -> str:
    """Text that keeps 1, 1.0 and true apart, which are equal to Python."""
    return json.dumps(value, sort_keys=True)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 300 else text[:297] + "..."
