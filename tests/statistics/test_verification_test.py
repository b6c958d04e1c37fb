"""The sequential test of a verification: bounds, answers, and how many sessions could answer."""

from __future__ import annotations

import random

import pytest

from tuner.statistics.verification_test import (
    ALARM_ALPHA,
    ALPHA_PER_LOOK,
    HOLD_ALPHA,
    LOOKS,
    Answer,
    Bounds,
    answer,
    bounds,
    level,
    sessions_needed,
)

TOLERANCE = 0.05


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.12, 0.30, Answer.HOLDS),
        (0.06, 0.30, Answer.HOLDS),
        (0.06, 0.09, Answer.HOLDS),
        (0.04, 0.30, Answer.CANNOT_TELL),
        (0.04, 0.09, Answer.DOES_NOT_HOLD),
        (-0.20, -0.10, Answer.DOES_NOT_HOLD),
    ],
)
def test_a_promise_holds_unless_the_tolerance_may_be_lost_and_breaks_only_beyond_doubt(
    low: float, high: float, expected: Answer
) -> None:
    found = Bounds(estimate=(low + high) / 2, low=low, high=high, sessions=6)
    assert answer(found, required=0.10, tolerance=TOLERANCE) is expected


def test_an_alarm_needs_more_certainty_than_a_promise_that_holds() -> None:
    found = bounds([0.10, 0.11, 0.09, 0.10])
    assert found.high - found.estimate > found.estimate - found.low > 0.0
    assert found.confidence == pytest.approx(1.0 - ALARM_ALPHA - HOLD_ALPHA)


def test_levels_are_between_bonferroni_and_one_look_and_claims_share_them() -> None:
    for alpha, per_look in ALPHA_PER_LOOK.items():
        assert alpha / len(LOOKS) < per_look < alpha
        assert level(alpha) == per_look
        assert level(alpha, 3) == pytest.approx(alpha / (3 * len(LOOKS)))


def test_the_sessions_that_could_answer_are_the_first_look_at_which_the_bounds_are_narrow_enough() -> None:
    rng = random.Random(3)
    values = [0.10 + rng.gauss(0.0, 0.06) for _ in range(6)]
    assert answer(bounds(values), 0.10, TOLERANCE) is Answer.CANNOT_TELL
    needed = sessions_needed(values, 0.10, TOLERANCE)
    assert needed in LOOKS
    assert needed > 6
    assert sessions_needed([10 * v for v in values], 1.0, 0.001) is None


def test_bounds_of_one_session_are_refused() -> None:
    with pytest.raises(ValueError, match="two sessions"):
        bounds([0.1])
