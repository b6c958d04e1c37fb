"""Everything that crosses the seam can be sent to another process or machine and comes back as it was."""

from __future__ import annotations

import enum
import inspect
import json
import pickle
from dataclasses import asdict, fields, is_dataclass
from types import ModuleType
from typing import Any

import pytest

from tests.bench.conftest import config, quick_plan, request_of, window
from tuner.bench import configuration, measurement, model_behaviour, protocol
from tuner.bench.configuration import Conditions, Effective, Failure, FailureKind
from tuner.bench.measurement import ArrivalProcess, Arrivals, Costs, HostActivity, OpenLoopStats, Session, Windows
from tuner.bench.model_behaviour import StateKept, TimeDependsOnData
from tuner.bench.protocol import ModelFacts, Precision, Pruning, Role, SessionMember, StopRule

CONFIG = config({"NUM_STREAMS": 2, "ENABLE_CPU_PINNING": True}, batch_size=4, infer_requests=8, replicas=2)
EFFECTIVE = Effective.of(CONFIG, {"NUM_STREAMS": "2"}, suggested=4)
FAILURE = Failure(kind=FailureKind.MEMORY, message="too large")
LOAD = ArrivalProcess(pattern="poisson", rate_per_s=40.0, keep=(("latency_p99_ms", 20.0),), lag_limit_ms=2.0)
SERVED = OpenLoopStats(rate_per_s=40.0, arrivals=80, waiting=2, unserved=0, lag_p99_ms=0.1, is_kept=True)
WINDOW = window([1.0, 2.0, 3.0], block=1, steal_pct=0.5, served=SERVED)
WINDOWS = Windows(effective=EFFECTIVE, windows=(WINDOW,), compile_s=0.5, is_steady=False)
PRUNING = Pruning(metric="throughput", incumbent_gain=0.1, incumbent_sd=0.01, window_sd=0.03)
PRECISION = Precision(cap_pairs=7, window_sd=0.03)
RULE = StopRule(min_requests=662, cap_s=24.0, pruning=PRUNING, precision=PRECISION)
PLAN = quick_plan(load=LOAD, stop=RULE)
COSTS = Costs(start_s=1.0, wasted_s=2.0)
SESSION = Session(
    configurations=(CONFIG, CONFIG),
    members=(WINDOWS, FAILURE),
    started_unix_s=1e9,
    wall_s=9.0,
    costs=COSTS,
    process="1,2",
)
STATE = StateKept(variables=("keys", "values"), steps=64, is_stated=False, timed_steps=9, step_s=0.3)
TIMES = TimeDependsOnData(fastest_s=0.001, slowest_s=0.003)
FACTS = ModelFacts(
    inputs=({"name": "x", "shape": [1, 3]},),
    precision="f32",
    device_properties=("NUM_STREAMS",),
    device_name="CPU",
    batch_legal=True,
    batch_reason="",
    state=STATE,
    data=TIMES,
)
VALUES: tuple[Any, ...] = (
    CONFIG,
    EFFECTIVE,
    FAILURE,
    FailureKind.COMPILE,
    Conditions(cpus=1.5, cpuset=(0, 1), memory_bytes=1 << 30, replicas=2, background="sleep 9"),
    LOAD,
    Arrivals(pattern="poisson", rate_per_s=40.0, seed=3, part=1, parts=2),
    SERVED,
    WINDOW,
    WINDOWS,
    HostActivity(steal_pct=1.0, thermal_throttles=2),
    COSTS,
    SESSION,
    FACTS,
    STATE,
    TIMES,
    PLAN,
    RULE,
    PRUNING,
    PRECISION,
    Role.AUDIT,
    SessionMember(config=CONFIG, role=Role.CANDIDATE, trial=3, assignment={"NUM_STREAMS": 2, "infer_requests": None}),
    request_of([CONFIG, CONFIG], PLAN),
)


def classes_of(module: ModuleType) -> set[type]:
    """Returns the values that a module defines: dataclasses and enums."""
    found = {cls for _, cls in inspect.getmembers(module, inspect.isclass) if cls.__module__ == module.__name__}
    return {cls for cls in found if is_dataclass(cls) or issubclass(cls, enum.Enum)}


def test_no_class_of_the_seam_is_forgotten() -> None:
    found = set().union(*map(classes_of, (protocol, configuration, measurement, model_behaviour)))
    assert found == {type(value) for value in VALUES}


def test_a_state_comes_back_from_json_as_it_was() -> None:
    assert StateKept.from_json(json.loads(json.dumps(asdict(STATE)))) == STATE


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_of_the_seam_comes_back_from_pickling_as_it_was(value: Any) -> None:
    assert hash(CONFIG)  # a key that was computed before it is sent is sent along
    back = pickle.loads(pickle.dumps(value))
    assert back == value
    assert type(back) is type(value)
    if is_dataclass(value):
        assert [getattr(back, f.name) for f in fields(back)] == [getattr(value, f.name) for f in fields(value)]
