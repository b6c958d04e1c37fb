"""How noisy this host is while it measures this model: what the baselines and the reference against itself told.

Knows spreads and what follows from them for windows and sessions; not phases, plans or verdicts.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuner.bench.configuration import Failure
from tuner.bench.measurement import Session, Windows
from tuner.bench.metrics import Metric
from tuner.evidence.session_cost import PAIRS, SessionCost, measured_cost
from tuner.statistics.early_stopping import COMPILE_SD
from tuner.statistics.robust import mad_sd, shrunk_sd
from tuner.statistics.session_effect import pair_ratios, session_value
from tuner.study.setup import KnownNoise
from tuner.study.study import Objective

PRIOR_SD, PRIOR_SD_TINY = 0.015, 0.04
"""The sd of session values, before anything is measured: 1.5 %, and 4 % for models below a millisecond
(measurement.md)."""

PRIOR_WINDOW_SD = 0.08
"""The sd of one pair where there are too few pairs to tell: the upper half of what was measured on CNNs."""

PRIOR_DF = 4

COMPILE_SD_AT_LEAST = 0.007
"""However alike a few sessions of equals were: compiles differ by 0.7 to 1.5 % (measurement.md)."""

MIN_PAIRS = 3

TINY_MS = 1.0

WINDOWS_S = (0.3, 0.4, 0.6)
"""Longer ones waste less on the ramp of each turn; but fewer of them fit, and a burst spoils more."""

FEWEST_LEVELS = 12
"""A correlation from fewer neighbours says nothing."""

ENOUGH_DF = 2
"""An earlier study that knew the sd from so many sessions spares this one the reference against itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Spreads are log-ratios."""

    window_sd: float
    """Of one pair of neighbouring windows of `window_s`."""
    session_sd: float
    """Of the value of a session, shrunk to what is usual, but no less than its pairs alone make it."""
    session_df: int
    """How many session values of equals of this study it rests on, beside what an earlier one knew or what is usual."""
    lag_correlation: float
    """Of neighbouring windows' levels: near 1 the host's moods outlast a window, near 0 they do not."""
    drift_sd: float
    """Of those moods."""
    window_s: float
    """The length that makes the most of a second under this noise."""
    cost: SessionCost
    requests_per_window: float
    longest_window_s: float
    """Both of the reference."""
    steal_pct: float
    other_cpu_pct: float
    is_tiny: bool
    """Whether a request of the reference takes less than a millisecond."""
    unsteady: tuple[str, ...]
    """Baselines that did not become steady while warming up."""

    @property
    def compile_sd(self) -> float:
        """Of two compiles of one configuration: what sessions of equals differ by beyond what their windows make of
        it, and no more than is usual."""
        beyond = self.session_sd**2 - self.window_sd**2 / PAIRS
        return min(COMPILE_SD, math.sqrt(max(COMPILE_SD_AT_LEAST**2, beyond)))

    def session_sd_of(self, pairs: int) -> float:
        """`session_sd`, which is that of a session of 8 pairs, of one of `pairs`: what the windows make of it averages
        out, the rest stays."""
        own = self.window_sd**2
        return math.sqrt(max(0.0, self.session_sd**2 - own / PAIRS) + own / pairs)


def calibrate(
    objective: Objective,
    session: Session,
    members: Mapping[str, Windows | Failure],
    reference: str,
    window_s: float,
    *,
    twins: Sequence[Session] = (),
    known: KnownNoise | None = None,
    is_fixed: bool = False,
    has_own_processes: bool = False,
) -> Calibration:
    """From the baselines' session and `twins`, sessions of the reference beside itself. `known` from an earlier study
    replaces the usual sd as what they are shrunk to. `is_fixed`: the window stays as long as it is (a CPU quota,
    starts). `has_own_processes`: members had processes of their own."""
    metric = objective.row
    measured = {name: m for name, m in members.items() if isinstance(m, Windows)}
    pairs = [found for s in twins if (found := _pair(s)) is not None]
    ours = measured[reference]
    spreads = [
        mad_sd(ratios)
        for a, b in [*((m, ours) for name, m in measured.items() if name != reference), *pairs]
        if len(ratios := pair_ratios(metric, a.windows, b.windows)) >= MIN_PAIRS
    ]
    windows = [w for m in measured.values() for w in m.windows]
    requests = sum(sum(w.latency_counts.values()) for w in ours.windows)
    latency_ms = sum(w.latency_sum_ms for w in ours.windows) / max(1, requests)
    is_tiny = latency_ms < TINY_MS
    values = [*_equal_members(metric, measured), *_values(metric, pairs)]
    cost = measured_cost(
        session.costs,
        wall_s=session.wall_s,
        members=len(measured),
        turns=len(windows),
        window_s=window_s,
        has_own_processes=has_own_processes,
    )
    correlation, drift_sd, mood_s = _moods([list(measured.values()), *pairs], cost)
    pair_sd = max(statistics.median(spreads) if spreads else PRIOR_WINDOW_SD, 1e-3)
    best_s, best_sd = best_window(pair_sd, drift_sd, mood_s, cost.turn_s, measured_s=window_s)
    if is_fixed:
        best_s, best_sd = window_s, pair_sd
    usual = PRIOR_SD_TINY if is_tiny else PRIOR_SD
    sample_sd = math.sqrt(sum(v * v for v in values) / len(values)) if values else 0.0
    shrunk = shrunk_sd(
        sample_sd, len(values), known.session_sd if known else usual, known.df + PRIOR_DF if known else PRIOR_DF
    )
    return Calibration(
        window_sd=best_sd,
        session_sd=max(shrunk, best_sd / math.sqrt(PAIRS)),
        session_df=len(values),
        lag_correlation=correlation,
        drift_sd=drift_sd,
        window_s=best_s,
        cost=cost,
        requests_per_window=requests / max(1, len(ours.windows)),
        longest_window_s=max(w.duration_s for w in ours.windows),
        steal_pct=statistics.fmean(w.steal_pct for w in windows),
        other_cpu_pct=statistics.fmean(w.other_cpu_pct for w in windows),
        is_tiny=is_tiny,
        unsteady=tuple(name for name, m in measured.items() if not m.is_steady),
    )


def best_window(
    pair_sd: float, drift_sd: float, mood_s: float, turn_s: float, *, measured_s: float
) -> tuple[float, float]:
    """The window (s) that makes the mean of a fixed time's pairs most exact, of `WINDOWS_S`, and the sd of its pairs.

    A pair's variance is that of two windows' own noise, which averages out within a longer window, and of what the
    host's mood (sd `drift_sd`, forgotten over `mood_s`) changes from one window to the next, which grows with it.
    `pair_sd`: of windows of `measured_s`; `turn_s`: what a turn takes beside its window.
    """

    def moved(window_s: float) -> float:
        return 2.0 * drift_sd**2 * (1.0 - math.exp(-(window_s + turn_s) / mood_s))

    own = max(0.0, pair_sd**2 - moved(measured_s)) * measured_s

    def variance(window_s: float) -> float:
        return own / window_s + moved(window_s)

    best = min(WINDOWS_S, key=lambda w: (variance(w) * (w + turn_s), abs(w - measured_s)))
    return best, math.sqrt(variance(best))


def _moods(sessions: Sequence[Sequence[Windows]], cost: SessionCost) -> tuple[float, float, float]:
    """Lag-1 correlation of the levels of neighbouring windows, the sd of what they share, and the time over which it is
    forgotten (s): a first-order process seen through independent noise, by its covariances at one and two windows."""
    products: list[list[float]] = [[], [], []]
    durations_s: list[float] = []
    for members in sessions:
        series: list[tuple[float, float]] = []
        for windows in (m.windows for m in members if m.windows):
            logs = [math.log(w.samples / w.duration_s) for w in windows]
            center = statistics.fmean(logs)
            series += [(w.started_s, level - center) for w, level in zip(windows, logs, strict=True)]
            durations_s += [w.duration_s for w in windows]
        levels = [level for _, level in sorted(series)]
        for lag, found in enumerate(products):
            found += [a * b for a, b in zip(levels, levels[lag:], strict=False)]
    if len(durations_s) < FEWEST_LEVELS:
        return 0.0, 0.0, 1.0
    own, first, second = (statistics.fmean(found) for found in products)
    if own <= 0.0:
        return 0.0, 0.0, 1.0
    correlation = min(1.0, first / own)
    step_s = cost.turn_s + statistics.median(durations_s)
    if first <= 0.0:
        return correlation, 0.0, step_s
    decay = min(0.95, max(0.1, second / first))
    return correlation, math.sqrt(min(own, first / decay)), -step_s / math.log(decay)


def _pair(session: Session) -> tuple[Windows, Windows] | None:
    a, b = session.members
    return (a, b) if isinstance(a, Windows) and isinstance(b, Windows) else None


def _values(metric: Metric, pairs: Sequence[tuple[Windows, Windows]]) -> list[float]:
    found = [session_value(metric, a, b, min_requests=1) for a, b in pairs]
    return [value for value in found if value is not None]


def _equal_members(metric: Metric, measured: Mapping[str, Windows]) -> list[float]:
    """Session values of baselines with one effective configuration: on a CPU `{}` and LATENCY are such a pair."""
    pairs = []
    seen: dict[str, Windows] = {}
    for member in measured.values():
        twin = seen.setdefault(member.effective.key, member)
        if twin is not member:
            pairs.append((member, twin))
    return _values(metric, pairs)
