"""Baselines: which there are, and which is the strongest."""

from __future__ import annotations

import math

import pytest

from tests.evidence.test_candidates import ran
from tests.virtual import crash, make_study
from tuner.bench.simulated.synthetic import effective_of
from tuner.errors import NoAnswerError
from tuner.evidence.baseline_ranking import rank_baselines
from tuner.study.baselines import baseline_configs
from tuner.study.study import BaselineSpec, Limit, Objective

THROUGHPUT = Objective(metric="throughput")


# Configurations


def test_the_hints_come_first_and_the_studys_own_baselines_follow() -> None:
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


def test_baselines_of_a_latency_objective_run_one_synchronous_request_unless_they_name_more() -> None:
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


def test_a_servers_baseline_is_called_synchronously_only_with_one_request() -> None:
    own = {"one": BaselineSpec(properties={}, infer_requests=1), "four": BaselineSpec(properties={}, infer_requests=4)}
    study = make_study(metric="latency_p99_ms", limits=[Limit(metric="throughput", min_ratio=0.95)], baselines=own)
    configs = baseline_configs(study)
    assert [(c.infer_requests, c.api) for c in configs.values()] == [
        (None, "by_requests"),
        (None, "by_requests"),
        (None, "by_requests"),
        (1, "sync"),
        (4, "async"),
    ]
    found = {name: effective_of(c) for name, c in configs.items()}
    assert {name: (e.infer_requests, e.api) for name, e in found.items()} == {
        "default": (1, "sync"),
        "LATENCY": (1, "sync"),
        "THROUGHPUT": (found["THROUGHPUT"].infer_requests, "async"),
        "one": (1, "sync"),
        "four": (4, "async"),
    }
    assert found["default"].key == found["one"].key, "the same candidate, whichever gave it its one request"


# Ranking


def test_the_strongest_baseline_is_the_reference_and_the_others_are_relative_to_it() -> None:
    ranking = rank_baselines(THROUGHPUT, {"a": ran(100.0), "b": ran(125.0), "c": crash("boom")})
    assert ranking.reference == "b"
    assert ranking.is_feasible
    assert ranking.values == pytest.approx({"a": math.log(0.8), "b": 0.0})
    assert {name: str(failure) for name, failure in ranking.failures.items()} == {"c": "crash: boom"}


def test_a_smaller_latency_is_better() -> None:
    ranking = rank_baselines(
        Objective(metric="latency_mean_ms"), {"a": ran(1.0, latency_ms=5), "b": ran(9.0, latency_ms=8)}
    )
    assert ranking.reference == "a"
    assert ranking.values["b"] == pytest.approx(math.log(5 / 8))


def test_the_error_names_every_cause_if_all_baselines_failed() -> None:
    with pytest.raises(NoAnswerError, match="a: crash: one; b: crash: two"):
        rank_baselines(THROUGHPUT, {"a": crash("one"), "b": crash("two")})


def test_the_reference_is_the_strongest_baseline_that_keeps_the_limit() -> None:
    objective = Objective(metric="throughput", limits=(Limit(metric="latency_p50_ms", max=9.0),))
    members = {"slow": ran(90.0, latency_ms=5), "quick": ran(100.0, latency_ms=6), "big": ran(200.0, latency_ms=20)}
    ranking = rank_baselines(objective, members)
    assert (ranking.reference, ranking.is_feasible) == ("quick", True)
    assert ranking.values["big"] == pytest.approx(math.log(2.0))
    assert ranking.violations["big"]["latency_p50_ms"] == pytest.approx(math.log(20 / 9), abs=0.01)
    assert ranking.violations["quick"]["latency_p50_ms"] < 0.0


def test_the_reference_is_the_nearest_to_the_limits_if_no_baseline_keeps_them() -> None:
    objective = Objective(metric="throughput", limits=(Limit(metric="latency_p50_ms", max=1.0),))
    ranking = rank_baselines(objective, {"a": ran(100.0, latency_ms=5), "b": ran(200.0, latency_ms=6)})
    assert (ranking.reference, ranking.is_feasible) == ("a", False)


def test_ratio_limits_are_relative_to_the_best_baseline_on_their_metric() -> None:
    objective = Objective(metric="throughput", limits=(Limit(metric="latency_p50_ms", max_ratio=1.5),))
    members = {"a": ran(100.0, latency_ms=5), "b": ran(150.0, latency_ms=7), "c": ran(200.0, latency_ms=10)}
    ranking = rank_baselines(objective, members)
    assert (ranking.reference, ranking.is_feasible) == ("b", True)
    assert ranking.best_ratios_log["latency_p50_ms"] == pytest.approx(-math.log(1.4), abs=0.01)
    assert ranking.ratios_of("a")["latency_p50_ms"] == 0.0
    assert ranking.violations["c"]["latency_p50_ms"] == pytest.approx(math.log(2 / 1.5), abs=0.01)


@pytest.mark.parametrize(("limit", "is_kept"), [({"min": 99.0}, True), ({"min": 101.0}, False)])
def test_a_minimum_is_kept_by_larger_values(limit: dict[str, float], is_kept: bool) -> None:
    objective = Objective(metric="latency_mean_ms", limits=(Limit(metric="throughput", **limit),))
    assert rank_baselines(objective, {"a": ran(100.0)}).is_feasible == is_kept


def test_sessions_are_weighted_by_their_windows() -> None:
    first = {"a": ran(100.0, windows=4), "b": ran(104.0, windows=4), "c": ran(10.0)}
    second = {"a": ran(100.0, windows=12), "b": ran(96.0, windows=12)}
    assert rank_baselines(THROUGHPUT, first).reference == "b"
    ranking = rank_baselines(THROUGHPUT, first, second)
    assert ranking.reference == "a"
    assert ranking.values["b"] == pytest.approx((4 * math.log(1.04) + 12 * math.log(0.96)) / 16)
    assert ranking.values["c"] == pytest.approx(math.log(0.1))


def test_a_baseline_that_fails_in_a_later_session_keeps_its_value() -> None:
    first = {"a": ran(100.0), "b": ran(120.0)}
    assert rank_baselines(THROUGHPUT, first, {"a": ran(100.0), "b": crash()}).reference == "b"
    assert rank_baselines(THROUGHPUT, first, {"a": crash(), "b": crash()}).reference == "b"
