"""Tests of the smallest provable gain against simulated confirmations."""

from __future__ import annotations

import numpy as np
import pytest

from tuner.statistics.power import gains_needed, looks_at, smallest_provable_gain_pct
from tuner.statistics.sequential_test import Decision, alpha_of, gain_log, look, looks


def is_won(values: list[float], *, max_sessions: int, alpha: float, min_gain_log: float) -> bool:
    found = (
        look(values[:n], max_sessions=max_sessions, alpha=alpha, min_gain_log=min_gain_log).outcome
        for n in looks(max_sessions)
    )
    return next((outcome for outcome in found if outcome is not Decision.UNDECIDED), None) is Decision.WIN


@pytest.mark.parametrize(
    ("max_sessions", "alpha", "power", "min_gain_pct"),
    [
        (4, 0.02, 0.8, 1.0),
        (6, 0.02, 0.8, 1.0),
        (9, 0.02, 0.8, 1.0),
        (12, 0.02, 0.8, 1.0),
        (12, alpha_of(1), 0.8, 1.0),
        (12, 0.02, 0.8, 3.0),
    ],
)
def test_the_smallest_provable_gain_is_confirmed_in_four_of_five_studies(
    max_sessions: int, alpha: float, power: float, min_gain_pct: float
) -> None:
    sd, min_gain_log = 0.015, gain_log(min_gain_pct)
    gain = gain_log(smallest_provable_gain_pct(sd, max_sessions, alpha, power, min_gain_log=min_gain_log))
    studies = np.random.default_rng(9).normal(gain, sd, (800, 12)).tolist()
    wins = sum(is_won(values, max_sessions=max_sessions, alpha=alpha, min_gain_log=min_gain_log) for values in studies)
    assert wins / 800 == pytest.approx(power, abs=0.045)


@pytest.mark.parametrize("min_gain_pct", [0.0, 3.0])
@pytest.mark.parametrize("max_sessions", [6, 12])
def test_a_study_wins_with_the_gain_it_needs_and_not_with_less(max_sessions: int, min_gain_pct: float) -> None:
    noise, sd, min_gain_log = np.random.default_rng(8).standard_normal((200, 12)), 0.03, gain_log(min_gain_pct)
    needed = gains_needed(looks_at(noise), sd, max_sessions, 0.02, min_gain_log)
    for values, gain in zip(sd * noise, needed, strict=True):
        for shift, expected in ((1e-6, True), (-1e-6, False)):
            shifted = (values + gain + shift).tolist()
            assert is_won(shifted, max_sessions=max_sessions, alpha=0.02, min_gain_log=min_gain_log) == expected


def test_more_sessions_and_less_noise_prove_smaller_gains() -> None:
    by_sessions = [smallest_provable_gain_pct(0.015, k) for k in (4, 6, 9, 12)]
    assert by_sessions == sorted(by_sessions, reverse=True)
    assert smallest_provable_gain_pct(0.01, 6) < smallest_provable_gain_pct(0.02, 6)


def test_a_later_winner_needs_a_larger_gain() -> None:
    assert smallest_provable_gain_pct(0.015, 9, alpha_of(1)) > smallest_provable_gain_pct(0.015, 9, 0.02)


def test_nothing_below_min_gain_is_provable() -> None:
    assert smallest_provable_gain_pct(1e-6, 12, min_gain_log=gain_log(5.0)) == pytest.approx(5.0, abs=0.01)


def test_a_four_minute_confirmation_proves_three_per_cent_for_convolutional_networks() -> None:
    # 12 sessions of 10 s are two minutes; their session sd was 1.1 to 2.3 % on the noisy two-core machine.
    assert smallest_provable_gain_pct(0.023, 12) <= 3.0


def test_a_power_is_a_probability() -> None:
    with pytest.raises(ValueError, match="power"):
        smallest_provable_gain_pct(0.015, 6, power=1.0)
