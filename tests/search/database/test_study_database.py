"""study.db: what programs of Optuna find in it, and what stands in its way."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import optuna
import pytest

from tuner.report.words.progress import event_lines
from tuner.search.database import study_database as database
from tuner.search.database.study_database import StudyDatabase
from tuner.search.optuna_constraints import IS_NAMED, constraints_of
from tuner.search.optuna_study import UNRECORDED, Search
from tuner.study.space import Parameter, Space
from tuner.study.trial import FinishedTrial

pytestmark = pytest.mark.slow

SPACE = Space(parameters=(Parameter(name="A", values=(True, False)), Parameter(name="B", values=(1, 2, 4))))
FIRST = FinishedTrial(
    number=0, assignment={"A": False, "B": 4}, value=0.5, constraints={"latency_p99_ms": -1.0}, record={"key": "abc"}
)
THIRD = FinishedTrial(number=2, assignment={"A": True, "B": 1}, failure="timeout: 120 s")


class Mirrored(Search):
    """A search with a study.db, and what it said of that file."""

    def __init__(self, path: Path, *metrics: str) -> None:
        self.said: list[str] = []
        metrics = metrics or ("throughput",)
        mirror = StudyDatabase(
            path=path, name="search", metrics=metrics, tell=lambda event: self.said.extend(event_lines(event))
        )
        super().__init__(space=SPACE, sampler="tpe", seed=0, metrics=len(metrics), database=mirror)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study.db"


def loaded(path: Path) -> optuna.Study:
    """The study as any program opens it."""
    return optuna.load_study(study_name="search", storage=f"sqlite:///{path}")


def numbers(path: Path) -> list[tuple[int, str]]:
    return [(trial.number, trial.state.name) for trial in loaded(path).trials]


def measured(search: Search) -> None:
    """One trial more."""
    search.tell(search.propose({"A": True, "B": 2}).number, value=0.25, record={"key": "new"})


# What a person finds in it


def test_optuna_reads_values_constraints_attributes_and_the_name_of_the_metric(path: Path) -> None:
    with Mirrored(path) as search:
        search.restore([FIRST, THIRD])
        measured(search)
    study = loaded(path)
    assert study.metric_names == ["throughput"]
    assert [d.name for d in study.directions] == ["MAXIMIZE"]
    first, gap, third, fourth = study.trials
    assert (first.value, constraints_of(first)) == (0.5, {"latency_p99_ms": -1.0})
    assert list(first.constraints.values() if IS_NAMED else first.system_attrs["constraints"]) == [-1.0]
    assert first.user_attrs == {"record": {"key": "abc"}}
    assert first.params == {"A": False, "B": 2}, "values in order are their places"
    assert (gap.state.name, gap.params, gap.user_attrs["failure"]) == ("FAIL", {}, UNRECORDED)
    assert (third.state.name, third.user_attrs["failure"]) == ("FAIL", "timeout: 120 s")
    assert (fourth.number, fourth.value) == (3, 0.25)
    assert study.best_trial.number == 0


def test_several_objectives_are_several_named_values(path: Path) -> None:
    with Mirrored(path, "throughput", "latency_p90_ms") as search:
        search.restore([])
        search.tell(search.propose().number, value=0.5, others=[-0.1])
    study = loaded(path)
    assert study.metric_names == ["throughput", "latency_p90_ms"]
    assert study.trials[0].values == [0.5, -0.1]


def test_a_trial_is_written_once_it_is_finished_and_in_the_order_of_the_numbers(path: Path) -> None:
    with Mirrored(path) as search:
        search.restore([])
        for _ in range(3):
            search.propose()
        search.tell(1, value=1.0)
        assert numbers(path) == []
        search.tell(0, failure="crash: -9")
        assert numbers(path) == [(0, "FAIL"), (1, "COMPLETE")]
    assert numbers(path) == [(0, "FAIL"), (1, "COMPLETE")], "a running trial is not written"


def test_one_file_is_left_when_it_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "a {strange} 50% folder"
    folder.mkdir()
    with Mirrored(folder / "study.db") as search:
        search.restore([FIRST])
        measured(search)
    assert [file.name for file in folder.iterdir()] == ["study.db"]


def test_trials_inserted_at_once_are_the_trials_that_optuna_adds_one_by_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With tables that are not those of `SCHEMA` every trial is added by Optuna itself."""
    unknown = FinishedTrial(
        number=3, assignment={"A": True}, value=-1e-300, record={"words": '\u00e9 " \u0000', "n": None}
    )
    known = [FIRST, THIRD, unknown]
    found = []
    for columns in (database.SCHEMA["trial_params"], ("trial_id", "renamed")):
        monkeypatch.setitem(database.SCHEMA, "trial_params", columns)  # type: ignore[arg-type]
        with Mirrored(path, "throughput", "latency_p90_ms") as search:
            search.restore([replace(t, others=() if t.value is None else (0.25,)) for t in known])
            search.tell(search.propose({"A": True, "B": 2}).number, value=0.25, others=[1.0])
        trials = loaded(path).trials
        assert all(trial.datetime_complete is not None for trial in trials)
        found.append(
            [(t.number, t.state, t.values, t.params, t.distributions, t.user_attrs, t.system_attrs) for t in trials]
        )
        times = [t.datetime_complete for t in trials]
        assert max(times) - min(times) < timedelta(minutes=30), "both are written in one time zone"  # type: ignore[operator,type-var]
    assert found[0] == found[1]
    assert len(found[0]) == 5


# What is in its way


def missing(path: Path) -> None:
    path.unlink()


def no_database(path: Path) -> None:
    path.write_text("this is not a database" * 100)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwritten(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def without_a_column(path: Path) -> None:
    changed(path, "ALTER TABLE trials RENAME COLUMN datetime_start TO started")


def of_a_newer_optuna(path: Path) -> None:
    changed(path, "UPDATE alembic_version SET version_num = 'v99.0.0.a'")


def of_another_program(path: Path) -> None:
    path.unlink()
    changed(path, "CREATE TABLE bookmarks (url TEXT)")


def with_a_second_study(path: Path) -> None:
    changed(path, "INSERT INTO studies (study_name) VALUES ('second')")


def with_a_running_trial(path: Path) -> None:
    changed(path, "UPDATE trials SET state = 'RUNNING'")


def changed(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (missing, "missing"),
        (no_database, "aside"),
        (of_another_program, "another program"),
        (a_folder, "aside"),
        (cut_off, ""),
        (overwritten, ""),
        (emptied, ""),
        (without_a_column, ""),
        (of_a_newer_optuna, ""),
        (with_a_second_study, ""),
        (with_a_running_trial, ""),
    ],
)
def test_any_file_is_replaced_by_the_recorded_trials(path: Path, harm: Callable[[Path], None], words: str) -> None:
    with Mirrored(path) as search:
        search.restore([FIRST, THIRD])
    harm(path)
    with Mirrored(path) as search:
        search.restore([FIRST, THIRD])
        measured(search)
    assert numbers(path) == [(0, "COMPLETE"), (1, "FAIL"), (2, "FAIL"), (3, "COMPLETE")]
    assert len(search.said) <= 1
    assert words in "".join(search.said)


def test_the_database_of_another_program_is_kept_aside(path: Path) -> None:
    with Mirrored(path) as search:
        search.restore([])
    of_another_program(path)
    before = path.read_bytes()
    with Mirrored(path) as search:
        search.restore([])
    assert path.with_name("study.db.aside").read_bytes() == before


def test_a_program_that_has_it_open_sees_the_renewed_trials(path: Path) -> None:
    with Mirrored(path) as search:
        search.restore([FIRST, THIRD])
    with closing(sqlite3.connect(path)) as dashboard:
        count = "SELECT count(*) FROM trials"
        assert dashboard.execute(count).fetchone() == (3,)
        with Mirrored(path) as search:
            search.restore([FIRST])
            assert dashboard.execute(count).fetchone() == (1,)
            measured(search)
            assert dashboard.execute(count).fetchone() == (2,)
    assert search.said == []


def test_a_locked_file_is_moved_aside(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LOCK_WAIT_S", 0.0)
    with Mirrored(path) as search:
        search.restore([])
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with Mirrored(path) as search:
            search.restore([FIRST])
            measured(search)
        (said,) = search.said
    assert "locked" in said
    assert len(numbers(path)) == 2


def test_the_file_of_a_process_killed_while_writing_is_renewed(path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from tests.search.database.test_study_database import Mirrored, measured\n"
        "search = Mirrored(Path(sys.argv[1])); search.restore([]); print('begun', flush=True)\n"
        "while True: measured(search)"
    )
    with subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        os.kill(process.pid, signal.SIGKILL)
    with Mirrored(path) as search:
        search.restore([FIRST])
        measured(search)
    assert search.said == []
    assert [file.name for file in path.parent.iterdir()] == ["study.db"]
    assert len(numbers(path)) == 2


# What ends no study


def test_a_missing_folder_ends_no_study(tmp_path: Path) -> None:
    with Mirrored(tmp_path / "missing" / "study.db") as search:
        search.restore([])
        measured(search)
        assert search.trials()[0].value == 0.25
    (said,) = search.said
    assert said.startswith("warning: ")


@pytest.mark.parametrize(
    ("pragma", "told"), [("query_only = 1", "readonly"), ("max_page_count = 1", "full")], ids=["readonly", "full"]
)
def test_a_disk_that_refuses_is_told_once_and_the_next_run_writes_all(
    path: Path, pragma: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Optuna tries a new trial five times, a second apart.
    monkeypatch.setattr(time, "sleep", lambda _: None)
    record = {"windows": "x" * 200_000}
    with Mirrored(path) as search:
        search.restore([])
        measured(search)
        assert search._database is not None
        assert search._database._connection is not None
        search._database._connection.execute(f"PRAGMA {pragma}")
        for value in (1.0, 2.0):
            search.tell(search.propose().number, value=value, record=record)
        assert [trial.value for trial in search.trials()] == [0.25, 1.0, 2.0]
    (said,) = search.said
    assert told in said
    assert "next run" in said
    assert numbers(path) == [(0, "COMPLETE")]
    with Mirrored(path) as search:
        search.restore([FIRST, THIRD])
    assert len(numbers(path)) == 3


def test_a_study_that_another_program_deletes_is_told_once(path: Path) -> None:
    with Mirrored(path) as search:
        search.restore([])
        optuna.delete_study(study_name="search", storage=f"sqlite:///{path}")
        measured(search)
        measured(search)
    (said,) = search.said
    assert said.startswith("warning: ")


def test_a_file_locked_in_the_middle_is_told_and_written_once_it_is_free(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Optuna itself would try five times, a second apart, and say nothing."""
    monkeypatch.setattr(database, "LOCK_WAIT_S", 0.0)
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail(f"slept {seconds} s"))
    with Mirrored(path) as search:
        search.restore([])
        measured(search)
        with closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            for _ in range(3):
                measured(search)
            (said,) = search.said
            assert "locked by another program: the study goes on" in said
            assert len(numbers(path)) == 1
            other.rollback()
        measured(search)
        assert len(numbers(path)) == 5
    assert len(search.said) == 1


def test_a_file_that_stays_locked_is_given_up_at_the_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LOCK_WAIT_S", 0.0)
    with closing(sqlite3.connect(path)) as other:
        with Mirrored(path) as search:
            search.restore([FIRST])
            other.execute("BEGIN IMMEDIATE")
            measured(search)
        locked, given_up = search.said
    assert "locked" in locked
    assert "the next run writes it again" in given_up
    assert len(numbers(path)) == 1


@pytest.mark.parametrize("is_followed", [True, False])
def test_a_file_deleted_in_the_middle_is_there_again_and_told(path: Path, is_followed: bool) -> None:
    with Mirrored(path) as search:
        search.restore([FIRST, THIRD])
        measured(search)
        search.said.clear()
        path.unlink()
        if is_followed:
            measured(search)
            measured(search)
    (said,) = search.said
    assert said == "study.db was missing: it is written again from sessions.jsonl"
    assert [file.name for file in path.parent.iterdir()] == ["study.db"]
    assert len(numbers(path)) == (6 if is_followed else 4)
