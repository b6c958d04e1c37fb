"""Every kind of best file: of earlier versions, points of fronts, and made-up ones for each study file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from tuner.deploy.best import Best, BestBaseline, BestConstraint, BestGain, BestInput, BestModel, BestObjective
from tuner.deploy.best_file import load_best
from tuner.deploy.front_file import load_front

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
TUNED = {
    "NUM_STREAMS": 2,
    "INFERENCE_NUM_THREADS": 2,
    "ENABLE_CPU_PINNING": False,
    "INFERENCE_PRECISION_HINT": "f32",
}
EFFECTIVE = {"NUM_STREAMS": "2", "INFERENCE_NUM_THREADS": "2", "ENABLE_CPU_PINNING": "False"}


def made_up(**fields: Any) -> Best:
    """A best.yaml of a batch of 4 with 4 requests on two streams, and whatever a test wants otherwise."""
    plain = Best(
        study="made-up",
        verdict="tuned",
        device="CPU",
        model=BestModel(path="/models/m.onnx", sha256="0" * 64),
        properties=TUNED,
        inputs={"x": BestInput(shape=(1, 3, 48, 192), layout="NCHW", batch_axis=0)},
        batch_size=4,
        infer_requests=4,
        api="async",
        effective=EFFECTIVE,
        objective=BestObjective(metric="throughput", value=265.3, unit="samples/s"),
        baseline=BestBaseline(name="THROUGHPUT", value=210.9, properties={"PERFORMANCE_HINT": "THROUGHPUT"}),
        baselines={"THROUGHPUT": 210.9},
        gain=BestGain(estimate_pct=25.8, low_pct=22.1, high_pct=29.4, confidence=0.98, sessions=6, pairs=48),
        environment={"cpu_model": "Example CPU", "cpus_allowed": 4, "cpu_quota": None, "openvino": "2026.4.1"},
    )
    return replace(plain, **fields)


def of_config(path: Path) -> Iterator[tuple[str, Best]]:
    """Yields what a study of this file may end with: tuned and the baseline, under its conditions."""
    study = yaml.safe_load(path.read_text())
    model, given = study["model"], dict(study.get("deployment") or {})
    if "memory" in given:
        given["memory_bytes"] = 1 << 29
        del given["memory"]
    named = model.get("inputs", {}) if isinstance(model, dict) else {}
    inputs = {
        name: BestInput(shape=tuple(said["shape"]), layout=said.get("layout"), batch_axis=0)
        for name, said in named.items()
        if "shape" in said
    }
    limit = BestConstraint(metric="latency_p99_ms", max=20.0, measured=35.1, kept=False)
    tuned = made_up(
        study=path.stem,
        model=BestModel(path=model if isinstance(model, str) else model["path"], sha256="0" * 64),
        inputs=inputs or {"x": BestInput(shape=(1, 64), batch_axis=0)},
        deployment=given,
        replicas=given.get("replicas", 1),
        affinity="split" if given.get("replicas", 1) > 1 else "shared",
        source=path.with_name("best.yaml"),
    )
    yield f"{path.stem}-tuned", tuned
    hint = {"PERFORMANCE_HINT": "THROUGHPUT"}
    baseline = replace(tuned, verdict="baseline", properties=hint, batch_size=1, infer_requests=2, gain=None)
    yield f"{path.stem}-baseline", replace(baseline, reason="no gain", constraints=(limit,))


def kinds() -> dict[str, Best]:
    golden = Path(__file__).parents[1] / "golden"
    found = {path.stem: load_best(path) for path in golden.glob("best-*.yaml")}
    found |= {f"front-{point.name}": point.best for point in load_front(golden / "front-v1.yaml").points}
    found |= {f"{path.parent.name}": load_best(path) for path in sorted((ROOT / "tests").rglob("golden/*/best.yaml"))}
    for path in CONFIGS:
        found |= dict(of_config(path))
    found["sync-defaults"] = made_up(properties={}, effective={}, api="sync", infer_requests=1, batch_size=1)
    found["no-inputs"] = made_up(inputs={}, model=BestModel(path="m.xml", sha256="0" * 64))
    found["shared-quota"] = made_up(
        replicas=2, environment={"cpu_quota": 1.5, "cpus_allowed": 2}, deployment={"replicas": 2}
    )
    found["everything"] = made_up(
        replicas=2,
        affinity="split",
        deployment={
            "cpus": 1.5,
            "cpuset": "0-2,5",
            "memory_bytes": 1 << 30,
            "replicas": 2,
            "background": "stress -c 2",
        },
    )
    return found


BESTS = kinds()
