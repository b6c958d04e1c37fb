"""The automatic space, and the points that are tried first in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.bench.configuration import Effective
from tuner.bench.value import Value
from tuner.errors import InputError
from tuner.search.auto_space import SpaceFacts, auto_space, extend
from tuner.search.seeds import seeds
from tuner.study.space import Parameter, Space


@pytest.fixture(autouse=True)
def linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")


def space_of(device: str = "CPU", *, cpus: int = 2, is_batch_legal: bool = True, **facts: Any) -> Space:
    return auto_space(SpaceFacts(device=device, cpus=cpus, is_batch_legal=is_batch_legal, **facts))


def shown(space: Space) -> dict[str, tuple[Value, ...]]:
    return {p.name: p.values for p in space.parameters}


def throughput(streams: int, *, requests: int | None = None, is_pinned: bool = True) -> Effective:
    properties = {
        "NUM_STREAMS": str(streams),
        "INFERENCE_NUM_THREADS": str(streams),
        "ENABLE_CPU_PINNING": str(is_pinned),
        "EXECUTION_MODE_HINT": "PERFORMANCE",
    }
    return Effective(properties=properties, batch_size=1, infer_requests=streams if requests is None else requests)


# The automatic space


def test_throughput_on_two_cpus() -> None:
    assert shown(space_of()) == {
        "NUM_STREAMS": (1, 2),
        "INFERENCE_NUM_THREADS": (1, 2),
        "ENABLE_CPU_PINNING": (True, False),
        "batch_size": (1, 2, 4, 8, 16, 32),
        "infer_requests": (1, 2, 4, 8, 16),
    }


def test_latency_has_one_request_in_one_stream_and_no_batch() -> None:
    assert shown(space_of(is_latency=True, cpus=4)) == {
        "NUM_STREAMS": (1,),
        "INFERENCE_NUM_THREADS": (1, 2, 4),
        "ENABLE_CPU_PINNING": (True, False),
        "infer_requests": (1,),
    }


def test_counts_that_divide_the_cpus_are_among_the_values() -> None:
    found = shown(space_of(cpus=12))
    assert found["NUM_STREAMS"] == found["INFERENCE_NUM_THREADS"] == (1, 2, 3, 4, 6, 8, 12)
    assert {12, 24, 48, 96} < set(found["infer_requests"])
    assert max(v for v in found["infer_requests"] if isinstance(v, int)) == 96


def test_an_illegal_batch_is_not_in_the_space() -> None:
    assert "batch_size" not in shown(space_of(is_batch_legal=False))
    assert shown(space_of(batch_limit=10))["batch_size"] == (1, 2, 4, 8)


def test_hyper_threading_and_core_types_are_offered_by_hosts_that_have_them() -> None:
    names = {"ENABLE_HYPER_THREADING", "SCHEDULING_CORE_TYPE"}
    assert not names & shown(space_of(device_properties=names)).keys()
    assert names <= shown(space_of(has_smt=True, is_hybrid=True)).keys()


def test_pinning_is_offered_on_linux_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert "ENABLE_CPU_PINNING" not in shown(space_of())


@pytest.mark.parametrize(
    ("device", "properties", "names"),
    [
        ("GPU", ["NUM_STREAMS"], ["NUM_STREAMS", "batch_size", "infer_requests"]),
        ("GPU.1", [], ["batch_size", "infer_requests"]),
        ("NPU", ["NUM_STREAMS"], ["batch_size", "infer_requests"]),
        ("AUTO", [], ["PERFORMANCE_HINT", "batch_size", "infer_requests"]),
        ("MULTI:CPU,GPU", [], ["PERFORMANCE_HINT", "batch_size", "infer_requests"]),
        ("HETERO:GPU,CPU", [], ["PERFORMANCE_HINT", "batch_size", "infer_requests"]),
        ("BATCH:CPU(4)", [], ["batch_size", "infer_requests"]),
    ],
)
def test_other_devices_offer_their_own_parameters(device: str, properties: list[str], names: list[str]) -> None:
    space = space_of(device, has_smt=True, is_hybrid=True, device_properties=properties)
    assert list(shown(space)) == names


@given(cpus=st.integers(1, 300), batch_limit=st.integers(1, 64), is_latency=st.booleans())
def test_every_parameter_has_ascending_counts_within_the_host(cpus: int, batch_limit: int, is_latency: bool) -> None:
    space = space_of(cpus=cpus, batch_limit=batch_limit, is_latency=is_latency)
    limits = {"INFERENCE_NUM_THREADS": cpus, "batch_size": batch_limit, "infer_requests": 8 * cpus}
    for name, limit in limits.items():
        values = [v for v in shown(space).get(name, (1,)) if isinstance(v, int)]
        assert values == sorted(set(values))
        assert values[0] == 1
        assert values[-1] <= limit
        assert name != "INFERENCE_NUM_THREADS" or values[-1] == cpus


# Seeds


def test_throughput_seeds_come_in_the_order_of_their_promise() -> None:
    space = space_of(cpus=8)
    found = seeds(space, cpus=8, quota=3.5, throughput=throughput(4), is_latency=False)
    rows = [tuple(point.values()) for point in found]
    assert list(found[0]) == [
        "NUM_STREAMS",
        "INFERENCE_NUM_THREADS",
        "ENABLE_CPU_PINNING",
        "batch_size",
        "infer_requests",
    ]
    assert rows == [
        (4, 4, True, 1, 16),
        (4, 4, True, 16, 4),
        (4, 4, True, 4, 4),
        (8, 8, False, 1, 8),
        (2, 2, False, 1, 2),
        (1, 8, True, 1, 1),
        (2, 8, True, 1, 2),
        (4, 8, True, 1, 4),
        (8, 8, True, 1, 8),
    ]


def test_latency_seeds_begin_with_one_thread() -> None:
    found = seeds(space_of(is_latency=True, cpus=8), cpus=8, quota=2.5, throughput=throughput(8), is_latency=True)
    threads_and_pinning = [(p["INFERENCE_NUM_THREADS"], p["ENABLE_CPU_PINNING"]) for p in found]
    assert threads_and_pinning == [(1, False), (1, True), (2, False), (8, False)]
    assert all(p["NUM_STREAMS"] == 1 and p["infer_requests"] == 1 for p in found)


def test_a_device_with_hints_is_seeded_with_hints() -> None:
    space = space_of("AUTO:CPU", cpus=4)
    found = seeds(space, cpus=4, quota=1.0, throughput=throughput(4), is_latency=False)
    assert [(p["PERFORMANCE_HINT"], p["batch_size"], p["infer_requests"]) for p in found] == [
        ("THROUGHPUT", 1, 16),
        ("THROUGHPUT", 16, 4),
        ("THROUGHPUT", 4, 4),
    ]
    found = seeds(space_of("AUTO", is_latency=True), cpus=2, quota=None, throughput=None, is_latency=True)
    assert found[0]["PERFORMANCE_HINT"] == "LATENCY"


def test_a_space_with_hints_and_counts_gets_one_or_the_other() -> None:
    unset = {"PERFORMANCE_HINT": (None,)}
    space = Space(
        parameters=(
            Parameter(name="PERFORMANCE_HINT", values=("LATENCY", "THROUGHPUT", None)),
            Parameter(name="NUM_STREAMS", values=(1, 2, 4), when=unset),
            Parameter(name="ENABLE_CPU_PINNING", values=(True, False, None)),
            Parameter(name="infer_requests", values=(1, 2, 4, 8, 16)),
        )
    )
    found = seeds(space, cpus=4, quota=None, throughput=throughput(4), is_latency=False)
    assert found[0] == {"PERFORMANCE_HINT": "THROUGHPUT", "ENABLE_CPU_PINNING": None, "infer_requests": 16}
    assert found[2] == {"PERFORMANCE_HINT": None, "NUM_STREAMS": 4, "ENABLE_CPU_PINNING": False, "infer_requests": 4}


def test_the_hint_that_failed_is_replaced_by_one_stream_per_cpu() -> None:
    found = seeds(space_of(cpus=4), cpus=4, quota=None, throughput=None, is_latency=False)
    assert (found[0]["NUM_STREAMS"], found[0]["infer_requests"]) == (4, 16)


def test_words_of_the_device_become_values_of_the_space() -> None:
    effective = Effective(
        properties={"SCHEDULING_CORE_TYPE": "PCORE_ONLY", "ENABLE_CPU_PINNING": "false", "NUM_STREAMS": "7"},
        batch_size=1,
        infer_requests=7,
    )
    space = space_of(cpus=8, is_hybrid=True)
    first = seeds(space, cpus=8, quota=None, throughput=effective, is_latency=False)[0]
    assert first["SCHEDULING_CORE_TYPE"] == "PCORE_ONLY"
    assert first["ENABLE_CPU_PINNING"] is False
    assert first["NUM_STREAMS"] == 4


@given(
    cpus=st.integers(1, 130),
    quota=st.none() | st.floats(0.1, 130),
    streams=st.integers(0, 130),
    device=st.sampled_from(["CPU", "GPU", "NPU", "AUTO", "HETERO:GPU,CPU"]),
    is_latency=st.booleans(),
    is_batch_legal=st.booleans(),
    has_hint=st.booleans(),
)
def test_seeds_are_distinct_points_of_the_space(
    cpus: int, quota: float | None, streams: int, device: str, is_latency: bool, is_batch_legal: bool, has_hint: bool
) -> None:
    space = space_of(device, cpus=cpus, is_latency=is_latency, is_batch_legal=is_batch_legal)
    effective = throughput(streams) if has_hint else None
    found = seeds(space, cpus=cpus, quota=quota, throughput=effective, is_latency=is_latency)
    assert found
    assert len({json.dumps(point) for point in found}) == len(found)
    for point in found:
        assert space.nearest(point) == point


# extends: auto


def named(
    name: str, values: tuple[Value, ...] = (1, 2), when: Mapping[str, tuple[Value, ...]] | None = None
) -> Parameter:
    return Parameter(name=name, values=values, when=when or {})


def test_a_parameter_of_the_same_name_replaces_in_its_place() -> None:
    space = extend(space_of(), [named("batch_size", (1,)), named("TBB_PARTITIONER", ("STATIC", "AUTO"))])
    assert shown(space)["batch_size"] == (1,)
    assert list(shown(space)) == [*shown(space_of()), "TBB_PARTITIONER"]


def test_a_space_without_additions_stays_the_same() -> None:
    assert extend(space_of(), []) == space_of()


def test_a_condition_moves_its_parameter_below_the_parameter_it_needs() -> None:
    added = [
        named("A", ("x", None)),
        named("NUM_STREAMS", (1, 2), when={"A": (None,)}),
        named("B", when={"NUM_STREAMS": (2,)}),
    ]
    space = extend(space_of(), added)
    assert list(shown(space))[-3:] == ["A", "NUM_STREAMS", "B"]
    assert any("B" in point for point in space.assignments())


def test_a_condition_on_a_parameter_outside_the_space_is_refused() -> None:
    with pytest.raises(InputError, match="batch_size") as caught:
        extend(space_of(is_batch_legal=False), [named("A", when={"batch_size": (1,)})])
    assert "infer_requests" in caught.value.advice


@given(st.lists(st.sampled_from(["NUM_STREAMS", "batch_size", "A", "B"]), unique=True))
def test_extending_keeps_every_name_once_and_the_new_values(names: list[str]) -> None:
    space = extend(space_of(), [named(name, (7, 9)) for name in names])
    assert len(space.parameters) == len(shown(space)) == len(shown(space_of()).keys() | set(names))
    assert all(shown(space)[name] == (7, 9) for name in names)
