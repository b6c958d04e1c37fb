"""Tests of quantiles, ranks and bounds against closed forms, finite sums and published tables."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest

from tuner.statistics.distributions import lower_rank, normal_cdf, t_quantile, upper_bound, upper_rank

EXACT = 1e-9
"""Relative error that is allowed beside a closed form."""


def t_cdf(t: float, df: int) -> float:
    """Returns Student's distribution function as a finite sum (Abramowitz & Stegun 26.7.3 and 26.7.4)."""
    theta = math.atan(t / math.sqrt(df))
    cos, sin = math.cos(theta), math.sin(theta)
    total, term = 0.0, 1.0
    for k in range(3 if df % 2 else 2, df + 1, 2):
        total += term
        term *= (k - 1) / k * cos * cos
    central = 2.0 / math.pi * (theta + sin * cos * total) if df % 2 else sin * total
    return 0.5 + central / 2.0


def t_density(t: float, df: int) -> float:
    """Returns the density of Student's t."""
    log_scale = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - math.log(df * math.pi) / 2
    return math.exp(log_scale - (df + 1) / 2 * math.log1p(t * t / df))


# Student's t


@pytest.mark.parametrize(
    ("p", "df", "expected"),
    [
        (0.90, 3, 1.6377),
        (0.95, 1, 6.3138),
        (0.975, 1, 12.7062),
        (0.975, 3, 3.1824),
        (0.975, 5, 2.5706),
        (0.975, 8, 2.3060),
        (0.975, 11, 2.2010),
        (0.99, 2, 6.9646),
        (0.995, 4, 4.6041),
        (0.995, 10, 3.1693),
        (0.9995, 11, 4.4370),
        (0.975, 30, 2.0423),
        (0.975, 120, 1.9799),
    ],
)
def test_t_quantile_agrees_with_published_tables(p: float, df: int, expected: float) -> None:
    assert t_quantile(p, df) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("df", [1, 2, 3, 4, 5, 8, 11, 40])
@pytest.mark.parametrize("p", [1e-5, 0.001, 0.02, 0.3, 0.5, 0.7, 0.999])
def test_t_cdf_undoes_t_quantile(p: float, df: int) -> None:
    assert t_cdf(t_quantile(p, df), df) == pytest.approx(p, rel=1e-6)


@pytest.mark.parametrize(("p", "df"), [(0.0, 3), (1.0, 3), (0.9, 0)])
def test_t_quantile_refuses_what_has_no_answer(p: float, df: int) -> None:
    with pytest.raises(ValueError, match=r"probability|degrees"):
        t_quantile(p, df)


def cauchy(p: float) -> float:
    return math.tan(math.pi * (p - 0.5))


def two_degrees(p: float) -> float:
    return (2.0 * p - 1.0) * math.sqrt(2.0 / (1.0 - (2.0 * p - 1.0) ** 2))


def four_degrees(p: float) -> float:
    """Shaw, Journal of Computational Finance 9, 2006."""
    alpha = 4.0 * p * (1.0 - p)
    half = math.cos(math.acos(math.sqrt(alpha)) / 3.0) / math.sqrt(alpha)
    return math.copysign(2.0 * math.sqrt(half - 1.0), p - 0.5)


@pytest.mark.parametrize(("df", "closed"), [(1, cauchy), (2, two_degrees), (4, four_degrees)])
@pytest.mark.parametrize("p", [1e-4, 0.000172, 0.00668, 0.02, 0.3, 0.9, 0.98, 0.98834, 0.99965, 0.999828])
def test_t_with_one_two_and_four_degrees_of_freedom_has_closed_forms(
    df: int, closed: Callable[[float], float], p: float
) -> None:
    assert t_quantile(p, df) == pytest.approx(closed(p), rel=EXACT)


@pytest.mark.parametrize("df", [3, 5, 8, 11, 40])
@pytest.mark.parametrize("p", [0.9, 0.975, 0.98, 0.98834, 0.99332, 0.99965, 0.999828])
def test_t_quantile_is_the_root_of_the_finite_sum(df: int, p: float) -> None:
    # One step of Newton's method from the quantile moves it by its error.
    found = t_quantile(p, df)
    assert (t_cdf(found, df) - p) / t_density(found, df) == pytest.approx(0.0, abs=EXACT * found)


def test_normal_cdf_is_that_of_the_standard_library() -> None:
    z = np.linspace(-6.0, 6.0, 121)
    assert normal_cdf(z) == pytest.approx([NormalDist().cdf(v) for v in z], rel=1e-8)
    assert normal_cdf(z) == pytest.approx([math.erfc(-v / math.sqrt(2.0)) / 2.0 for v in z], rel=EXACT)


# Ranks of order statistics


def exact_cdf(k: int, n: int, q: float) -> float:
    return math.fsum(math.comb(n, i) * q**i * (1 - q) ** (n - i) for i in range(k + 1))


@pytest.mark.parametrize(("n", "q"), [(20, 0.5), (100, 0.9), (300, 0.95), (700, 0.99)])
def test_the_bounding_ranks_are_the_tightest_that_hold(n: int, q: float) -> None:
    upper, lower = upper_rank(n, q, 0.025), lower_rank(n, q, 0.025)
    assert upper is not None
    assert lower is not None
    assert exact_cdf(upper - 1, n, q) >= 0.975 > exact_cdf(upper - 2, n, q)
    assert exact_cdf(lower - 1, n, q) <= 0.025 < exact_cdf(lower, n, q)


def test_a_median_of_20_requests_is_bounded_by_the_6th_and_the_15th() -> None:
    # The textbook sign-test interval: P(Binomial(20, 1/2) <= 5) = 0.0207.
    assert (lower_rank(20, 0.5, 0.025), upper_rank(20, 0.5, 0.025)) == (6, 15)


def test_367_requests_cannot_bound_the_99th_percentile_and_368_can() -> None:
    assert upper_rank(367, 0.99, 0.025) is None
    assert upper_rank(368, 0.99, 0.025) == 368


def test_the_bounding_rank_of_a_million_requests_is_the_normal_one() -> None:
    found = upper_rank(1_000_000, 0.99, 0.025)
    assert found == pytest.approx(990_000 + 1.96 * math.sqrt(1e6 * 0.99 * 0.01), abs=2)


@pytest.mark.parametrize("alpha", [0.025, 0.025 / 12])
@pytest.mark.parametrize(("n", "q"), [(5, 0.1), (700, 0.999), (1000, 0.99)])
def test_bounding_ranks_agree_with_the_summed_masses(n: int, q: float, alpha: float) -> None:
    below = list(itertools.accumulate(math.comb(n, k) * q**k * (1 - q) ** (n - k) for k in range(n)))
    assert upper_rank(n, q, alpha) == next((k + 1 for k in range(n) if below[k] >= 1.0 - alpha), None)
    assert lower_rank(n, q, alpha) == max((r for r in range(1, n + 1) if below[r - 1] <= alpha), default=None)


# Clopper-Pearson


@pytest.mark.parametrize("trials", [1, 10, 100, 2000])
def test_the_upper_bound_of_no_events_has_a_closed_form(trials: int) -> None:
    assert upper_bound(0, trials) == pytest.approx(-math.expm1(math.log(0.05) / trials), rel=EXACT)


@pytest.mark.parametrize(("events", "trials"), [(1, 3), (5, 100), (35, 2000), (99, 100)])
def test_so_few_events_have_the_chance_that_is_left_under_the_upper_bound(events: int, trials: int) -> None:
    assert exact_cdf(events, trials, upper_bound(events, trials)) == pytest.approx(0.05, rel=EXACT)


@pytest.mark.parametrize(
    ("events", "trials", "bound"), [(0, 10, 0.2589), (0, 2000, 0.001497), (5, 100, 0.1022), (35, 2000, 0.02318)]
)
def test_the_upper_bound_is_that_of_clopper_and_pearson(events: int, trials: int, bound: float) -> None:
    assert upper_bound(events, trials) == pytest.approx(bound, rel=2e-3)


def test_upper_bound_of_more_events_than_trials_is_refused() -> None:
    assert upper_bound(3, 3) == 1.0
    for events, trials in ((1, 0), (4, 3), (-1, 3)):
        with pytest.raises(ValueError, match="no proportion"):
            upper_bound(events, trials)
