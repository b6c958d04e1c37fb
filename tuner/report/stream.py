"""Streams for stdout and stderr that take every text, and that go on when their reader leaves, as `head` does.

Responsible for bytes and characters. Must not know what is written.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Unread(io.FileIO):
    """Drops what it is given once its reader has left, as `head` does, instead of failing."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Writes the bytes and returns how many were taken: all of them if the reader has left."""
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes


def unbroken(stream: TextIO) -> TextIO:
    """Returns a stream for stdout or stderr that goes on when its reader leaves, and escapes what it cannot write.

    Names and paths of users are printed, and an ASCII stream has no letter for most of them. A stream that replaces
    stdout or stderr is returned as it is, and so is the None of one that was closed from the start.
    """
    is_own = stream is sys.__stdout__ or stream is sys.__stderr__
    if not is_own or not isinstance(stream, io.TextIOWrapper):
        return stream
    raw = Unread(stream.fileno(), "w", closefd=False)
    is_line_wise = stream.line_buffering or stream.write_through
    return io.TextIOWrapper(
        io.BufferedWriter(raw), stream.encoding, errors="backslashreplace", line_buffering=is_line_wise
    )


def say(*lines: str, stream: TextIO) -> None:
    """Prints lines in which nothing controls a terminal."""
    stream.writelines(f"{visible(line)}\n" for line in lines)


def pass_on(text: str, stream: TextIO) -> None:
    """Writes a text for a program as it is; on a terminal nothing in it controls that."""
    stream.write(visible(text) if stream.isatty() else text)


def visible(text: str) -> str:
    """Returns a text without control characters but line ends: a name in a message never moves a terminal's cursor."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
