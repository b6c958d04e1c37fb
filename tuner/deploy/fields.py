"""Takes typed values out of a mapping that a person may have edited, and collects everything wrong with it.

Responsible for types and messages. Must not know what the fields mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class Fields:
    """Gives access to the fields of a mapping.

    Every method returns a value of the right type, a default if the field is wrong. Everything wrong is added to
    `problems`, with the path of the field, which begins with `prefix`.
    """

    def __init__(self, content: Mapping[str, Any], problems: list[str], prefix: str = "") -> None:
        self.content = content
        self.problems = problems
        self.prefix = prefix

    def text(self, key: str) -> str:
        """Returns a text."""
        return self._take(key, "text (quote it if it looks like a number)", lambda value: isinstance(value, str), "")

    def one_of(self, key: str, allowed: tuple[T, ...]) -> T:
        """Returns one of the allowed values."""
        what = allowed[0] if len(allowed) == 1 else f"one of {', '.join(map(str, allowed))}"
        return self._take(key, str(what), lambda v: v in allowed and type(v) is type(allowed[0]), allowed[0])

    def integer(self, key: str, least: int) -> int:
        """Returns a whole number of at least `least`."""
        return self._take(key, f"a whole number of at least {least}", lambda v: is_integer(v) and v >= least, least)

    def number(self, key: str) -> float:
        """Returns a finite number."""
        return self._take(key, "a finite number", is_number, 0.0)

    def optional_text(self, key: str) -> str | None:
        """Returns a text, or None if the field is missing or null."""
        return None if self.content.get(key) is None else self.text(key)

    def optional_integer(self, key: str, least: int) -> int | None:
        """Returns a whole number of at least `least`, or None if the field is missing or null."""
        return None if self.content.get(key) is None else self.integer(key, least)

    def optional_number(self, key: str) -> float | None:
        """Returns a finite number, or None if the field is missing or null."""
        return None if self.content.get(key) is None else self.number(key)

    def mapping(self, key: str) -> dict[str, Any]:
        """Returns a mapping of names to anything."""
        return dict(self._take(key, "a mapping of names", is_mapping, {}))

    def mapping_of(self, key: str, what: str, fits: Callable[[Any], bool]) -> dict[str, Any]:
        """Returns a mapping of names to values that fit; each other value is a problem and is left out."""
        found = self.mapping(key)
        for name in [name for name, value in found.items() if not fits(value)]:
            self._report(f"{key}.{name}", found.pop(name), what)
        return found

    def inside(self, key: str) -> Fields:
        """Returns the fields of a mapping inside this one."""
        return Fields(self.mapping(key), self.problems, f"{self.prefix}{key}.")

    def items(self, key: str) -> list[Fields]:
        """Returns the fields of each mapping in a list; a missing list is an empty one."""
        if self.content.get(key) is None:
            return []
        found: list[Any] = self._take(key, "a list", lambda value: isinstance(value, list), [])
        fields = []
        for index, item in enumerate(found):
            if is_mapping(item):
                fields.append(Fields(item, self.problems, f"{self.prefix}{key}[{index}]."))
            else:
                self._report(f"{key}[{index}]", item, "a mapping of names")
        return fields

    def numbers(self, key: str, length: int | None, least: float, *, are_whole: bool) -> tuple[Any, ...]:
        """Returns a list of `length` numbers, of any length if that is None, each of at least `least`."""
        kind = "whole numbers" if are_whole else "numbers"
        what = f"a list of {'' if length is None else f'{length} '}{kind}"
        fits = is_integer if are_whole else is_number

        def is_right(value: Any) -> bool:
            return (
                isinstance(value, list)
                and all(fits(item) and item >= least for item in value)
                and (length is None or len(value) == length)
            )

        return tuple(self._take(key, what, is_right, []))

    def _take(self, key: str, what: str, is_right: Callable[[Any], bool], default: T) -> T:
        if key not in self.content:
            self.problems.append(f"{self.prefix}{key}: missing; expected {what}")
            return default
        value: Any = self.content[key]
        if not is_right(value):
            self._report(key, value, what)
            return default
        return value  # type: ignore[no-any-return]

    def _report(self, key: str, value: Any, what: str) -> None:
        given = repr(value)
        given = given if len(given) <= 60 else given[:57] + "..."
        self.problems.append(f"{self.prefix}{key}: {given} is not {what}")


def is_integer(value: Any) -> bool:
    """Returns True for a whole number; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Returns True for a finite number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_scalar(value: Any) -> bool:
    """Returns True for a text, a finite number, True or False."""
    return isinstance(value, str | bool) or is_number(value)


def is_mapping(value: Any) -> bool:
    """Returns True for a mapping whose keys are all texts."""
    return isinstance(value, dict) and all(isinstance(name, str) for name in value)
