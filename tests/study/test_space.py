"""The search space against brute force: enumeration, size, the nearest point."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.bench.value import Value, is_same
from tuner.study.space import Parameter, Space

VALUES: list[Value] = [None, True, False, 0, 1, 2, 8, 1.0, 0.5, "LATENCY", "1"]
ABSENT = object()


def key(point: object) -> str:
    return json.dumps(point)


def parameter(name: str, *values: Value, **when: tuple[Value, ...]) -> Parameter:
    return Parameter(name=name, values=values, when=when)


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    parameters: list[Parameter] = []
    for name in "ABCDE"[: draw(st.integers(min_value=0, max_value=5))]:
        values = draw(st.lists(st.sampled_from(VALUES), min_size=1, max_size=3, unique_by=key))
        above = (
            st.lists(st.sampled_from(parameters), max_size=2, unique_by=lambda p: p.name) if parameters else st.just([])
        )
        when = {
            p.name: tuple(draw(st.lists(st.sampled_from(p.values), min_size=1, unique_by=key))) for p in draw(above)
        }
        parameters.append(Parameter(name=name, values=tuple(values), when=when))
    return Space(parameters=tuple(parameters))


def brute_force(space: Space) -> Iterator[dict[str, Value]]:
    """Every combination of values and absences, less those that break a condition."""
    for combination in itertools.product(*[[*p.values, ABSENT] for p in space.parameters]):
        point = {p.name: v for p, v in zip(space.parameters, combination, strict=True) if v is not ABSENT}
        keys = {name: key(value) for name, value in point.items()}
        if all(
            (p.name in point) == all(keys.get(t) in [key(v) for v in wanted] for t, wanted in p.when.items())
            for p in space.parameters
        ):
            yield point


@given(spaces())
def test_assignments_are_those_that_brute_force_finds(space: Space) -> None:
    found = [key(point) for point in space.assignments()]
    assert sorted(found) == sorted(key(point) for point in brute_force(space))
    assert len(set(found)) == len(found) == space.size


@given(spaces())
def test_assignments_come_in_a_fixed_order(space: Space) -> None:
    assert list(map(key, space.assignments())) == list(map(key, space.assignments()))


@given(spaces(), st.dictionaries(st.sampled_from("ABCDEF"), st.sampled_from([*VALUES, 3, -1])))
def test_the_nearest_point_is_in_the_space(space: Space, wanted: dict[str, Value]) -> None:
    assert key(space.nearest(wanted)) in map(key, space.assignments())


@given(spaces())
def test_a_point_of_the_space_is_its_own_nearest(space: Space) -> None:
    for point in space.assignments():
        assert key(space.nearest(point)) == key(point)


def test_the_nearest_number_is_the_closest_at_or_below() -> None:
    space = Space(parameters=(parameter("A", 2, 4, 8),))
    assert [space.nearest({"A": n})["A"] for n in (1, 2, 3, 4, 7, 100, None, "x")] == [2, 2, 2, 4, 4, 8, 2, 2]


def test_the_size_of_a_vast_space_is_counted_without_listing_it() -> None:
    plain = [parameter(f"P{i}", *range(10_000)) for i in range(20)]
    below = [parameter(f"Q{i}", *range(100), P0=(0, 1)) for i in range(20)]
    assert Space(parameters=(*plain, *below)).size == 10_000**19 * (2 * 100**20 + 9_998)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [(1, 1, True), (1, True, False), (0, False, False), (1, 1.0, False), ("1", 1, False), (None, None, True)],
)
def test_values_of_different_types_are_different(a: Value, b: Value, same: bool) -> None:
    assert is_same(a, b) is same


@pytest.mark.parametrize(
    ("values", "is_ordinal"),
    [
        ((1, 2, 8), True),
        ((0.5, 1.5), True),
        ((2, 1), False),
        ((1, None), False),
        ((False, True), False),
        (("a",), False),
    ],
)
def test_only_ascending_numbers_have_an_order(values: tuple[Value, ...], is_ordinal: bool) -> None:
    assert parameter("A", *values).is_ordinal is is_ordinal


def test_a_condition_on_an_inactive_parameter_is_not_met() -> None:
    space = Space(parameters=(parameter("A", 1, 2), parameter("B", 1, A=(1,)), parameter("C", 1, B=(1,))))
    assert list(space.assignments()) == [{"A": 1, "B": 1, "C": 1}, {"A": 2}]
