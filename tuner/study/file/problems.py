"""Collects the problems of a study file in words: position, given value, allowed values, close match.

Responsible for positions and for pydantic's errors. Must not know which rules a study file has.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tuner.errors import Problem
from tuner.study.file.yaml_document import Document
from tuner.yaml_text import MAX_TEXT, NodePath, quote

_EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}

_BOUNDS = {
    "greater_than": ("must be greater than", "gt"),
    "greater_than_equal": ("must be at least", "ge"),
    "less_than": ("must be less than", "lt"),
    "less_than_equal": ("must be at most", "le"),
    "too_short": ("number of values must be at least", "min_length"),
    "too_long": ("number of values must be at most", "max_length"),
}

_NUMBER = re.compile(r"\s*[-+]?[0-9]*\.?[0-9]+\s*")


def shown(value: object) -> str:
    """Returns a value of a document as a YAML author knows it."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else f"{'-' if value < 0 else ''}.inf"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return "a list" if isinstance(value, list | tuple) else "a mapping"


def listed(values: Collection[object], *, limit: int = 12) -> str:
    """Returns values as the end of a message, such as `1, 2, null`; those after the first `limit` are counted."""
    words = [_word(value) for value in list(values)[:limit]]
    return ", ".join(words) + (f" and {len(values) - limit} more" if len(values) > limit else "")


def _word(value: object) -> str:
    if value is None:
        return "null"
    return value if isinstance(value, str) and value.isprintable() and len(value) <= MAX_TEXT else shown(value)


def closest(given: str, allowed: Collection[str]) -> str | None:
    """Returns the allowed word that was probably meant, letter case aside; None if none is close."""
    lower = {word.lower(): word for word in allowed}
    found = difflib.get_close_matches(given.lower()[:MAX_TEXT], lower, n=1, cutoff=0.6)
    return lower[found[0]] if found else None


def unknown(kind: str, given: str, allowed: Collection[str]) -> str:
    """Returns the message `unknown metric "x"; did you mean y? allowed: ...`."""
    close = closest(given, allowed)
    question = f"did you mean {close}? " if close else ""
    return f"unknown {kind} {shown(given)}; {question}allowed: {listed(allowed, limit=40)}"


class ProblemList:
    """The problems of one document, each at the position of its path.

    Nothing is reported below a broken path: one whose value cannot be read, or whose key is unknown.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems = list(document.problems)
        self._wrong: set[NodePath] = set(document.broken)
        self._broken: set[NodePath] = set(document.broken)
        self._unknown: set[NodePath] = set()

    def at_key(self, path: NodePath, message: str) -> None:
        """Reports a problem at the key of `path`."""
        self._add(path, message, is_key=True)

    def at_value(self, path: NodePath, message: str) -> None:
        """Reports a problem at the value of `path`."""
        self._add(path, message, is_key=False)

    def unknown_key(self, path: NodePath, message: str) -> None:
        """Reports a key that may not be there; from then on it counts as absent."""
        self.at_key(path, message)
        self._unknown.add(path)
        self._broken.add(path)

    def is_misspelt(self, path: NodePath) -> bool:
        """Returns True if an unknown key may be meant for this one."""
        return any(closest(str(key[-1]), [str(path[-1])]) for key in self._unknown if key[:-1] == path[:-1])

    def is_wrong(self, path: NodePath) -> bool:
        """Returns True if a problem was reported at exactly this path, or above it."""
        return path in self._wrong or self._is_broken(path)

    def is_right(self, path: NodePath) -> bool:
        """Returns True if nothing is wrong at, below or above `path`, unknown keys below it aside."""
        below = any(wrong[: len(path)] == path for wrong in self._wrong - self._unknown)
        return not below and not self._is_broken(path)

    def find(self, path: NodePath) -> Any:
        """Returns the document's value at `path`, None if there is none."""
        value: Any = self.document.value
        for step in path:
            is_item = isinstance(value, list) and isinstance(step, int) and step < len(value)
            if not is_item and (not isinstance(value, Mapping) or step not in value):
                return None
            value = value[step]
        return value

    def add_errors(self, error: ValidationError, section: NodePath) -> None:
        """Reports pydantic's errors about the section at this path, in words."""
        for detail in error.errors(include_url=False):
            path = (*section, *detail["loc"])
            context = detail.get("ctx", {})
            if detail["type"] == "missing":
                if not self.is_misspelt(path):
                    self.at_key(path[:-1], f"key `{path[-1]}` is missing")
                self._wrong.add(path)
            elif context.get("is_absence") and any(key[:-1] == path for key in self._unknown):
                continue  # What seems to be missing may be misspelt.
            elif path[-1:] == ("[key]",):
                self.at_key(path[:-1], detail["msg"])
            elif context.get("at") == "key":
                self.at_key(path, detail["msg"])
            else:
                self.at_value(path, _in_words(detail))

    def _is_broken(self, path: NodePath) -> bool:
        return any(path[:n] in self._broken for n in range(len(path) + 1))

    def _add(self, path: NodePath, message: str, *, is_key: bool) -> None:
        if self._is_broken(path):
            return
        at = self.document.key_at(path) if is_key else self.document.value_at(path)
        problem = Problem(line=at.line, column=at.column, message=message)
        if problem not in self.problems:
            self.problems.append(problem)
        self._wrong.add(path)


def _in_words(detail: ErrorDetails) -> str:
    kind, given, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "rule":
        return detail["msg"]
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, got {shown(given)}{_hint(kind, given)}"
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        got = str(len(given)) if kind.startswith("too_") else shown(given)
        limit = context[bound]
        return f"{words} {int(limit) if limit == int(limit) else limit}, got {got}"
    if kind == "finite_number":
        return f"expected a finite number, got {shown(given)}"
    if kind == "literal_error":
        allowed = [word.strip("'") for word in re.split(r", | or ", str(context["expected"]))]
        close = closest(given, allowed) if isinstance(given, str) else None
        question = f"did you mean {close}? " if close else ""
        return f"{shown(given)} is not allowed; {question}allowed: {listed(allowed)}"
    return f"{detail['msg']}, got {shown(given)}"


def _hint(kind: str, given: object) -> str:
    if not isinstance(given, str):
        return ""
    if kind in ("int_type", "float_type") and _NUMBER.fullmatch(given):
        return "; remove the quotes"
    if kind == "bool_type" and given.lower() in ("yes", "no", "on", "off"):
        return "; YAML 1.2 spells it true or false"
    return ""
