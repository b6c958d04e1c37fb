"""Tunes as a user does in forty lines of plain Optuna: compile here, time two seconds, take the best number.

    python tests/benchmarks/plain_optuna.py '{"path": "m.onnx", "input": "x", "shape": [1, 3, 48, 192], "trials": 40}'

A contender of side_by_side.py, kept apart to be read as such: nothing of `tuner` is imported. Prints one JSON line for
the THROUGHPUT hint and one for each trial; `seconds` times one of them, `seen` are trials of an interrupted run.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
import openvino as ov
import optuna
from optuna.distributions import CategoricalDistribution, IntDistribution

SPACE = {
    "streams": IntDistribution(1, 2),
    "threads": IntDistribution(1, 2),
    "pinning": CategoricalDistribution([True, False]),
    "batch": CategoricalDistribution([1, 2, 4, 8, 16, 32]),
    "requests": CategoricalDistribution([1, 2, 4, 8]),
}


def measure(given: dict[str, Any], properties: dict[str, Any], batch: int, requests: int) -> float:
    """Returns samples per second."""
    core = ov.Core()
    model = core.read_model(given["path"])
    shape = [batch, *given["shape"][1:]]
    model.reshape({given["input"]: shape})
    queue = ov.AsyncInferQueue(core.compile_model(model, "CPU", properties), requests)
    for i in range(len(queue)):
        queue[i].set_input_tensor(ov.Tensor(np.random.random(shape).astype(np.float32)))
        queue.start_async()
    queue.wait_all()
    begin, count = time.perf_counter(), 0
    while time.perf_counter() - begin < given.get("seconds", 2):
        queue.start_async()
        count += 1
    queue.wait_all()
    return count * batch / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("given", type=json.loads, help="path, input, shape and trials, as JSON; also seconds and seen")
    given = parser.parse_args().given
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    seen = given.get("seen", [])
    for one in seen:
        study.add_trial(optuna.create_trial(params=one["params"], distributions=SPACE, value=one["number_per_s"]))
    if not given.get("is_resumed", False):
        hint = measure(given, {"PERFORMANCE_HINT": "THROUGHPUT"}, 1, 0)
        print(json.dumps({"params": None, "number_per_s": hint}), flush=True)
    for _ in range(given["trials"]):
        trial = study.ask(SPACE)
        asked = trial.params
        properties = {
            "NUM_STREAMS": asked["streams"],
            "INFERENCE_NUM_THREADS": asked["threads"],
            "ENABLE_CPU_PINNING": asked["pinning"],
        }
        number = measure(given, properties, asked["batch"], asked["requests"])
        study.tell(trial, number)
        print(json.dumps({"params": asked, "properties": properties, "number_per_s": number}), flush=True)


if __name__ == "__main__":
    main()
