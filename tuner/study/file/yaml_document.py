"""Reads the YAML of a study file: a mapping with the position of every key and value, or its problem.

Responsible for bytes, text and the top of a document. Must not know which keys a study file has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tuner.errors import Problem, StudyFileError
from tuner.yaml_text import TOP, NodePath, Position, YamlError, build, compose, position_after, position_of, quote

MAX_BYTES = 1_000_000
"""Largest size of a study file: as many values as `yaml_text.MAX_VALUES` allows, of 30 characters each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The content of a file. `problems` did not stop the reading; `broken` holds the paths that they made unusable."""

    name: str
    text: str
    value: Mapping[str, Any]
    keys: Mapping[NodePath, Position]
    values: Mapping[NodePath, Position]
    problems: tuple[Problem, ...] = ()
    broken: frozenset[NodePath] = frozenset()

    def key_at(self, path: NodePath) -> Position:
        """Returns where the key of `path` stands; for an element of a list, where the element begins."""
        return self.keys.get(path) or self.value_at(path)

    def value_at(self, path: NodePath) -> Position:
        """Returns where the value of `path` begins; for one that is not in the file, the nearest value around it."""
        while path not in self.values:
            path = path[:-1]
        return self.values[path]


def read_document(data: bytes, *, name: str) -> Document:
    """Returns the mapping in `data`; `name` is the file's in messages.

    Raises StudyFileError if nothing can be read: no UTF-8, no YAML, no mapping.
    """
    try:
        text = _decode(data)
        root = compose(text)
        if root is None:
            raise YamlError(TOP, "the file is empty; the README shows one to start from")
        if not isinstance(root, yaml.MappingNode):
            kind = "a list" if isinstance(root, yaml.SequenceNode) else quote(root.value) if root.value else "nothing"
            raise YamlError(position_of(root), f"a study file is a mapping (`key: value` lines), got {kind}")
        found = build(root)
    except YamlError as error:
        raise StudyFileError(name, [error.problem]) from None
    return Document(
        name=name,
        text=text,
        value=found.value if isinstance(found.value, dict) else {},
        keys=found.keys,
        values=found.values,
        problems=found.problems,
        broken=found.broken,
    )


def _decode(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise YamlError(TOP, f"the file is larger than {MAX_BYTES} bytes; this is no study file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = position_after(data[: error.start].decode("utf-8-sig", "replace"))
        raise YamlError(at, f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8") from None
