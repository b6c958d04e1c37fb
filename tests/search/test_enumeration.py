"""The space as the device sees it: how many configurations there really are, and what has no effect."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.virtual import LARGE, TINY, Virtual, make_study, parameter, refuse, space_of
from tuner.bench.configuration import DeploymentConfig, Effective, Failure
from tuner.bench.measurement import ArrivalProcess
from tuner.bench.simulated.synthetic import FakeClock, SyntheticBench, effective_of
from tuner.report.words.space import enumeration_lines
from tuner.search import enumeration as enumeration
from tuner.study.space import Parameter, Space
from tuner.study.study import Limit, Study


def virtual(folder: Path, space: Space, **more: object) -> Virtual:
    return Virtual(folder=folder, space=space, bench=SyntheticBench(**more))  # type: ignore[arg-type]


def test_assignments_of_one_effective_configuration_are_listed_once(tmp_path: Path) -> None:
    """More streams than threads are as many streams as threads."""
    space = space_of(parameter("NUM_STREAMS", 1, 2, 4, 8), parameter("INFERENCE_NUM_THREADS", 1, 2))
    found = virtual(tmp_path, space).enumeration()
    assert found is not None
    assert (found.requested, len(found.distinct)) == (8, 3)
    assert found.without_effect == []
    assert enumeration_lines(found) == ["space: 8 requested, 3 distinct"]
    assert list(found.distinct.values()) == [
        {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1},
        {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 2},
        {"NUM_STREAMS": 2, "INFERENCE_NUM_THREADS": 2},
    ]


def test_parameters_without_effect_are_named(tmp_path: Path) -> None:
    space = space_of(parameter("LOG_LEVEL", "a", "b"), parameter("NUM_STREAMS", 1, 2), parameter("ONLY", 1))
    found = virtual(tmp_path, space).enumeration()
    assert found is not None
    assert found.without_effect == ["LOG_LEVEL"]
    assert enumeration_lines(found)[0].endswith("2 distinct, 1 parameter without effect here: LOG_LEVEL")


def test_a_parameter_that_others_depend_on_has_an_effect(tmp_path: Path) -> None:
    """No two points differ in MODE alone: there is nothing to compare, and MODE decides everything."""
    space = Space(
        parameters=(
            parameter("MODE", "a", "b"),
            Parameter(name="NUM_STREAMS", values=(1, 2), when={"MODE": ("a",)}),
            Parameter(name="INFERENCE_NUM_THREADS", values=(1, 2), when={"MODE": ("b",)}),
        )
    )
    found = virtual(tmp_path, space).enumeration()
    assert found is not None
    assert found.without_effect == []


def test_values_that_look_alike_are_different_requests(tmp_path: Path) -> None:
    space = space_of(parameter("CPU_RUNTIME_X", 1, "1", True, 1.0, None))
    found = virtual(tmp_path, space).enumeration()
    assert found is not None
    assert found.requested == 5
    assert len(found.distinct) == 4, "as text 1 is 1, and the device reports text"


def test_the_canonical_assignment_is_the_one_that_the_device_reports_back(tmp_path: Path) -> None:
    """8 streams on 2 threads become 2: the assignment with 2 tells the search what is measured."""
    space = space_of(parameter("NUM_STREAMS", 1, 2, 4, 8), parameter("INFERENCE_NUM_THREADS", 2))
    study = virtual(tmp_path, space)
    study.seeds = [{"NUM_STREAMS": 8, "INFERENCE_NUM_THREADS": 2}]
    found = study.enumeration()
    assert found is not None
    assert next(iter(found.distinct.values())) == {"NUM_STREAMS": 2, "INFERENCE_NUM_THREADS": 2}
    assert len(found.distinct) == 2


SERVER = [Limit(metric="throughput", min_ratio=0.95)]


@pytest.mark.parametrize(
    ("study", "calls"),
    [
        (make_study(metric="latency_p99_ms"), {None: "sync", 1: "sync", 4: "async"}),
        (make_study(metric="latency_p99_ms", limits=SERVER), {None: "by_requests", 1: "sync", 4: "async"}),
        (make_study(metric="throughput", limits=[Limit(metric="latency_p99_ms", max=5)]), {None: "async", 1: "async"}),
        (make_study(metric="throughput", others=["latency_p99_ms"]), {None: "async", 1: "async"}),
        (make_study(metric="latency_p50_ms", others=["latency_p99_ms"]), {None: "sync", 1: "sync", 4: "async"}),
        (
            replace(
                make_study(metric="latency_p99_ms", limits=SERVER),
                load=ArrivalProcess(pattern="poisson", rate_per_s=10.0),
            ),
            {None: "async", 1: "async", 4: "async"},
        ),
    ],
)
def test_a_latency_alone_in_a_closed_loop_is_called_synchronously(
    tmp_path: Path, study: Study, calls: dict[int | None, str]
) -> None:
    setup = Virtual(folder=tmp_path, study=study).setup
    assert {n: setup.configuration({"infer_requests": n}).api for n in calls} == calls


def test_properties_that_do_not_compile_are_left_out_and_counted(tmp_path: Path) -> None:
    study = virtual(tmp_path, TINY)
    study.bench.failure_of = lambda c: refuse("no streams") if c.properties["NUM_STREAMS"] == 4 else None
    found = study.enumeration()
    assert found is not None
    assert len(found.distinct) == 4
    assert not found.is_broken
    assert enumeration_lines(found)[1] == "1 sets of properties do not compile, the last: no streams"


def test_a_space_of_which_nothing_compiles_is_given_up_after_a_few(tmp_path: Path) -> None:
    asked: list[DeploymentConfig] = []
    study = virtual(tmp_path, LARGE)

    def fail(config: DeploymentConfig) -> Failure:
        asked.append(config)
        return refuse()

    study.bench.failure_of = fail
    found = study.enumeration()
    assert found is not None
    assert found.is_broken
    assert found.distinct == {}
    assert found.without_effect == []
    assert len({config.properties_key for config in asked}) == 5


def test_too_large_a_space_is_not_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enumeration, "ENUMERABLE", 5)
    assert virtual(tmp_path, TINY).enumeration() is None
    monkeypatch.setattr(enumeration, "ENUMERABLE", 6)
    assert virtual(tmp_path, TINY).enumeration() is not None


@dataclass(slots=True)
class SlowResolver:
    """Two seconds for each configuration."""

    clock: FakeClock

    def __call__(self, config: DeploymentConfig) -> Effective:
        self.clock.advance(2.0)
        return effective_of(config)


@pytest.mark.parametrize(("minutes", "is_listed"), [(1.0, False), (10.0, True), (None, True)])
def test_listing_takes_a_tenth_of_the_budget_at_most(tmp_path: Path, minutes: float | None, is_listed: bool) -> None:
    study = virtual(tmp_path, TINY)
    study.bench.resolver = SlowResolver(study.clock)
    study.study = make_study(minutes=minutes, trials=3)
    found = study.enumeration()
    assert (found is not None) == is_listed
    assert study.clock() <= 0.1 * 60 * (minutes or 1e9) + 2.0
    assert any("takes too long to list" in line for line in study.listener.lines) != is_listed


@pytest.mark.parametrize(
    ("metric", "asked", "requests", "api"),
    [
        ("throughput", {}, None, "async"),
        ("throughput", {"infer_requests": 1}, 1, "async"),
        ("latency_p50_ms", {}, 1, "sync"),
        ("latency_p50_ms", {"infer_requests": 1}, 1, "sync"),
        ("latency_p50_ms", {"infer_requests": 4}, 4, "async"),
    ],
)
def test_a_latency_objective_has_one_request_in_flight_unless_the_space_says_otherwise(
    tmp_path: Path, metric: str, asked: dict[str, int], requests: int | None, api: str
) -> None:
    study = virtual(tmp_path, TINY)
    study.study = make_study(metric=metric)
    config = study.setup.configuration(asked)
    assert (config.infer_requests, config.api) == (requests, api)
