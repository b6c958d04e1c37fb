"""Evaluates strategies by many replayed studies: how far from the best they end, how soon, how true their claims are.

Responsible for statistics of outcomes. Must not run a study.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tuner.replay.replayed import NEAR, WORSE, Replayed

CLAIM_FROM = math.log(1.05)
"""Smallest true gain (log-ratio) whose claims have a bias: only noise makes smaller gains claims at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The evaluation of one strategy on one table with one budget.

    Regrets are in per cent of the best configuration's speed. None stands where studies say nothing: without claims,
    without intervals, or if most studies never came near the best.
    """

    table: str
    strategy: str
    noise: str
    minutes: float
    studies: int
    regret_median_pct: float
    regret_p90_pct: float
    tried_regret_median_pct: float
    tried_regret_p90_pct: float
    """Regret of the best configuration that was tried; the choice added the difference to `regret_p90_pct`."""
    search_regret_median_pct: float
    """Regret of the configuration that search and final took for the best, confirmed or not."""
    trials_median: float
    trials_to_near_median: float | None
    """Number of trials to within 2 % of the best; a study that never came there counts as infinitely many."""
    near_pct: float
    """Share of the studies that came within 2 % of the best."""
    time_to_near_median_s: float | None
    """Virtual seconds until the search's best stayed within 2 % of the best."""
    tuned_pct: float
    harmed_pct: float
    """Share of the studies that deploy a configuration worse than what it replaces by more than 1 %.

    Tuned settings replace the strongest baseline, a hint replaces today's.
    """
    claims: int
    claimed_pct: float | None
    """Mean gain that was claimed."""
    true_pct: float | None
    """Mean true gain of the configurations that claims were about."""
    large_claims: int
    """Number of claims of true gains of 5 % or more, which the bias is computed from."""
    bias_points: float | None
    """Mean of 100 times the log of claimed over true speed-up.

    1 is 1 % of the speed, however large the gain.
    """
    bias_se_points: float | None
    """Standard error of the bias."""
    intervals: int
    """Number of intervals that were shown."""
    held: int
    """Number of intervals that hold the true gain."""
    coverage_pct: float | None
    wall_median_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NullStudies:
    """A/A studies of copies of one configuration: every claim is a false positive."""

    table: str
    """Name of the table whose noise the studies had."""
    noise: str
    minutes: float
    studies: int
    false_positives: int
    confirmed: int
    """Number of studies that reached the confirmation; the others could not claim anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replays:
    """The evaluations that `tuner replay` was asked for, with the null studies on each table's noise."""

    evaluations: Sequence[Evaluation]
    null_studies: Sequence[NullStudies]


def evaluate(found: Sequence[Replayed], *, table: str, strategy: str, noise: str, minutes: float) -> Evaluation:
    """Returns the evaluation of studies of one strategy. Raises ValueError for no studies."""
    if not found:
        raise ValueError("no study was replayed")
    regrets = sorted(_regret_pct(one.regret) for one in found)
    near = sorted(one.trials_to_near if one.trials_to_near is not None else math.inf for one in found)
    stays = sorted(_time_to_near(one) for one in found)
    claims = [(one.claim, one.true_gain) for one in found if one.claim is not None]
    large = [100.0 * (claim - truth) for claim, truth in claims if truth >= CLAIM_FROM]
    tried = sorted(_regret_pct(one.tried_regret) for one in found)
    shown = [one for one in found if one.interval is not None and one.interval_truth is not None]
    held = [one for one in shown if one.interval[0] <= one.interval_truth <= one.interval[1]]  # type: ignore[index,operator]
    return Evaluation(
        table=table,
        strategy=strategy,
        noise=noise,
        minutes=minutes,
        studies=len(found),
        regret_median_pct=statistics.median(regrets),
        regret_p90_pct=quantile(regrets, 0.9),
        tried_regret_median_pct=statistics.median(tried),
        tried_regret_p90_pct=quantile(tried, 0.9),
        search_regret_median_pct=statistics.median(
            _regret_pct(one.path[-1][1] if one.path else one.regret) for one in found
        ),
        trials_median=statistics.median(one.trials for one in found),
        trials_to_near_median=_finite(statistics.median(near)),
        near_pct=100.0 * sum(n < math.inf for n in near) / len(found),
        time_to_near_median_s=_finite(statistics.median(stays)),
        tuned_pct=100.0 * sum(one.is_tuned for one in found) / len(found),
        harmed_pct=100.0 * sum(one.gain_over_replaced < WORSE for one in found) / len(found),
        claims=len(claims),
        claimed_pct=_mean([100.0 * math.expm1(claim) for claim, _ in claims]),
        true_pct=_mean([100.0 * math.expm1(truth) for _, truth in claims]),
        large_claims=len(large),
        bias_points=_mean(large),
        bias_se_points=statistics.stdev(large) / math.sqrt(len(large)) if len(large) > 1 else None,
        intervals=len(shown),
        held=len(held),
        coverage_pct=100.0 * len(held) / len(shown) if shown else None,
        wall_median_s=statistics.median(one.wall_s for one in found),
    )


def quantile(ordered: Sequence[float], q: float) -> float:
    """Returns the nearest-rank quantile of ascending values."""
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]


def _regret_pct(regret: float) -> float:
    return -100.0 * math.expm1(-regret)


def _time_to_near(one: Replayed) -> float:
    """Returns the time from which the search's best stayed within 2 % of the best; infinity if it did not."""
    since = math.inf
    for at_s, regret in reversed(one.path):
        if regret > NEAR:
            break
        since = at_s
    return since


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
