"""Words of a command line that name a model: told apart from study files, found, and named.

Responsible for one argument. Must not read the graph of a model.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from tuner.errors import ModelError
from tuner.model.files.unreadable import HEAD_BYTES, identify
from tuner.model.locate import BUILTIN, PACKAGE, SAVED_MODEL, SUFFIXES, locate
from tuner.model.spec import ModelSpec

TEXT_SUFFIXES = (".yaml", ".yml")
"""Suffixes of files that are study files whatever they hold."""


def is_model(given: str) -> bool:
    """Returns True if an argument names a model, by its words, its suffix or its content."""
    path = Path(given)
    suffix = path.suffix.lower()
    if given.startswith((BUILTIN, PACKAGE)):
        return True
    if path.is_dir():
        return (path / SAVED_MODEL).is_file()
    if suffix in TEXT_SUFFIXES or not path.is_file():
        return suffix in SUFFIXES
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError:
        return suffix in SUFFIXES
    if b"schema_version" in head:
        return suffix in SUFFIXES
    return suffix in SUFFIXES or identify(path) is not None or not _is_text(head)


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    try:
        head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 4  # A character that the end of `head` cuts in two.
    return True


def model_of(given: str) -> ModelSpec:
    """Returns a model that exists, a SavedModel by its folder. Raises ModelError with what another file is."""
    path = Path(given)
    if path.name == SAVED_MODEL and path.is_file():
        given = str(path.parent)
    spec = ModelSpec(path=given, folder=Path.cwd())
    found = locate(spec)
    is_doubtful = found is not None and found.is_file() and found.suffix.lower() not in SUFFIXES
    if found is not None and is_doubtful and (foreign := identify(found)) is not None:
        raise ModelError(f"{found} {foreign.what}", advice=foreign.step)
    return spec


def study_name(given: str) -> str:
    """Returns the name of a model's study: that of its file or folder, as a plain folder name."""
    path = Path(given.removeprefix(BUILTIN).removeprefix(PACKAGE))
    name = path.parent.name if path.name == SAVED_MODEL else Path(os.path.abspath(path)).name
    stem = name.rpartition(".")[0] or name  # the stem of `..onnx` depends on the version of Python
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip(".-")[:80]
    return plain or "model"


def written_path(given: str, folder: Path) -> str:
    """Returns the path of a model as a study file in `folder` states it: relative if it was given so."""
    path = Path(given)
    if given.startswith((BUILTIN, PACKAGE)):
        return given
    path = path.parent if path.name == SAVED_MODEL else path
    if path.is_absolute() or given.startswith("~"):
        return str(path)
    relative = os.path.relpath(path, folder)
    return f"./{relative}" if relative.startswith(("~", BUILTIN, PACKAGE)) else relative
