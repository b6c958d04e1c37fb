"""Optuna's study in plain values: proposals, answers, resuming, and the samplers of a study file."""

from __future__ import annotations

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.bench.value import Value
from tuner.search.encoding import Axis
from tuner.search.optuna_study import UNRECORDED, Search, StrategySampler
from tuner.study.space import Parameter, Space
from tuner.study.study import SamplerName
from tuner.study.trial import FinishedTrial

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


def made(*, space: Space = SPACE, sampler: SamplerName = "tpe", seed: int = 0) -> Search:
    return Search(space=space, sampler=sampler, seed=seed)


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


# Proposing and telling


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_every_sampler_stays_in_a_conditional_space(sampler: SamplerName) -> None:
    points = [repr(sorted(point.items())) for point in SPACE.assignments()]
    search = made(sampler=sampler)
    for number in range(11):
        proposal = search.propose()
        assert proposal.number == number
        assert repr(sorted(proposal.assignment.items())) in points
        search.tell(number, value=0.1 * number)


def test_numbers_are_counted_over_given_and_sampled_points() -> None:
    search = made(space=SMALL)
    numbers = [search.propose({"A": True, "B": 2}).number, search.propose().number, search.propose().number]
    assert numbers == [0, 1, 2]
    for number in (2, 0, 1):
        search.tell(number, value=float(number))
    assert [t.value for t in search.trials()] == [0.0, 1.0, 2.0]


def test_the_same_seed_and_answers_give_the_same_points() -> None:
    assert answer(made(seed=3), 12) == answer(made(seed=3), 12)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_resumed_study_does_not_draw_the_same_points_again(sampler: SamplerName) -> None:
    search, again = made(sampler=sampler), made(sampler=sampler)
    before = answer(search, 8)
    again.restore(as_finished(search))
    assert before != answer(again, 8)


def test_the_sampler_learns_from_given_points_and_their_limits() -> None:
    space = Space(parameters=(Parameter(name="N", values=tuple(range(64))),))
    search = made(space=space)
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


def test_grid_asks_every_point_once_in_order_and_then_again() -> None:
    points = list(SMALL.assignments())
    search = made(space=SMALL, sampler="grid")
    search.propose(points[2])
    search.tell(0, value=0.0)
    assert answer(search, 3) == [points[0], points[1], points[3]]
    again = made(space=SMALL, sampler="grid")
    again.restore(as_finished(search))
    assert answer(again, 3) == [points[4], points[5], points[0]]


@pytest.mark.parametrize(
    "point", [{"A": True}, {"A": True, "B": 3}, {"A": 1, "B": 1}, {"A": True, "B": 1, "C": 1}, {}], ids=str
)
def test_a_point_outside_the_space_is_refused(point: dict[str, Value]) -> None:
    search = made(space=SMALL)
    with pytest.raises(ValueError, match=r"no value|not a point"):
        search.propose(point)
    assert search.trials() == []


@pytest.mark.parametrize(
    ("value", "failure"), [(None, None), (1.0, "both"), (float("nan"), None), (float("-inf"), None)], ids=str
)
def test_an_answer_is_a_finite_value_or_a_failure(value: float | None, failure: str | None) -> None:
    search = made(space=SMALL)
    search.propose()
    with pytest.raises(ValueError, match="trial 0"):
        search.tell(0, value=value, failure=failure)
    assert search.trials()[0].state == "running"


def test_a_trial_is_told_once_and_only_if_it_was_proposed() -> None:
    search = made(space=SMALL)
    search.propose()
    search.tell(0, value=1.0)
    for number in (0, 1, -1):
        with pytest.raises(ValueError, match="not running"):
            search.tell(number, value=2.0)
    assert search.trials()[0].value == 1.0


def test_optuna_neither_prints_nor_warns(capfd: pytest.CaptureFixture[str]) -> None:
    # Warnings are errors in this suite, and `group` of a conditional space is experimental.
    answer(made(), 12)
    assert capfd.readouterr() == ("", "")


# From the records


def test_restored_trials_are_the_trials_that_were_told() -> None:
    record = {"key": "abc", "windows": [{"samples": 12, "duration_s": 0.4}], "ümlaut": None, "nested": {"true": True}}
    search = made()
    for value in ALIKE:
        search.propose({"PERFORMANCE_HINT": None, "NUM_STREAMS": 4, "RATIO": 1.0, "MIXED": value})
    search.tell(0, value=-0.25, constraints={"latency_p99_ms": -1.5, "rate": 2.0}, record=record)
    for number in range(1, len(ALIKE)):
        search.tell(number, failure="compile: no such property", record=record)
    again = made()
    again.restore(as_finished(search))
    after = again.trials()
    assert after == search.trials()
    assert [(type(t.assignment["MIXED"]), t.assignment["MIXED"]) for t in after] == [(type(v), v) for v in ALIKE]
    assert after[0].constraints == {"latency_p99_ms": -1.5, "rate": 2.0}
    assert after[0].record == record
    assert (after[1].state, after[1].value, after[1].failure) == ("fail", None, "compile: no such property")


def test_numbers_missing_in_the_records_stay_free_of_other_trials() -> None:
    search = made(space=SMALL)
    search.restore([FinishedTrial(number=2, assignment={"A": True, "B": 1}, value=1.0)], duplicates=2)
    found = search.trials()
    assert [(t.number, t.failure) for t in found] == [(0, UNRECORDED), (1, UNRECORDED), (2, None)]
    assert found[0].assignment == {}
    assert search.propose().number == 3
    assert search.duplicates == 2


# Values


VALUES = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.5]) | st.sampled_from(["1", "true", "A"])
)


@given(st.lists(VALUES, min_size=1, max_size=9, unique_by=lambda v: (type(v), v)))
def test_every_value_is_told_apart_by_its_choice(values: list[Value]) -> None:
    axis = Axis.of(Parameter(name="P", values=tuple(values)))
    found = [axis.decode(axis.encode(value)) for value in values]
    assert [(type(v), v) for v in found] == [(type(v), v) for v in values]


@given(st.lists(st.tuples(VALUES, st.floats(-1, 1) | st.none()), min_size=1, max_size=4))
def test_told_answers_are_the_known_answers(answers: list[tuple[Value, float | None]]) -> None:
    values = tuple({(type(v), v): v for v, _ in answers}.values())
    search = made(space=Space(parameters=(Parameter(name="P", values=values),)))
    for value, result in answers:
        number = search.propose({"P": value}).number
        search.tell(number, value=result, failure="crash: -9" if result is None else None)
    assert [(repr(t.assignment["P"]), t.value) for t in search.trials()] == [(repr(v), r) for v, r in answers]


def test_optuna_asks_the_strategy_sampler_for_the_chosen_point() -> None:
    sampler = StrategySampler()
    study = optuna.create_study(sampler=sampler)
    sampler.chosen = {"A": 2, "B": "x"}
    trial = study.ask()
    assert (trial.suggest_int("A", 0, 3), trial.suggest_categorical("B", ["x", "y"])) == (2, "x")


def test_a_point_that_optuna_chooses_is_sampled_by_tpe() -> None:
    expected = answer(made(sampler="tpe", seed=3), 12)
    assert all(answer(made(sampler=name, seed=3), 12) == expected for name in ("auto", "gp", "race"))
    assert answer(made(sampler="random", seed=3), 12) != expected
