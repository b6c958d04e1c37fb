"""Strict YAML with the position of every key and value: text in, plain Python values and positions out.

Responsible for study files, best.yaml and front.yaml alike. Must import the standard library, PyYAML and errors only,
and must not know which keys a file may have.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import SafeConstructor
from yaml.reader import ReaderError

from tuner.errors import Problem

MAX_DEPTH = 32
"""Largest nesting depth of a file. A front.yaml nests seven deep; the composer is recursive and must never reach
Python's limit of 1000 frames."""
MAX_VALUES = 30_000
"""Largest number of keys and values once every alias is spelled out. It holds two parameters of 10,000 choices, the
most that a study may have, and stops an alias bomb."""
MAX_TEXT = 80
"""Number of characters of a text that a message quotes; a line of a terminal holds about as many."""

NodePath = tuple[str | int, ...]
"""Keys, and indices in lists, that lead from the top of a document to one of its values."""
Scalar = str | int | float | bool | None

_TAG = "tag:yaml.org,2002:"
_NULL, _BOOL, _INT, _FLOAT, _STR = (_TAG + kind for kind in ("null", "bool", "int", "float", "str"))
_SEQ, _MAP = _TAG + "seq", _TAG + "map"
_SCALARS = frozenset({_NULL, _BOOL, _INT, _FLOAT, _STR})
# YAML 1.2.2, section 10.3.2: the first row that matches a plain scalar wins, else it is text.
_CORE = {
    _NULL: re.compile(r"null|Null|NULL|~|"),
    _BOOL: re.compile(r"true|True|TRUE|false|False|FALSE"),
    _INT: re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"),
    _FLOAT: re.compile(
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?(\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN"
    ),
}
_HINTS = {
    "mapping values are not allowed here": "check the indentation, and quote text that holds `: `",
    "found character '\\t' that cannot start any token": "indent with spaces, not with tabs",
    "expected <block end>": "check the indentation",
    "could not find expected ':'": "a key needs a `:` and a space after it",
}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Position:
    """Names a place in a text; line and column count from 1."""

    line: int
    column: int


TOP = Position(line=1, column=1)


class YamlError(Exception):
    """Reports a text that is not the YAML of a file of this project; `problem` says where and why."""

    def __init__(self, at: Position, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(line=at.line, column=at.column, message=message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """Says how a scalar becomes a value: the tag of a plain scalar, and the value of others."""

    tag_of: Callable[[str], str]
    value_of: Callable[[yaml.ScalarNode], tuple[Scalar, str]]
    """Returns the value and an empty text, or any value and what is wrong with the scalar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlValues:
    """Holds the values of a document with their positions.

    `problems` did not stop the reading; `broken` holds the paths of the values that they made unusable.
    """

    value: Any
    keys: Mapping[NodePath, Position]
    values: Mapping[NodePath, Position]
    problems: tuple[Problem, ...]
    broken: frozenset[NodePath]


def compose(text: str, schema: Schema | None = None) -> yaml.Node | None:
    """Returns the node at the top of `text`, None for a text without any; `schema` is YAML 1.2's unless given.

    Raises YamlError: no YAML, several documents, nested too deep, too many values.
    """
    loader = None
    try:
        loader = _Loader(text, schema or CORE)
        return loader.get_single_node()
    except ReaderError as error:
        at, code = position_after(text[: error.position]), int(error.character)
        raise YamlError(at, f"character U+{code:04X} is not allowed in YAML; remove it") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(_at_mark(mark) if mark else TOP, _syntax_message(error)) from None
    except (ValueError, OverflowError):
        # PyYAML lets out what int() and chr() raise for an escape such as "\UFFFFFFFF" or for a `%YAML` version.
        at = _at_mark(loader.get_mark()) if loader else TOP
        raise YamlError(at, "this is not valid YAML: a number in an escape or in %YAML is too large") from None


def build(node: yaml.Node, schema: Schema | None = None) -> YamlValues:
    """Returns the values below `node`; `schema` is the one that composed it.

    Raises YamlError where the aliases expand to too many values.
    """
    builder = _Builder(schema or CORE)
    value = builder.build(node, ())
    return YamlValues(
        value=value,
        keys=builder.keys,
        values=builder.values,
        problems=tuple(builder.problems),
        broken=frozenset(builder.broken),
    )


def position_of(node: yaml.Node) -> Position:
    """Returns where a node begins."""
    return _at_mark(node.start_mark)


def position_after(before: str) -> Position:
    """Returns the position of the character that follows the text `before`."""
    lines = re.split(r"\r\n|[\n\r\x85\u2028\u2029]", before)
    return Position(line=len(lines), column=len(lines[-1]) + 1)


def quote(text: str) -> str:
    """Returns a text as a message shows it: in double quotes, escaped, shortened to `MAX_TEXT` characters."""
    words = json.dumps(text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "...", ensure_ascii=False)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in words)


def _at_mark(mark: Any) -> Position:
    return Position(line=mark.line + 1, column=mark.column + 1)


def _syntax_message(error: yaml.MarkedYAMLError) -> str:
    context, problem = error.context or "", error.problem or ""
    if context.startswith("expected a single document"):
        return "a second document begins here; the file may hold one only"
    if isinstance(error, ComposerError):
        return context.partition(";")[0] or problem
    words = f"this is not valid YAML: {problem}"
    if context:
        words += f" {context}"
        if error.context_mark and error.context_mark.line != (error.problem_mark or error.context_mark).line:
            words += f" that began in line {error.context_mark.line + 1}"
    hint = next((hint for start, hint in _HINTS.items() if problem.startswith(start)), "")
    return f"{words}; {hint}" if hint else words


class _Loader(yaml.SafeLoader):
    """PyYAML's composer with the scalars of a schema, bounds on depth and size, and no alias to an unfinished node."""

    def __init__(self, text: str, schema: Schema) -> None:
        super().__init__(text)
        self._schema = schema
        self._count = 0
        self._unfinished: list[str | None] = []

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode:
            return self._schema.tag_of(value) if implicit[0] else _STR
        return _SEQ if kind is yaml.SequenceNode else _MAP

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        mark: Any = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in self._unfinished:
                raise ComposerError(None, None, f"alias *{event.anchor} contains itself", mark)
            return super().compose_node(parent, index)
        self._count += 1
        if self._count > MAX_VALUES:
            raise ComposerError(None, None, f"the file holds more than {MAX_VALUES} values", mark)
        if len(self._unfinished) >= MAX_DEPTH:
            raise ComposerError(None, None, f"nested deeper than {MAX_DEPTH} levels", mark)
        if isinstance(event, yaml.ScalarEvent) and event.tag == "!":
            event.implicit = (False, True)  # `! 5` is the text 5 (YAML 1.2.2, 6.9.1); PyYAML makes it a number.
        self._unfinished.append(event.anchor)
        node = super().compose_node(parent, index)
        self._unfinished.pop()
        return node


class _Builder:
    """Turns nodes into plain values, and notes their positions and what is wrong with them."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.keys: dict[NodePath, Position] = {}
        self.values: dict[NodePath, Position] = {}
        self.problems: list[Problem] = []
        self.broken: set[NodePath] = set()

    def build(self, node: yaml.Node, path: NodePath) -> Any:
        if len(self.values) >= MAX_VALUES:
            raise YamlError(position_of(node), f"the aliases of this file expand to more than {MAX_VALUES} values")
        self.values[path] = position_of(node)
        if node.tag not in _allowed_tags(node):
            return self._break(node, path, f"tag {_tag_name(node)} is not allowed here; leave it out")
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*path, i)) for i, child in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        value, complaint = self._scalar(node)
        return self._break(node, path, complaint) if complaint else value

    def _mapping(self, node: yaml.MappingNode, path: NodePath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key is None:
                continue
            if key in found:
                first = self.keys[(*path, key)]
                self._note(key_node, f"duplicate key {quote(key)}; it is already given in line {first.line}")
                continue
            self.keys[(*path, key)] = position_of(key_node)
            found[key] = self.build(value_node, (*path, key))
        return found

    def _key(self, node: yaml.Node) -> str | None:
        if not isinstance(node, yaml.ScalarNode):
            self._note(node, "a key must be text, got a list or mapping; check the brackets")
        elif node.tag not in _SCALARS:
            self._note(node, f"tag {_tag_name(node)} is not allowed here; leave it out")
        elif node.tag != _STR:
            self._note(node, f"a key must be text, got {node.value or 'nothing'}; quote it if it is meant")
        else:
            value, complaint = self._scalar(node)
            if not complaint:
                return str(value)
            self._note(node, complaint)
        return None

    def _scalar(self, node: Any) -> tuple[Scalar, str]:
        if node.tag != _STR:
            return self.schema.value_of(node)
        is_text = not any("\ud800" <= letter <= "\udfff" for letter in node.value)
        return node.value, "" if is_text else "half a surrogate pair is no character; write the character itself"

    def _note(self, node: yaml.Node, message: str) -> None:
        at = position_of(node)
        self.problems.append(Problem(line=at.line, column=at.column, message=message))

    def _break(self, node: yaml.Node, path: NodePath, message: str) -> None:
        self._note(node, message)
        self.broken.add(path)


def _allowed_tags(node: yaml.Node) -> frozenset[str]:
    if isinstance(node, yaml.ScalarNode):
        return _SCALARS
    return frozenset({_SEQ if isinstance(node, yaml.SequenceNode) else _MAP})


def _tag_name(node: yaml.Node) -> str:
    tag = str(node.tag)
    return quote("!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag)[1:-1]


def _core_tag(text: str) -> str:
    return next((tag for tag, pattern in _CORE.items() if pattern.fullmatch(text)), _STR)


def _core_value(node: yaml.ScalarNode) -> tuple[Scalar, str]:
    tag, text = node.tag, node.value
    if not _CORE[tag].fullmatch(text):
        return None, f"{quote(text)} is no {_tag_name(node)}"
    if tag == _NULL:
        return None, ""
    if tag == _BOOL:
        return text[0] in "tT", ""
    if tag == _INT:
        return _core_integer(text)
    word = text.lower()
    number = float(word.replace(".inf", "inf").replace(".nan", "nan"))
    is_meant = not math.isinf(number) or word.endswith(".inf")
    return number, "" if is_meant else f"{quote(text)} is too large a number"


def _core_integer(text: str) -> tuple[int, str]:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    # Python refuses to convert more than 4300 decimal digits, with an exception.
    number = int(text, base) if base != 10 or len(text) <= 100 else 1 << 64
    return number, "" if -(1 << 63) <= number < 1 << 63 else f"{quote(text)} does not fit into 64 bits"


def _pyyaml_tag(text: str) -> str:
    rows = yaml.SafeLoader.yaml_implicit_resolvers.get(text[:1], [])
    return next((tag for tag, pattern in rows if tag in _SCALARS and pattern.match(text)), _STR)


def _pyyaml_value(node: yaml.ScalarNode) -> tuple[Scalar, str]:
    try:
        value: Scalar = SafeConstructor().construct_object(node)
    except (ValueError, LookupError):
        return None, f"{quote(node.value)} is no {_tag_name(node)}"
    return value, ""


CORE = Schema(tag_of=_core_tag, value_of=_core_value)
"""Schema of study files: YAML 1.2, core."""
PYYAML = Schema(tag_of=_pyyaml_tag, value_of=_pyyaml_value)
"""Schema of best.yaml and front.yaml: YAML 1.1, as PyYAML writes them. Dates stay text: only a person writes them
without quotes."""
