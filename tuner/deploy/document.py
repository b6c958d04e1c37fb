"""Reads and writes the YAML of best.yaml and front.yaml: plain for a person, strict when it is read back.

Responsible for YAML text and messages. Must not know what the values of a file mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tuner.atomic_write import write_atomically
from tuner.deploy.best import SCHEMA_VERSION
from tuner.errors import BestFileError, OutputError, Problem
from tuner.yaml_text import PYYAML, YamlError, build, compose

STYLE: dict[str, Any] = {"sort_keys": False, "allow_unicode": True, "width": 120, "default_flow_style": None}
"""Options of `yaml.dump`: keys in the order given, and a mapping without mappings inside on one line."""
REWRITE = "Correct the file, or let `tuner run` write it again."
"""Advice for a file whose content is wrong."""


class OneLine(dict[str, Any]):
    """Marks a mapping that is written on one line, even if it holds other mappings."""


def format_content(content: Mapping[str, Any]) -> str:
    """Returns `content` as YAML for a person to read."""
    text: str = yaml.dump(content, Dumper=_Dumper, **STYLE)
    return text


def parse_content(text: str, name: str, kind: str) -> dict[str, Any]:
    """Returns the keys and values of a file of this `kind` ("best.yaml"); `name` is for messages.

    Raises BestFileError: no YAML, no mapping, a study file, or a newer `schema_version`.
    """
    content = _parse_yaml(text, name)
    if not isinstance(content, dict):
        raise BestFileError(f"{name} is not a {kind}: it holds no keys", advice=REWRITE)
    if "budget" in content and "verdict" not in content:
        raise BestFileError(f"{name}: this is a study file, not a {kind}", advice=f"`tuner run {name}` makes one")
    version = content.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise BestFileError(
            f"{name} has schema_version {version}; this program reads up to {SCHEMA_VERSION}", advice="Upgrade tuner."
        )
    return content


def write_whole(file: Path, text: str) -> None:
    """Writes a file in one step: a crash leaves the old file or the new one. Raises OutputError."""
    try:
        write_atomically(file, text)
    except OSError as error:
        raise OutputError(
            f"cannot write {file}: {error.strerror or error}",
            advice=f"Check that {file.parent} exists, that you may write there and that the disk has room.",
        ) from error


def _parse_yaml(text: str, name: str) -> Any:
    try:
        node = compose(text, PYYAML)
        values = None if node is None else build(node, PYYAML)
    except YamlError as error:
        raise BestFileError(f"{name} is not YAML: {_located(error.problem)}", advice=REWRITE) from error
    if values is None:
        return None
    if values.problems:
        raise BestFileError("\n".join(f"{name}: {_located(problem)}" for problem in values.problems), advice=REWRITE)
    return values.value


def _located(problem: Problem) -> str:
    return f"line {problem.line}, column {problem.column}: {problem.message}"


class _Dumper(yaml.SafeDumper):
    """Writes no anchors, which a person would have to resolve."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """Returns a scalar that reads back: PyYAML leaves these three line breaks bare, and a reader folds them."""
    style = '"' if any(c in text for c in "\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(
    OneLine,
    lambda dumper, line: dumper.represent_mapping("tag:yaml.org,2002:map", dict(line), flow_style=True),
)
