"""Tests of the sequential test: alphas, intervals, outcomes, and the rate of false positives."""

from __future__ import annotations

import importlib.util
import math
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.statistics.distributions import t_quantile
from tuner.statistics.sequential_test import (
    ALPHA_PER_LOOK,
    Decision,
    Look,
    alpha_of,
    alpha_per_look,
    attempt_alpha,
    baseline_alpha,
    gain_log,
    gain_pct,
    interval,
    look,
    looks,
    winner_alpha,
)

session_values = st.lists(st.floats(min_value=-2.0, max_value=2.0, allow_nan=False), min_size=2, max_size=12)


# Looks and alphas


def test_looks_are_after_4_6_9_and_12_sessions() -> None:
    assert [looks(k) for k in (4, 6, 9, 12)] == [(4,), (4, 6), (4, 6, 9), (4, 6, 9, 12)]


@pytest.mark.parametrize("max_sessions", [0, 3, 5, 13])
def test_a_number_of_sessions_without_a_look_is_refused(max_sessions: int) -> None:
    with pytest.raises(ValueError, match="4, 6, 9, 12"):
        looks(max_sessions)


def test_a_study_spends_at_most_two_and_a_half_per_cent_on_any_number_of_winners() -> None:
    assert [alpha_of(r) for r in range(4)] == [0.02, 0.0025, 0.00125, 0.000625]
    assert math.fsum(alpha_of(r) for r in range(60)) <= 0.025


def test_the_levels_of_the_first_and_of_the_second_winner_are_those_of_the_simulation() -> None:
    """As `tests/benchmarks/confirmation_levels.py` prints them; every claim of a study rests on these numbers."""
    assert [alpha_per_look(k, 0.02) for k in (4, 6, 9, 12)] == [0.02, 0.01166, 0.00831, 0.00668]
    assert [alpha_per_look(k, 0.0025) for k in (4, 6, 9, 12)] == [0.0025, 0.001337, 0.00092, 0.000724]


def test_a_negative_number_of_earlier_winners_is_refused() -> None:
    with pytest.raises(ValueError, match="-1"):
        alpha_of(-1)


@pytest.mark.parametrize("alpha", ALPHA_PER_LOOK)
def test_each_look_has_less_than_alpha_and_more_than_its_even_part(alpha: float) -> None:
    assert alpha_per_look(4, alpha) == alpha
    for n, max_sessions in enumerate((4, 6, 9, 12), start=1):
        assert alpha / n <= alpha_per_look(max_sessions, alpha) <= alpha


@pytest.mark.parametrize("max_sessions", [4, 6, 9, 12])
def test_later_winners_never_have_a_larger_alpha(max_sessions: int) -> None:
    alphas = [alpha_per_look(max_sessions, alpha_of(r)) for r in range(8)]
    assert alphas == sorted(alphas, reverse=True)


def test_an_alpha_outside_the_table_is_divided_by_the_looks() -> None:
    assert alpha_per_look(12, alpha_of(5)) == pytest.approx(0.005 / 32 / 4)


@pytest.mark.parametrize("alone", [0, 1, 2, 5])
def test_all_claims_of_a_study_together_never_spend_more_than_its_alpha(alone: int) -> None:
    """Attempts without a winner, a baseline's claim in each attempt, and a winner's that falls back on its share."""
    spent = 0.0
    for winners in range(40):
        for before in range(alone):
            spent += baseline_alpha(attempt_alpha(winners, before))
        whole = attempt_alpha(winners, alone)
        unproved = winner_alpha(whole, claims_baseline=True, is_baseline_proved=False)
        # Either the baseline's claim is false, or it is true and leaves its share to the winner's.
        assert baseline_alpha(whole) + unproved == pytest.approx(whole)
        assert winner_alpha(whole, claims_baseline=True, is_baseline_proved=True) == whole
        assert winner_alpha(whole, claims_baseline=False, is_baseline_proved=False) == whole
        spent += whole
    assert spent <= 0.025 + 1e-12
    with pytest.raises(ValueError, match="-1"):
        attempt_alpha(0, -1)


@pytest.mark.parametrize("alpha", [0.0, 0.5, -0.1, 1.0])
def test_an_alpha_outside_its_range_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        alpha_per_look(4, alpha)


# Gains


def test_a_log_ratio_is_shown_as_a_gain_in_per_cent() -> None:
    assert gain_pct(math.log(1.258)) == pytest.approx(25.8)
    assert gain_pct(0.0) == 0.0


@given(st.floats(min_value=-90.0, max_value=1000.0))
def test_gain_log_undoes_gain_pct(pct: float) -> None:
    assert gain_pct(gain_log(pct)) == pytest.approx(pct, abs=1e-9)


# Intervals


def test_interval_of_four_sessions_by_hand() -> None:
    # mean 0.04, sd 0.01291, se 0.006455, t(0.975, 3) = 3.1824
    found = interval([0.025, 0.035, 0.045, 0.055], 0.025)
    assert found.estimate == pytest.approx(0.04)
    assert found.low == pytest.approx(0.04 - 3.1824 * 0.0064550, abs=1e-5)
    assert found.high == pytest.approx(0.04 + 3.1824 * 0.0064550, abs=1e-5)
    assert found.sessions == 4
    assert found.confidence == pytest.approx(0.95)


@given(session_values, st.sampled_from([0.025, 0.01, 0.001]))
def test_an_interval_contains_its_estimate(values: list[float], one_sided: float) -> None:
    found = interval(values, one_sided)
    assert found.low <= found.estimate <= found.high


@given(session_values)
def test_an_interval_does_not_depend_on_the_order_of_sessions(values: list[float]) -> None:
    assert interval(values, 0.01) == interval(values[::-1], 0.01) == interval(sorted(values), 0.01)


@given(session_values)
def test_exchanging_the_sides_mirrors_the_interval(values: list[float]) -> None:
    found, mirrored = interval(values, 0.01), interval([-v for v in values], 0.01)
    assert (mirrored.low, mirrored.estimate, mirrored.high) == (-found.high, -found.estimate, -found.low)


@given(session_values)
def test_a_smaller_alpha_gives_an_interval_that_is_no_narrower(values: list[float]) -> None:
    narrow, wide = interval(values, 0.025), interval(values, 0.001)
    assert wide.low <= narrow.low
    assert narrow.high <= wide.high


@pytest.mark.parametrize(("values", "one_sided"), [([0.1], 0.02), ([], 0.02), ([0.1, 0.2], 0.5), ([0.1, 0.2], 0.0)])
def test_an_interval_of_one_session_or_an_invalid_alpha_is_refused(values: list[float], one_sided: float) -> None:
    with pytest.raises(ValueError, match=r"two sessions|alpha"):
        interval(values, one_sided)


# Outcomes


def first_look(values: list[float], *, max_sessions: int = 12, min_gain_log: float = gain_log(1.0)) -> Look:
    return look(values, max_sessions=max_sessions, alpha=0.02, min_gain_log=min_gain_log)


def test_a_clear_gain_wins_at_the_first_look() -> None:
    found = first_look([0.10, 0.11, 0.09, 0.10])
    assert found.outcome is Decision.WIN
    assert found.interval.low > 0.0
    assert found.interval.alpha == alpha_per_look(12, 0.02)


def test_no_gain_is_futile_at_the_first_look() -> None:
    found = first_look([0.001, -0.001, 0.0, 0.0])
    assert found.outcome is Decision.FUTILE
    assert found.futile_bound < math.log(1.01)


def test_less_than_one_per_cent_is_futile_even_where_any_gain_would_do() -> None:
    found = first_look([0.004, 0.002, -0.001, 0.003], min_gain_log=0.0)
    assert 0.0 < found.futile_bound < math.log(1.01)
    assert found.outcome is Decision.FUTILE


def test_the_futile_bound_is_the_upper_90_per_cent_one() -> None:
    values = [0.01, 0.02, -0.01, 0.0]
    se = float(np.std(values, ddof=1)) / 2.0
    assert first_look(values).futile_bound == pytest.approx(0.005 + t_quantile(0.9, 3) * se)


def test_a_noisy_gain_asks_for_more_sessions_and_after_the_last_is_not_significant() -> None:
    values = [0.10, -0.05, 0.12, 0.01]
    assert first_look(values, max_sessions=6).outcome is Decision.UNDECIDED
    assert first_look(values, max_sessions=4).outcome is Decision.NOT_SIGNIFICANT


def test_a_gain_proved_but_smaller_than_min_gain_is_no_win() -> None:
    values = [0.0200, 0.0201, 0.0199, 0.0200]
    assert first_look(values).outcome is Decision.WIN
    assert first_look(values, min_gain_log=gain_log(3.0)).outcome is Decision.FUTILE


def test_without_a_min_gain_a_proved_half_per_cent_wins_before_it_can_be_futile() -> None:
    assert first_look([0.0050, 0.0051, 0.0049, 0.0050], min_gain_log=0.0).outcome is Decision.WIN


def test_a_loss_is_futile_and_never_a_win() -> None:
    assert first_look([-0.10, -0.11, -0.09, -0.10]).outcome is Decision.FUTILE


@pytest.mark.parametrize("n", [2, 3, 5, 7, 12])
def test_a_look_after_another_number_of_sessions_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match="no look after"):
        first_look([0.1] * n, max_sessions=9)


@given(st.lists(st.floats(min_value=-0.2, max_value=0.2), min_size=4, max_size=4), st.sampled_from((4, 6, 9, 12)))
def test_a_win_always_has_a_lower_bound_above_zero_and_an_estimate_above_min_gain(
    values: list[float], max_sessions: int
) -> None:
    found = first_look(values, max_sessions=max_sessions)
    is_proved = found.interval.low > 0.0 and found.interval.estimate >= gain_log(1.0)
    assert (found.outcome is Decision.WIN) == is_proved


# How often it is wrong


STUDIES = 8000


@cache
def noisy_sessions(kind: str) -> npt.NDArray[np.float64]:
    """Returns session values without a gain, shape [STUDIES, 12].

    A value is the Hodges-Lehmann estimate over 8 heavy-tailed pairs, plus the effect of a compile. Tests add a gain to
    the values: a gain moves every pair, and with the pairs their estimate.
    """
    rng = np.random.default_rng(NOISES.index(kind))
    shape = (STUDIES, 12)
    if kind == "calm":
        compiles, noise = np.zeros(shape), 0.02
    elif kind == "compiles differ":
        compiles, noise = rng.normal(0.0, 0.015, shape), 0.03
    else:
        compiles, noise = rng.choice([-0.01, 0.01], shape) + rng.normal(0.0, 0.005, shape), 0.03
    pairs = noise * rng.standard_t(3, (*shape, 8))
    is_burst = rng.random(pairs.shape) < 0.05
    pairs += np.where(is_burst, rng.normal(0.0, 0.3, pairs.shape), 0.0)
    rows, columns = np.triu_indices(8)
    means = np.sort((pairs[..., rows] + pairs[..., columns]) / 2.0, axis=-1)  # much faster than np.median
    middle = len(rows) // 2
    values: npt.NDArray[np.float64] = means[..., middle - 1 : middle + 1].mean(axis=-1) + compiles
    return values


def verdict(values: list[float], *, max_sessions: int, min_gain_log: float) -> Look:
    for n in looks(max_sessions):
        found = look(values[:n], max_sessions=max_sessions, alpha=0.02, min_gain_log=min_gain_log)
        if found.outcome is not Decision.UNDECIDED:
            break
    return found


def may_win(values: npt.NDArray[np.float64], max_sessions: int) -> npt.NDArray[np.bool_]:
    """Whose mean is more than one standard error above zero at some look: a win needs more than two."""
    highest = np.full(len(values), -np.inf)
    for n in looks(max_sessions):
        early = values[:, :n]
        highest = np.maximum(highest, early.mean(axis=1) / (early.std(axis=1, ddof=1) / math.sqrt(n)))
    return highest > 1.0


NOISES = ["calm", "compiles differ", "two kinds of compiles"]


@pytest.mark.slow
@pytest.mark.parametrize("max_sessions", [4, 6, 9, 12])
@pytest.mark.parametrize("kind", NOISES)
def test_without_a_gain_at_most_two_per_cent_of_studies_win(kind: str, max_sessions: int) -> None:
    values = noisy_sessions(kind)
    is_doubtful = may_win(values, max_sessions)
    others = values[~is_doubtful]

    def wins(studies: npt.NDArray[np.float64]) -> int:
        found = (verdict(v, max_sessions=max_sessions, min_gain_log=0.0) for v in studies.tolist())
        return sum(one.outcome is Decision.WIN for one in found)

    assert wins(others[:: len(others) // 500]) == 0, "those left out below cannot win"
    assert wins(values[is_doubtful]) / STUDIES <= 0.02 + 3 * math.sqrt(0.02 / STUDIES)


@pytest.mark.slow
@pytest.mark.parametrize("kind", NOISES)
def test_the_shown_interval_covers_the_true_gain_at_its_confidence(kind: str) -> None:
    gain = gain_log(3.0)
    found = [verdict(v, max_sessions=12, min_gain_log=gain_log(1.0)) for v in (noisy_sessions(kind) + gain).tolist()]
    missed = sum(not look.interval.low <= gain <= look.interval.high for look in found)
    nominal = 2.0 * 0.02
    assert missed / STUDIES <= nominal + 3 * math.sqrt(nominal / STUDIES)
    assert sum(look.outcome is Decision.WIN for look in found) > STUDIES / 2


def levels_script() -> ModuleType:
    path = Path(__file__).parents[1] / "benchmarks" / "confirmation_levels.py"
    spec = importlib.util.spec_from_file_location("confirmation_levels", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_table_of_alphas_agrees_with_the_simulation() -> None:
    script, studies = levels_script(), 4_000_000
    found = script.simulate(studies, seed=1)
    published = {0.025: (0.025, 0.0148, 0.0107, 0.0086)}
    for alpha, per_look in (ALPHA_PER_LOOK | published).items():
        for p, expected in zip(found, per_look, strict=True):
            simulated, error = script.level_and_error(p, alpha, studies)
            assert expected == pytest.approx(simulated, abs=4 * error + 0.012 * simulated)
