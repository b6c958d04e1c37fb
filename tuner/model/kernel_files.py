"""Reads the files in which Linux tells about itself: /proc, /sys and the control groups of this process.

Responsible for text and paths. Must import the standard library only, and must not know what the figures mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupEntry:
    """Describes a control group that this process is in: one line of /proc/self/cgroup."""

    controllers: tuple[str, ...]
    """Names of the controllers, in the order of the line; none for cgroup v2."""
    group: PurePosixPath
    """Absolute path of the group below the mount point of its hierarchy."""

    @property
    def is_v2(self) -> bool:
        """True for the unified hierarchy of cgroup v2."""
        return not self.controllers


def read_text(file: Path) -> str:
    """Returns the text of a small file, empty if it cannot be read."""
    try:
        with open(file, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def own_cgroups(root: Path = Path("/")) -> Iterator[CgroupEntry]:
    """Yields the control groups of this process; /proc is looked for below `root`. Lines of another form are skipped.

    The form is `number:controllers:group` (cgroups(7)); for cgroup v2 the number is 0 and there are no controllers.
    """
    for line in read_text(root / "proc/self/cgroup").splitlines():
        number, *rest = line.split(":", 2)
        if len(rest) != 2 or not number.isdigit():
            continue
        controllers = tuple(filter(None, rest[0].split(",")))
        if controllers or number == "0":
            yield CgroupEntry(controllers=controllers, group=PurePosixPath("/", rest[1]))
