from __future__ import annotations

import shutil
from pathlib import Path

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.samplers import BaseSampler

from tuner.errors import RecordError
from tuner.study.axis import Axis
from tuner.study.search import INTERRUPTED, SAMPLERS, UNRECORDED, FinishedTrial, Search
from tuner.study.space import Parameter, Space, Value
from tuner.study.study import SamplerName

ALIKE = (True, 1, "1", None, "true", False, 0)
"""Pairs of these are equal to Python, or look alike as text."""
SPACE = Space(
    parameters=(
        Parameter(name="PERFORMANCE_HINT", values=("LATENCY", "THROUGHPUT", None)),
        Parameter(name="NUM_STREAMS", values=(1, 2, 4, 8), when={"PERFORMANCE_HINT": (None,)}),
        Parameter(name="RATIO", values=(0.25, 0.5, 1.0)),
        Parameter(name="MIXED", values=ALIKE),
    )
)
SMALL = Space(parameters=(Parameter(name="A", values=(True, False)), Parameter(name="B", values=(1, 2, 4))))


def opened(
    folder: Path, *, space: Space = SPACE, name: str = "study", sampler: SamplerName = "tpe", seed: int = 0
) -> Search:
    return Search.open(folder / "study.db", name=name, space=space, sampler=sampler, seed=seed)


def answer(search: Search, count: int) -> list[dict[str, Value]]:
    """Proposes and tells `count` trials; more streams are better."""
    points = []
    for _ in range(count):
        proposal = search.propose()
        streams = proposal.assignment.get("NUM_STREAMS") or 0
        search.tell(proposal.number, value=float(streams), record={"point": proposal.assignment})
        points.append(proposal.assignment)
    return points


def as_finished(search: Search) -> list[FinishedTrial]:
    return [
        FinishedTrial(
            number=t.number,
            assignment=t.assignment,
            value=t.value,
            constraints=t.constraints,
            record=t.record,
            failure=t.failure,
        )
        for t in search.trials()
    ]


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A folder as `kill -9` leaves it: trial 0 told, 1 and 2 running, the log of SQLite not folded in."""
    alive, dead = tmp_path / "alive", tmp_path / "dead"
    alive.mkdir()
    dead.mkdir()
    with opened(alive, space=SMALL) as search:
        search.propose({"A": True, "B": 1})
        search.tell(0, value=0.5)
        search.propose({"A": True, "B": 2})
        search.propose({"A": False, "B": 4})
        for file in alive.iterdir():
            shutil.copy(file, dead)
    return dead


# Proposing and telling


@pytest.mark.usefixtures("quick_disk")
@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_every_sampler_stays_in_a_conditional_space(tmp_path: Path, sampler: SamplerName) -> None:
    points = [repr(sorted(point.items())) for point in SPACE.assignments()]
    with opened(tmp_path, sampler=sampler) as search:
        for number in range(11):
            proposal = search.propose()
            assert proposal.number == number
            assert repr(sorted(proposal.assignment.items())) in points
            search.tell(number, value=0.1 * number)


@pytest.mark.usefixtures("quick_disk")
def test_numbers_are_counted_over_given_and_sampled_points(tmp_path: Path) -> None:
    with opened(tmp_path, space=SMALL) as search:
        numbers = [search.propose({"A": True, "B": 2}).number, search.propose().number, search.propose().number]
        assert numbers == [0, 1, 2]
        for number in (2, 0, 1):
            search.tell(number, value=float(number))
        assert [t.value for t in search.trials()] == [0.0, 1.0, 2.0]


@pytest.mark.usefixtures("quick_disk")
def test_the_same_seed_and_answers_give_the_same_points(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        with opened(tmp_path / name, seed=3) as search:
            found.append(answer(search, 12))
    assert found[0] == found[1]


@pytest.mark.usefixtures("quick_disk")
@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_resumed_study_does_not_draw_the_same_points_again(tmp_path: Path, sampler: SamplerName) -> None:
    with opened(tmp_path, sampler=sampler) as search:
        before = answer(search, 8)
    with opened(tmp_path, sampler=sampler) as search:
        after = answer(search, 8)
    assert before != after


@pytest.mark.usefixtures("quick_disk")
def test_the_sampler_learns_from_given_points_and_their_limits(tmp_path: Path) -> None:
    space = Space(parameters=(Parameter(name="N", values=tuple(range(64))),))
    with opened(tmp_path, space=space) as search:
        for n in (0, 8, 16, 24, 30, 34, 40, 48, 56, 63):
            search.propose({"N": n})
        for trial in search.trials():
            n = int(str(trial.assignment["N"]))
            search.tell(trial.number, value=float(n), constraints={"latency_p99_ms": float(n - 32)})
        guesses = []
        for _ in range(20):
            proposal = search.propose()
            n = int(str(proposal.assignment["N"]))
            guesses.append(n)
            search.tell(proposal.number, value=float(n), constraints={"latency_p99_ms": float(n - 32)})
    assert sum(20 <= n <= 40 for n in guesses) > 12


@pytest.mark.usefixtures("quick_disk")
def test_grid_asks_every_point_once_in_order_and_then_again(tmp_path: Path) -> None:
    points = list(SMALL.assignments())
    with opened(tmp_path, space=SMALL, sampler="grid") as search:
        search.propose(points[2])
        assert answer(search, 3) == [points[0], points[1], points[3]]
    with opened(tmp_path, space=SMALL, sampler="grid") as search:
        assert answer(search, 3) == [points[4], points[5], points[0]]


@pytest.mark.usefixtures("quick_disk")
def test_grid_asks_again_for_an_interrupted_point(tmp_path: Path) -> None:
    with opened(tmp_path, space=SMALL, sampler="grid") as search:
        first = search.propose().assignment
    with opened(tmp_path, space=SMALL, sampler="grid") as search:
        search.reconcile([])
        assert search.propose().assignment == first


@pytest.mark.usefixtures("quick_disk")
@pytest.mark.parametrize(
    "point", [{"A": True}, {"A": True, "B": 3}, {"A": 1, "B": 1}, {"A": True, "B": 1, "C": 1}, {}], ids=str
)
def test_a_point_outside_the_space_is_refused(tmp_path: Path, point: dict[str, Value]) -> None:
    with opened(tmp_path, space=SMALL) as search:
        with pytest.raises(ValueError, match=r"no value|not a point"):
            search.propose(point)
        assert search.trials() == []


@pytest.mark.usefixtures("quick_disk")
@pytest.mark.parametrize(
    ("value", "failure"), [(None, None), (1.0, "both"), (float("nan"), None), (float("-inf"), None)], ids=str
)
def test_an_answer_is_a_finite_value_or_a_failure(tmp_path: Path, value: float | None, failure: str | None) -> None:
    with opened(tmp_path, space=SMALL) as search:
        search.propose()
        with pytest.raises(ValueError, match="trial 0"):
            search.tell(0, value=value, failure=failure)
        assert search.trials()[0].state == "running"


@pytest.mark.usefixtures("quick_disk")
def test_a_trial_is_told_once_and_only_if_it_was_proposed(tmp_path: Path) -> None:
    with opened(tmp_path, space=SMALL) as search:
        search.propose()
        search.tell(0, value=1.0)
        for number in (0, 1, -1):
            with pytest.raises(ValueError, match="not running"):
                search.tell(number, value=2.0)
        assert search.trials()[0].value == 1.0


def test_optuna_neither_prints_nor_warns(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    # Warnings are errors in this suite, and `group` of a conditional space is experimental.
    with opened(tmp_path) as search:
        answer(search, 12)
    with pytest.raises(RecordError):
        opened(tmp_path, name="other")
    assert capfd.readouterr() == ("", "")


# On disk


def test_everything_told_survives_a_reload(tmp_path: Path) -> None:
    record = {"key": "abc", "windows": [{"samples": 12, "duration_s": 0.4}], "ümlaut": None, "nested": {"true": True}}
    with opened(tmp_path) as search:
        for value in ALIKE:
            search.propose({"PERFORMANCE_HINT": None, "NUM_STREAMS": 4, "RATIO": 1.0, "MIXED": value})
        search.tell(0, value=-0.25, constraints={"latency_p99_ms": -1.5, "rate": 2.0}, record=record)
        search.tell(1, failure="compile: no such property", record=record)
        before = search.trials()
    with opened(tmp_path) as search:
        after = search.trials()
    assert after == before
    assert [(type(t.assignment["MIXED"]), t.assignment["MIXED"]) for t in after] == [(type(v), v) for v in ALIKE]
    assert after[0].constraints == {"latency_p99_ms": -1.5, "rate": 2.0}
    assert after[0].record == record
    assert (after[1].state, after[1].value, after[1].failure) == ("fail", None, "compile: no such property")


def test_the_file_is_a_study_that_optuna_reads(tmp_path: Path) -> None:
    with opened(tmp_path, space=SMALL) as search:
        search.propose({"A": False, "B": 4})
        search.tell(0, value=0.5, constraints={"latency_p99_ms": -1.0}, record={"key": "abc"})
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'study.db'}")
    study = optuna.load_study(study_name="study", storage=storage)
    storage.engine.dispose()
    assert study.best_trial.params == {"A": False, "B": 2}
    assert study.best_trial.constraints == {"latency_p99_ms": -1.0}
    assert study.best_trial.user_attrs == {"record": {"key": "abc"}}


def test_one_file_is_left_when_it_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "a {strange} 50% folder"
    folder.mkdir()
    with opened(folder, space=SMALL) as search:
        answer(search, 1)
    assert [file.name for file in folder.iterdir()] == ["study.db"]


def test_after_a_kill_running_trials_are_told_from_the_records_or_fail(killed: Path) -> None:
    log = [
        FinishedTrial(number=0, assignment={"A": True, "B": 1}, value=0.5),
        FinishedTrial(number=2, assignment={"A": False, "B": 4}, value=0.75, constraints={"x": 1.0}, record={"a": 1}),
    ]
    with opened(killed, space=SMALL) as search:
        assert [t.state for t in search.trials()] == ["complete", "running", "running"]
        search.reconcile(log)
        found = search.trials()
        assert search.propose().number == 3
    assert [t.state for t in found] == ["complete", "fail", "complete"]
    assert found[1].failure == INTERRUPTED
    assert (found[2].value, found[2].constraints, found[2].record) == (0.75, {"x": 1.0}, {"a": 1})


def test_reconciling_twice_changes_nothing(killed: Path) -> None:
    with opened(killed, space=SMALL) as search:
        search.reconcile([])
        first = search.trials()
        search.reconcile(as_finished(search))
        assert search.trials() == first


def test_a_deleted_file_is_rebuilt_from_the_records(tmp_path: Path) -> None:
    with opened(tmp_path) as search:
        answer(search, 6)
        search.propose()
        search.tell(6, failure="timeout: 120 s")
        before = search.trials()
        log = as_finished(search)
    (tmp_path / "study.db").unlink()
    with opened(tmp_path) as search:
        search.reconcile(log)
        assert search.trials() == before
    with opened(tmp_path) as search:
        assert search.trials() == before


def test_a_file_restored_from_a_backup_is_brought_up_to_date(tmp_path: Path) -> None:
    with opened(tmp_path, space=SMALL) as search:
        answer(search, 2)
    shutil.copy(tmp_path / "study.db", tmp_path / "backup")
    with opened(tmp_path, space=SMALL) as search:
        answer(search, 2)
        log = as_finished(search)
    shutil.move(tmp_path / "backup", tmp_path / "study.db")
    with opened(tmp_path, space=SMALL) as search:
        search.reconcile(log)
        assert as_finished(search) == log


def test_numbers_missing_in_the_records_stay_free_of_other_trials(tmp_path: Path) -> None:
    log = [FinishedTrial(number=2, assignment={"A": True, "B": 1}, value=1.0)]
    with opened(tmp_path, space=SMALL) as search:
        search.reconcile(log)
    with opened(tmp_path, space=SMALL) as search:
        search.reconcile(log)
        found = search.trials()
    assert [(t.number, t.failure) for t in found] == [(0, UNRECORDED), (1, UNRECORDED), (2, None)]
    assert found[0].assignment == {}


def test_records_of_another_study_are_noticed(killed: Path) -> None:
    with opened(killed, space=SMALL) as search, pytest.raises(RecordError, match="trial 1"):
        search.reconcile([FinishedTrial(number=1, assignment={"A": False, "B": 2}, value=0.0)])


# Values


VALUES = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.5]) | st.sampled_from(["1", "true", "A"])
)


@given(st.lists(VALUES, min_size=1, max_size=9, unique_by=lambda v: (type(v), v)))
def test_every_value_is_told_apart_by_its_choice(values: list[Value]) -> None:
    axis = Axis.of(Parameter(name="P", values=tuple(values)))
    found = [axis.decode(axis.encode(value)) for value in values]
    assert [(type(v), v) for v in found] == [(type(v), v) for v in values]


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(VALUES, st.floats(-1, 1) | st.none()), min_size=1, max_size=4))
def test_what_is_told_is_what_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, answers: list[tuple[Value, float | None]]
) -> None:
    folder = tmp_path_factory.mktemp("study")
    values = tuple({(type(v), v): v for v, _ in answers}.values())
    space = Space(parameters=(Parameter(name="P", values=values),))
    with opened(folder, space=space) as search:
        for value, result in answers:
            number = search.propose({"P": value}).number
            search.tell(number, value=result, failure="crash: -9" if result is None else None)
    with opened(folder, space=space) as search:
        assert [(repr(t.assignment["P"]), t.value) for t in search.trials()] == [(repr(v), r) for v, r in answers]


def test_the_table_names_every_sampler_and_makes_them() -> None:
    made = {name: factory(SPACE, 1) for name, factory in SAMPLERS.items() if factory is not None}
    assert set(made) == {"auto", "gp", "race", "tpe", "random"}
    assert all(isinstance(sampler, BaseSampler) for sampler in made.values())
    assert set(SAMPLERS) == {"auto", "gp", "race", "tpe", "random", "grid"}
