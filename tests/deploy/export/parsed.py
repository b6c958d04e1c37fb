"""Reads what an exporter writes as its consumer would: words of a shell, options, settings of a unit."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tuner.deploy.best import Best
from tuner.deploy.export.exporter import Exported
from tuner.deploy.export.targets import EXPORTERS


def export(target: str, best: Best) -> Exported:
    return EXPORTERS[target].export(best)


STUB = '#!/bin/sh\nfor word in "$0" "$#" "$@"; do printf "%s\\0" "$word"; done >> "$OUT"\n'
"""Writes its name, the number of its words, and the words."""


def commands_of(script: str, folder: Path) -> list[list[str]]:
    """Runs a script with every command of a consumer replaced, and returns the words that each was given."""
    folder.mkdir(exist_ok=True)
    for name in ("benchmark_app", "ovms", "docker", "gst-launch-1.0"):
        (folder / name).write_text(STUB)
        (folder / name).chmod(0o755)
    (folder / "script.sh").write_text(script)
    out = folder / "words"
    out.unlink(missing_ok=True)
    done = subprocess.run(
        ["sh", folder / "script.sh", "further"],
        env={"PATH": f"{folder}:/usr/bin:/bin", "OUT": str(out)},
        cwd=folder,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found, calls = out.read_bytes().decode().split("\0"), []
    while len(found) > 1:
        name, count, *found = found
        calls.append([Path(name).name, *found[: int(count)]])
        found = found[int(count) :]
    return calls


def options(words: list[str], mark: str) -> dict[str, str]:
    """Returns the value behind each option."""
    return {word.lstrip("-"): words[i + 1] for i, word in enumerate(words[:-1]) if word.startswith(mark)}


def unit(text: str) -> dict[str, list[str]]:
    """Returns the settings of the [Service] section of a unit."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line
        elif line and not line.startswith(("#", ";")) and section == "[Service]":
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found
