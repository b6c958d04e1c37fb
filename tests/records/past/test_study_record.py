"""The folder of the record: written in one step, read whatever it holds, emptied of nothing but its own files."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.records.past.test_distance import MINE
from tuner.commands.record.listing import clear_record, list_record
from tuner.errors import InputError, OutputError
from tuner.records import user_folder
from tuner.records.past import study_record as of_record
from tuner.records.past.past_study import PastConfiguration, PastStudy, from_json
from tuner.records.past.study_record import StudyRecord, study_record
from tuner.report.record import cleared_line, record_json, record_lines
from tuner.report.terminal import print_lines

BEST = PastConfiguration(settings={"NUM_STREAMS": 2, "infer_requests": None}, gain_pct=31.5, is_proved=True)


def past(number: int = 0, *, name: str = "quickstart", ended_unix_s: float = 1_795_893_890.0) -> PastStudy:
    return PastStudy(key=f"{number:016x}", name=name, ended_unix_s=ended_unix_s, about=MINE, best=(BEST,))


def test_a_study_comes_back_as_it_was_and_replaces_itself(tmp_path: Path) -> None:
    record = StudyRecord(folder=tmp_path / "a" / "tuner")
    assert record.read().studies == ()
    record.keep(past())
    assert record.read().studies == (past(),)
    later = past(ended_unix_s=1_795_900_000.0)
    record.keep(later)
    record.keep(past(1))
    assert record.read().studies == (later, past(1)), "the newest first"
    assert sorted(path.name for path in record.folder.iterdir()) == [f"{n:016x}.json" for n in (0, 1)]


def test_what_is_no_study_is_named_and_keeps_nothing_from_being_read(tmp_path: Path) -> None:
    record = StudyRecord(folder=tmp_path)
    record.keep(past())
    sound = json.loads((tmp_path / f"{0:016x}.json").read_text())
    evil = json.loads(json.dumps(sound)) | {"key": "../../outside"}
    garbage = [
        b"",
        b"\xff\xfe\x00",
        b"[]",
        b"[" * 100_000,
        b"{" + b" " * of_record.MOST_BYTES,
        *(
            json.dumps(sound | change).encode()
            for change in (
                {"schema_version": 2},
                {"best": [{"settings": {"NUM_STREAMS": [1]}, "gain_pct": 1, "is_proved": True}]},
                {"best": [{"settings": {"NUM_STREAMS": float("inf")}, "gain_pct": 1, "is_proved": True}]},
                {"ended_unix_s": "now"},
                {"about": {}},
            )
        ),
        json.dumps(evil).encode(),
    ]
    for number, content in enumerate(garbage, start=1):
        (tmp_path / f"{number:016x}.json").write_bytes(content)
    (tmp_path / f"{99:016x}.json").mkdir()
    os.mkfifo(tmp_path / f"{98:016x}.json")
    (tmp_path / "notes.txt").write_text("of the user")
    found = record.read()
    assert found.studies == (past(),)
    assert len(found.unread) == len(garbage) + 2
    with pytest.raises(ValueError, match="not as tuner writes it"):
        from_json(None)


def test_the_oldest_leave_a_full_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_record, "MOST_STUDIES", 3)
    record = StudyRecord(folder=tmp_path)
    for number in range(5):
        record.keep(past(number, ended_unix_s=1e9 + number))
    assert [study.key for study in record.read().studies] == [f"{number:016x}" for number in (4, 3, 2)]


def test_runs_that_write_at_once_lose_nothing_and_a_reader_sees_whole_files(tmp_path: Path) -> None:
    record = StudyRecord(folder=tmp_path)
    unread: list[Path] = []

    def write(first: int) -> None:
        for number in range(first, first + 20):
            record.keep(past(number))
            unread.extend(record.read().unread)

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 20, 40, 60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(record.read().studies) == 80
    assert unread == []
    assert not list(tmp_path.glob(".*")), "nothing is left beside the studies"


def test_clear_removes_studies_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNER_RECORD", str(tmp_path / "record"))
    assert cleared_line(clear_record()) == f"no study was on record in {tmp_path / 'record'}"
    StudyRecord(folder=tmp_path / "record").keep(past())
    (tmp_path / "record" / f"{7:016x}.json").write_text("garbage")
    (tmp_path / "record" / f".{7:016x}.json.77.tmp").write_text("of a killed run")
    (tmp_path / "record" / "notes.txt").write_text("of the user")
    assert cleared_line(clear_record()) == f"2 studies are removed from {tmp_path / 'record'}"
    assert [path.name for path in (tmp_path / "record").iterdir()] == ["notes.txt"]


def test_the_list_shows_each_study_and_escapes_what_names_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TUNER_RECORD", str(tmp_path))
    record = StudyRecord(folder=tmp_path)
    record.keep(past(name="\x1b[31mred"))
    record.keep(replace(past(1), best=(), ended_unix_s=1e300))
    (tmp_path / f"{2:016x}.json").write_text("garbage")
    print_lines(record_lines(list_record()), __import__("sys").stdout)
    shown = capsys.readouterr().out
    assert "+31.5 %" in shown
    assert "2 streams" in shown
    assert "\\x1b[31mred" in shown
    assert "\x1b[31m" not in shown
    assert "some day" in shown
    assert "2 studies on record" in shown
    assert f"cannot be read: {2:016x}.json" in shown
    assert len(json.loads(json.dumps(record_json(list_record())))["studies"]) == 2


def test_the_folder_is_that_of_the_variable_of_xdg_or_of_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def folder() -> Path | None:
        record = study_record()
        return None if record is None else record.folder

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("TUNER_RECORD", str(tmp_path / "own"))
    assert folder() == tmp_path / "own"
    monkeypatch.setenv("TUNER_RECORD", "")
    assert folder() == tmp_path / "data" / "tuner"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert folder() == tmp_path / "home" / ".local/share/tuner"


def test_a_user_without_a_home_has_no_record_and_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("TUNER_RECORD", "XDG_DATA_HOME", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(user_folder.Path, "expanduser", no_home)
    assert study_record() is None
    with pytest.raises(InputError, match="no home"):
        list_record()


def test_a_folder_at_fault_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("TUNER_RECORD", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="cannot read"):
        list_record()
    with pytest.raises(OSError, match=r"File exists|Not a directory"):
        StudyRecord(folder=tmp_path / "file").keep(past())
