"""The search space: parameters, conditions, enumeration. Knows neither OpenVINO nor Optuna."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tuner.bench.value import Value as Value
from tuner.bench.value import closest
from tuner.bench.value import is_same as is_same

Assignment = Mapping[str, Value]
"""Parameter name -> value, for the parameters that are active."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One dimension of the space."""

    name: str
    values: tuple[Value, ...]
    """Values in their order, each value of a range."""
    when: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    """Earlier parameter -> values; the parameter is active if each of them is active with one of its values."""

    @property
    def is_ordinal(self) -> bool:
        """True if the order has a meaning: all values are numbers, ascending."""
        numbers = [v for v in self.values if isinstance(v, int | float) and not isinstance(v, bool)]
        return len(numbers) == len(self.values) and numbers == sorted(numbers)

    def is_active(self, assignment: Assignment) -> bool:
        """Returns True if an assignment of the earlier parameters gives this parameter a value."""
        return all(
            name in assignment and any(is_same(assignment[name], v) for v in values)
            for name, values in self.when.items()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Parameters in the order they are asked."""

    parameters: tuple[Parameter, ...]

    def assignments(self) -> Iterator[dict[str, Value]]:
        """Yields every point of the space, conditions respected, in a fixed order."""
        yield from _extend({}, self.parameters)

    @property
    def size(self) -> int:
        """Number of assignments.

        Values that no condition distinguishes are counted together, so the work grows with the conditions, not with the
        space.
        """
        return _count({}, self.parameters)

    @property
    def searched(self) -> frozenset[str]:
        """Names of the parameters that have more than one value."""
        return frozenset(parameter.name for parameter in self.parameters if len(parameter.values) > 1)

    def nearest(self, wanted: Assignment) -> dict[str, Value]:
        """Returns the point that has every wanted value, or the closest one that the space has.

        The closest value is the largest number at or below the wanted one, or the smallest number, or the first value.
        """
        point: dict[str, Value] = {}
        for parameter in self.parameters:
            if parameter.is_active(point):
                point[parameter.name] = closest(parameter.values, wanted.get(parameter.name))
        return point


def _extend(point: dict[str, Value], parameters: Sequence[Parameter]) -> Iterator[dict[str, Value]]:
    if not parameters:
        yield dict(point)
        return
    first, rest = parameters[0], parameters[1:]
    if not first.is_active(point):
        yield from _extend(point, rest)
        return
    for value in first.values:
        yield from _extend({**point, first.name: value}, rest)


def _count(point: Mapping[str, Value], parameters: Sequence[Parameter]) -> int:
    if not parameters:
        return 1
    first, rest = parameters[0], parameters[1:]
    if not first.is_active(point):
        return _count(point, rest)
    asked = [p.when[first.name] for p in rest if first.name in p.when]
    if not asked:
        return len(first.values) * _count(point, rest)
    alike: dict[tuple[bool, ...], list[Value]] = {}
    for value in first.values:
        alike.setdefault(tuple(any(is_same(value, v) for v in wanted) for wanted in asked), []).append(value)
    return sum(len(values) * _count({**point, first.name: values[0]}, rest) for values in alike.values())
