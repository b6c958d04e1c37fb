"""Says why a file cannot be read as a model, and the one step that leads to a model.

Responsible for the words, by the first bytes of the file and the text of OpenVINO's error. Must not import OpenVINO.
"""

from __future__ import annotations

import json
import re
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tuner.errors import ModelError
from tuner.model.files.onnx_weights import external_files
from tuner.model.files.openvino_error import first_line, unsupported_operations

FORMATS = "OpenVINO reads .xml with .bin, .onnx, .tflite, TensorFlow (SavedModel folders, frozen .pb) and Paddle."
HEAD_BYTES = 4096
"""Length of the beginning of a file that tells what the file is."""
AGAIN = "Copy or export it again."
OLDEST_IR = 10
"""Oldest version of OpenVINO's IR that OpenVINO 2026.4 reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignFile:
    """Describes a file that OpenVINO does not read."""

    what: str
    """Words for the file after its path: `is a PyTorch file`."""
    step: str
    """Advice that leads to a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    is_it: Callable[[Path, bytes], bool]
    what: str
    step: str


def explain(path: Path, error: RuntimeError) -> ModelError:
    """Returns the error for a failed reading by file and text: OpenVINO 2026.4 raises RuntimeError for everything."""
    text = str(error)
    weights = path.with_suffix(".bin").name
    if unsupported_operations(text) or "OpConversionFailure" in text:
        return ModelError(
            f"{path} cannot be converted: {first_line(error)}",
            advice="Export it with another opset or with static shapes, or convert it by `ovc` and name the .xml.",
        )
    if "Empty weights data" in text:
        return ModelError(f"{path} has no weights: {weights} is missing", advice=f"Put {weights} beside the .xml.")
    if "Incorrect weights" in text:
        return ModelError(
            f"{path} and {weights} do not belong together, or {weights} is truncated", advice="Copy both again."
        )
    if "Could not open the file" in text:
        return ModelError(f"{path} cannot be opened", advice="Check the rights of the file.")
    if (foreign := identify(path)) is not None:
        return ModelError(f"{path} {foreign.what}", advice=foreign.step)
    if missing := [name for name in external_files(path) if not (path.parent / name).is_file()]:
        return ModelError(
            f"{path} lacks its weights: {', '.join(missing)} in {path.parent}",
            advice="Copy the files that hold the weights together with the .onnx, in the same folders.",
        )
    if "Unable to read the model" in text:
        return damaged(path)
    if path.suffix == ".xml":
        return ModelError(f"{path} is damaged or truncated: {first_line(error)}", advice=AGAIN)
    return ModelError(f"{path} cannot be read: {first_line(error)}", advice=AGAIN)


def damaged(path: Path) -> ModelError:
    """Returns the error for a file that is nothing else that `identify` knows."""
    return ModelError(f"{path} is damaged, truncated or no model that OpenVINO reads", advice=f"{AGAIN} {FORMATS}")


def identify(path: Path) -> ForeignFile | None:
    """Returns what a file is by its content, else by its suffix; None for a possibly damaged model."""
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError:
        return None
    if (version := _old_ir(head)) is not None:
        return ForeignFile(
            what=f"is an OpenVINO IR of version {version}; versions from {OLDEST_IR} are read",
            step="Convert the original model again: `ovc MODEL`, then name the new .xml.",
        )
    row = next((row for row in ROWS if row.is_it(path, head)), None)
    return None if row is None else ForeignFile(what=row.what, step=row.step.format(path=path, name=path.name))


def _old_ir(head: bytes) -> int | None:
    """Returns the version of an IR of before version 10, None for any other file."""
    found = re.search(rb"<net\b[^>]*\bversion=\"(\d+)\"", head)
    return int(found[1]) if found and int(found[1]) < OLDEST_IR else None


def _zip_names(path: Path, head: bytes) -> list[str]:
    if not head.startswith(b"PK\x03\x04"):
        return []
    try:
        with zipfile.ZipFile(path) as file:
            return file.namelist()
    except (zipfile.BadZipFile, OSError):
        return []


def _is_torch(path: Path, head: bytes) -> bool:
    is_pickle = head.startswith(b"\x80") and path.suffix in (".pt", ".pth", ".ckpt", ".pkl")
    names = _zip_names(path, head)
    return is_pickle or any(re.search(r"(^|/)(data\.pkl|constants\.pkl)$", name) for name in names)


def _is_keras(path: Path, head: bytes) -> bool:
    names = _zip_names(path, head)
    return "config.json" in names and any(name.endswith(".weights.h5") for name in names)


def _is_safetensors(path: Path, head: bytes) -> bool:
    if len(head) < 10:
        return False
    (length,) = struct.unpack("<Q", head[:8])
    return head[8:9] == b"{" and 2 <= length <= path.stat().st_size - 8


def _is_paddle_json(path: Path, head: bytes) -> bool:
    return path.suffix == ".json" and b'"pir"' in head and b'"magic"' in head


def _is_json(path: Path, head: bytes) -> bool:
    if path.suffix != ".json":
        return False
    try:
        json.loads(path.read_bytes() if path.stat().st_size < 1 << 20 else b"{}")
    except ValueError:
        return False
    return True


def _starts(*heads: bytes) -> Callable[[Path, bytes], bool]:
    return lambda path, head: head.lstrip().lower().startswith(heads)


def _ends(*suffixes: str) -> Callable[[Path, bytes], bool]:
    return lambda path, head: path.suffix.lower() in suffixes


TO_ONNX = "Export it to ONNX (torch.onnx.export), or convert it with the network's code (openvino.convert_model)."
FROM_KERAS = "Load it in Keras and export a SavedModel (model.export('FOLDER')), then name the folder; or export ONNX."
ROWS = (
    _Row(
        is_it=_starts(b"version https://git-lfs"),
        what="is a Git LFS pointer, not the model: three lines of text in its place",
        step="Run `git lfs pull` in the repository.",
    ),
    _Row(
        is_it=_starts(b"<!doctype html", b"<html"),
        what="is a web page, not a model: the download failed",
        step="Download it again from an address that gives the file itself.",
    ),
    _Row(is_it=_is_torch, what="is a PyTorch file, which holds weights and Python objects", step=TO_ONNX),
    _Row(is_it=_is_keras, what="is a Keras file", step=FROM_KERAS),
    _Row(is_it=_starts(b"\x89hdf\r\n\x1a\n"), what="is an HDF5 file, as Keras writes them", step=FROM_KERAS),
    _Row(
        is_it=_is_safetensors,
        what="is a safetensors file: weights without a graph",
        step="Export the model that they belong to: `optimum-cli export openvino`, or ONNX.",
    ),
    _Row(
        is_it=_is_paddle_json,
        what="is a model in PaddlePaddle's newer format (PIR), which this OpenVINO does not read",
        step="Convert it by paddle2onnx, or export it again as .pdmodel.",
    ),
    _Row(is_it=_is_json, what="is a JSON file, not a model", step=f"Name the model's file. {FORMATS}"),
    _Row(
        is_it=lambda path, head: head.startswith(b"ftrt") or path.suffix in (".engine", ".plan"),
        what="is a TensorRT engine, made for one GPU",
        step="Export the network it was built from to ONNX.",
    ),
    _Row(
        is_it=lambda path, head: path.name == "saved_model.pb",
        what="is one file of a TensorFlow SavedModel, which is a folder",
        step="Name the folder {path.parent} instead.",
    ),
    _Row(
        is_it=_ends(".bin", ".pdiparams", ".pdparams", ".weights", ".onnx_data", ".data"),
        what="holds weights without a graph",
        step=f"Name the model beside it (.xml, .onnx, .pdmodel). {FORMATS}",
    ),
    _Row(is_it=_ends(".pt", ".pth", ".ckpt"), what="has the suffix of a PyTorch file", step=TO_ONNX),
    _Row(is_it=_ends(".keras", ".h5", ".hdf5"), what="has the suffix of a Keras file", step=FROM_KERAS),
)
"""Kinds of files in the order in which they are asked for: by content first, by suffix last."""
