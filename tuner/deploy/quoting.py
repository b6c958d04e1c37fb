"""Makes text of a best.yaml harmless in the files of other programs: comments, C strings, names.

Responsible for quoting that the standard library does not offer; JSON, YAML and shells have `json`, `yaml` and `shlex`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

LONGEST_NAME = 48
"""Largest number of characters of a `slug`: a StatefulSet appends a number and a hash, and 63 is the limit."""


def comment_lines(lines: Iterable[str], mark: str = "#") -> list[str]:
    r"""Returns each line as a comment that ends with its line, whatever the text holds.

    Characters that are not printable are escaped, so that no reader sees the end of a line in them. A line never ends
    with a backslash (or `??/`, its trigraph), with which C++ and systemd would continue the comment.
    """
    found = []
    for line in lines:
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line).rstrip()
        end = " ." if text.endswith(("\\", "??/")) else ""
        found.append(f"{mark} {text}{end}".rstrip())
    return found


def c_string(text: str) -> str:
    r"""Returns a string literal of C++ and of protobuf's text format: ASCII, with octal escapes of three digits."""
    plain = (chr(b) if 32 <= b < 127 and b not in b'"\\?' else f"\\{b:03o}" for b in text.encode())
    return f'"{"".join(plain)}"'


def slug(text: str) -> str:
    """Returns a name for a unit, a service or a pod: lower-case letters, digits and single hyphens, never empty."""
    found = re.sub(r"[^a-z0-9]+", "-", text.lower())[:LONGEST_NAME].strip("-")
    return found or "model"


def is_writable(text: str) -> bool:
    """Returns True if files and command lines can hold the text: no NUL, no half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)
