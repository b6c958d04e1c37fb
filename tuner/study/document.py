"""Strict YAML 1.2 (core schema) with the position of every key and value: text in, plain Python and marks out.

Knows nothing of what a study file means: which keys there are is the schema's business.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.reader import ReaderError

from tuner.errors import Problem, StudyFileError

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
"""A study file nests six deep; the composer is recursive and must never reach Python's limit."""
MAX_VALUES = 30_000
"""Keys and values after every alias is spelled out: two full parameters of 10000 choices, and no alias bomb."""
MAX_TEXT = 80
"""How much of a text is quoted in a message."""

NodePath = tuple[str | int, ...]
"""The way from the top of the document: keys, and indices in lists."""

_TAG = "tag:yaml.org,2002:"
_NULL, _BOOL, _INT, _FLOAT, _STR = (_TAG + kind for kind in ("null", "bool", "int", "float", "str"))
_SEQ, _MAP = _TAG + "seq", _TAG + "map"
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
    """Both count from 1."""

    line: int
    column: int


_TOP = Position(line=1, column=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a file holds. `problems` are those that did not stop the reading; what they spoilt is in `broken`."""

    name: str
    text: str
    value: Mapping[str, Any]
    keys: Mapping[NodePath, Position]
    values: Mapping[NodePath, Position]
    problems: tuple[Problem, ...] = ()
    broken: frozenset[NodePath] = frozenset()

    def key_at(self, path: NodePath) -> Position:
        """Where the key of `path` stands; for a list's element or the whole document, where it begins."""
        return self.keys.get(path) or self.value_at(path)

    def value_at(self, path: NodePath) -> Position:
        """Where the value of `path` begins; for what is not in the file, the nearest thing around it."""
        while path not in self.values:
            path = path[:-1]
        return self.values[path]


def read_document(data: bytes, *, name: str) -> Document:
    """Raises StudyFileError where nothing can be read: no UTF-8, no YAML, no mapping. `name` is for the messages."""
    text = _decode(data, name)
    builder = _Builder(name)
    root = _compose(text, name)
    if root is None:
        raise _stop(name, _TOP, "the file is empty; the README shows one to start from")
    if not isinstance(root, yaml.MappingNode):
        kind = "a list" if isinstance(root, yaml.SequenceNode) else quote(root.value) if root.value else "nothing"
        raise _stop(name, _position(root), f"a study file is a mapping (`key: value` lines), got {kind}")
    value = builder.build(root, ())
    return Document(
        name=name,
        text=text,
        value=value if isinstance(value, dict) else {},
        keys=builder.keys,
        values=builder.values,
        problems=tuple(builder.problems),
        broken=frozenset(builder.broken),
    )


def _decode(data: bytes, name: str) -> str:
    if len(data) > MAX_BYTES:
        raise _stop(name, _TOP, f"the file is larger than {MAX_BYTES} bytes; this is no study file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = _place(data[: error.start].decode("utf-8-sig", "replace"))
        raise _stop(name, at, f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8") from None


def _place(before: str) -> Position:
    lines = re.split(r"\r\n|[\n\r\x85\u2028\u2029]", before)
    return Position(line=len(lines), column=len(lines[-1]) + 1)


def _compose(text: str, name: str) -> yaml.Node | None:
    loader = None
    try:
        loader = _Loader(text)
        return loader.get_single_node()
    except ReaderError as error:
        place, code = _place(text[: error.position]), int(error.character)
        raise _stop(name, place, f"character U+{code:04X} is not allowed in YAML; remove it") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _stop(name, _mark_position(mark) if mark else _TOP, _syntax_message(error)) from None
    except (ValueError, OverflowError):
        # What int() and chr() say of an escape such as "\UFFFFFFFF" or of a `%YAML` version passes through PyYAML.
        place = _mark_position(loader.get_mark()) if loader else _TOP
        raise _stop(name, place, "this is not valid YAML: a number in an escape or in %YAML is too large") from None


def _syntax_message(error: yaml.MarkedYAMLError) -> str:
    context, problem = error.context or "", error.problem or ""
    if context.startswith("expected a single document"):
        return "a second document begins here; a study file holds one"
    if isinstance(error, ComposerError):
        return context.partition(";")[0] or problem
    words = f"this is not valid YAML: {problem}"
    if context:
        words += f" {context}"
        if error.context_mark and error.context_mark.line != (error.problem_mark or error.context_mark).line:
            words += f" that began in line {error.context_mark.line + 1}"
    hint = next((hint for start, hint in _HINTS.items() if problem.startswith(start)), "")
    return f"{words}; {hint}" if hint else words


def _stop(name: str, at: Position, message: str) -> StudyFileError:
    return StudyFileError(name, [Problem(line=at.line, column=at.column, message=message)])


def _mark_position(mark: Any) -> Position:
    return Position(line=mark.line + 1, column=mark.column + 1)


def _position(node: yaml.Node) -> Position:
    return _mark_position(node.start_mark)


def quote(text: str) -> str:
    """A text in a message: in double quotes, escaped, shortened."""
    words = json.dumps(text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "...", ensure_ascii=False)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in words)


def _core_tag(text: str) -> str:
    return next((tag for tag, pattern in _CORE.items() if pattern.fullmatch(text)), _STR)


class _Loader(yaml.SafeLoader):
    """PyYAML's composer with YAML 1.2's scalars, a bound on depth and size, and no alias to an unfinished node."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._count = 0
        self._unfinished: list[str | None] = []

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode:
            return _core_tag(value) if implicit[0] else _STR
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
    """Nodes -> plain values, noting positions and what is wrong on the way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.keys: dict[NodePath, Position] = {}
        self.values: dict[NodePath, Position] = {}
        self.problems: list[Problem] = []
        self.broken: set[NodePath] = set()

    def build(self, node: yaml.Node, path: NodePath) -> Any:
        if len(self.values) >= MAX_VALUES:
            message = f"the aliases of this file expand to more than {MAX_VALUES} values"
            raise _stop(self.name, _position(node), message)
        self.values[path] = _position(node)
        if node.tag not in _allowed_tags(node):
            return self._spoil(node, path, f"tag {_tag_name(node)} is not allowed here; leave it out")
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*path, i)) for i, child in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        value, complaint = _scalar(node)
        return self._spoil(node, path, complaint) if complaint else value

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
            self.keys[(*path, key)] = _position(key_node)
            found[key] = self.build(value_node, (*path, key))
        return found

    def _key(self, node: yaml.Node) -> str | None:
        if not isinstance(node, yaml.ScalarNode):
            self._note(node, "a key must be text, got a list or mapping; check the brackets")
        elif node.tag not in {_STR, *_CORE}:
            self._note(node, f"tag {_tag_name(node)} is not allowed here; leave it out")
        elif node.tag != _STR:
            self._note(node, f"a key must be text, got {node.value or 'nothing'}; quote it if it is meant")
        else:
            value, complaint = _scalar(node)
            if not complaint:
                return str(value)
            self._note(node, complaint)
        return None

    def _note(self, node: yaml.Node, message: str) -> None:
        at = _position(node)
        self.problems.append(Problem(line=at.line, column=at.column, message=message))

    def _spoil(self, node: yaml.Node, path: NodePath, message: str) -> None:
        self._note(node, message)
        self.broken.add(path)


def _allowed_tags(node: yaml.Node) -> set[str]:
    if isinstance(node, yaml.ScalarNode):
        return {_STR, *_CORE}
    return {_SEQ if isinstance(node, yaml.SequenceNode) else _MAP}


def _tag_name(node: yaml.Node) -> str:
    tag = str(node.tag)
    return quote("!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag)[1:-1]


def _scalar(node: yaml.Node) -> tuple[str | int | float | bool | None, str]:
    """The value, and what is wrong with it."""
    tag, text = node.tag, node.value
    if tag == _STR:
        is_text = not any("\ud800" <= letter <= "\udfff" for letter in text)
        return text, "" if is_text else "half a surrogate pair is no character; write the character itself"
    if not _CORE[tag].fullmatch(text):
        return None, f"{quote(text)} is no {_tag_name(node)}"
    if tag == _NULL:
        return None, ""
    if tag == _BOOL:
        return text[0] in "tT", ""
    if tag == _INT:
        return _integer(text)
    word = text.lower()
    number = float(word.replace(".inf", "inf").replace(".nan", "nan"))
    is_meant = not math.isinf(number) or word.endswith(".inf")
    return number, "" if is_meant else f"{quote(text)} is too large a number"


def _integer(text: str) -> tuple[int, str]:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    # Python refuses to convert more than 4300 decimal digits, with an exception.
    number = int(text, base) if base != 10 or len(text) <= 100 else 1 << 64
    return number, "" if -(1 << 63) <= number < 1 << 63 else f"{quote(text)} does not fit into 64 bits"
