"""Folders of model caches: named after the process that made them, and swept only when it has ended."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.bench.conftest import OpenBench
from tuner.bench.worker.cache_folder import make_cache_folder, sweep_cache_folders


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left_by_a_dead_run(folder: Path) -> Path:
    """As `kill -9` leaves it, with something in it."""
    program = (
        "import os, pathlib, tempfile; from tuner.bench.worker.cache_folder import make_cache_folder\n"
        f"tempfile.tempdir = {str(folder)!r}\n"
        "made = make_cache_folder(); (pathlib.Path(made.name) / 'blob').touch(); print(made.name, flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    return Path(done.stdout.strip())


def test_what_a_killed_run_left_is_swept_by_the_next_start(open_bench: OpenBench, temporary: Path) -> None:
    left = left_by_a_dead_run(temporary)
    assert (left / "blob").exists()
    with open_bench():
        assert not left.exists()


def test_folders_of_a_living_run_or_without_a_known_process_stay(temporary: Path) -> None:
    mine = make_cache_folder()
    name = Path(mine.name).name
    reused = temporary / name.replace(f"-{os.getpid()}-", "-1-")
    elsewhere = temporary / f"tuner-cache-7-{os.getpid()}-0-abc"
    for folder in (reused, elsewhere, temporary / "tuner-cache-mine", temporary / "other"):
        folder.mkdir()
    link = temporary / name.replace(f"-{os.getpid()}-", "-2-")
    link.symlink_to(temporary / "other")
    assert sweep_cache_folders() == 1
    left = {path.name for path in temporary.iterdir()}
    assert left == {name, elsewhere.name, "tuner-cache-mine", "other", link.name}, (
        "a number that another process has now"
    )
    mine.cleanup()
    assert not Path(mine.name).exists()
