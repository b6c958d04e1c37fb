"""Studies in virtual time whose callers wait for their answers: what is tuned, for one number of callers or several."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.virtual import Virtual, make_study, parameter, quiet, space_of
from tuner.bench.configuration import DeploymentConfig
from tuner.bench.measurement import Windows
from tuner.bench.simulated.synthetic import SyntheticBench
from tuner.planning.session_plan import plan_session
from tuner.planning.study_plan import usual_plan

pytestmark = pytest.mark.slow

SPACE = space_of(parameter("NUM_STREAMS", 1, 2, 3))


def by_streams(config: DeploymentConfig) -> float:
    """All streams together: four do most, one alone does most for each caller."""
    if config.properties.get("PERFORMANCE_HINT") == "THROUGHPUT":
        return 100.0
    return {1: 200.0, 2: 220.0, 3: 500.0}[int(config.properties.get("NUM_STREAMS") or 1)]


def waiting(folder: Path, *callers: int, metric: str = "latency_p90_ms", minutes: float = 10.0) -> Virtual:
    study = replace(make_study(metric=metric, minutes=minutes), callers=callers)
    return Virtual(folder=folder, study=study, bench=SyntheticBench(surface=by_streams, effects=quiet()), space=SPACE)


def test_a_session_is_planned_for_its_callers(tmp_path: Path) -> None:
    plan = plan_session(waiting(tmp_path, 1, 4).state(), None, "baselines", blocks=4)
    assert (plan.callers, plan.load, plan.blocks) == ((1, 4), None, 4)


def test_four_callers_deploy_the_streams_that_serve_them(tmp_path: Path) -> None:
    study = waiting(tmp_path, 4)
    result = study.run()
    assert result.is_tuned
    assert result.config.properties["NUM_STREAMS"] == 3
    assert (result.config.api, result.config.infer_requests) == ("sync", 4)
    windows = [
        w for line in study.sessions() for m in line.session.members if isinstance(m, Windows) for w in m.windows
    ]
    assert {w.callers for w in windows} == {4}


def test_of_several_numbers_the_worst_decides_and_each_block_has_all_of_them(tmp_path: Path) -> None:
    """Three streams are 2.5 times as good for four callers, and 0.8 times as good for one: they are no answer."""
    study = waiting(tmp_path, 1, 4)
    result = study.run()
    assert result.config.properties.get("NUM_STREAMS") is None
    for line in study.sessions():
        for member in line.session.members:
            assert isinstance(member, Windows)
            blocks = {w.block for w in member.windows}
            assert [(w.block, w.callers) for w in member.windows] == [(b, n) for b in sorted(blocks) for n in (1, 4)]


def test_what_callers_measured_is_read_back_from_the_record(tmp_path: Path) -> None:
    study = waiting(tmp_path, 1, 4)
    study.run()
    read = study.state().log.all_sessions()
    assert [line.session for line in read] == [line.session for line in study.sessions()]


def test_a_session_of_two_numbers_of_callers_is_planned_twice_as_long(tmp_path: Path) -> None:
    one, two = (usual_plan(waiting(tmp_path, *callers, minutes=60.0).setup) for callers in ((4,), (1, 4)))
    assert two.session_cost_s - 2.0 == pytest.approx(2 * (one.session_cost_s - 2.0)), "all but starts and compiles"


def test_the_noise_of_a_pair_is_not_the_difference_between_numbers_of_callers(tmp_path: Path) -> None:
    study = waiting(tmp_path, 1, 4)
    study.run()
    noise = study.state().reference.noise
    assert noise.window_sd < 0.1, "the latencies of one and of four callers differ by a factor of four"
    assert noise.cost.windows == 2
