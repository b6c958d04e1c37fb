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
from tuner.deploy.best import Best
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
