from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tuner.errors import OutputError, RecordError
from tuner.study import database
from tuner.study.search import FinishedTrial, Search
from tuner.study.space import Parameter, Space

SPACE = Space(parameters=(Parameter(name="A", values=(True, False)), Parameter(name="B", values=(1, 2, 4))))
POINT = {"A": False, "B": 4}


def opened(path: Path, *, name: str = "study", space: Space = SPACE) -> Search:
    return Search.open(path, name=name, space=space, sampler="tpe", seed=0)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A study.db with trial 0 told and trial 1 running."""
    path = tmp_path_factory.mktemp("template") / "study.db"
    with opened(path) as search:
        search.propose({"A": True, "B": 1})
        search.tell(0, value=0.5, constraints={"latency_p99_ms": -1.0}, record={"key": "abc"})
        search.propose(POINT)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "study.db"
    path.write_bytes(content)
    return path


def no_database(path: Path) -> None:
    path.write_text("this is not a database" * 100)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwritten(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))


def without_a_column(path: Path) -> None:
    changed(path, "ALTER TABLE trials RENAME COLUMN datetime_start TO started")


def without_parameters(path: Path) -> None:
    changed(path, "DELETE FROM trial_params")


def without_a_trial(path: Path) -> None:
    changed(path, "DELETE FROM trials WHERE number = 0")


def with_text_for_json(path: Path) -> None:
    changed(path, "UPDATE trial_user_attributes SET value_json = 'oops'")


def of_a_newer_optuna(path: Path) -> None:
    changed(path, "UPDATE alembic_version SET version_num = 'v99.0.0.a'")


def of_another_program(path: Path) -> None:
    path.unlink()
    changed(path, "CREATE TABLE bookmarks (url TEXT)")


def with_a_second_study(path: Path) -> None:
    changed(path, "INSERT INTO studies (study_name) VALUES ('second')")


def changed(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    "harm",
    [
        no_database,
        cut_off,
        overwritten,
        without_a_column,
        without_parameters,
        without_a_trial,
        with_text_for_json,
        of_a_newer_optuna,
        of_another_program,
        with_a_second_study,
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_advice(path: Path, harm: Callable[[Path], None]) -> None:
    harm(path)
    with pytest.raises(RecordError, match=r"study\.db") as caught:
        opened(path)
    assert "\n" not in str(caught.value)
    assert "move study.db aside" in caught.value.advice


def test_the_database_of_another_program_is_not_written_to(path: Path) -> None:
    of_another_program(path)
    before = path.read_bytes()
    with pytest.raises(RecordError, match="something else"):
        opened(path)
    assert path.read_bytes() == before


def test_moved_aside_the_file_is_rebuilt_from_the_records(path: Path) -> None:
    record = FinishedTrial(number=0, assignment=POINT, value=0.5, constraints={"x": -1.0}, record={"key": "abc"})
    cut_off(path)
    with pytest.raises(RecordError):
        opened(path)
    path.rename(path.with_suffix(".aside"))
    with opened(path) as search:
        search.reconcile([record])
        (found,) = search.trials()
    assert (found.assignment, found.value, found.constraints, found.record) == (POINT, 0.5, {"x": -1.0}, record.record)


@pytest.mark.parametrize(
    ("name", "values"), [("other", (True, False)), ("study", (1, 0)), ("study", (True, False, None))], ids=str
)
def test_another_name_or_another_space_is_another_study(
    path: Path, name: str, values: tuple[bool | int | None, ...]
) -> None:
    space = Space(parameters=(Parameter(name="A", values=values), SPACE.parameters[1]))
    with pytest.raises(RecordError, match="another study"):
        opened(path, name=name, space=space)


def test_a_file_killed_at_its_birth_is_used(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    opened(path).close()
    changed(path, "DELETE FROM study_user_attributes")
    changed(path, "DROP TABLE trial_heartbeats")
    with opened(path) as search:
        assert search.propose().number == 0
    path.write_bytes(b"")
    with opened(path) as search:
        assert search.trials() == []


def test_a_folder_that_is_not_there_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="unable to open") as caught:
        opened(tmp_path / "missing" / "study.db")
    assert "writable" in caught.value.advice


@pytest.mark.parametrize(
    ("pragma", "told"), [("query_only = 1", "readonly"), ("max_page_count = 1", "full")], ids=["readonly", "full"]
)
def test_a_disk_that_refuses_is_an_output_error_and_the_trial_is_told_later(path: Path, pragma: str, told: str) -> None:
    record = {"windows": "x" * 200_000}
    with opened(path) as search:
        search._connection.execute(f"PRAGMA {pragma}")
        with pytest.raises(OutputError, match=told) as caught:
            search.tell(1, value=1.0, record=record)
    assert "run the same command" in caught.value.advice
    with opened(path) as search:
        assert search.trials()[1].state == "running"
        search.reconcile([FinishedTrial(number=1, assignment=POINT, value=1.0, record=record)])
        assert search.trials()[1].record == record


def test_a_proposal_that_cannot_be_written_is_an_output_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Optuna tries a new trial five times, a second apart.
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with opened(path) as search:
        search._connection.execute("PRAGMA query_only = 1")
        for point in (POINT, None):
            with pytest.raises(OutputError, match="readonly"):
                search.propose(point)


def test_a_locked_file_is_an_output_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LOCK_WAIT_S", 0.0)
    with opened(path) as search:
        other = sqlite3.connect(path)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OutputError, match="locked") as caught:
            search.tell(1, value=1.0)
        other.close()
        search.tell(1, value=1.0)
    assert "close the program" in caught.value.advice


def test_an_error_that_is_not_of_the_file_passes_unchanged(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), database.explained(path):
        raise ZeroDivisionError
