from __future__ import annotations

import itertools
import math
import statistics
import time

import pytest

from tests.bench.conftest import blocks_of, config, failed, quick_plan, request_of, whole
from tuner.bench.configuration import DeploymentConfig, Failure, FailureKind
from tuner.bench.metrics import METRICS
from tuner.bench.protocol import Role
from tuner.bench.simulated.synthetic import (
    COMPILE_S,
    START_S,
    CompileEffect,
    Drift,
    Effect,
    Noise,
    SyntheticBench,
    hill,
)

CPUS = 8
A, B = config(), config({"PERFORMANCE_HINT": "THROUGHPUT"})
COMPILE = Failure(kind=FailureKind.COMPILE, message="no")
CRASH = Failure(kind=FailureKind.CRASH, message="gone")
THROUGHPUT = METRICS["throughput"]


def effect_of(
    effect: Effect, *, one: DeploymentConfig = A, now_s: float = 0.0, window_s: float = 1.0, process: int = 1
):
    return effect(one, now_s=now_s, window_s=window_s, process=process)


def grid() -> list[DeploymentConfig]:
    axes = itertools.product(
        range(1, CPUS + 1), range(1, CPUS + 1), (True, False), (1, 2, 4, 8, 16, 32), (1, 2, 4, 8, 16, 32)
    )
    return [
        config(
            {"NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": pinning},
            batch_size=batch,
            infer_requests=requests,
        )
        for streams, threads, pinning, batch, requests in axes
    ]


def test_the_hill_has_the_optimum_it_is_documented_to_have() -> None:
    """More than two requests a stream gain nothing more: the fewest of the best are the optimum."""
    candidates = grid()
    top = max(map(hill, candidates))
    best = min((c for c in candidates if hill(c) == top), key=lambda c: c.infer_requests or 0)
    assert best.properties == {"NUM_STREAMS": 8, "INFERENCE_NUM_THREADS": 8, "ENABLE_CPU_PINNING": False}
    assert best.batch_size == 8
    assert best.infer_requests == 16
    others = {(c.properties["NUM_STREAMS"], c.batch_size) for c in candidates if hill(c) == top}
    assert others == {(8, 8)}


def test_the_made_up_device_clamps_and_spells_out_hints_as_a_real_one() -> None:
    bench = SyntheticBench()
    keys = {bench.resolve(config(p)).key for p in ({}, {"PERFORMANCE_HINT": "LATENCY"}, {"NUM_STREAMS": 1})}
    assert len(keys) == 1
    assert bench.resolve(config({"NUM_STREAMS": 99})).key == bench.resolve(config({"NUM_STREAMS": 8})).key
    assert bench.resolve(config({"NUM_STREAMS": 2})).infer_requests == 2
    assert bench.resolve(config(api="sync")).key != bench.resolve(config(infer_requests=1)).key
    assert bench.resolve(config({"CPU_RUNTIME_CACHE_CAPACITY": 1})).key not in keys
    assert bench.resolve(config(variant="int8")).key not in keys


def test_without_effects_a_session_measures_the_surface() -> None:
    session = SyntheticBench().measure(request_of([A, B], quick_plan(window_s=0.4, max_window_s=3.0)))
    for member, one in zip(session.members, (A, B), strict=True):
        assert THROUGHPUT.read(whole(member).windows) == pytest.approx(hill(one))


@pytest.mark.parametrize("make", [Noise, Drift, CompileEffect])
def test_an_effect_is_drawn_from_its_seed(make: type) -> None:
    def values(seed: int) -> list[float]:
        effect = make(0.05, seed=seed)
        return [effect_of(effect, now_s=float(i), process=i) for i in range(20)]

    assert values(1) == values(1)
    assert values(1) != values(2)


def test_noise_is_independent_of_its_neighbour_and_shrinks_with_the_root_of_time() -> None:
    noise = Noise(0.05, seed=3)
    seconds = [effect_of(noise) for _ in range(20_000)]
    # One in twenty three times as wide: the sd is sqrt(0.95 + 0.05 * 9) times the one asked for.
    assert statistics.pstdev(seconds) == pytest.approx(0.05 * math.sqrt(1.4), rel=0.05)
    assert statistics.fmean(seconds) == pytest.approx(0.0, abs=0.002)
    assert statistics.correlation(seconds[:-1], seconds[1:]) == pytest.approx(0.0, abs=0.03)
    quarters = [effect_of(noise, window_s=0.25) for _ in range(20_000)]
    assert statistics.pstdev(quarters) == pytest.approx(2 * statistics.pstdev(seconds), rel=0.05)


def test_noise_has_heavier_tails_than_a_normal() -> None:
    noise = Noise(1.0, seed=3)
    values = [effect_of(noise) for _ in range(20_000)]
    assert sum(abs(v) > 4.0 for v in values) > 50  # a normal would have one


def test_drift_is_the_same_for_neighbours_and_forgets_after_its_time_constant() -> None:
    drift = Drift(0.1, time_constant_s=60.0, seed=2)
    values = [effect_of(drift, now_s=60.0 * i) for i in range(20_000)]
    assert statistics.pstdev(values) == pytest.approx(0.1, rel=0.05)
    assert statistics.correlation(values[:-1], values[1:]) == pytest.approx(math.exp(-1), abs=0.05)
    at = 60.0 * 20_000
    assert effect_of(drift, one=A, now_s=at) == effect_of(drift, one=B, now_s=at)


def test_a_compile_effect_is_fixed_in_a_process_and_drawn_anew_for_the_next() -> None:
    effect = CompileEffect(0.02, seed=5)
    assert effect_of(effect, process=1) == effect_of(effect, process=1, now_s=99.0, window_s=0.3)
    assert effect_of(effect, one=A) != effect_of(effect, one=B)
    values = [effect_of(effect, process=i) for i in range(5_000)]
    assert statistics.pstdev(values) == pytest.approx(0.02, rel=0.05)


def test_a_session_takes_virtual_time_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> float:
        raise AssertionError("real time")

    with monkeypatch.context() as patch:
        for name in ("time", "perf_counter", "monotonic", "sleep"):
            patch.setattr(time, name, forbidden)
        bench = SyntheticBench(effects=[Noise(0.05), Drift(0.1), CompileEffect(0.02)])
        session = bench.measure(request_of([A, B], quick_plan(window_s=0.4, max_window_s=3.0)))
    assert session.wall_s == bench.clock() > 0.0
    assert session.costs.total_s == pytest.approx(session.wall_s)
    assert session.costs.start_s == START_S
    assert session.costs.compile_s == pytest.approx(2 * COMPILE_S)


def test_a_fresh_session_has_a_process_of_its_own_and_others_share_one() -> None:
    bench = SyntheticBench()
    shared = [bench.measure(request_of([A, B], quick_plan())) for _ in range(2)]
    fresh = [bench.measure(request_of([A, B], quick_plan(is_fresh=True))) for _ in range(2)]
    assert [s.process for s in (*shared, *fresh)] == ["synthetic-1", "synthetic-1", "synthetic-2", "synthetic-3"]
    assert [s.costs.start_s for s in (*shared, *fresh)] == pytest.approx([START_S, 0.0, START_S, START_S])
    assert bench.sessions == [*shared, *fresh]


@pytest.mark.parametrize("failure", [COMPILE, CRASH])
@pytest.mark.parametrize("is_fatal", [True, False])
def test_a_member_fails_politely_or_with_its_process(failure: Failure, is_fatal: bool) -> None:
    bad = config({"NUM_STREAMS": 3})
    bench = SyntheticBench(
        failure_of=lambda one: failure if one == bad else None, is_fatal=lambda one: is_fatal and one == bad
    )
    session = bench.measure(request_of([A, bad, B], quick_plan(window_s=0.4, max_window_s=3.0)))
    assert blocks_of(session) == [[0, 1, 2], failure.kind.value, [0, 1, 2]]
    assert bench.process == (2 if is_fatal else 1)
    assert (session.costs.wasted_s > 0.0) == is_fatal
    assert session.costs.total_s == pytest.approx(session.wall_s)
    assert isinstance(bench.resolve(bad), Failure) == (failure is COMPILE)


@pytest.mark.parametrize("is_fatal", [True, False])
def test_a_session_that_fails_as_a_whole_is_a_session_of_failures(is_fatal: bool) -> None:
    bench = SyntheticBench(failure_of=lambda one: CRASH, is_fatal=lambda one: is_fatal)
    assert blocks_of(bench.measure(request_of([A, B], quick_plan(), first=Role.BASELINE))) == ["crash", "crash"]
    assert blocks_of(bench.measure(request_of([A, B], quick_plan())))[0] == "crash"


def test_a_member_that_cannot_make_four_rounds_is_too_slow() -> None:
    slow = config(batch_size=64, infer_requests=64)
    bench = SyntheticBench(surface=lambda one: 100.0)
    session = bench.measure(request_of([A, slow, B], quick_plan(max_window_s=3.0)))
    assert failed(session.members[1]).kind is FailureKind.TIMEOUT
    assert "too slow for this budget" in failed(session.members[1]).message
    assert blocks_of(session)[::2] == [[0, 1, 2], [0, 1, 2]]
