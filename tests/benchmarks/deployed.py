"""Compares a best.yaml with a baseline of yours under the deployment's conditions, without importing `tuner`.

Both take turns in plain OpenVINO, in fresh processes each session, under a CPU quota written by hand.

    python tests/benchmarks/deployed.py BEST.yaml --metric throughput --against '{"INFERENCE_NUM_THREADS": 1}'
    python tests/benchmarks/deployed.py BEST.yaml --metric latency_p99_ms --cpus 1 --against '{}' [--sync]

Printed: the metric of both sides, and how many times better the file is, with a 95 % t-interval over the sessions.
Replicas, requests, affinity and calls of the tuned side are read from the file; the baseline has as many replicas, the
requests it suggests, or with `--sync` one, called synchronously. A quota takes root and cgroup v1 or v2.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

T_975 = {
    1: 12.706,
    2: 4.303,
    3: 3.182,
    4: 2.776,
    5: 2.571,
    6: 2.447,
    7: 2.365,
    8: 2.306,
    9: 2.262,
    10: 2.228,
    11: 2.201,
}
PERIOD_US = 100_000
DROPPED_S = 0.2


def build(path: str, shapes: dict[str, list[int]]) -> Any:
    """The model of the file, reshaped."""
    import numpy as np
    import openvino
    from openvino import opset13

    if path == "builtin:mlp":
        rng = np.random.default_rng(0)
        x = node = opset13.parameter([1, 64], np.float32, name="x")
        for _ in range(3):
            weights = (rng.standard_normal((64, 64)) * np.sqrt(2 / 64)).astype(np.float32)
            node = opset13.relu(opset13.matmul(node, opset13.constant(weights), False, False))
        model = openvino.Model([node], [x], "mlp")
        model.inputs[0].get_tensor().set_names({"x"})
    else:
        package, _, rest = path.removeprefix("package:").partition("/")
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.submodule_search_locations
        model = openvino.Core().read_model(Path(spec.submodule_search_locations[0]) / rest)
    model.reshape(shapes)
    return model


def serve(job: dict[str, Any]) -> None:
    """A process of one replica: compiles, then runs a window for each line on standard input."""
    if job["cpus"]:
        os.sched_setaffinity(0, job["cpus"])
    import numpy as np
    import openvino

    model = build(job["path"], job["shapes"])
    compiled = openvino.Core().compile_model(model, "CPU", job["properties"])
    arrays = {name: np.random.default_rng(0).random(shape, np.float32) for name, shape in job["shapes"].items()}
    n = 1 if job["sync"] else job["requests"] or compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
    queue = openvino.AsyncInferQueue(compiled, n)
    for request in queue:
        for name, array in arrays.items():
            request.set_tensor(name, openvino.Tensor(array.copy()))
    single = queue[0]

    def window(begin: float, seconds: float) -> tuple[int, float, list[float]]:
        time.sleep(max(0.0, begin - time.monotonic()))
        count_from, end = begin + DROPPED_S, begin + DROPPED_S + seconds
        latencies: list[float] = []
        times: list[float] = []
        if job["sync"]:
            while (before := time.monotonic()) < end:
                single.infer()
                times.append(time.monotonic())
                latencies.append(1e3 * (times[-1] - before))
        else:
            for _ in range(n):
                queue.get_idle_request_id()
                queue.start_async()
            while time.monotonic() < end:
                latencies.append(queue[queue.get_idle_request_id()].latency)
                times.append(time.monotonic())
                queue.start_async()
            queue.wait_all()
        counted = [i for i, t in enumerate(times) if t >= count_from]
        first, last = counted[0], counted[-1]
        return (last - first) * job["batch"], times[last] - times[first], latencies[first + 1 :]

    window(time.monotonic(), 0.5)
    print("ready", flush=True)
    for line in sys.stdin:
        begin, seconds = json.loads(line)
        print(json.dumps(window(begin, seconds)), flush=True)


class Side:
    """All replicas of one configuration, each under the quota."""

    def __init__(self, jobs: list[dict[str, Any]], quota: float | None, folder: Path) -> None:
        self.groups: list[Path] = []
        self.processes = []
        for i, job in enumerate(jobs):
            words = [sys.executable, __file__, "--serve", json.dumps(job)]
            process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self.processes.append(process)
            if quota is not None:
                self.groups.append(limited(process.pid, quota, f"deployed-{folder.name}-{process.pid}-{i}"))
        for process in self.processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"

    def turn(self, seconds: float) -> tuple[float, list[float]]:
        """Samples per second of all, and the latencies of all requests."""
        begin = time.monotonic() + 0.02
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write(json.dumps([begin, seconds]) + "\n")
            process.stdin.flush()
        rate, latencies = 0.0, []
        for process in self.processes:
            assert process.stdout is not None
            samples, duration_s, found = json.loads(process.stdout.readline())
            rate += samples / duration_s
            latencies += found
        return rate, latencies

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        for group in self.groups:
            for _ in range(100):
                try:
                    group.rmdir()
                    break
                except OSError:
                    time.sleep(0.01)


def limited(pid: int, quota: float, name: str) -> Path:
    v1, v2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
    group = (v1 if v1.is_dir() else v2) / name
    group.mkdir()
    if v1.is_dir():
        (group / "cpu.cfs_quota_us").write_text(str(round(quota * PERIOD_US)))
    else:
        (group / "cpu.max").write_text(f"{round(quota * PERIOD_US)} {PERIOD_US}")
    (group / "cgroup.procs").write_text(str(pid))
    return group


def value(metric: str, turns: list[tuple[float, list[float]]]) -> float:
    if metric == "throughput":
        return statistics.median(rate for rate, _ in turns)
    latencies = sorted(one for _, found in turns for one in found)
    share = int(metric.removeprefix("latency_p").removesuffix("_ms")) / 100
    return latencies[max(0, math.ceil(share * len(latencies)) - 1)]


def main() -> None:
    import yaml

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("best", type=Path, help="the best.yaml")
    parser.add_argument("--metric", required=True, help="throughput, or a percentile such as latency_p99_ms")
    parser.add_argument("--against", type=json.loads, default={}, help="properties of the baseline, as JSON ({})")
    parser.add_argument("--cpus", type=float, default=None, help="CPU quota of each process; needs root")
    parser.add_argument("--sync", action="store_true", help="one caller that waits, instead of a queue")
    parser.add_argument("--sessions", type=int, default=6, help="new pairs of processes, at least 2 (6)")
    parser.add_argument("--turns", type=int, default=8, help="turns of each in a session (8)")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a turn (1)")
    given = parser.parse_args()
    best = yaml.safe_load(given.best.read_text())
    replicas, batch = best.get("replicas", 1), best["batch_size"]
    allowed = sorted(os.sched_getaffinity(0))

    def jobs(properties: dict[str, Any], *, requests: int | None, batch: int, sync: bool, split: bool) -> list[Any]:
        shapes = {}
        for name, one in best["inputs"].items():
            axis = one["batch_axis"]
            shapes[name] = [n * batch if i == axis else n for i, n in enumerate(one["shape"])]
        made = []
        for i in range(replicas):
            cpus = allowed[i * len(allowed) // replicas : (i + 1) * len(allowed) // replicas] if split else None
            job = {"path": best["model"]["path"], "shapes": shapes, "properties": properties, "cpus": cpus}
            made.append({**job, "requests": requests, "batch": batch, "sync": sync})
        return made

    tuned = jobs(
        best["properties"],
        requests=best["infer_requests"],
        batch=batch,
        sync=best["api"] == "sync",
        split=best.get("affinity") == "split",
    )
    baseline = jobs(given.against, requests=None, batch=1, sync=given.sync, split=False)
    sign = 1 if given.metric == "throughput" else -1
    logs, ours, theirs = [], [], []
    for _ in range(given.sessions):
        with tempfile.TemporaryDirectory() as folder:
            sides = [Side(tuned, given.cpus, Path(folder)), Side(baseline, given.cpus, Path(folder))]
            turns: list[list[tuple[float, list[float]]]] = [[], []]
            try:
                for i in range(given.turns):
                    for which in (0, 1) if i % 2 == 0 else (1, 0):
                        turns[which].append(sides[which].turn(given.seconds))
            finally:
                for side in sides:
                    side.end()
        ours.append(value(given.metric, turns[0]))
        theirs.append(value(given.metric, turns[1]))
        logs.append(sign * math.log(ours[-1] / theirs[-1]))
        print(f"  {ours[-1]:10.4g}  {theirs[-1]:10.4g}  {math.exp(logs[-1]):6.2f}", flush=True)
    half = T_975[len(logs) - 1] * statistics.stdev(logs) / math.sqrt(len(logs))
    low, middle, high = (math.exp(statistics.fmean(logs) + by) for by in (-half, 0.0, half))
    levels = f"{statistics.median(ours):.4g} against {statistics.median(theirs):.4g} of {given.against}"
    print(f"{given.best.parent.name}: {given.metric} {levels}: {middle:.2f} times better ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve(json.loads(sys.argv[2]))
    else:
        main()
