"""Takes typed values out of a mapping that a person may have edited, and collects everything wrong with it.

Knows types and messages; must not know what the fields mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class Fields:
    """Every method returns something of the right type; what was wrong is in `problems`, each with the key's path."""

    def __init__(self, content: Mapping[str, Any], problems: list[str], prefix: str = "") -> None:
        self.content = content
        self.problems = problems
        self.prefix = prefix

    def text(self, key: str) -> str:
        return self._take(key, "text (quote it if it looks like a number)", lambda value: isinstance(value, str), "")

    def one_of(self, key: str, allowed: tuple[T, ...]) -> T:
        what = allowed[0] if len(allowed) == 1 else f"one of {', '.join(map(str, allowed))}"
        return self._take(key, str(what), lambda v: v in allowed and type(v) is type(allowed[0]), allowed[0])

    def integer(self, key: str, least: int) -> int:
        return self._take(key, f"a whole number of at least {least}", lambda v: is_integer(v) and v >= least, least)

    def number(self, key: str) -> float:
        return self._take(key, "a finite number", is_number, 0.0)

    def optional_text(self, key: str) -> str | None:
        return None if self.content.get(key) is None else self.text(key)

    def optional_integer(self, key: str, least: int) -> int | None:
        return None if self.content.get(key) is None else self.integer(key, least)

    def optional_number(self, key: str) -> float | None:
        return None if self.content.get(key) is None else self.number(key)

    def mapping(self, key: str) -> dict[str, Any]:
        """Of anything, by names."""
        return dict(self._take(key, "a mapping of names", is_mapping, {}))

    def mapping_of(self, key: str, what: str, fits: Callable[[Any], bool]) -> dict[str, Any]:
        """Names to values that all fit; those that do not are reported by name and left out."""
        found = self.mapping(key)
        for name in [name for name, value in found.items() if not fits(value)]:
            self._report(f"{key}.{name}", found.pop(name), what)
        return found

    def inside(self, key: str) -> Fields:
        """The fields of a mapping within this one."""
        return Fields(self.mapping(key), self.problems, f"{self.prefix}{key}.")

    def items(self, key: str) -> list[Fields]:
        """The mappings of a list; no list at all is an empty one."""
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
        """A list of numbers, `length` of them."""
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
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_scalar(value: Any) -> bool:
    return isinstance(value, str | bool) or is_number(value)


def is_mapping(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(name, str) for name in value)
