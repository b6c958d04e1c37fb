"""The energy counters of the host's CPU packages (RAPL), where Linux shows them and this process may read them.

Reads and subtracts; a package's energy is that of everything on it, so a busy neighbour counts too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("sys/class/powercap")
PACKAGES = "intel-rapl:*"
"""AMD's counters have this name too. `intel-rapl:0` is a package, `intel-rapl:0:0` a part of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """One package: where its energy is read, and the microjoules at which it begins again from 0."""

    file: Path
    range_uj: int


class EnergyReader:
    """Reads the packages of this host. `refusal` says in one line why it cannot; empty where it can."""

    def __init__(self, root: Path = Path("/")) -> None:
        found = sorted((root / FOLDER).glob(PACKAGES)) if (root / FOLDER).is_dir() else []
        packages = [folder for folder in found if folder.name.count(":") == 1 and _is_package(folder)]
        self.refusal = "" if packages else f"there is no package in /{FOLDER}/{PACKAGES}"
        self.counters: list[Counter] = []
        for folder in packages:
            try:
                _number(folder / "energy_uj")
                counter = Counter(file=folder / "energy_uj", range_uj=_number(folder / "max_energy_range_uj"))
            except OSError as error:
                self.refusal = f"/{FOLDER}/{folder.name}/energy_uj: {error.strerror or error}"
            except ValueError:
                self.refusal = f"/{FOLDER}/{folder.name}/energy_uj is no number"
            else:
                self.counters.append(counter)
        if self.refusal:
            # Half of the packages would be passed off as the host.
            self.counters = []

    def read(self) -> Mapping[Counter, int] | None:
        """Counter -> microjoules; None where they cannot be read."""
        try:
            return {counter: _number(counter.file) for counter in self.counters} or None
        except (OSError, ValueError):
            return None


def joules_between(before: Mapping[Counter, int] | None, after: Mapping[Counter, int] | None) -> float | None:
    """What all packages used between two readings, each of which began again from 0 once at most (a package of 200 W
    takes 20 minutes for the usual range); None where either reading is missing."""
    if before is None or after is None or before.keys() != after.keys():
        return None
    return sum((after[c] - before[c]) % (c.range_uj + 1) for c in before) / 1e6


def _is_package(folder: Path) -> bool:
    """Not `psys`, the whole board, which holds the packages again."""
    try:
        return (folder / "name").read_text().startswith("package")
    except OSError:
        return False


def _number(file: Path) -> int:
    return int(file.read_text())
