"""The YAML of what is deployed: plain enough for a person to read, strict when it is read back, and written so that a
crash leaves the old file or the new one.

Knows YAML and files; must not know what a file's values mean.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tuner.deploy.best import SCHEMA_VERSION
from tuner.errors import BestFileError, OutputError

STYLE: dict[str, Any] = {"sort_keys": False, "allow_unicode": True, "width": 120, "default_flow_style": None}
"""Keys in the order given; what holds no further mapping stands on one line."""
REWRITE = "Correct the file, or let `tuner run` write it again."


class OneLine(dict[str, Any]):
    """A mapping that is written on one line, whatever it holds."""


def format_content(content: Mapping[str, Any]) -> str:
    """YAML for a person to read."""
    text: str = yaml.dump(content, Dumper=_Dumper, **STYLE)
    return text


def parse_content(text: str, name: str, kind: str) -> dict[str, Any]:
    """The keys of a file of this `kind` and of a version that is known. Raises BestFileError."""
    try:
        content = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError) as error:
        raise BestFileError(f"{name} is not YAML: {_yaml_problem(error)}", advice=REWRITE) from error
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
    """In one step: a crash leaves the old file or the new one. Raises OutputError."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        try:
            with temporary.open("w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, file)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(file.parent)
    except OSError as error:
        raise OutputError(
            f"cannot write {file}: {error.strerror or error}",
            advice=f"Check that {file.parent} exists, that you may write there and that the disk has room.",
        ) from error


def _sync_folder(folder: Path) -> None:
    # The new name is safe on disk only when its folder is. Windows cannot open folders.
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _yaml_problem(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "it cannot be parsed"
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark is not None else str(problem)


class _Dumper(yaml.SafeDumper):
    """No anchors: a person reads it."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    OneLine,
    lambda dumper, line: dumper.represent_mapping("tag:yaml.org,2002:map", dict(line), flow_style=True),
)


class _Loader(yaml.SafeLoader):
    """Safe; a key given twice is an error, and a date stays the text it is."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is given twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
