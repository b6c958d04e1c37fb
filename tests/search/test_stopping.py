"""Rule of a trial: which numbers follow from the objective of a study and the length of its search."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tuner.bench.protocol import Precision, Pruning, StopRule
from tuner.search.stopping import PERCENTILE_CAP_S, trial_rule
from tuner.statistics.session_effect import Estimate
from tuner.study.study import Limit, Objective


def rule_of(metric: str, *others: str, **fields: Any) -> StopRule:
    limits = fields.pop("limits", ())
    usual: dict[str, Any] = {"window_sd": 0.03, "window_s": 0.3, "incumbent": Estimate(value=0.1, sd=0.01)}
    return trial_rule(Objective(metric=metric, others=others, limits=limits), **{**usual, **fields})


PRUNING = Pruning(metric="throughput", incumbent_gain=0.1, incumbent_sd=0.01, window_sd=0.03)
PRECISION = Precision(cap_pairs=2, window_sd=0.03)


def test_a_mean_ends_pruned_or_precise_and_after_two_pairs() -> None:
    assert rule_of("throughput") == StopRule(cap_s=1.2, pruning=PRUNING, precision=PRECISION)


def test_with_a_limit_the_incumbent_alone_prunes() -> None:
    rule = rule_of("throughput", limits=(Limit(metric="latency_p99_ms", max=1.0),))
    assert rule.pruning == replace(PRUNING, among_members=False)


def test_a_percentile_ends_with_its_requests_however_precise() -> None:
    rule = rule_of("latency_p99_ms")
    assert (rule.min_requests, rule.cap_s, rule.precision) == (662, PERCENTILE_CAP_S, None)
    assert rule.pruning is not None
    assert rule.pruning.metric == "latency_p99_ms"


def test_several_objectives_prune_nothing_and_a_mean_among_them_waits_for_precision() -> None:
    rule = rule_of("throughput", "latency_p90_ms")
    assert rule == StopRule(min_requests=64, cap_s=PERCENTILE_CAP_S, precision=PRECISION)
    assert rule_of("latency_p90_ms", "latency_p99_ms").precision is None


def test_a_largest_rate_has_its_six_probes_and_no_cap() -> None:
    rule = rule_of("max_rate_per_s")
    assert (rule.min_windows, rule.min_requests, rule.cap_s, rule.precision) == (6, 0, None, None)


def test_windows_longer_than_the_cap_leave_one_pair() -> None:
    assert rule_of("throughput", window_s=9.0).precision == Precision(cap_pairs=1, window_sd=0.03)
