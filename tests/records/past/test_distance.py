"""Which earlier study is near: the model first, then the host, then details; a distance never gets a claim."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.records.past.distance import FARTHEST, Likeness, Nearness, nearness, scaled
from tuner.records.past.past_study import Circumstances, PastModel

MODEL = PastModel(
    name="cls.onnx", sha256="a" * 64, inputs={"x": (1, 3, 48, 192)}, operations=200, weight_bytes=1_000_000
)
MINE = Circumstances(
    model=MODEL,
    device="CPU",
    metrics=("throughput",),
    limits=(),
    callers="several",
    replicas=1,
    deployment={},
    cpu_model="AMD EPYC",
    cpus_allowed=8,
    cpu_quota=None,
    openvino="2026.4.1",
)


def other(name: str = "cls.onnx", **fields: Any) -> Circumstances:
    return replace(MINE, model=replace(MODEL, name=name, sha256="b" * 64, **fields))


def near(past: Circumstances) -> Nearness:
    found = nearness(MINE, past)
    assert found is not None
    return found


def test_the_nearest_is_the_same_model_here_then_elsewhere_then_another_version_then_one_like_it() -> None:
    assert near(MINE) == Nearness(likeness=Likeness.SAME, distance=0.0)
    order = [
        MINE,
        replace(MINE, openvino="2026.5.0"),
        replace(MINE, cpu_model="Xeon"),
        other("models/v2/cls.onnx", operations=900),
        other("angle.onnx"),
        other("angle.onnx", operations=300),
    ]
    assert [near(past).distance for past in order] == sorted({near(past).distance for past in order})
    kinds = [Likeness.SAME, Likeness.SAME, Likeness.OTHER_HOST, Likeness.OTHER_VERSION, Likeness.LIKE, Likeness.LIKE]
    assert [near(past).likeness for past in order] == kinds


@pytest.mark.parametrize(
    "past",
    [
        replace(MINE, device="GPU"),
        replace(MINE, metrics=("latency_p99_ms",)),
        replace(MINE, metrics=("throughput", "latency_p99_ms")),
        replace(MINE, callers="one"),
        replace(MINE, callers="arrivals"),
        replace(MINE, replicas=2),
        replace(MINE, metrics=("a metric of a later version",)),
        other("angle.onnx", inputs={"x": (1, 3, 224, 224)}),
        other("angle.onnx", operations=500),
        other("angle.onnx", weight_bytes=400_000),
        other("angle.onnx", operations=0),
        replace(other("angle.onnx"), cpu_model="Xeon", cpus_allowed=512),
    ],
)
def test_a_study_of_something_else_suggests_nothing(past: Circumstances) -> None:
    assert nearness(MINE, past) is None


def test_metrics_of_one_kind_ask_the_same_question() -> None:
    latency = replace(MINE, metrics=("latency_p99_ms",), callers="one")
    assert nearness(latency, replace(latency, metrics=("latency_p50_ms",))) is not None


def test_the_same_model_on_two_cpus_and_on_64_is_still_near() -> None:
    small = replace(MINE, cpus_allowed=2, cpu_model="Xeon")
    found = nearness(small, replace(MINE, cpus_allowed=64))
    assert found is not None
    assert found.likeness is Likeness.OTHER_HOST


def test_a_quota_counts_as_the_cpus_that_it_leaves() -> None:
    assert replace(MINE, cpu_quota=1.5).cpus == 1.5
    assert replace(MINE, cpu_quota=0.2).cpus == 1.0
    assert near(replace(MINE, cpu_quota=4.0)).distance > near(replace(MINE, cpu_quota=8.0)).distance


@given(mine=st.integers(1, 256), past=st.integers(1, 256), quota=st.none() | st.floats(0.1, 64.0))
def test_a_distance_is_the_same_from_both_sides(mine: int, past: int, quota: float | None) -> None:
    a, b = replace(MINE, cpus_allowed=mine), replace(MINE, cpus_allowed=past, cpu_quota=quota)
    there, back = nearness(a, b), nearness(b, a)
    assert (there is None) == (back is None)
    if there is not None and back is not None:
        assert there.distance == pytest.approx(back.distance)
        assert 0.0 <= there.distance <= FARTHEST


def test_counts_grow_with_the_cpus_and_nothing_else_does() -> None:
    given_there = {
        "NUM_STREAMS": 4,
        "INFERENCE_NUM_THREADS": 8,
        "infer_requests": None,
        "batch_size": 16,
        "ENABLE_CPU_PINNING": True,
        "PERFORMANCE_HINT": "THROUGHPUT",
    }
    grown = scaled(given_there, from_cpus=8, to_cpus=64)
    assert grown == {**given_there, "NUM_STREAMS": 32, "INFERENCE_NUM_THREADS": 64}
    assert scaled(given_there, from_cpus=8, to_cpus=1)["NUM_STREAMS"] == 1
    kept = {"NUM_STREAMS": "AUTO", "INFERENCE_NUM_THREADS": 0, "infer_requests": True}
    assert scaled(kept, from_cpus=1, to_cpus=64) == kept
