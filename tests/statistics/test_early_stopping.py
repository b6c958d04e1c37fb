"""Tests of the two reasons to end a trial before its cap."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.statistics.early_stopping import CAP_S, LOOKS_S, is_precise, is_pruned, pair_se


def test_a_trial_is_looked_at_after_one_and_a_half_and_three_seconds_and_ends_after_six() -> None:
    assert (LOOKS_S, CAP_S) == ((1.5, 3.0), 6.0)


def test_the_threshold_is_3_2_standard_errors_below_60_per_cent_of_the_incumbent() -> None:
    # se = sqrt(0.03^2 / 4 + 0.02^2) = 0.025; 0.6 x 0.2 - 3.2 x 0.025 = 0.04
    assert is_pruned(0.0399, incumbent_gain=0.2, pairs=4, window_sd=0.03)
    assert not is_pruned(0.0401, incumbent_gain=0.2, pairs=4, window_sd=0.03)


def test_a_candidate_equal_to_the_reference_is_kept_without_an_incumbent() -> None:
    assert not is_pruned(0.0, incumbent_gain=0.0, pairs=8, window_sd=0.03)


def test_an_incumbent_worse_than_the_reference_does_not_lower_the_bar() -> None:
    assert is_pruned(-0.2, incumbent_gain=-0.5, pairs=8, window_sd=0.03)


@given(st.floats(-1.0, 1.0), st.floats(0.0, 1.0), st.integers(1, 20), st.floats(0.0, 0.5), st.floats(0.0, 1.0))
def test_a_better_estimate_is_never_pruned_earlier(
    estimate: float, incumbent: float, pairs: int, window_sd: float, more: float
) -> None:
    if is_pruned(estimate + more, incumbent, pairs, window_sd):
        assert is_pruned(estimate, incumbent, pairs, window_sd)


def test_less_than_one_in_a_hundred_candidates_that_equal_the_incumbent_is_pruned() -> None:
    rng = np.random.default_rng(1)
    gain, window_sd, pruned = 0.10, 0.06, 0
    for _ in range(2000):
        pairs = gain + rng.normal(0.0, 0.02) + window_sd * rng.standard_normal(4)
        pruned += any(is_pruned(float(pairs[:n].mean()), gain, n, window_sd) for n in (2, 4))
    assert pruned < 20


def test_precise_is_a_standard_error_of_two_per_cent() -> None:
    assert not is_precise(pairs=2, window_sd=0.03, cap_pairs=7)
    assert is_precise(pairs=3, window_sd=0.03, cap_pairs=7)


def test_noise_that_the_cap_cannot_beat_ends_at_the_cap() -> None:
    assert not is_precise(pairs=6, window_sd=0.2, cap_pairs=7)
    assert is_precise(pairs=7, window_sd=0.2, cap_pairs=7)


def test_the_error_of_pairs_falls_with_their_root() -> None:
    assert pair_se(9, 0.06) == pytest.approx(0.02)
    assert pair_se(1, 0.06) / pair_se(2, 0.06) == pytest.approx(math.sqrt(2))


def test_the_error_of_no_pairs_is_refused() -> None:
    with pytest.raises(ValueError, match="a pair"):
        pair_se(0, 0.03)
