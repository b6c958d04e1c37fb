"""The command line as a user calls it, and one life of a real study that several tests look at."""

from __future__ import annotations

import gc
import itertools
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
from hypothesis import settings

from tests.short_windows import shorten
from tuner import cli

sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
"""Some hundred processes import this package, and each would compile it anew (0.25 s for a command), as pytest would
rewrite the assertions of every test for each of its own (5 s)."""

settings.register_profile("whole", deadline=None, derandomize=True)  # no test asserts on wall time
settings.register_profile("quick", deadline=None, derandomize=True, max_examples=15)
settings.register_profile("explore", deadline=None, max_examples=1000)
"""The gates draw the same examples each time, or a change could fail by luck. `--hypothesis-profile=explore` draws new
ones."""

os.environ["TUNER_RECORD"] = str(Path(tempfile.gettempdir(), f"tuner-tests-{os.getpid()}", "record"))
"""No test, fixture or process of one reads or grows the record of studies of the user that runs the tests."""

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 120.0
RECORDS = itertools.count()
LONGEST = (
    "test_life.py",
    "report/html/test_browser.py",
    "test_benchmarks.py",
    "bench/backends/openvino/test_backend.py",
    "commands/test_verify.py",
    "phases/test_verification.py",
    "deploy/export/test_read_back.py",
    "bench/test_conformance.py",
    "deploy/test_servers.py",
    "report/live/test_tmux.py",
    "test_readme.py",
    "test_faults.py",
    "report/test_stream.py",
    "deploy/test_process.py",
    "test_package.py",
    "commands/test_init.py",
    "search/database/test_study_database.py",
    "replay/test_studies.py",
    "deploy/test_predictor.py",
    "bench/worker/test_deployment_conditions.py",
)
"""Files of tests that take 10 s and more, the longest first: one process runs all tests of a file."""
FULL_AT_BYTES = 8_000
"""No file may become larger on the full disk: enough for what is written before the first session."""


def _place_operations() -> None:
    """Puts what OpenVINO 2024 has below `openvino.runtime` to where the tests import it from."""
    if find_spec("openvino.op") is None:
        for name in ("op", "op.util", "opset13", "opset15"):
            module = import_module(f"openvino.runtime.{name}")
            sys.modules[f"openvino.{name}"] = module
            if name.startswith("opset"):
                setattr(import_module("openvino"), name, module)


_place_operations()


def pytest_configure(config: pytest.Config) -> None:
    """The quick suite draws fewer examples of each property; the gates draw them all."""
    gc.disable()  # until the tests begin
    if config.getoption("--hypothesis-profile") is None:
        settings.load_profile("quick" if "not slow" in config.option.markexpr else "whole")


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: no collection of garbage has to look at it again and again."""
    gc.freeze()
    gc.enable()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Control groups are tested by one process alone (`-m host`), apart from the others: every bench takes away what a
    killed process left. Whole studies in virtual time, worker processes and whole commands are no part of the quick
    suite."""
    names = set(item.fixturenames) if isinstance(item, pytest.Function) else set()
    if names & {"real", "may_limit"}:
        item.add_marker(pytest.mark.host)
    if names & {"open_bench", "tuner_here"}:
        item.add_marker(pytest.mark.slow)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, so that no process waits for it in the end; then the real runtime."""
    order = {name: number for number, name in enumerate(LONGEST)}

    def place(item: pytest.Item) -> tuple[int, bool]:
        name = item.path.relative_to(ROOT / "tests").as_posix()
        return order.get(name, len(order)), item.get_closest_marker("openvino") is None

    items.sort(key=place)


@pytest.fixture(autouse=True)
def record_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the record of studies that no other test shares; it is made when the first study ends."""
    folder = tmp_path_factory.getbasetemp() / f"record-{next(RECORDS)}" / "tuner"
    monkeypatch.setenv("TUNER_RECORD", str(folder))
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str


Tuner = Callable[..., Done]
SHORTLY = f"""
import sys
sys.path.append({str(ROOT)!r})
from tests.short_windows import shorten
shorten()
import tuner.__main__
"""
"""`python -m tuner` with short windows."""


def command(*words: str | Path, program: str = "import tuner.__main__") -> list[str]:
    return [sys.executable, "-c", program, *map(str, words)]


def environment(temporary: Path) -> dict[str, str]:
    """Returns the environment of a command with temporary files, caches and the host's lock in a folder of its test.

    No test asserts how fast anything is, and a study that measures meanwhile keeps no test from running.
    """
    own = {
        "TMPDIR": str(temporary),
        "XDG_CACHE_HOME": str(temporary / "cache"),
        "TUNER_LOCK": str(temporary / "host.lock"),
        "TUNER_RECORD": str(temporary / "record"),
        "COLUMNS": "120",
    }
    return {**os.environ, **own}


def call(words: list[str], *, cwd: Path, env: Mapping[str, str], limits: Callable[[], None] | None = None) -> Done:
    """One command line, the whole of it. Under limits it keeps no bytecode: Python would leave half of a file."""
    done = subprocess.run(
        words,
        cwd=cwd,
        env={**env, "PYTHONDONTWRITEBYTECODE": "1"} if limits else env,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        preexec_fn=limits,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Done(code=done.returncode, out=done.stdout, err=done.stderr)


@pytest.fixture
def tuner(tmp_path: Path) -> Tuner:
    """Runs the command line in a process and a temporary folder of its own; no expected failure shows a traceback."""

    def run(*words: str | Path, limits: Callable[[], None] | None = None) -> Done:
        return call(command(*words), cwd=ROOT, env=environment(tmp_path), limits=limits)

    return run


@pytest.fixture
def tuner_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Tuner]:
    """As `tuner`, in this process: for what ends before anything is measured, where starting one takes all the time."""

    def run(*words: str | Path) -> Done:
        monkeypatch.setattr(sys, "argv", ["tuner", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        assert "Traceback" not in err, err
        assert isinstance(end.value.code, int)
        return Done(code=end.value.code, out=out, err=err)

    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TUNER_LOCK", str(tmp_path / "host.lock"))
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT)}
    yield run
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.fixture
def short_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """In what `tuner_here` measures."""
    shorten(monkeypatch.setattr)


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What happened to one quickstart study: out of disk, killed, disturbed, terminated, resumed to its end."""

    results: Path
    folder: Path
    cwd: Path
    on_a_full_disk: Done
    files_on_a_full_disk: Mapping[str, bytes]
    lines_after_kill: list[bytes]
    workers_after_kill: list[int]
    second: Done
    terminated: Done
    lines_after_term: list[bytes]
    workers_after_term: list[int]
    finished: Done
    lines_at_end: list[bytes]
    again: Done
    lines_after_again: list[bytes]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines() if path.exists() else []


def workers_of(pids: set[int]) -> list[int]:
    """Which of the worker processes seen before are still alive (a zombie is not)."""
    return [p for p in pids if psutil.pid_exists(p) and psutil.Process(p).status() != psutil.STATUS_ZOMBIE]


@pytest.fixture(scope="session")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    """The quickstart, ended by a full disk before its baselines, by `kill -9` after them and by SIGTERM after its next
    session, then left alone."""
    cwd = tmp_path_factory.mktemp("life")
    results = cwd / "results"
    folder = results / "quickstart"
    shutil.copytree(ROOT / "configs", cwd / "configs")
    env = environment(cwd)
    run = ("run", "configs/quickstart.yaml", "--results", results, "--minutes")
    words = command(*run, "0.4", program=SHORTLY)
    longer = command(*run, "3", program=SHORTLY)  # none that is to be interrupted ends before
    log = folder / "sessions.jsonl"

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            longer,
            cwd=cwd,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def children(process: subprocess.Popen[str]) -> set[int]:
        return {child.pid for child in psutil.Process(process.pid).children(recursive=True)}

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_AT_BYTES, FULL_AT_BYTES))

    def until_killed(lines: int, signum: signal.Signals) -> tuple[Done, list[int]]:
        with start() as process:
            try:
                wait_for(lambda: len(lines_of(log)) >= lines or process.poll() is not None)
                assert process.poll() is None, process.communicate()
                wait_for(lambda: bool(children(process)))
                seen = children(process)
                others.append(call(words, cwd=cwd, env=env))
                seen |= children(process)
                process.send_signal(signum)
                out, err = process.communicate(timeout=PATIENCE_S)
            finally:
                process.kill()
        wait_for(lambda: not workers_of(seen))
        return Done(code=process.returncode, out=out, err=err), workers_of(seen)

    others: list[Done] = []
    on_a_full_disk = call(words, cwd=cwd, env=env, limits=small_files)
    files_on_a_full_disk = {file.name: file.read_bytes() for file in folder.iterdir()}
    _, workers_after_kill = until_killed(2, signal.SIGKILL)
    lines_after_kill = lines_of(log)
    with log.open("ab") as file:
        file.write(b'{"kind":"session","phase":"sea')
    terminated, workers_after_term = until_killed(len(lines_of(log)) + 1, signal.SIGTERM)
    lines_after_term = lines_of(log)
    finished = call(words, cwd=cwd, env=env)
    lines_at_end = lines_of(log)
    again = call(words, cwd=cwd, env=env)
    return Life(
        results=results,
        folder=folder,
        cwd=cwd,
        on_a_full_disk=on_a_full_disk,
        files_on_a_full_disk=files_on_a_full_disk,
        lines_after_kill=lines_after_kill,
        workers_after_kill=workers_after_kill,
        second=others[0],
        terminated=terminated,
        lines_after_term=lines_after_term,
        workers_after_term=workers_after_term,
        finished=finished,
        lines_at_end=lines_at_end,
        again=again,
        lines_after_again=lines_of(log),
    )
