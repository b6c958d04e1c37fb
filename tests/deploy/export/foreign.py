"""Consumers that no test environment has: installed into a folder of their own, once on a machine."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tuner-tests"
"""One folder for each set of packages, so that a machine downloads each once. Removing it is safe."""


def installed(packages: Iterable[str], *, with_dependencies: bool = False) -> Path:
    """Returns a folder with these packages, for `sys.path` or PYTHONPATH; it takes precedence over the environment.

    Without a network the test is skipped with pip's reason, except in CI, where it fails.
    """
    words = list(packages)
    folder = CACHE / "-".join([*words, f"py{sys.version_info.major}{sys.version_info.minor}"])
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            return folder
        part = folder.with_name(f"{folder.name}.part")
        options = [] if with_dependencies else ["--no-deps"]
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", "--upgrade", "--target", part, *options, *words],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            reason = f"cannot install {' '.join(words)}: {done.stderr.strip().splitlines()[-1:]}"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
        part.rename(folder)
    return folder


def ask(folder: Path, program: str, given: Any) -> Any:
    """Runs a program with the packages of a folder; JSON goes in and comes out."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"},
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
