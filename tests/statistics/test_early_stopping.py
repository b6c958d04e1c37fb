"""Tests of the two reasons to end a trial before its cap."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.statistics.early_stopping import is_behind, is_precise, pair_se


def test_the_threshold_is_one_standard_error_behind_the_best() -> None:
    # sqrt(0.03^2 + 0.04^2 + 2 x 0.02^2) = 0.0574
    assert is_behind(0.2 - 0.058, 0.03, 0.2, 0.04)
    assert not is_behind(0.2 - 0.057, 0.03, 0.2, 0.04)


@given(st.floats(-1.0, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 0.5), st.floats(0.0, 1.0))
def test_a_better_value_is_never_pruned_earlier(value: float, best: float, sd: float, more: float) -> None:
    if is_behind(value + more, sd, best, 0.0):
        assert is_behind(value, sd, best, 0.0)


def test_one_in_six_trials_that_equal_the_best_ends_at_its_first_window() -> None:
    rng = np.random.default_rng(1)
    values, bests = 0.1 + 0.06 * rng.standard_normal((2, 2000)) + rng.normal(0.0, 0.02, (2, 2000))
    behind = sum(is_behind(float(a), 0.06, float(b), 0.06) for a, b in zip(values, bests, strict=True))
    assert behind / 2000 == pytest.approx(0.16, abs=0.02)


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
