"""Rule of a trial: which numbers follow from the objective of a study and the length of its search."""

from __future__ import annotations

from typing import Any

from tuner.bench.protocol import Precision, Pruning, StopRule
from tuner.search.stopping import trial_rule
from tuner.study.study import Objective


def rule_of(metric: str, *others: str, **fields: Any) -> StopRule:
    usual: dict[str, Any] = {"window_sd": 0.03, "window_s": 0.4, "is_short": False, "incumbent_gain": 0.1}
    return trial_rule(Objective(metric=metric, others=others), **{**usual, **fields})


PRUNING = Pruning(metric="throughput", looks_s=(1.5, 3.0), incumbent_gain=0.1, window_sd=0.03)
PRECISION = Precision(from_s=1.5, cap_pairs=7, window_sd=0.03)


def test_a_mean_ends_pruned_or_precise_and_after_six_seconds_or_four_in_a_short_search() -> None:
    assert rule_of("throughput") == StopRule(cap_s=6.0, pruning=PRUNING, precision=PRECISION)
    short = rule_of("throughput", is_short=True)
    assert (short.cap_s, short.precision) == (4.0, Precision(from_s=1.5, cap_pairs=5, window_sd=0.03))


def test_a_percentile_ends_with_its_requests_however_precise() -> None:
    rule = rule_of("latency_p99_ms")
    assert (rule.min_requests, rule.cap_s, rule.precision) == (662, 24.0, None)
    assert rule.pruning is not None
    assert rule.pruning.metric == "latency_p99_ms"


def test_several_objectives_prune_nothing_and_a_mean_among_them_waits_for_precision() -> None:
    rule = rule_of("throughput", "latency_p90_ms")
    assert rule == StopRule(min_requests=64, cap_s=24.0, precision=PRECISION)
    assert rule_of("latency_p90_ms", "latency_p99_ms").precision is None


def test_a_largest_rate_has_its_six_probes_and_no_cap() -> None:
    rule = rule_of("max_rate_per_s")
    assert (rule.min_windows, rule.min_requests, rule.cap_s, rule.precision) == (6, 0, None, None)


def test_windows_longer_than_the_cap_leave_one_pair() -> None:
    assert rule_of("throughput", window_s=9.0).precision == Precision(from_s=1.5, cap_pairs=1, window_sd=0.03)
