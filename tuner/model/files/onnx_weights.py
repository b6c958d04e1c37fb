"""Finds the files beside an .onnx that hold its weights, by the fields of its protocol buffers.

Responsible for the bytes of ModelProto (onnx/onnx.proto). Must not import onnx, and must not read the weights.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

GRAPHS = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
"""Numbers of the fields that lead to a tensor's external data, for each message of onnx.proto."""
MAX_DEPTH = 64
"""Largest number of nested messages that is followed; real subgraphs are nested a few levels deep."""


def external_files(path: Path) -> list[str]:
    """Returns the names of the files that hold weights, relative to the .onnx, each once and in its order.

    Returns none for a file that is no ONNX model: reading it tells what is wrong.
    """
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return list(dict.fromkeys(_locations(content, 0, len(content), "model", MAX_DEPTH)))
    except (OSError, ValueError, IndexError):
        return []


def _locations(content: mmap.mmap, begin: int, end: int, kind: str, depth: int) -> Iterator[str]:
    """Yields the value of every `location` entry in a message. Raises ValueError or IndexError for other bytes."""
    if kind == "entry":
        entry = {field: content[first:last].decode() for field, first, last in _fields(content, begin, end)}
        if entry.get(1) == "location" and 2 in entry:
            yield entry[2]
        return
    if depth == 0:
        raise ValueError("nested too deep")
    for field, first, last in _fields(content, begin, end):
        if (inner := GRAPHS[kind].get(field)) is not None:
            yield from _locations(content, first, last, inner, depth - 1)


def _fields(content: mmap.mmap, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yields number, begin and end of each length-delimited field (protobuf.dev/programming-guides/encoding)."""
    at = begin
    while at < end:
        tag, at = _varint(content, at, end)
        field, wire = tag >> 3, tag & 7
        if wire == 0:
            _, at = _varint(content, at, end)
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        elif wire == 2:
            length, at = _varint(content, at, end)
            if at + length > end:
                raise ValueError("a field ends beyond its message")
            yield field, at, at + length
            at += length
        else:
            raise ValueError(f"no wire type {wire}")


def _varint(content: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    number = shift = 0
    while at < end and shift < 70:
        byte = content[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at
    raise ValueError("no number")
