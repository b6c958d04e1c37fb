"""What is said at once of a model whose inference takes long."""

from __future__ import annotations

import pytest

from tuner.planning.slow_model import slow_model
from tuner.report.words.progress import event_lines


def slow_words(inference_s: float, minutes: float | None, *, longest_window_s: float) -> str:
    """What a user reads; empty for a model that is quick enough."""
    found = slow_model(inference_s, minutes, longest_window_s=longest_window_s)
    return "" if found is None else "".join(event_lines(found))


@pytest.mark.parametrize(("inference_s", "minutes"), [(0.01, 0.5), (0.07, 5.0), (2.0, None), (0.0, 0.1)])
def test_nothing_is_said_where_the_budget_is_enough(inference_s: float, minutes: float | None) -> None:
    assert slow_words(inference_s, minutes, longest_window_s=20.0) == ""


def test_a_budget_that_could_confirm_a_winner_is_named_and_is_enough() -> None:
    words = slow_words(0.6, 1.0, longest_window_s=20.0)
    assert "an inference takes 0.6 s, so that a window, 4 of each request, takes 2.4 s" in words
    assert "the baselines take 50 s, a confirmation 2.9 min; 1 min compare hardly the baselines alone" in words
    assert "`budget: {minutes: 6}` could confirm a winner" in words
    assert slow_words(0.6, 6.0, longest_window_s=20.0) == ""
    assert "the baselines and 2 other configurations" in slow_words(0.6, 5.0, longest_window_s=20.0)


def test_no_budget_is_offered_where_a_window_cannot_hold_four_rounds() -> None:
    words = slow_words(6.0, 60.0, longest_window_s=20.0)
    assert "no budget compares this model" in words
    assert "could confirm" not in words
