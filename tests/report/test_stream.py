"""Streams take every text; what they cannot write is escaped, and so is what would control a terminal."""

from __future__ import annotations

import ast
import io
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.report.live.shown import HARMLESS, HOSTILE, Screen
from tuner.report.stream import pass_on, say, visible

NAME = "mod\u00e8le \u4e2d.onnx"
PRINTS = (
    "import sys; from tuner.report.stream import unbroken\n"
    f"for stream in (sys.stdout, sys.stderr): print({NAME!r}, '\\udcff', file=unbroken(stream), flush=True)"
)


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", b"mod\\xe8le \\u4e2d.onnx \\udcff\n"),
        ("ascii:strict", b"mod\\xe8le \\u4e2d.onnx \\udcff\n"),
        ("latin-1", b"mod\xe8le \\u4e2d.onnx \\udcff\n"),
        ("utf-8", f"{NAME} \\udcff\n".encode()),
    ],
)
def test_every_stream_escapes_what_it_cannot_write(encoding: str, shown: bytes) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRINTS],
        env={"PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT), "LC_ALL": "C"},
        capture_output=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == (shown, shown)


def test_what_is_said_controls_no_terminal_and_what_is_passed_on_is_for_programs() -> None:
    said, piped, screen = io.StringIO(), io.StringIO(), Screen()
    say(HOSTILE, "second", stream=said)
    assert said.getvalue() == f"{visible(HOSTILE)}\nsecond\n"
    assert "\x1b" not in said.getvalue()
    pass_on(HOSTILE, piped)
    pass_on(HOSTILE, screen)
    assert piped.getvalue() == HOSTILE
    assert screen.getvalue() == visible(HOSTILE) == HARMLESS.replace("\\n", "\n")


def test_every_file_is_opened_with_its_encoding() -> None:
    """Where the locale is ASCII, a file without one would be ASCII too. What a control group is told is numbers."""
    found = []
    for path in sorted((ROOT / "tuner").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _is_text(node) and not any(k.arg == "encoding" for k in node.keywords):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert [place for place in found if not place.startswith("tuner/bench/host/cgroup.py")] == []


def _is_text(call: ast.Call) -> bool:
    """Returns True for a call that opens a file as text: of the built-in `open` or of a method of Path."""
    name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
    is_method = isinstance(call.func, ast.Attribute)
    if name in ("read_text", "write_text"):
        return is_method
    places = call.args[:1] if is_method else call.args[1:2]
    mode = next((str(word.value) for word in places if isinstance(word, ast.Constant)), "r")
    is_os = is_method and isinstance(call.func.value, ast.Name) and call.func.value.id in ("os", "webbrowser")  # type: ignore[attr-defined]
    return name == "open" and "b" not in mode and not is_os


def test_the_scan_for_encodings_finds_what_it_is_for() -> None:
    calls = ["open('a')", "path.open('w')", "path.read_text()", "path.write_text('x')"]
    assert all(_is_text(ast.parse(call, mode="eval").body) for call in calls)  # type: ignore[arg-type]
    others = ["open('a', 'rb')", "path.open('rb')", "os.open('a', 0)", "write_text(path, 'x')", "path.read_bytes()"]
    assert not any(_is_text(ast.parse(call, mode="eval").body) for call in others)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("env", "shown"),
    [
        ({"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1"}, b"mod\\xe8le \\u4e2d"),
        ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, b"mod\\udcc3\\udca8le"),
    ],
    ids=["streams", "everything"],
)
def test_the_command_line_works_where_streams_are_ascii(tmp_path: Path, env: Mapping[str, str], shown: bytes) -> None:
    """Names of users are in its messages and its tables; where the locale is ASCII, a path is bytes."""
    folder = tmp_path / NAME
    folder.mkdir()
    (folder / "study.yaml").write_text("schema_version: 1\nm\u00f6del: x\n", encoding="utf-8")
    shutil.copytree(ROOT / "tests/golden/results-0.1", folder / "finished")
    for code, *words in (
        (2, "run", folder / "study.yaml"),
        (2, "show", folder),
        (2, "apply", folder / "best.yaml"),
        (0, "show", folder / "finished"),
    ):
        command = [sys.executable, "-m", "tuner", *map(str, words)]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, check=False)
        assert b"Traceback" not in done.stderr
        assert done.returncode == code, done.stderr
        assert shown in done.stdout + done.stderr
        assert (done.stdout + done.stderr).isascii()
