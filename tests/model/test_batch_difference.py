"""How far a result in a batch may differ from that of the sample alone, and what decides it."""

from __future__ import annotations

import numpy as np
import pytest

from tuner.model.batch_difference import DifferenceCheck, difference, worst

ALONE = [np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]]), np.array([[0.5, -1.0]])]
"""Three samples with the scale 1; the closest two are 1 apart."""


def compared(
    batch_error: float, *, precision_error: float = 0.0, are_copies_wrong: bool = True, given: float | None = None
) -> tuple[bool, str]:
    """The comparison of a batch that is wrong by `batch_error`; alone, the precision is wrong by `precision_error`."""
    together = np.concatenate(ALONE) + batch_error
    check = DifferenceCheck(
        alone=[[one] for one in ALONE],
        run_copies=lambda sample: [np.concatenate([ALONE[sample]] * 3) + batch_error * are_copies_wrong],
        run_default=lambda: [[one + precision_error] for one in ALONE],
        given=given,
    )
    return check.compare(0, "y", worst(ALONE, together, 0), 3)


@pytest.mark.parametrize(
    ("batch_error", "precision_error", "is_equal"),
    [(0.025, 0.023, True), (0.045, 0.023, True), (0.047, 0.023, False), (0.025, 0.0, False), (0.12, 0.5, False)],
)
def test_a_batch_may_differ_by_twice_what_the_precision_changes(
    batch_error: float, precision_error: float, is_equal: bool
) -> None:
    found, words = compared(batch_error, precision_error=precision_error)
    assert found is is_equal
    assert f"{batch_error:.2g}" in words


def test_samples_that_are_close_bound_the_allowance() -> None:
    close = [np.array([[1.0]]), np.array([[1.02]])]
    check = DifferenceCheck(
        alone=[[one] for one in close],
        run_copies=lambda sample: [np.concatenate([close[sample]] * 2) + 0.02],
        run_default=lambda: [[one + 0.05] for one in close],
        given=None,
    )
    assert not check.compare(0, "y", worst(close, np.concatenate(close) + 0.02, 0), 2)[0]


def test_what_other_samples_change_is_excused_by_the_user_alone() -> None:
    assert not compared(0.01, precision_error=0.02, are_copies_wrong=False)[0]
    assert compared(0.01, are_copies_wrong=False, given=0.02)[0]
    found, words = compared(0.03, are_copies_wrong=False, given=0.02)
    assert not found
    assert "allowed are 0.02 (batch_tolerance)" in words
    assert "set model: {batch_tolerance: 0.04}" in words


def test_whole_numbers_differ_by_the_part_that_is_unequal() -> None:
    assert difference(np.array([1, 2, 3, 4]), np.array([1, 2, 3, 5])) == 0.25
    assert difference(np.array([], np.int64), np.array([], np.int64)) == 0.0
    assert difference(np.zeros(3), np.zeros(4)) == float("inf")
