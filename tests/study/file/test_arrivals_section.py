"""`load` in a study file: what it means, and what is said where it does not fit the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter

from tuner.bench.configuration import Effective
from tuner.bench.loadgen.arrivals import LOADS
from tuner.bench.measurement import ArrivalProcess
from tuner.errors import StudyFileError
from tuner.study.baselines import baseline_configs
from tuner.study.file.arrivals_section import STABLE, LoadSection
from tuner.study.file.loader import load_study
from tuner.study.file.schema import json_schema
from tuner.study.setup import StudySetup
from tuner.study.study import Limit, Study

POISSON = "{poisson: {rate_per_s: 120}}"
FIND_MAX = "{poisson: {find_max: true}}"
BASE = {
    "schema_version": "1",
    "name": "x",
    "model": "m.onnx",
    "device": "CPU",
    "objective": "{minimize: latency_p99_ms}",
    "baselines": "{}",
    "space": "auto",
    "budget": "{minutes: 5}",
    "load": POISSON,
}
MAX_RATE = "{maximize: max_rate_per_s, subject_to: {latency_p95_ms: {max: 50}}}"


def read(tmp_path: Path, **sections: str) -> Study:
    path = tmp_path / "study.yaml"
    path.write_text("\n".join(f"{key}: {value}" for key, value in {**BASE, **sections}.items() if value))
    return load_study(path)


def problems_of(tmp_path: Path, **sections: str) -> list[str]:
    with pytest.raises(StudyFileError) as caught:
        read(tmp_path, **sections)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("load", ["", "closed_loop"])
def test_without_a_load_the_loop_is_closed(tmp_path: Path, load: str) -> None:
    study = read(tmp_path, load=load)
    assert study.load is None
    assert study.is_single
    assert study.objective.limits == ()


def test_a_conversation_has_steps_with_and_without_arrivals(tmp_path: Path) -> None:
    closed = read(tmp_path, load="{steps: 16}")
    assert (closed.load, closed.model.steps) == (None, 16)
    assert closed.is_single
    arriving = read(tmp_path, load="{steps: 16, poisson: {rate_per_s: 120}}")
    assert (arriving.load, arriving.model.steps) == (ArrivalProcess(pattern="poisson", rate_per_s=120.0), 16)
    assert read(tmp_path).model.steps is None


@pytest.mark.parametrize(("given", "callers"), [("1", (1,)), ("4", (4,)), ("[4, 1, 2]", (1, 2, 4))])
@pytest.mark.parametrize("objective", ["{minimize: latency_p99_ms}", "{maximize: throughput}"])
def test_callers_have_a_request_each_and_wait_whatever_the_objective(
    tmp_path: Path, given: str, callers: tuple[int, ...], objective: str
) -> None:
    study = read(tmp_path, load=f"{{callers: {given}}}", objective=objective, baselines="{a: {NUM_STREAMS: 2}}")
    assert (study.load, study.callers) == (None, callers)
    configs = [*baseline_configs(study).values(), StudySetup(study=study).configuration({"NUM_STREAMS": 2})]
    assert {(config.api, config.infer_requests) for config in configs} == {("sync", max(callers))}
    assert Effective.of(configs[0], {}, suggested=9).infer_requests == max(callers)


def test_a_server_that_states_its_callers_has_them_in_place_of_requests_in_flight(tmp_path: Path) -> None:
    server = "{minimize: latency_p99_ms, subject_to: {throughput: {min_ratio: 0.95}}}"
    assert {c.api for c in baseline_configs(read(tmp_path, load="", objective=server)).values()} == {"by_requests"}
    stated = read(tmp_path, load="{callers: 2, steps: 16}", objective=server)
    assert {c.api for c in baseline_configs(stated).values()} == {"sync"}
    assert stated.model.steps == 16


@pytest.mark.parametrize("pattern", LOADS)
def test_a_rate_is_read_and_brings_the_limits_of_a_stable_queue(tmp_path: Path, pattern: str) -> None:
    study = read(tmp_path, load=f"{{{pattern}: {{rate_per_s: 120}}}}")
    assert study.load == ArrivalProcess(pattern=pattern, rate_per_s=120.0)
    assert not study.load.finds_max
    assert not study.is_single, "several requests may be in flight, whatever the objective"
    assert study.objective.limits == STABLE


def test_a_limit_of_the_users_own_stands(tmp_path: Path) -> None:
    study = read(tmp_path, objective="{minimize: latency_p99_ms, subject_to: {backlog_pct: {max: 5}}}")
    assert study.objective.limits == (Limit(metric="backlog_pct", max=5.0), STABLE[1])


def test_where_the_largest_rate_is_looked_for_the_limits_are_what_each_rate_keeps(tmp_path: Path) -> None:
    study = read(tmp_path, load=FIND_MAX, objective=MAX_RATE)
    assert study.load == ArrivalProcess(pattern="poisson", keep=(("latency_p95_ms", 50.0),))
    assert study.load.finds_max
    assert (study.objective.metric, study.objective.limits) == ("max_rate_per_s", ())


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"load": "open"}, ["9:7: expected `closed_loop` or a pattern of arrivals, such as {poisson:"]),
        ({"load": "{}"}, ["9:1: the load needs callers or a pattern: poisson, constant; or write `load: closed_loop`"]),
        ({"load": "{steps: 0}"}, ["9:15: must be at least 1, got 0"]),
        ({"load": "{poison: {rate_per_s: 9}}"}, ['9:8: unknown key "poison"; did you mean poisson? allowed: poisson']),
        ({"load": "{poisson: {}}"}, ["9:8: arrivals need one of rate_per_s and find_max, such as `rate_per_s: 120`"]),
        (
            {"load": "{poisson: {rate_per_m: 9}}"},
            ['9:18: unknown key "rate_per_m"; did you mean rate_per_s?'],
        ),
        ({"load": "{poisson: {rate_per_s: 0}}"}, ["9:30: must be greater than 0, got 0"]),
        ({"load": "{poisson: {rate_per_s: '9'}}"}, ['9:30: expected a number, got "9"; remove the quotes']),
        ({"load": "{poisson: {rate_per_s: .inf}}"}, ["9:30: expected a finite number, got .inf"]),
        ({"load": "{poisson: {find_max: false}}"}, ["9:28: false is not allowed"]),
        (
            {"load": "{poisson: {rate_per_s: 9, find_max: true}}"},
            ["9:33: arrivals have one of rate_per_s and"],
        ),
        (
            {"load": "{poisson: {rate_per_s: 9}, constant: {rate_per_s: 9}}"},
            ["9:34: a load has one pattern; poisson is already given"],
        ),
        (
            {"objective": "{maximize: throughput}"},
            ["5:23: under arriving requests the throughput is the rate they arrive at; minimize a latency instead"],
        ),
        ({"objective": MAX_RATE}, ["5:23: max_rate_per_s is what `load: {poisson: {find_max: true}}` looks for"]),
        ({"objective": MAX_RATE, "load": ""}, ["5:23: max_rate_per_s is what `load: {poisson: {find_max: true}}`"]),
        (
            {"objective": "{maximize: throughput, subject_to: {backlog_pct: {max: 5}}}", "load": ""},
            ["5:48: backlog_pct needs requests that arrive by themselves, such as `load: {poisson:"],
        ),
        (
            {"load": FIND_MAX},
            ["5:23: with find_max the objective is `maximize: max_rate_per_s`"],
        ),
        (
            {"load": FIND_MAX, "objective": "{maximize: max_rate_per_s}"},
            ["5:1: find_max needs a latency limit, such as `subject_to: {latency_p95_ms: {max: 50}}`"],
        ),
        (
            {"load": FIND_MAX, "objective": "{maximize: max_rate_per_s, subject_to: {latency_p95_ms: {max_ratio: 2}}}"},
            ["5:52: with find_max the limits are `max` of latencies"],
        ),
        (
            {"load": FIND_MAX, "objective": "{maximize: max_rate_per_s, subject_to: {throughput: {min: 2}}}"},
            ["5:52: with find_max the limits are `max` of latencies"],
        ),
        (
            {"space": "{batch_size: {choices: [1, 4]}}"},
            ["7:31: a request that arrives is one sample: under this load batch_size is 1"],
        ),
        ({"space": "{batch_size: {low: 1, high: 8}}"}, ["7:36: a request that arrives is one sample"]),
        ({"baselines": "{a: {batch_size: 2}}"}, ["6:29: a request that arrives is one sample"]),
        *(
            ({"load": f"{{callers: {given}}}"}, ["9:17: expected a whole number of callers from 1 to 256, or up to 4"])
            for given in ("0", "-1", "257", "1.5", "true", "four", "[]", "[1, 0]", "[2, 2]", "[1, 2, 3, 4, 5]")
        ),
        ({"load": "{callers:}"}, ["9:16: this key has no value"]),
        (
            {"load": "{callers: 4, poisson: {rate_per_s: 9}}"},
            ["9:20: callers wait for their answers, arrivals do not; callers is already given"],
        ),
        (
            {"load": "{constant: {rate_per_s: 9}, callers: 4}"},
            ["9:35: callers wait for their answers, arrivals do not; constant is already given"],
        ),
        ({"load": "{callers: 4}", "baselines": "{a: {batch_size: 2}}"}, ["6:29: a caller sends one sample and waits"]),
        ({"load": "{callers: 4}", "space": "{batch_size: {choices: [1, 2]}}"}, ["7:31: a caller sends one sample"]),
        (
            {"load": "{callers: [1, 4]}", "space": "{extends: auto, infer_requests: {choices: [4]}}"},
            ["7:24: each caller has a request of its own, called synchronously"],
        ),
        ({"load": "{callers: 4}", "baselines": "{a: {infer_requests: 4}}"}, ["6:17: each caller has a request"]),
        ({"load": "{callers: 4}", "objective": "{minimize: load_ms}"}, ["5:13: load_ms is about the start of a"]),
        (
            {"load": "{callers: 4}", "objective": "{minimize: latency_p99_ms, subject_to: {load_ms: {max: 9}}}"},
            ["5:52: load_ms is about the start of a process, before any call; leave the callers out"],
        ),
        (
            {"load": "{callers: 4}", "objective": "{minimize: latency_p99_ms, subject_to: {load_pct: {max: 9}}}"},
            ["5:52: load_pct needs requests that arrive by themselves"],
        ),
    ],
)
def test_what_does_not_fit_is_reported_at_its_position(
    tmp_path: Path, sections: dict[str, str], expected: list[str]
) -> None:
    found = [problem.removeprefix("study.yaml:") for problem in problems_of(tmp_path, **sections)]
    assert len(found) == len(expected), found
    for problem, start in zip(sorted(found), sorted(expected), strict=True):
        assert problem.startswith(start), problem


def test_every_pattern_has_a_key() -> None:
    assert tuple(LoadSection.model_fields) == (*LOADS, "callers", "steps")


def test_the_schema_for_editors_knows_the_load() -> None:
    schema = json_schema()
    load = schema["properties"]["load"]
    assert load["default"] == "closed_loop"
    assert {"const": "closed_loop", "type": "string"} in load["anyOf"]
    assert set(schema["$defs"]["LoadSection"]["properties"]) == {*LOADS, "callers", "steps"}


def test_a_load_can_be_written_and_read() -> None:
    load = ArrivalProcess(pattern="poisson", keep=(("latency_p95_ms", 50.0),))
    adapter = TypeAdapter(ArrivalProcess)
    assert adapter.validate_json(adapter.dump_json(load)) == load
