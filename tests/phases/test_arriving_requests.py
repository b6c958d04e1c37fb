"""Studies in virtual time whose requests arrive by themselves: what is tuned, what cannot keep up, the largest rate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.virtual import Virtual, by_streams, make_study, parameter, quiet, space_of
from tuner.bench.configuration import DeploymentConfig
from tuner.bench.measurement import ArrivalProcess, Windows
from tuner.bench.simulated.synthetic import SyntheticBench
from tuner.errors import NoAnswerError
from tuner.phases.host_events import HostReading
from tuner.planning.session_plan import plan_session
from tuner.report.words.host import late_words
from tuner.study.baselines import baseline_configs
from tuner.study.file.arrivals_section import STABLE

pytestmark = pytest.mark.slow

SPACE = space_of(parameter("NUM_STREAMS", 1, 4, 8), parameter("infer_requests", 1, 2, 4))


def by_requests(config: DeploymentConfig) -> float:
    """Alone a request takes 10 ms, two at a time 8 ms each; four get in each other's way."""
    requests = config.infer_requests or (4 if config.properties.get("PERFORMANCE_HINT") == "THROUGHPUT" else 1)
    return {1: 100.0, 2: 250.0, 4: 150.0}[requests]


def arriving(
    folder: Path, load: ArrivalProcess, *, metric: str = "latency_p90_ms", minutes: float = 10.0, **more: object
) -> Virtual:
    limits = () if load.finds_max else STABLE
    study = replace(make_study(metric=metric, limits=limits, minutes=minutes), load=load)
    usual = {"bench": SyntheticBench(surface=by_requests, effects=quiet()), "space": SPACE}
    return Virtual(folder=folder, study=study, **{**usual, **more})  # type: ignore[arg-type]


def at(rate_per_s: float) -> ArrivalProcess:
    return ArrivalProcess(pattern="poisson", rate_per_s=rate_per_s)


def test_several_requests_are_in_flight_whatever_the_objective(tmp_path: Path) -> None:
    study = arriving(tmp_path, at(80.0))
    configs = baseline_configs(study.study)
    assert {config.api for config in configs.values()} == {"async"}
    assert {config.infer_requests for config in configs.values()} == {None}
    assert study.setup.configuration({"infer_requests": 1}).api == "async"


def test_a_session_is_planned_for_its_rate(tmp_path: Path) -> None:
    study = arriving(tmp_path, at(40.0))
    plan = plan_session(study.state(), None, "baselines", blocks=4)
    assert plan.load == at(40.0)
    assert (plan.window_s, plan.drop_s, plan.blocks) == (2.5, 0.3, 4)


def test_the_queue_that_waits_less_is_tuned_and_the_members_of_a_block_saw_the_same_arrivals(tmp_path: Path) -> None:
    study = arriving(tmp_path, at(80.0))
    result = study.run()
    assert result.is_tuned
    assert study.bench.resolve(result.config).infer_requests == 2  # type: ignore[union-attr]
    assert result.confirmation is not None
    checks = [(c.bound.metric, c.is_kept) for c in result.confirmation.checks]
    assert checks == [("backlog_pct", True), ("load_pct", True)]
    for line in study.sessions():
        members = [m for m in line.session.members if isinstance(m, Windows)]
        for windows in zip(*(m.windows for m in members), strict=True):
            assert len({w.served.arrivals for w in windows if w.served}) == 1


def test_a_rate_that_no_configuration_sustains_ends_in_a_verdict_that_says_so(tmp_path: Path) -> None:
    result = arriving(tmp_path, at(400.0), minutes=4.0).run()
    assert not result.is_answer
    assert result.line.reason == "constraint"
    words = "no configuration that was tried keeps the limits at 400 requests/s; the fastest baseline completes 1"
    assert result.line.detail.startswith(words), "150/s or so"


def test_a_slight_overload_does_not_pass_though_windows_are_too_short_to_show_it(tmp_path: Path) -> None:
    """104 requests/s for a server of 100: after a second only four wait, but the closed loop knows."""
    study = arriving(tmp_path, at(104.0), bench=SyntheticBench(surface=by_requests))
    study.run()
    ranking = study.reference().ranking
    assert ranking.violations["default"]["load_pct"] > 0.0
    assert ranking.reference == "THROUGHPUT"


def test_the_first_configuration_that_keeps_up_is_an_answer_without_a_gain(tmp_path: Path) -> None:
    bench = SyntheticBench(surface=by_streams(s8=300.0), effects=quiet())
    space = space_of(parameter("NUM_STREAMS", 1, 4, 8), parameter("infer_requests", 2))
    result = arriving(tmp_path, at(150.0), bench=bench, space=space).run()
    assert (result.line.verdict, result.line.reason) == ("tuned", "first_feasible")
    assert result.config.properties["NUM_STREAMS"] == 8


def test_the_largest_rate_is_found_and_confirmed(tmp_path: Path) -> None:
    """One server of 10 ms keeps p90 below 40 ms up to about 80/s; two of 8 ms more than twice as many."""
    load = ArrivalProcess(pattern="poisson", keep=(("latency_p90_ms", 40.0),))
    study = arriving(tmp_path, load, metric="max_rate_per_s", minutes=15.0)
    study.study = replace(study.study, seed=4)  # with other draws of arrivals a window has 62 of them
    result = study.run()
    assert result.is_tuned
    assert result.confirmation is not None
    assert result.confirmation.interval is not None
    assert len(result.confirmation.sessions) >= 4
    for line in study.sessions("confirm"):
        for member in line.session.members:
            assert isinstance(member, Windows)
            last = member.windows[-1].served
            assert last is not None
            assert 0.3 * last.capacity_per_s <= last.low_per_s < last.high_per_s <= 0.98 * last.capacity_per_s * 1.0001
            assert last.high_per_s / last.low_per_s < 1.12
            assert all(w.served.arrivals >= 64 for w in member.windows if w.served)


def test_limits_that_no_rate_keeps_are_no_answer(tmp_path: Path) -> None:
    load = ArrivalProcess(pattern="poisson", keep=(("latency_p90_ms", 5.0),))
    study = arriving(tmp_path, load, metric="max_rate_per_s", minutes=5.0)
    with pytest.raises(NoAnswerError, match=r"every baseline failed: .*keeps latency_p90_ms <= 5"):
        study.run()


def test_a_late_generator_is_said(tmp_path: Path) -> None:
    study = arriving(tmp_path, at(80.0), minutes=2.0)
    study.run()
    (line,) = study.sessions("baselines")
    windows = [w for m in line.session.members if isinstance(m, Windows) for w in m.windows]
    assert late_words(HostReading.of(windows)) == ""
    (served,) = {w.served for w in windows[:1]}
    assert served is not None
    late = [replace(windows[0], served=replace(served, is_late=True, lag_p99_ms=4.2)), *windows[1:]]
    assert late_words(HostReading.of(late)).startswith(
        f"the load generator started requests late in 1 of {len(windows)} windows"
    )
