"""The servers of configs/examples answer real clients, also after a client was killed, and end on a signal."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest

from tests.conftest import ROOT
from tests.documents import blocks
from tuner.deploy.best import Best, BestArrivals, BestConstraint, BestObjective
from tuner.deploy.best_file import write_best

pytestmark = [pytest.mark.openvino, pytest.mark.slow]

EXAMPLES = sorted((ROOT / "configs/examples").glob("*_server.py"))
PATIENCE_S = 60.0
CLIENTS, CALLS = 8, 25
KILLED = """
import os, signal, socket, sys
for body in (b"", b"x" * 100):
    half = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    half.sendall(b"POST / HTTP/1.1\\r\\nHost: here\\r\\nContent-Length: 256\\r\\n\\r\\n" + body)
whole = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
whole.sendall(b"POST / HTTP/1.1\\r\\nHost: here\\r\\nContent-Length: 256\\r\\n\\r\\n" + bytes(256))
os.kill(os.getpid(), signal.SIGKILL)
"""
"""A client that dies with two requests half sent and one whole."""


@contextmanager
def serving(program: Path, best: Path) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Runs a server on a free port, and yields the port, which it says itself."""
    with subprocess.Popen(
        [sys.executable, str(program), str(best), "0"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        watchdog = threading.Timer(2 * PATIENCE_S, os.killpg, (process.pid, signal.SIGKILL))
        watchdog.start()
        said: list[str] = []
        try:
            assert process.stdout is not None
            for line in process.stdout:
                said.append(line)
                if found := re.search(r"port (\d+)|http://127\.0\.0\.1:(\d+)", line):
                    break
            else:
                raise AssertionError("".join(said))
            threading.Thread(target=process.stdout.read, daemon=True).start()  # never a full pipe
            yield int(found[1] or found[2]), process
        finally:
            watchdog.cancel()
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def ask(port: int, body: bytes) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("POST", "/", body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def right_answers(best: Best, inputs: list[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    request = replace(best, batch_size=1, replicas=1, affinity="shared").compile(core=openvino.Core()).infer_request()
    return [np.array(request.infer({"x": one})["y"]) for one in inputs]


def check_answers(port: int, best: Best) -> None:
    """Many clients at once, each with samples of its own."""
    inputs = [np.random.default_rng(i).random((1, 64), np.float32) for i in range(CLIENTS * 4)]
    expected = right_answers(best, inputs)
    ends: list[Any] = []

    def work(number: int) -> None:
        try:
            for turn in range(CALLS):
                which = 4 * number + turn % 4
                status, content = ask(port, inputs[which].tobytes())
                assert status == 200, content
                np.testing.assert_allclose(np.frombuffer(content, np.float32), expected[which][0], rtol=1e-3, atol=1e-3)
            ends.append("right")
        except BaseException as error:
            ends.append(error)

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert ends == ["right"] * CLIENTS


@pytest.fixture
def write(make_best: Callable[..., Best], saved_mlp: str, tmp_path: Path) -> Callable[..., tuple[Best, Path]]:
    def write_here(**fields: Any) -> tuple[Best, Path]:
        best = make_best(path=saved_mlp, **fields)
        write_best(tmp_path / "best.yaml", best)
        return best, tmp_path / "best.yaml"

    return write_here


def test_there_is_a_server_for_threads_for_asyncio_and_for_forked_workers() -> None:
    assert [path.stem for path in EXAMPLES] == ["asyncio_server", "prefork_server", "threaded_server"]


@pytest.mark.parametrize("program", EXAMPLES, ids=lambda path: path.stem)
def test_a_server_answers_many_clients_survives_killed_ones_and_says_what_is_wrong(
    program: Path, write: Callable[..., tuple[Best, Path]]
) -> None:
    best, path = write(batch_size=4, infer_requests=2)
    with serving(program, path) as (port, process):
        check_answers(port, best)
        for _ in range(3):
            killed = subprocess.run([sys.executable, "-c", KILLED, str(port)], check=False, timeout=PATIENCE_S)
            assert killed.returncode == -signal.SIGKILL
        check_answers(port, best)
        status, content = ask(port, bytes(100))
        assert status == 400, content
        assert b"reshape" in content
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)


@pytest.mark.parametrize("affinity", ["shared", "split"])
def test_forked_workers_are_the_replicas_of_the_file(write: Callable[..., tuple[Best, Path]], affinity: Any) -> None:
    if affinity == "split" and len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one CPU cannot be split among two replicas")
    best, path = write(replicas=2, affinity=affinity)
    with serving(ROOT / "configs/examples/prefork_server.py", path) as (port, process):
        check_answers(port, best)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


def test_the_servers_of_the_documents_are_these_with_a_file_and_a_port() -> None:
    lines = [line for block in blocks("results/README.md", "sh") for line in block.splitlines() if "examples/" in line]
    assert sorted(lines) == [
        f"python configs/examples/{path.name} results/quickstart/best.yaml 8000" for path in EXAMPLES
    ]


@pytest.mark.parametrize("server", [None, "threaded", "asyncio", "prefork"])
def test_the_latency_of_a_file_with_a_load_is_compared_with_what_the_study_said(
    write: Callable[..., tuple[Best, Path]], server: str | None
) -> None:
    """The verdict itself is the affair of a quiet host."""
    objective = BestObjective(metric="latency_p99_ms", value=1e-3, unit="ms")
    limit = BestConstraint(metric="latency_p99_ms", max=4e6, measured=3.6e6)
    load = BestArrivals(pattern="poisson", rate_per_s=100.0)
    for fields in ({"objective": objective, "gain": None}, {"constraints": (limit,), "gain": None}):
        _, path = write(batch_size=1, arrivals=load, **fields)
        script = [sys.executable, str(ROOT / "tests/benchmarks/served.py"), str(path), "--rounds", "2"]
        words = [*script, "--seconds", "0.3", *(["--server", server] if server else [])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        done = subprocess.run(
            words, env=environment, capture_output=True, text=True, check=False, timeout=2 * PATIENCE_S
        )
        said = re.search(r"p99 .* at 100 requests/s; the study said .*: (agrees|DIFFERS|cannot tell)", done.stdout)
        assert said, done.stderr
        assert done.returncode == {"agrees": 0, "DIFFERS": 1, "cannot tell": 4}[said[1]]


def test_the_cost_of_calls_is_measured_with_small_numbers() -> None:
    words = [sys.executable, str(ROOT / "tests/benchmarks/application.py"), "--sessions", "1", "--pairs", "1"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=2 * PATIENCE_S)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"throughput \d\.\d+ .*, CPU \d", done.stdout)) == 5
