"""The neutral runner of side_by_side.py: benchmark_app, a bare AsyncInferQueue loop, and what paired rounds tell.

Knows OpenVINO and benchmark_app; nothing of `tuner` is imported, so that no contender measures itself.
Both run the model with the inputs it was trained with: benchmark_app would turn image inputs into u8, hence `-ip f32`.

    python tests/benchmarks/neutral_runner.py bare '{"model": {...}, "config": {...}, "seconds": 2}'   samples/s
    python tests/benchmarks/neutral_runner.py resolve '{"model": {...}, "configs": [{...}]}'           what came back
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import json
import math
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

WARM_UP_S = 0.5
SPARE_S = 120.0
"""Seconds beside its timed ones after which a child counts as hung."""
REPORTING = {
    "SUPPORTED_PROPERTIES", "NETWORK_NAME", "OPTIMAL_NUMBER_OF_INFER_REQUESTS", "EXECUTION_DEVICES", "PERF_COUNT",
    "RUNTIME_REQUIREMENTS", "LOADED_FROM_CACHE", "PERFORMANCE_HINT", "PERFORMANCE_HINT_NUM_REQUESTS", "LOG_LEVEL",
}  # fmt: skip
"""Properties that only report."""
T_975 = {
    1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228, 11: 2.201,
    12: 2.179, 13: 2.160, 14: 2.145, 15: 2.131, 16: 2.120, 17: 2.110, 18: 2.101, 19: 2.093,
}  # fmt: skip
"""Degrees of freedom -> 97.5 % quantile of Student's t; more degrees take 2.09, which is a little wide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model with one image-like input; the first dimension of `shape` is the batch. `path`: `package:NAME/FILE`."""

    path: str
    input: str
    shape: tuple[int, ...]
    layout: str = "NCHW"
    assume_batch_legal: bool = False

    @property
    def file(self) -> Path:
        name, _, inside = self.path.removeprefix("package:").partition("/")
        found = importlib.util.find_spec(name)
        if found is None or not found.submodule_search_locations:
            raise SystemExit(f"{self.path}: the package {name!r} is not installed")
        return Path(next(iter(found.submodule_search_locations))) / inside


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The configuration of a contender. `requests` None: as many as the compiled model suggests."""

    properties: Mapping[str, Any] = field(default_factory=dict)
    batch: int = 1
    requests: int | None = None

    @property
    def key(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    def __str__(self) -> str:
        words = [f"{name}={value}" for name, value in sorted(self.properties.items())]
        words.append(f"batch={self.batch}")
        return " ".join([*words, *([] if self.requests is None else [f"requests={self.requests}"])])


def config_from(content: Mapping[str, Any]) -> Config:
    return Config(properties=dict(content["properties"]), batch=int(content["batch"]), requests=content.get("requests"))


def die_with_parent() -> None:
    """For `preexec_fn`: after a `kill -9` of this script nothing goes on measuring into the run that continues it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def child(words: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(words),
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=die_with_parent,
        timeout=seconds + SPARE_S,
    )


def ask(role: str, content: Mapping[str, Any], seconds: float) -> Any:
    """The JSON that a child of this module prints last. Raises RuntimeError with the child's last line."""
    done = child([sys.executable, __file__, role, json.dumps(content)], seconds)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        raise RuntimeError(lines[-1] if lines else f"exit code {done.returncode}")
    return json.loads(lines[-1])


def bare_per_s(model: Model, config: Config, seconds: float) -> float:
    """Samples/s of the bare loop in a fresh process. Raises RuntimeError."""
    return float(ask("bare", {"model": asdict(model), "config": asdict(config), "seconds": seconds}, seconds))


def resolve(model: Model, configs: Sequence[Config]) -> list[dict[str, Any]]:
    """For each configuration what the device made of it (`properties`, `batch`, `requests`), or `error`."""
    content = {"model": asdict(model), "configs": [asdict(config) for config in configs]}
    found: list[dict[str, Any]] = ask("resolve", content, 10.0 * len(configs))
    return found


def app_path() -> str:
    """benchmark_app of the installed openvino package."""
    beside = Path(sys.executable).with_name("benchmark_app")
    found = str(beside) if beside.exists() else shutil.which("benchmark_app")
    if not found:
        raise SystemExit("benchmark_app is not installed beside this Python: pip install openvino")
    return found


def app_per_s(model: Model, seconds: int, words: Sequence[str], batch: int = 1) -> float:
    """Samples/s that `benchmark_app` prints. Raises RuntimeError."""
    shape = ",".join(str(size) for size in model.shape)
    fixed = ["-m", str(model.file), "-d", "CPU", "-shape", f"{model.input}[{shape}]", "-ip", "f32"]
    fixed += ["-layout", f"{model.input}[{model.layout}]", "-b", str(batch), "-t", str(seconds)]
    return parse_app(child([app_path(), *fixed, *words], seconds).stdout, batch)


def app_config_per_s(model: Model, config: Config, seconds: int) -> float:
    """Samples/s of benchmark_app with exactly these properties, whatever its own options allow to combine."""
    requests = [] if config.requests is None else ["-nireq", str(config.requests)]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"CPU": dict(config.properties)}, file)
        file.flush()
        words = ["-hint", "none", "-api", "async", "-load_config", file.name, *requests]
        return app_per_s(model, seconds, words, config.batch)


def parse_app(text: str, batch: int) -> float:
    """The throughput line of benchmark_app, checked: frames are samples, iterations x batch / duration."""
    figures = {
        name: re.search(rf"\b{name}:\s*([0-9.]+)\s*{unit}", text)
        for name, unit in {"Throughput": "FPS", "Count": "iterations", "Duration": "ms"}.items()
    }
    if not all(figures.values()):
        lines = text.strip().splitlines()
        raise RuntimeError(lines[-1] if lines else "benchmark_app printed nothing")
    fps, count, duration_ms = (float(found.group(1)) for found in figures.values() if found)
    if not math.isclose(fps, 1e3 * count * batch / duration_ms, rel_tol=0.02):
        raise RuntimeError(f"{fps} FPS are not {count:g} iterations of {batch} samples in {duration_ms} ms")
    return fps


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """The gain over paired rounds of two configurations, in per cent; positive is better.

    `low_pct` and `high_pct` are a 95 % t-interval of the mean log-ratio, None below two rounds.
    """

    median_pct: float
    low_pct: float | None
    high_pct: float | None
    min_pct: float
    max_pct: float
    rounds: int
    values_pct: tuple[float, ...]


def paired_gain(mine: Mapping[str, float], theirs: Mapping[str, float]) -> Gain | None:
    """Returns the gain from round -> samples/s of two configurations; None if they share no round."""
    logs = [math.log(value / theirs[taken]) for taken, value in mine.items() if taken in theirs]
    if not logs:
        return None
    low = high = None
    if len(logs) > 1:
        half = T_975.get(len(logs) - 1, 2.09) * statistics.stdev(logs) / math.sqrt(len(logs))
        low, high = pct(statistics.fmean(logs) - half), pct(statistics.fmean(logs) + half)
    return Gain(
        median_pct=pct(statistics.median(logs)),
        low_pct=low,
        high_pct=high,
        min_pct=pct(min(logs)),
        max_pct=pct(max(logs)),
        rounds=len(logs),
        values_pct=tuple(pct(value) for value in logs),
    )


def pct(log_ratio: float) -> float:
    return round(100 * math.expm1(log_ratio), 2)


def compiled_queue(core: Any, model: Model, config: Config) -> tuple[Any, Any]:
    import openvino as ov

    network = core.read_model(model.file)
    network.reshape({model.input: [config.batch, *model.shape[1:]]})
    compiled = core.compile_model(network, "CPU", dict(config.properties))
    return compiled, ov.AsyncInferQueue(compiled, config.requests or 0)


def run_bare(content: Mapping[str, Any]) -> float:
    """Returns samples/s of whole cycles of the queue, as benchmark_app does, so that no stream idles at the end."""
    import numpy as np
    import openvino as ov

    model, config = Model(**content["model"]), config_from(content["config"])
    _, queue = compiled_queue(ov.Core(), model, config)
    size, rng = len(queue), np.random.default_rng(0)
    for i in range(size):
        shape = [config.batch, *model.shape[1:]]
        queue[i].set_input_tensor(ov.Tensor(rng.random(shape, dtype=np.float32)))

    def loop(seconds: float) -> float:
        begin, count = time.perf_counter(), 0
        while time.perf_counter() - begin < seconds or count % size:
            queue.start_async()
            count += 1
        queue.wait_all()
        return count * config.batch / (time.perf_counter() - begin)

    loop(WARM_UP_S)
    return loop(float(content["seconds"]))


def run_resolve(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    import openvino as ov

    core, model, found = ov.Core(), Model(**content["model"]), []
    for config in map(config_from, content["configs"]):
        try:
            compiled, queue = compiled_queue(core, model, config)
            names = sorted({str(name) for name in compiled.get_property("SUPPORTED_PROPERTIES")} - REPORTING)
            properties = {name: str(compiled.get_property(name)) for name in names}
            found.append({"properties": properties, "batch": config.batch, "requests": len(queue)})
        except RuntimeError as error:
            found.append({"error": str(error).strip().splitlines()[-1]})
    return found


if __name__ == "__main__":
    roles = {"bare": run_bare, "resolve": run_resolve}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("role", choices=roles, help="what to do")
    parser.add_argument("content", type=json.loads, help="with what, as JSON")
    given = parser.parse_args()
    print(json.dumps(roles[given.role](given.content)))
