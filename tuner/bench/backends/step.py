"""The step that a worker process is in, on its standard error, so that its end can be explained.

Responsible for one line each. Must not know what the steps are.
"""

from __future__ import annotations

import os
from contextlib import suppress

MARK = "tuner: now "
"""Beginning of a line that names a step."""


def announce_step(step: str) -> None:
    """Writes the step that begins; the parent reads it only if the process ends."""
    with suppress(OSError):
        os.write(2, f"{MARK}{step}\n".encode())


def last_step(stderr_text: str) -> tuple[str, str]:
    """Returns the last step that was announced, empty if none was, and the text without such lines."""
    lines = stderr_text.splitlines()
    steps = [line.removeprefix(MARK) for line in lines if line.startswith(MARK)]
    rest = "\n".join(line for line in lines if not line.startswith(MARK))
    return (steps[-1] if steps else ""), rest
