"""The share of differences that goes with groups, against hand-computed numbers and groups without meaning."""

from __future__ import annotations

import numpy as np
import pytest

from tuner.statistics.explained import explained_share


def test_groups_that_say_everything_explain_everything() -> None:
    assert explained_share([1.0, 1.0, 1.0, 2.0, 2.0, 2.0], list("aaabbb")) == 1.0


def test_the_share_is_that_of_a_hand_computed_example() -> None:
    # Means 2 and 5, within 2 + 2 over 4 degrees = 1; total variance 17.5 / 5 = 3.5; 1 - 1 / 3.5.
    assert explained_share([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], list("aaabbb")) == pytest.approx(1 - 1 / 3.5)


def test_groups_without_meaning_explain_nothing_on_average_however_many_they_are() -> None:
    random = np.random.default_rng(0)
    found = []
    for _ in range(300):
        values = [float(x) for x in random.normal(size=24)]
        found.append(explained_share(values, [str(i % 8) for i in range(24)]))
    assert np.mean([share for share in found if share is not None]) < 0.12  # plain eta squared: 7 / 23 = 0.30
    assert np.median([share for share in found if share is not None]) < 0.02


@pytest.mark.parametrize(
    ("values", "groups"),
    [([1.0, 2.0, 3.0], "aab"), ([1.0, 2.0, 3.0, 4.0, 5.0], "aaaaa"), ([1.0] * 6, "aaabbb"), ([], "")],
)
def test_too_little_to_say_is_none(values: list[float], groups: str) -> None:
    assert explained_share(values, list(groups)) is None
