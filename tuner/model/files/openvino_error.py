"""Finds the one informative line of an OpenVINO error.

Nearly every OpenVINO error is a RuntimeError with several lines of C++ frames around one that helps. Must not import
OpenVINO.
"""

from __future__ import annotations

import re

MAX_CHARACTERS = 300
"""Largest length of the line. Three lines of a terminal hold it; longer ones list whole graphs."""

FRAME = re.compile(r"^Exception from \S+?:\d+:?\s*")
CHECK = re.compile(r"^(?:Exception: )?Check '(?P<condition>.*)' failed at \S+?:\d+:?\s*")
FRONTEND = re.compile(r"^FrontEnd API failed with \w+:?\s*")
NODE = re.compile(r"^While validating (?:node|ONNX node) '(?:opset\d+::)?(?P<node>[^']*?)(?: \(.*)?'(?P<rest>.*)$")
NOISE = re.compile(
    r"^(?:Shape inference input shapes .*|Summary:|-- .* with a message:|Errors during \w+ translation:"
    r"|\[ GENERAL_ERROR \])$"
)
PREFIX = re.compile(r"^(?:NotFound|GeneralError|NotImplemented): ")
MEMORY = re.compile(
    r"bad_alloc|MemoryError|[Cc]annot allocate memory|[Ff]ailed to allocate|Resource temporarily unavailable"
)
"""Words of C++, Python, libc and OpenVINO 2026.4 for missing memory; the last is a thread without a stack."""
OPERATIONS = (
    re.compile(r"Conversion is failed for: (?P<operations>[^\n]+)"),
    re.compile(r"No translator found for: (?P<operations>[^\n]+)"),
    re.compile(r"does not support the following \w+ operations?: (?P<operations>[^\n]+)"),
    re.compile(r"[Nn]o conversion rule (?:is )?found for operations?: (?P<operations>[^\n]+)"),
)


def first_line(error: BaseException) -> str:
    """Returns the line that says what is wrong, without C++ frames; not empty, at most `MAX_CHARACTERS` long."""
    text = str(error)
    operations = unsupported_operations(text)
    if operations:
        return f"operations that OpenVINO cannot convert: {', '.join(operations)}"
    line = _informative(text)
    if not line:
        return type(error).__name__
    if isinstance(error, Exception) and type(error).__module__ == "builtins" and type(error) is not RuntimeError:
        line = f"{type(error).__name__}: {line}"
    return line if len(line) <= MAX_CHARACTERS else line[: MAX_CHARACTERS - 3] + "..."


def is_memory_short(text: str) -> bool:
    """Returns True if the text of an error, or the end of a process's stderr, says that memory was missing."""
    return MEMORY.search(text) is not None


def unsupported_operations(text: str) -> list[str]:
    """Returns the operations that a failed conversion names (`Conv`), each once, without the number of the opset."""
    found: list[str] = []
    for pattern in OPERATIONS:
        for match in pattern.finditer(text):
            for word in match["operations"].split(","):
                name = re.sub(r"-\d+$", "", word.strip().rstrip("."))
                if name and name not in found:
                    found.append(name)
    return found


def _informative(text: str) -> str:
    node = ""
    condition = ""
    for raw in text.splitlines():
        line = raw.strip()
        # One line may begin with several frames.
        while line:
            check = CHECK.match(line)
            if check:
                condition = condition or check["condition"]
            shorter = FRONTEND.sub("", FRAME.sub("", CHECK.sub("", line)))
            place = NODE.match(shorter)
            if place:
                node = node or place["node"]
                shorter = place["rest"].lstrip(": ")
            if shorter == line:
                break
            line = shorter
        if not line or NOISE.match(line):
            continue
        line = PREFIX.sub("", line)
        return f"{node}: {line}" if node else line
    return f"check failed: {condition}" if condition else node
