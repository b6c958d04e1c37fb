"""Is an exported configuration as fast as the one that was measured? benchmark_app, with the exported files, against a
bare `AsyncInferQueue` loop over `best.compile()`: fresh processes, in turns, the order changing from round to round.

    python tests/benchmarks/exported.py BEST.yaml [--rounds 10] [--seconds 3]

Printed: samples/s of both as medians, their ratio with a 95 % t-interval over the rounds, and the same ratio of the
loop with itself, which is the noise of this host. They agree if the whole interval is within 10 % of 1, and differ if
all of it is more than 5 % away, with exit code 1; else the host is too noisy to tell, or there are too few rounds.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scipy.stats import t

ALLOWED = 0.05
"""Largest difference that is no disagreement: benchmark_app counts in another loop, in another process."""
CLOSE = 0.10
"""Largest difference that the interval may still hold where they agree."""


def loop(file: str, seconds: float) -> None:
    """Prints the samples/s of a bare loop over what the tuner deploys."""
    import numpy as np

    import tuner

    best = tuner.load_best(file)
    deployment = best.compile()
    compiled = deployment.compiled_model
    rng = np.random.default_rng(0)
    with deployment.infer_queue() as queue:
        for request in queue:
            for port in compiled.inputs:
                kind = port.get_element_type().to_dtype()
                request.get_tensor(port).data[:] = rng.integers(0, 2, port.shape).astype(kind)
        for _ in range(3 * len(queue)):
            queue.start_async()
        queue.wait_all()
        count, begin = 0, time.perf_counter()
        while time.perf_counter() - begin < seconds:
            queue.start_async()
            count += 1
        queue.wait_all()
        print(count * deployment.batch_size / (time.perf_counter() - begin))


def ours(file: Path, seconds: float) -> float:
    words = [sys.executable, __file__, str(file), "--seconds", str(seconds), "--loop"]
    root = str(Path(__file__).resolve().parents[2])
    env = {**os.environ, "PYTHONPATH": root}
    return float(subprocess.run(words, check=True, capture_output=True, text=True, env=env).stdout.split()[-1])


def theirs(folder: Path, seconds: float) -> float:
    """Samples/s that benchmark_app prints with the exported files."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    words = ["sh", str(folder / "benchmark_app.sh"), "-t", str(max(1, round(seconds)))]
    done = subprocess.run(words, check=True, capture_output=True, text=True, env={**os.environ, "PATH": path})
    found = re.search(r"Throughput: +([\d.]+) FPS", done.stdout)
    assert found, done.stdout
    return float(found[1])


def interval(ratios: list[float]) -> tuple[float, float, float]:
    """Returns the mean ratio and its 95 % t-interval, on the logarithm."""
    logs = [math.log(ratio) for ratio in ratios]
    mean = statistics.mean(logs)
    width = t.ppf(0.975, len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(mean), math.exp(mean - width), math.exp(mean + width)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("best", type=Path, help="the best.yaml to export")
    parser.add_argument("--rounds", type=int, default=10, help="rounds of three measurements, at least 2")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a measurement; whole for benchmark_app")
    parser.add_argument("--loop", action="store_true", help="only the bare loop, in this process")
    options = parser.parse_args()
    if options.loop:
        loop(str(options.best), options.seconds)
        return 0
    from tuner.commands.export import ExportOptions, export_best

    found: list[tuple[float, float, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "exported"
        export_best(options.best, ExportOptions(target="benchmark_app", out=folder))
        for i in range(max(2, options.rounds)):
            measures = [lambda: ours(options.best, options.seconds), lambda: theirs(folder, options.seconds)]
            order = [0, 1, 0] if i % 2 else [0, 0, 1]
            values = [measures[which]() for which in order]
            mine = [value for value, which in zip(values, order, strict=True) if which == 0]
            (other,) = (value for value, which in zip(values, order, strict=True) if which == 1)
            found.append((mine[0], mine[1], other))
            print(f"round {i + 1}: loop {mine[0]:.1f} and {mine[1]:.1f}, benchmark_app {other:.1f}", file=sys.stderr)
    ratio = interval([other / math.sqrt(first * second) for first, second, other in found])
    noise = interval([second / first for first, second, _ in found])
    levels = [statistics.median(column) for column in zip(*found, strict=True)]
    print(f"the loop {levels[0]:.1f} samples/s, benchmark_app {levels[2]:.1f}, {len(found)} rounds")
    print("benchmark_app / loop: {:.3f} ({:.3f} to {:.3f})".format(*ratio))
    print("loop / loop:          {:.3f} ({:.3f} to {:.3f})".format(*noise))
    differs = ratio[1] > 1 + ALLOWED or ratio[2] < 1 - ALLOWED
    agrees = ratio[1] >= 1 - CLOSE and ratio[2] <= 1 + CLOSE
    print("they differ" if differs else "they agree" if agrees else "too noisy to tell")
    return int(differs)


if __name__ == "__main__":
    sys.exit(main())
