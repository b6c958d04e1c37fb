"""Plans and results of turns on their way to a worker process and back."""

from __future__ import annotations

import json
import pickle
from dataclasses import fields

import pytest
from pydantic import TypeAdapter

from tests.bench.conftest import config
from tuner.bench.backends.protocol import CompiledMember, StartTimes
from tuner.bench.configuration import DeploymentConfig, Effective
from tuner.bench.measurement import Arrivals, Window
from tuner.bench.metrics import METRICS
from tuner.bench.turn import TurnPlan, TurnResult
from tuner.bench.worker.pool import ProcessMode

ARRIVALS = Arrivals(pattern="poisson", rate_per_s=50.0, seed=3, part=1, parts=2)


@pytest.mark.parametrize(
    "plan",
    [
        TurnPlan(window_s=0.4, drop_s=0.1, max_s=3.0, tail_s=0.1, begin_at_s=7.0),
        TurnPlan(window_s=0.4, drain_s=2.0, arrivals=ARRIVALS),
    ],
)
def test_a_plan_survives_the_channel(plan: TurnPlan) -> None:
    assert TurnPlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_a_result_survives_the_channel_with_its_buckets() -> None:
    result = TurnResult(duration_s=0.4, samples=8, latency_counts={-3: 1, 10: 7}, latency_sum_ms=9.5, cpu_s=0.25)
    assert TurnResult.from_json(json.loads(json.dumps(result.to_json()))) == result


@pytest.mark.parametrize(
    "start", [None, StartTimes(compile_s=1.0, load_s=2.0, first_inference_s=3.0, is_from_cache=True)]
)
def test_a_compiled_member_survives_the_channel(start: StartTimes | None) -> None:
    effective = Effective(properties={"NUM_STREAMS": "2"}, batch_size=4, infer_requests=2)
    member = CompiledMember(number=3, effective=effective, settle_s=30.0, start=start)
    assert CompiledMember.from_json(json.loads(json.dumps(member.to_json()))) == member


def test_every_measured_field_of_a_window_is_a_field_of_a_result() -> None:
    measured = {f.name for f in fields(Window)} - {"block", "turn", "started_s", "served", "callers"}
    assert measured < {f.name for f in fields(TurnResult)}
    numbers = {name: float(i + 1) for i, name in enumerate(sorted(measured - {"latency_counts"}))}
    window = TurnResult(latency_counts={1: 2}, **numbers).window(block=1, turn=2, started_s=3.0)  # type: ignore[arg-type]
    assert {name: getattr(window, name) for name in numbers} == numbers
    assert (window.block, window.turn, window.started_s, window.latency_counts) == (1, 2, 3.0, {1: 2})


def test_a_key_that_was_read_does_not_change_what_is_written_of_a_configuration() -> None:
    fresh, read = config({"NUM_STREAMS": 2}), config({"NUM_STREAMS": 2})
    assert "NUM_STREAMS" in read.key
    adapter = TypeAdapter(DeploymentConfig)
    assert adapter.dump_json(read) == adapter.dump_json(fresh)
    assert pickle.loads(pickle.dumps(read)) == fresh


@pytest.mark.parametrize(
    ("names", "mode"),
    [
        (["throughput", "latency_p99_ms"], ProcessMode.SHARED),
        (["throughput", "peak_memory_mb"], ProcessMode.OWN),
        (["load_ms", "peak_memory_mb"], ProcessMode.COLD_START),
        (["load_ms", "load_cached_ms"], ProcessMode.COLD_START_CACHED),
    ],
)
def test_the_metrics_decide_in_which_processes_members_run(names: list[str], mode: ProcessMode) -> None:
    assert ProcessMode.for_metrics(METRICS[name] for name in names) is mode
