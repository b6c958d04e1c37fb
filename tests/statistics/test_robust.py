"""Tests of robust location and spread, and of shrinkage, against hand-computed numbers and seeded samples."""

from __future__ import annotations

import itertools
import math
from statistics import mean, median, stdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.statistics.robust import hodges_lehmann, mad_sd, shrunk_sd

finite = st.floats(min_value=-1e3, max_value=1e3, allow_nan=False)
log_ratios = st.lists(finite, min_size=1, max_size=12)


# Hodges-Lehmann and the MAD


def test_hodges_lehmann_is_the_median_of_pairwise_means() -> None:
    # 1, 2, 6, 1.5, 3.5, 4 -> sorted 1, 1.5, 2, 3.5, 4, 6
    assert hodges_lehmann([1.0, 2.0, 6.0]) == pytest.approx(2.75)


def test_hodges_lehmann_of_one_value_is_that_value() -> None:
    assert hodges_lehmann([0.25]) == 0.25


def test_hodges_lehmann_of_no_values_is_an_error() -> None:
    with pytest.raises(ValueError, match="no values"):
        hodges_lehmann([])


def test_two_bursts_in_eight_pairs_hardly_move_hodges_lehmann() -> None:
    calm = [0.01, 0.012, 0.008, 0.011, 0.009, 0.01]
    assert hodges_lehmann([*calm, 0.5, 0.6]) == pytest.approx(0.0105, abs=0.002)


@given(log_ratios)
def test_hodges_lehmann_does_not_depend_on_the_order(values: list[float]) -> None:
    assert hodges_lehmann(values) == hodges_lehmann(sorted(values)) == hodges_lehmann(values[::-1])


@given(log_ratios)
def test_hodges_lehmann_of_the_opposite_is_the_opposite(values: list[float]) -> None:
    assert hodges_lehmann([-v for v in values]) == pytest.approx(-hodges_lehmann(values), abs=1e-9)


@given(log_ratios)
def test_hodges_lehmann_lies_among_the_values(values: list[float]) -> None:
    assert min(values) <= hodges_lehmann(values) <= max(values)


@given(log_ratios)
def test_hodges_lehmann_agrees_with_its_definition(values: list[float]) -> None:
    walsh = [(a + b) / 2 for a, b in itertools.combinations_with_replacement(values, 2)]
    assert hodges_lehmann(values) == pytest.approx(median(walsh), abs=1e-9)


def test_mad_sd_of_five_values_by_hand() -> None:
    # median 3, deviations 2 1 0 1 97 -> MAD 1; 1.4826 x the factor of five values
    assert mad_sd([1.0, 2.0, 3.0, 4.0, 100.0]) == pytest.approx(1.4826 * 1.217, rel=1e-4)


def test_mad_sd_is_the_plain_one_where_most_values_are_equal() -> None:
    values = [1.0, 1.0, 1.0, 1.0, 2.0]
    assert mad_sd(values) == pytest.approx(stdev(values))


def test_mad_sd_needs_two_values() -> None:
    with pytest.raises(ValueError, match="two values"):
        mad_sd([1.0])


@pytest.mark.parametrize("n", [2, 3, 4, 6, 8, 10, 16])
def test_mad_sd_is_unbiased_for_normal_values(n: int) -> None:
    samples = np.random.default_rng(n).standard_normal((2000, n))
    assert mean(mad_sd(row.tolist()) for row in samples) == pytest.approx(1.0, abs=0.06)


# Shrinkage


def test_a_sample_sd_is_drawn_to_the_prior_by_their_degrees_of_freedom() -> None:
    assert shrunk_sd(0.03, 4, 0.01) == pytest.approx(math.sqrt((0.03**2 + 0.01**2) / 2))
    assert shrunk_sd(0.03, 0, 0.015) == pytest.approx(0.015)
    assert shrunk_sd(0.03, 4000, 0.015) == pytest.approx(0.03, rel=1e-3)


def test_a_sample_and_a_prior_that_weigh_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="degrees of freedom"):
        shrunk_sd(0.03, 0, 0.01, prior_df=0)


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.integers(0, 30))
def test_a_shrunk_sd_lies_between_sample_and_prior(sample: float, prior: float, df: int) -> None:
    assert min(sample, prior) - 1e-12 <= shrunk_sd(sample, df, prior) <= max(sample, prior) + 1e-12
