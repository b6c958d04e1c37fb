"""The energy counters of the host's CPU packages (RAPL), if Linux shows them and this process may read them.

Responsible for readings and their differences. A package's energy includes that of busy neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("sys/class/powercap")

PACKAGES = "intel-rapl:*"
"""Names of the counters, AMD's included. `intel-rapl:0` is a package, `intel-rapl:0:0` a part of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """Counter of one package: its file, and the microjoules after which it begins again from 0."""

    file: Path
    range_uj: int


class EnergyReader:
    """Reads the packages of this host; `refusal` is one line that says why it cannot, or empty."""

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
            # A part of the packages must not count as the host.
            self.counters = []

    def read(self) -> Mapping[Counter, int] | None:
        """Returns counter -> microjoules, or None if they cannot be read."""
        try:
            return {counter: _number(counter.file) for counter in self.counters} or None
        except (OSError, ValueError):
            return None


def joules_between(before: Mapping[Counter, int] | None, after: Mapping[Counter, int] | None) -> float | None:
    """Returns the energy of all packages between two readings, or None if a reading is missing.

    A counter may begin again from 0 once; a package of 200 W takes 20 minutes for the usual range.
    """
    if before is None or after is None or before.keys() != after.keys():
        return None
    return sum((after[c] - before[c]) % (c.range_uj + 1) for c in before) / 1e6


def _is_package(folder: Path) -> bool:
    """Returns True for a package; `psys`, the whole board, includes the packages again."""
    try:
        return (folder / "name").read_text(encoding="ascii", errors="replace").startswith("package")
    except OSError:
        return False


def _number(file: Path) -> int:
    return int(file.read_text(encoding="ascii"))
