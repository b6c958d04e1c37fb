"""`tuner measure`: a configuration from words on the command line, and what is measured with it and without it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.virtual import Virtual, quiet
from tuner.bench.configuration import DeploymentConfig
from tuner.bench.simulated.synthetic import SyntheticBench
from tuner.bench.value import Value
from tuner.commands.measure import _measure_sessions, _measured, _refuse_single, parse_sets
from tuner.errors import InputError
from tuner.outcome.measured import Measured
from tuner.report.measured import measured_json, measured_lines, measured_verdict
from tuner.report.words.gain import Gain, gain_words


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", 2),
        ("-1", -1),
        ("2.5", 2.5),
        ("1e3", 1000.0),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("yes", "yes"),
        ("LATENCY", "LATENCY"),
        ("'1'", "1"),
        ("a=b", "a=b"),
        ("cpu-0.1:2", "cpu-0.1:2"),
    ],
)
def test_a_value_is_what_a_study_file_makes_of_it(text: str, value: Value) -> None:
    assert repr(parse_sets([f"NUM_STREAMS={text}"])) == repr({"NUM_STREAMS": value})


def test_properties_and_our_own_parameters_make_one_assignment_in_their_order() -> None:
    found = parse_sets(["NUM_STREAMS=2", "batch_size=4", "ENABLE_CPU_PINNING=false", "infer_requests=8"])
    assert found == {"NUM_STREAMS": 2, "batch_size": 4, "ENABLE_CPU_PINNING": False, "infer_requests": 8}
    assert list(found) == ["NUM_STREAMS", "batch_size", "ENABLE_CPU_PINNING", "infer_requests"]
    assert parse_sets([]) == {}


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        (["NUM_STREAMS"], "NAME=VALUE"),
        (["=2"], "NAME=VALUE"),
        ([""], "NAME=VALUE"),
        (["NUM_STREAMS="], "null leaves a property unset"),
        (["NUM_STREAMS= "], "null leaves a property unset"),
        (["NUM_STREAMS=1", "NUM_STREAMS=2"], "given twice"),
        (["num_streams=2"], "neither an OpenVINO property"),
        (["device=GPU"], "batch_size, infer_requests"),
        (["NUM_STREAMS=[1, 2]"], "one finite number"),
        (["NUM_STREAMS={a: 1}"], "one finite number"),
        (["NUM_STREAMS=.inf"], "one finite number"),
        (["NUM_STREAMS=.nan"], "one finite number"),
        (["NUM_STREAMS=1\nB: 2"], "one finite number"),
        (["NUM_STREAMS=a: b"], "cannot be read"),
        (["NUM_STREAMS=*x"], "cannot be read"),
        (["NUM_STREAMS=\0"], "cannot be read"),
        (["batch_size=0"], "whole number from 1"),
        (["batch_size=1.0"], "whole number from 1"),
        (["batch_size=true"], "whole number from 1"),
        (["infer_requests=null"], "whole number from 1"),
    ],
)
def test_what_is_wrong_with_a_set_is_said_with_its_text(sets: list[str], words: str) -> None:
    with pytest.raises(InputError, match=r"^--set") as error:
        parse_sets(sets)
    assert words in str(error.value)


# The baselines alone


HINTS = {"default": {}, "LATENCY": {"PERFORMANCE_HINT": "LATENCY"}, "THROUGHPUT": {"PERFORMANCE_HINT": "THROUGHPUT"}}


def by_hint(config: DeploymentConfig) -> float:
    return {"LATENCY": 80.0, "THROUGHPUT": 200.0}.get(str(config.properties.get("PERFORMANCE_HINT")), 100.0)


def measured(tmp_path: Path, config: DeploymentConfig | None) -> tuple[Measured, Virtual]:
    bench = SyntheticBench(surface=by_hint, effects=quiet())
    virtual = Virtual(folder=tmp_path, bench=bench)
    baselines = {name: virtual.setup.baselines[name] for name in HINTS}
    sessions = _measure_sessions(virtual.runner(), config, baselines)
    return _measured(virtual.study.objective, config, baselines, sessions, tmp_path), virtual


def test_without_a_configuration_the_baselines_are_compared_with_the_strongest(tmp_path: Path) -> None:
    found, virtual = measured(tmp_path, None)
    assert (found.config, found.metrics, found.gain) == (None, None, None)
    assert found.reference == "THROUGHPUT"
    assert {name: round(math.exp(gain.estimate), 1) for name, gain in found.gains.items()} == {
        "default": 0.5,
        "LATENCY": 0.4,
    }
    assert set(found.baselines) == set(HINTS)
    assert all(len(line.session.configurations) == 3 for line in virtual.sessions("measure")), "none is repeated"
    assert measured_lines(found)[:2] == [
        "the strongest baseline is THROUGHPUT; throughput beside it",
        f"  default {gain_words('throughput', Gain.of(found.gains['default']))}",
    ]
    content = measured_json(found)
    assert (content["config"], content["gain"], content["measured"]) == (None, None, None)
    assert set(content["metrics"]) == set(HINTS)


def test_a_configuration_is_compared_with_every_baseline(tmp_path: Path) -> None:
    config = DeploymentConfig(device="CPU", properties={"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": 2})
    found, virtual = measured(tmp_path, config)
    assert found.gain is not None
    assert math.exp(found.gain.estimate) == pytest.approx(1.0, rel=0.1)
    assert math.exp(found.gains["LATENCY"].estimate) == pytest.approx(2.5, rel=0.1)
    assert all(len(line.session.configurations) == 4 for line in virtual.sessions("measure"))
    assert measured_json(found)["config"]["properties"]["NUM_STREAMS"] == 2
    assert measured_verdict(found) == [line for line in measured_lines(found) if isinstance(line, str)][:4]


def test_the_time_left_of_a_measurement_falls_to_that_of_one_session(tmp_path: Path) -> None:
    _, virtual = measured(tmp_path, None)
    shown = [status for status in virtual.listener.shown if status.phase == "measure"]
    starts = [status for status in shown if status.remaining_s is not None and status.total_s is not None]
    assert [status.measuring.session for status in starts] == sorted(status.measuring.session for status in starts)
    at_start = {status.measuring.session: status for status in reversed(starts)}
    wall_s = [line.session.wall_s for line in virtual.sessions("measure")]
    assert at_start[4].remaining_s == pytest.approx(sum(wall_s[:3]) / 3)
    assert starts[-1].remaining_s < at_start[4].remaining_s, "the clock goes on within a session"


def test_a_single_baseline_is_compared_with_nothing() -> None:
    config = DeploymentConfig(device="CPU", properties={})
    with pytest.raises(InputError, match="nothing to compare"):
        _refuse_single(None, {"default": config})
    _refuse_single(config, {"default": config})
    _refuse_single(None, {"default": config, "LATENCY": config})
