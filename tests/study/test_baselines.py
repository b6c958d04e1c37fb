"""Baselines: which there are, which is the strongest, and what they tell of the host."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.study.test_evidence import ran
from tests.study.virtual import calm, crash, disturbances, make_study
from tuner.bench.protocol import Failure, SessionPlan, Windows
from tuner.bench.synthetic import Noise, SyntheticBench
from tuner.errors import NoAnswerError
from tuner.study.baselines import (
    PRIOR_SD,
    PRIOR_SD_TINY,
    PRIOR_WINDOW_SD,
    Calibration,
    baseline_configs,
    calibrate,
    stand,
)
from tuner.study.study import BaselineSpec, Limit, Objective, Study

THROUGHPUT = Objective(metric="throughput")


# Which there are


def test_the_hints_come_first_and_the_studys_own_follow() -> None:
    own = {"today": BaselineSpec(properties={"NUM_STREAMS": 2}, batch_size=4, infer_requests=3)}
    configs = baseline_configs(make_study(baselines=own))
    assert list(configs) == ["default", "LATENCY", "THROUGHPUT", "today"]
    assert [dict(c.properties) for c in configs.values()] == [
        {},
        {"PERFORMANCE_HINT": "LATENCY"},
        {"PERFORMANCE_HINT": "THROUGHPUT"},
        {"NUM_STREAMS": 2},
    ]
    assert [(c.batch_size, c.infer_requests, c.api) for c in configs.values()] == [
        (1, None, "async"),
        (1, None, "async"),
        (1, None, "async"),
        (4, 3, "async"),
    ]


def test_under_a_latency_objective_they_run_one_request_synchronously_unless_they_say_otherwise() -> None:
    own = {"one": BaselineSpec(properties={}), "four": BaselineSpec(properties={}, infer_requests=4)}
    configs = baseline_configs(make_study(metric="latency_p50_ms", baselines=own))
    found = {name: (c.infer_requests, c.api) for name, c in configs.items()}
    assert found == {
        "default": (1, "sync"),
        "LATENCY": (1, "sync"),
        "THROUGHPUT": (1, "sync"),
        "one": (1, "sync"),
        "four": (4, "async"),
    }


# Who is the strongest


def test_the_strongest_is_the_reference_and_the_others_are_relative_to_it() -> None:
    standing = stand(THROUGHPUT, {"a": ran(100.0), "b": ran(125.0), "c": crash("boom")})
    assert standing.reference == "b"
    assert standing.is_feasible
    assert standing.values == pytest.approx({"a": math.log(0.8), "b": 0.0})
    assert {name: str(failure) for name, failure in standing.failures.items()} == {"c": "crash: boom"}


def test_a_latency_is_better_the_smaller_it_is() -> None:
    standing = stand(Objective(metric="latency_mean_ms"), {"a": ran(1.0, latency_ms=5), "b": ran(9.0, latency_ms=8)})
    assert standing.reference == "a"
    assert standing.values["b"] == pytest.approx(math.log(5 / 8))


def test_where_all_failed_every_cause_is_named() -> None:
    with pytest.raises(NoAnswerError, match="a: crash: one; b: crash: two"):
        stand(THROUGHPUT, {"a": crash("one"), "b": crash("two")})


def test_under_a_limit_the_strongest_that_keeps_it_is_the_reference() -> None:
    objective = Objective(metric="throughput", limits=(Limit(metric="latency_p50_ms", max=9.0),))
    members = {"slow": ran(90.0, latency_ms=5), "quick": ran(100.0, latency_ms=6), "big": ran(200.0, latency_ms=20)}
    standing = stand(objective, members)
    assert (standing.reference, standing.is_feasible) == ("quick", True)
    assert standing.values["big"] == pytest.approx(math.log(2.0))
    assert standing.violations["big"]["latency_p50_ms"] == pytest.approx(math.log(20 / 9), abs=0.01)
    assert standing.violations["quick"]["latency_p50_ms"] < 0.0


def test_where_none_keeps_the_limits_the_nearest_anchors_the_pairs() -> None:
    objective = Objective(metric="throughput", limits=(Limit(metric="latency_p50_ms", max=1.0),))
    standing = stand(objective, {"a": ran(100.0, latency_ms=5), "b": ran(200.0, latency_ms=6)})
    assert (standing.reference, standing.is_feasible) == ("a", False)


def test_ratios_are_to_the_best_baseline_on_that_metric() -> None:
    objective = Objective(metric="throughput", limits=(Limit(metric="latency_p50_ms", max_ratio=1.5),))
    members = {"a": ran(100.0, latency_ms=5), "b": ran(150.0, latency_ms=7), "c": ran(200.0, latency_ms=10)}
    standing = stand(objective, members)
    assert (standing.reference, standing.is_feasible) == ("b", True)
    assert standing.best_ratios_log["latency_p50_ms"] == pytest.approx(-math.log(1.4), abs=0.01)
    assert standing.ratios_of("a")["latency_p50_ms"] == 0.0
    assert standing.violations["c"]["latency_p50_ms"] == pytest.approx(math.log(2 / 1.5), abs=0.01)


@pytest.mark.parametrize(("limit", "is_kept"), [({"min": 99.0}, True), ({"min": 101.0}, False)])
def test_a_minimum_is_kept_from_above(limit: dict[str, float], is_kept: bool) -> None:
    objective = Objective(metric="latency_mean_ms", limits=(Limit(metric="throughput", **limit),))
    assert stand(objective, {"a": ran(100.0)}).is_feasible == is_kept


def test_later_sessions_add_to_what_the_first_showed_window_by_window() -> None:
    first = {"a": ran(100.0, windows=4), "b": ran(104.0, windows=4), "c": ran(10.0)}
    second = {"a": ran(100.0, windows=12), "b": ran(96.0, windows=12)}
    assert stand(THROUGHPUT, first).reference == "b"
    standing = stand(THROUGHPUT, first, second)
    assert standing.reference == "a"
    assert standing.values["b"] == pytest.approx((4 * math.log(1.04) + 12 * math.log(0.96)) / 16)
    assert standing.values["c"] == pytest.approx(math.log(0.1))


def test_a_baseline_that_fails_later_keeps_what_it_had() -> None:
    first = {"a": ran(100.0), "b": ran(120.0)}
    assert stand(THROUGHPUT, first, {"a": ran(100.0), "b": crash()}).reference == "b"
    assert stand(THROUGHPUT, first, {"a": crash(), "b": crash()}).reference == "b"


# What they tell of the host


def calibration_of(bench: SyntheticBench, study: Study, *, blocks: int = 8) -> Calibration:
    configs = baseline_configs(study)
    session = bench.measure(
        list(configs.values()), SessionPlan(phase="baselines", seed=1, blocks=blocks, is_fresh=True)
    )
    members: dict[str, Windows | Failure] = dict(zip(configs, session.members, strict=True))
    return calibrate(study.objective, session, members, stand(study.objective, members).reference, 0.4)


def test_the_spread_of_pairs_is_that_of_the_noise() -> None:
    spreads = [
        calibration_of(SyntheticBench(effects=disturbances(i, noise=0.02, compiling=0.0)), make_study()).window_sd
        for i in range(20)
    ]
    expected = 0.02 / math.sqrt(0.4) * math.sqrt(2)
    assert sum(spreads) / len(spreads) == pytest.approx(expected, rel=0.3)


def test_with_too_few_pairs_the_spread_is_the_usual_one() -> None:
    assert calibration_of(calm(), make_study(), blocks=2).window_sd == PRIOR_WINDOW_SD


def test_a_host_without_noise_still_has_a_spread() -> None:
    assert calibration_of(SyntheticBench(), make_study()).window_sd > 0.0


def test_equal_baselines_are_a_free_comparison_of_equals() -> None:
    """Default and LATENCY are one effective configuration here: how much they differ is the sd between sessions."""
    quiet = calibration_of(SyntheticBench(effects=[Noise(1e-6)]), make_study())
    assert quiet.session_sd == pytest.approx(PRIOR_SD * math.sqrt(4 / 5), rel=1e-3)


def test_models_below_a_millisecond_are_expected_to_scatter_more() -> None:
    tiny = calibration_of(SyntheticBench(surface=lambda config: 1e4), make_study(metric="latency_mean_ms"))
    assert tiny.session_sd == pytest.approx(PRIOR_SD_TINY * math.sqrt(4 / 5), rel=1e-3)


def test_the_cost_of_a_session_is_what_a_confirmation_then_takes() -> None:
    bench, study = calm(), make_study()
    calibration = calibration_of(bench, study)
    configs = list(baseline_configs(study).values())[:2]
    session = bench.measure(configs, SessionPlan(phase="confirm", seed=2, blocks=8, is_fresh=True))
    assert session.wall_s == pytest.approx(calibration.cost.of(8, 0.4), rel=0.1)


def test_the_hosts_other_load_and_unsteady_baselines_are_reported() -> None:
    def loaded(member: Windows, steal: float) -> Windows:
        windows = tuple(replace(w, steal_pct=steal, other_cpu_pct=2 * steal) for w in member.windows)
        return replace(member, windows=windows, is_steady=steal < 5)

    study = make_study()
    session = calm().measure(
        list(baseline_configs(study).values()), SessionPlan(phase="baselines", seed=1, blocks=4, is_fresh=True)
    )
    members: dict[str, Windows | Failure] = {
        name: loaded(member, steal)
        for name, member, steal in zip(("a", "b"), session.members, (3.0, 6.0), strict=False)
        if isinstance(member, Windows)
    }
    found = calibrate(study.objective, session, members, "a", 0.4)
    assert found.steal_pct == pytest.approx(4.5)
    assert found.other_cpu_pct == pytest.approx(9.0)
    assert found.unsteady == ("b",)


def test_the_reference_gives_requests_and_length_of_a_window() -> None:
    found = calibration_of(SyntheticBench(surface=lambda config: 5.0), make_study())
    assert found.longest_window_s >= 0.8
    assert found.requests_per_window == pytest.approx(4.0, abs=12.0)
