"""The record of studies: a folder of the user with one small file for each finished study.

Responsible for files. Each is replaced in one step, so that runs at the same time need no lock: they write different
files, and of one file the last version counts.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tuner.atomic_write import write_atomically
from tuner.records.past.past_study import PastStudy, from_json
from tuner.records.user_folder import user_folder

RECORD_VARIABLE = "TUNER_RECORD"
"""Environment variable that names another folder."""

MOST_STUDIES = 500
"""Number of studies that are kept; the oldest leave. A file has 1 to 3 kB, and reading all of them takes 30 ms."""

MOST_BYTES = 1_000_000
"""Size beyond which a file is none of the record's, and is not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The content of the record."""

    folder: Path
    studies: tuple[PastStudy, ...]
    """Studies, the newest first."""
    unread: tuple[Path, ...] = ()
    """Files that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """A record that was emptied."""

    folder: Path
    files: int
    """Number of files that were removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRecord:
    """A folder of the record, which need not exist."""

    folder: Path

    def read(self) -> Recorded:
        """Returns every study that can be read. Raises OSError if the folder itself cannot be read."""
        studies, unread = [], []
        for path in self._files():
            try:
                if path.stat().st_size > MOST_BYTES or not path.is_file():
                    raise ValueError("no file of the record")
                study = from_json(json.loads(path.read_text(encoding="utf-8")))
                if study.key != path.stem:  # the key names the file that is replaced or removed
                    raise ValueError("the file of another study")
                studies.append(study)
            except FileNotFoundError:  # another process has just removed it
                continue
            except (OSError, ValueError, RecursionError):
                unread.append(path)
        studies.sort(key=lambda study: (-study.ended_unix_s, study.key))
        return Recorded(folder=self.folder, studies=tuple(studies), unread=tuple(unread))

    def keep(self, study: PastStudy) -> None:
        """Writes a study in place of an earlier state of it, and drops the oldest beyond `MOST_STUDIES`.

        Raises OSError; then the record holds what it held.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(study.to_json(), indent=1) + "\n"
        write_atomically(self.folder / f"{study.key}.json", text)
        files = self._files()
        if len(files) > MOST_STUDIES:
            for old in self.read().studies[MOST_STUDIES:]:
                (self.folder / f"{old.key}.json").unlink(missing_ok=True)

    def clear(self) -> Cleared:
        """Removes every file of the record, damaged ones too. Raises OSError."""
        files = self._files()
        for path in [*files, *self.folder.glob(".*.json.*.tmp")]:
            path.unlink(missing_ok=True)
        with suppress(OSError):  # it holds something else
            if files:
                self.folder.rmdir()
        return Cleared(folder=self.folder, files=len(files))

    def _files(self) -> list[Path]:
        """Returns the files of studies in a fixed order; none if the folder does not exist. Raises OSError."""
        try:
            return sorted(path for path in self.folder.iterdir() if _is_name_of_study(path.name))
        except FileNotFoundError:
            return []


def study_record() -> StudyRecord | None:
    """Returns the record of this user: `TUNER_RECORD`, or `tuner` in the folder for data; None without a home."""
    folder = user_folder(RECORD_VARIABLE, variable_of_parent="XDG_DATA_HOME", below_home=".local/share")
    return None if folder is None else StudyRecord(folder=folder)


def _is_name_of_study(name: str) -> bool:
    """Returns True for 16 hexadecimal digits and `.json`: nothing else in the folder is read or removed."""
    stem, _, rest = name.partition(".")
    return rest == "json" and len(stem) == 16 and set(stem) <= set("0123456789abcdef")
