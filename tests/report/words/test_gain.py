"""Ratios as people say them: times from a factor of two on, per cent below, never a sign before a latency."""

from __future__ import annotations

import math

import pytest

from tuner.bench.metrics import METRICS
from tuner.deploy.best import BestGain
from tuner.report.words.gain import (
    Gain,
    amount_words,
    change_words,
    excess_words,
    gain_words,
    least_words,
    metric_name,
    number,
)
from tuner.statistics.sequential_test import Interval


def gain(estimate: float, low: float, high: float) -> Gain:
    return Gain(estimate=math.log(estimate), low=math.log(low), high=math.log(high))


def test_a_change_has_both_values_and_the_interval() -> None:
    found = change_words("latency_p99_ms", 45.9, 6.512, gain(7.1, 6.2, 8.0))
    assert found == "p99 45.9 to 6.51 ms, 7.1 times lower (6.2 to 8.0)"


@pytest.mark.parametrize(
    ("metric", "given", "words"),
    [
        ("throughput", gain(1.367, 1.304, 1.433), "37 % higher (30 to 44 %)"),
        ("throughput", gain(1 / 1.367, 1 / 1.433, 1 / 1.304), "27 % lower (23 to 31 %)"),
        ("latency_p50_ms", gain(1.4, 1.3, 1.5), "29 % lower (23 to 34 %)"),
        ("latency_p50_ms", gain(1 / 1.4, 1 / 1.5, 1 / 1.3), "40 % higher (30 to 50 %)"),
        ("throughput", gain(13.2, 12.7, 13.8), "13 times higher (12 to 14)"),
        ("throughput", gain(1.012, 1.004, 1.02), "1.2 % higher (0.4 to 2.0 %)"),
        ("latency_p50_ms", gain(1.02, 0.98, 1.05), "not shown to differ (2.0 % higher to 4.8 % lower)"),
        ("latency_p99_ms", gain(9.559, 8.0, 11.0), "9.6 times lower (8.0 to 11)"),
    ],
)
def test_a_gain_is_said_in_the_metrics_own_direction(metric: str, given: Gain, words: str) -> None:
    assert gain_words(metric, given) == words


def test_per_cent_is_said_below_a_factor_of_two_only() -> None:
    assert amount_words("throughput", math.log(1.99)) == "99 % higher"
    assert amount_words("throughput", math.log(2.0)) == "2.0 times higher"
    assert amount_words("latency_p99_ms", math.log(0.5)) == "2.0 times higher"
    assert amount_words("latency_p99_ms", 0.0) == "the same"


def test_ends_are_rounded_away_from_the_claim() -> None:
    """A lower end of 6.29 is never announced as 6.3, nor an excess of 0.01 % as none."""
    assert least_words("latency_p99_ms", math.log(6.29)) == "at least 6.2 times lower"
    assert least_words("throughput", math.log(1.3099)) == "at least 30 % higher"
    assert gain_words("throughput", gain(1.0505, 1.0199, 1.0801)) == "5.0 % higher (1.9 to 8.1 %)"
    assert excess_words(math.log(1.0001)) == "0.1 %"
    assert (excess_words(math.log(1.12)), excess_words(math.log(2.3))) == ("12 %", "a factor of 2.3")


def test_an_interval_and_a_file_say_the_same() -> None:
    interval = Interval(estimate=math.log(1.5), low=math.log(1.25), high=math.log(1.8), alpha=0.02, sessions=4)
    stored = BestGain(estimate_pct=50.0, low_pct=25.0, high_pct=80.0, confidence=0.96, sessions=4, pairs=32)
    assert gain_words("throughput", Gain.of(interval)) == gain_words("throughput", Gain.of(stored))


def test_every_metric_has_a_name_without_its_unit_and_numbers_have_no_exponent() -> None:
    names = {name: metric_name(name) for name in METRICS}
    assert (names["latency_p99_ms"], names["latency_p999_ms"], names["throughput"]) == ("p99", "p99.9", "throughput")
    assert len(set(names.values())) == len(names)
    assert not any("_" in words for words in names.values())
    assert [number(v) for v in (0.0, 0.0512, 6.512, 1652.0, 93000.4)] == ["0", "0.0512", "6.51", "1652", "93000"]
