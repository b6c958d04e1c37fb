"""Control groups that limit CPU time and memory of worker processes, on cgroup v1 and v2.

Responsible for the kernel's cgroup files (admin-guide/cgroup-v1, cgroup-v2). Must not know what runs in a group.
"""

from __future__ import annotations

import errno
import itertools
import mmap
import os
import re
import signal
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import psutil

from tuner.bench.host.process_identity import TAG, is_gone, process_tag
from tuner.errors import HostError
from tuner.model.kernel_files import own_cgroups, read_text

PERIOD_US = 100_000
"""Period of CPU quotas in microseconds: the default of the kernel and of container runtimes."""

MIN_QUOTA_US = 1_000
"""Smallest CPU quota in microseconds that the kernel accepts."""

MOUNT = PurePosixPath("sys/fs/cgroup")

V2_MOUNTS = (MOUNT, MOUNT / "unified")

REMOVE_TRIES, REMOVE_PAUSE_S = 100, 0.01
"""Number of tries to remove a group and seconds between them.

A group can be removed when the kernel has removed its killed processes, after milliseconds or a second on a busy host.
"""

_OWN_NAME = re.compile(rf"tuner-{TAG}-\w+")

_numbers = itertools.count(1)

_ADVICE = (
    "run it as root, or with the right to make control groups of its own:"
    " systemd-run --user --scope -p Delegate=yes tuner run STUDY.yaml;"
    " or take the limit out of the study file and start the tuner under it, as in docker run --cpus 1 --memory 1g:"
    " the quota that a process lives under is found and obeyed"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One limited group: a folder in each hierarchy that its limits need."""

    folders: tuple[Path, ...]
    memory_bytes: int | None = None

    def add(self, pid: int) -> None:
        """Moves a process with all its threads into the group. Raises HostError if the kernel refuses."""
        for folder in self.folders:
            _write(folder / "cgroup.procs", str(pid))

    def reread_bytes(self) -> int:
        """Returns the bytes that the group's processes lost for lack of memory and read again.

        Most of them belong to their libraries. Kernels before 5.9 do not count them: 0.
        """
        for folder in self.folders:
            for line in read_text(folder / "memory.stat").splitlines():
                name, _, pages = line.partition(" ")
                if name == "workingset_refault_file" and pages.isdigit():
                    return int(pages) * mmap.PAGESIZE
        return 0

    def remove(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """Kills the group's processes and removes the group; the next `sweep` removes what remains."""
        for folder in self.folders:
            _remove(folder, sleep)


def open_group(*, cpus: float | None, memory_bytes: int | None, root: Path = Path("/")) -> Group:
    """Returns a new group below that of this process, limited to `cpus` CPUs in every 100 ms and to `memory_bytes`.

    The group has no swap if the kernel counts swap. Raises HostError, with advice, if this process cannot make a group.
    """
    wanted = [name for name, value in (("cpu", cpus), ("memory", memory_bytes)) if value is not None]
    name = _name(str(next(_numbers)), root)
    folders: list[Path] = []
    try:
        for controller in wanted:
            parent, is_v2 = _parent(controller, wanted, root)
            folder = parent / name
            if folder not in folders:
                _make(folder)
                folders.append(folder)
            if controller == "cpu" and cpus is not None:
                _limit_cpus(folder, cpus, is_v2=is_v2)
            elif memory_bytes is not None:
                _limit_memory(folder, memory_bytes, is_v2=is_v2)
    except HostError:
        Group(folders=tuple(folders)).remove()
        raise
    return Group(folders=tuple(folders), memory_bytes=memory_bytes)


def sweep(root: Path = Path("/"), sleep: Callable[[float], None] = time.sleep) -> int:
    """Removes groups, with their processes, whose maker was killed or crashed, and returns their number."""
    removed = 0
    for folder in _leftovers(root):
        _remove(folder, sleep)
        removed += not folder.exists()
    return removed


def _leftovers(root: Path) -> list[Path]:
    found: list[Path] = []
    for parent in {folder for hierarchy in _hierarchies(root) for folder in hierarchy.parents()}:
        with suppress(OSError):
            found += [folder for folder in parent.iterdir() if _is_orphan(folder, root)]
    return sorted(found)


def _is_orphan(folder: Path, root: Path) -> bool:
    match = _OWN_NAME.fullmatch(folder.name)
    return match is not None and is_gone(match["pid"], match["started"], root)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hierarchy:
    mount: Path
    group: PurePosixPath
    """Group of this process, below the mount."""
    controllers: frozenset[str]
    is_v2: bool

    def parents(self) -> Iterator[Path]:
        """Returns folders in which groups may be made: the own group, or the mount if a container hides the group."""
        own = self.mount.joinpath(*self.group.parts[1:])
        if _OWN_NAME.fullmatch(own.name):
            own = own.parent  # `_delegate` moved this process
        if own.is_dir():
            yield own
        if own != self.mount:
            yield self.mount


def _hierarchies(root: Path) -> Iterator[_Hierarchy]:
    """Returns every mounted hierarchy that this process is in."""
    for entry in own_cgroups(root):
        if entry.is_v2:
            for mount in V2_MOUNTS:
                offered = frozenset(read_text(root / mount / "cgroup.controllers").split())
                if offered:
                    yield _Hierarchy(mount=root / mount, group=entry.group, controllers=offered, is_v2=True)
        else:
            names = entry.controllers
            folders = [root / MOUNT / name for name in (",".join(names), *sorted(names))]
            if folder := next(filter(Path.is_dir, folders), None):
                yield _Hierarchy(mount=folder, group=entry.group, controllers=frozenset(names), is_v2=False)


def _parent(controller: str, wanted: list[str], root: Path) -> tuple[Path, bool]:
    """Returns the folder in which a group with this controller can be made, and True for cgroup v2."""
    reasons = []
    for hierarchy in _hierarchies(root):
        if controller not in hierarchy.controllers:
            continue
        for parent in hierarchy.parents():
            try:
                if hierarchy.is_v2:
                    _delegate(parent, hierarchy.controllers.intersection(wanted), root)
                if not os.access(parent, os.W_OK):
                    raise HostError(f"{parent} may not be written")
                return parent, hierarchy.is_v2
            except HostError as error:
                reasons.append(str(error))
    reason = "; ".join(reasons) or f"no {controller} controller is mounted here"
    raise HostError(f"a {_WORDS[controller]} limit cannot be set here: {reason}", advice=_ADVICE)


_WORDS = {"cpu": "CPU", "memory": "memory"}


def _delegate(parent: Path, wanted: Collection[str], root: Path) -> None:
    """Enables the controllers for the groups below `parent`.

    cgroup v2 allows it only if `parent` itself has no process. This process and its descendants move into a group of
    their own; in a scope of its own there are no other processes.
    """
    file = parent / "cgroup.subtree_control"
    missing = set(wanted) - set(read_text(file).split())
    if not missing:
        return
    request = " ".join(f"+{name}" for name in sorted(missing))
    try:
        file.write_text(request)
        return
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise HostError(f"{file}: {error.strerror}") from error
    leaf = parent / _name("leaf", root)
    _make(leaf)
    processes = [os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))]
    try:
        _move(processes, leaf)
        file.write_text(request)
    except OSError as error:
        _move(processes, parent)
        _remove(leaf, time.sleep)
        raise HostError(f"other processes live in {parent}: {error.strerror}") from error


def _move(pids: Sequence[int], folder: Path) -> None:
    """Moves the processes that still run."""
    for pid in pids:
        with suppress(ProcessLookupError):
            (folder / "cgroup.procs").write_text(str(pid))


def _limit_cpus(folder: Path, cpus: float, *, is_v2: bool) -> None:
    quota_us = max(MIN_QUOTA_US, round(cpus * PERIOD_US))
    if is_v2:
        _write(folder / "cpu.max", f"{quota_us} {PERIOD_US}")
        return
    _write(folder / "cpu.cfs_period_us", str(PERIOD_US))
    _write(folder / "cpu.cfs_quota_us", str(quota_us))


def _limit_memory(folder: Path, memory_bytes: int, *, is_v2: bool) -> None:
    if is_v2:
        _write(folder / "memory.max", str(memory_bytes))
        swap, nothing_more = folder / "memory.swap.max", "0"
    else:
        _write(folder / "memory.limit_in_bytes", str(memory_bytes))
        swap, nothing_more = folder / "memory.memsw.limit_in_bytes", str(memory_bytes)
    if swap.exists():
        _write(swap, nothing_more)


def _make(folder: Path) -> None:
    try:
        folder.mkdir()
    except OSError as error:
        raise HostError(f"the control group {folder} cannot be made: {error.strerror}", advice=_ADVICE) from error


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text)
    except OSError as error:
        raise HostError(f"{file} refuses {text}: {error.strerror}", advice=_ADVICE) from error


def _remove(folder: Path, sleep: Callable[[float], None]) -> None:
    for _ in range(REMOVE_TRIES):
        for pid in read_text(folder / "cgroup.procs").split():
            # 0 is a process of another namespace of processes; to `kill` it would be this one's own group.
            if int(pid) not in (0, os.getpid()):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(int(pid), signal.SIGKILL)
        try:
            folder.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            sleep(REMOVE_PAUSE_S)


def _name(of: str, root: Path) -> str:
    return f"tuner-{process_tag(root)}-{of}"
