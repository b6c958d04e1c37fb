"""Values of parameters: when two are the same, and which of several is the closest.

Responsible for single values. Must not know parameters or spaces.
"""

from __future__ import annotations

from collections.abc import Sequence

from tuner.bench.configuration import PropertyValue

Value = PropertyValue | None
"""Value of one parameter; None leaves it to the device."""


def is_same(a: Value, b: Value) -> bool:
    """Returns True for equal values of one type; `1`, `1.0` and `True` differ."""
    return type(a) is type(b) and a == b


def closest(values: Sequence[Value], wanted: Value) -> Value:
    """Returns the same value, else the closest number at or below `wanted`, else the smallest number.

    Without numbers it returns the first value.
    """
    for value in values:
        if is_same(value, wanted):
            return value
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if numbers and isinstance(wanted, int | float) and not isinstance(wanted, bool):
        return max((v for v in numbers if v <= wanted), default=min(numbers))
    return values[0]
