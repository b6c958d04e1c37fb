"""space.json: what the device made of the space of a study, written once the space is listed.

Responsible for one small file that is shown and never decides anything. A missing or damaged one is None.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tuner.records.folder import write_text
from tuner.search.enumeration import SpaceEnumeration

FILE = "space.json"
"""Name of the file in a results folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceSeen:
    """The space of a study as its device saw it."""

    requested: int
    """Number of configurations of the space."""
    distinct: int
    """Number of configurations that differ on the device."""
    without_effect: tuple[str, ...]
    """Names of the parameters that change nothing on the device."""
    refused: tuple[str, ...]
    """Failures of the sets of properties that do not compile."""
    changed: tuple[str, ...] = ()
    """Values that the device changes, such as `NUM_STREAMS=8 became 2`."""


def write_space(folder: Path, found: SpaceEnumeration) -> None:
    """Writes what listing a space has found. Raises OutputError."""
    seen = SpaceSeen(
        requested=found.requested,
        distinct=len(found.distinct),
        without_effect=tuple(found.without_effect),
        refused=tuple(dict.fromkeys(str(failure) for failure in found.refused)),
        changed=tuple(f"{name}={value} became {made}" for name, value, made in found.changed),
    )
    write_text(folder / FILE, json.dumps(asdict(seen), indent=1) + "\n")


def read_space(folder: Path) -> SpaceSeen | None:
    """Returns what the file of a folder says; None for an older study, an unlisted space and a damaged file."""
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
        lists = {name: tuple(map(str, content[name])) for name in ("without_effect", "refused", "changed")}
        return SpaceSeen(requested=int(content["requested"]), distinct=int(content["distinct"]), **lists)
    except (OSError, ValueError, KeyError, TypeError):
        return None
