"""Evaluations of replayed studies, compared with numbers computed by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tuner.replay.evaluation import evaluate, quantile
from tuner.replay.replayed import Replayed

ONE = Replayed(
    is_tuned=True,
    is_hint=False,
    gain_over_replaced=0.1,
    reason="",
    true_gain=math.log(1.20),
    regret=math.log(1.01),
    tried_regret=0.0,
    claim=math.log(1.22),
    interval=(math.log(1.15), math.log(1.29)),
    interval_truth=math.log(1.20),
    trials=30,
    trials_to_near=8,
    path=((10.0, 0.3), (60.0, 0.01)),
    wall_s=300.0,
)
NOTHING = replace(
    ONE,
    is_tuned=False,
    is_hint=False,
    gain_over_replaced=0.0,
    reason="futile",
    true_gain=0.0,
    regret=math.log(1.21),
    claim=None,
    interval=(-0.01, 0.02),
    interval_truth=0.05,
    trials_to_near=None,
    path=((10.0, 0.2),),
)
HARM = replace(
    ONE,
    true_gain=math.log(0.98),
    gain_over_replaced=math.log(0.98),
    claim=math.log(1.10),
    interval=(0.01, 0.2),
    interval_truth=math.log(0.98),
)


def test_the_figures_are_those_computed_by_hand() -> None:
    found = evaluate([ONE, NOTHING, HARM, ONE], table="t", strategy="auto", noise="quiet", minutes=5.0)
    assert (found.studies, found.claims, found.tuned_pct, found.harmed_pct) == (4, 3, 75.0, 25.0)
    assert found.regret_median_pct == pytest.approx(100 * (1 - 1 / 1.01))
    assert found.regret_p90_pct == pytest.approx(100 * (1 - 1 / 1.21))
    assert (found.trials_to_near_median, found.near_pct) == (8, 75.0)
    assert found.time_to_near_median_s == 60.0
    assert found.claimed_pct == pytest.approx((22 + 10 + 22) / 3)
    assert found.true_pct == pytest.approx((20 - 2 + 20) / 3)
    assert found.large_claims == 2, "the harmful one has no gain to be biased about"
    assert found.bias_points == pytest.approx(100 * math.log(1.22 / 1.20))
    assert found.bias_se_points == pytest.approx(0.0, abs=1e-9)
    assert (found.intervals, found.held, found.coverage_pct) == (4, 2, 50.0)
    assert (found.tried_regret_median_pct, found.tried_regret_p90_pct) == (0.0, 0.0)


def test_the_bias_has_a_standard_error_and_a_point_is_a_per_cent_of_the_speed() -> None:
    """Sixty-fold speed-ups claimed as 61 and 59 times: points of gain would be off by a hundred."""
    claims = [replace(ONE, true_gain=math.log(60.0), claim=math.log(times)) for times in (61.0, 59.0)]
    found = evaluate(claims, table="t", strategy="auto", noise="quiet", minutes=5.0)
    high, low = 100 * math.log(61 / 60), 100 * math.log(59 / 60)
    assert found.bias_points == pytest.approx((high + low) / 2)
    assert found.bias_se_points == pytest.approx((high - low) / 2)


def test_an_evaluation_without_claims_has_no_bias() -> None:
    found = evaluate([NOTHING], table="t", strategy="auto", noise="quiet", minutes=5.0)
    assert (found.claimed_pct, found.bias_points, found.trials_to_near_median) == (None, None, None)
    with pytest.raises(ValueError, match="no study"):
        evaluate([], table="t", strategy="auto", noise="quiet", minutes=5.0)


def test_quantiles_are_nearest_rank() -> None:
    assert [quantile([1.0, 2.0, 3.0, 4.0], q) for q in (0.0, 0.25, 0.5, 0.9, 1.0)] == [1.0, 1.0, 2.0, 4.0, 4.0]
