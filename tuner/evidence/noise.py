"""Noise of this host while it measures this model, estimated from the baselines and from A/A sessions.

Responsible for standard deviations and for the windows that follow from them. Must not know phases, plans or verdicts.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tuner.bench.measurement import Session, Windows
from tuner.bench.metrics import Metric, by_callers, requests_per_window
from tuner.evidence.session_cost import PAIRS, SessionCost, measured_cost
from tuner.statistics.early_stopping import COMPILE_SD
from tuner.statistics.robust import mad_sd, shrunk_sd
from tuner.statistics.session_effect import pair_ratios, session_value
from tuner.study.setup import KnownNoise

PRIOR_SD, PRIOR_SD_TINY = 0.015, 0.04
"""Standard deviation of session values before any is measured, and that for models below `TINY_MS` (log-ratio).

Measured on CNNs and small models: tuner/README.md, calibration.
"""

PRIOR_DF = 4
"""Degrees of freedom of the prior: it weighs as much as four A/A sessions (tuner/README.md, calibration)."""

PRIOR_WINDOW_SD = 0.08
"""Standard deviation of one pair (log-ratio) if there are too few pairs to tell, as of the noisier CNNs."""

MIN_WINDOW_SD = 1e-3
"""Least standard deviation of one pair that is assumed (log-ratio): without noise there would be no time to plan."""

COMPILE_SD_AT_LEAST = 0.007
"""Least standard deviation between two compiles (log-ratio): compiles differ by 0.7 to 1.5 % (tuner/README.md)."""

MIN_PAIRS = 3
"""Number of pairs of a session below which their spread is not estimated."""

TINY_MS = 1.0
"""Mean latency (ms) below which sessions are expected to scatter as `PRIOR_SD_TINY`."""

WINDOWS_S = (0.3, 0.4, 0.6)
"""Lengths of a window (s) to choose from.

Longer windows waste less on the ramp of each turn, but fewer of them fit, and a burst disturbs more.
"""

MIN_DRIFT_WINDOWS = 12
"""Number of windows below which their correlation is not estimated."""

ENOUGH_DF = 2
"""Number of A/A sessions of an earlier study from which on the next study needs none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The noise of this host, as log-ratios, and the windows and costs that follow from it."""

    window_sd: float
    """Standard deviation of one pair of neighbouring windows of `window_s`."""
    session_sd: float
    """Standard deviation between sessions of `PAIRS` pairs, shrunk towards the prior.

    It is never below `window_sd / sqrt(PAIRS)`.
    """
    session_df: int
    """Number of A/A values of this study that `session_sd` rests on, without those of the prior."""
    lag_correlation: float
    """Correlation of neighbouring windows' throughputs: near 1 drift outlasts a window, near 0 it does not."""
    drift_sd: float
    """Standard deviation of the drift that neighbouring windows share (log-ratio)."""
    window_s: float
    """Length of a window (s) that gives the most exact mean in a fixed time."""
    cost: SessionCost
    requests_per_window: float
    """Number of requests in a window of the reference, on average."""
    longest_window_s: float
    """Duration of the longest window of the reference (s)."""
    steal_pct: float
    """CPU time taken by the hypervisor, in per cent of all usable CPUs."""
    other_cpu_pct: float
    """CPU time used by other processes, in per cent of all usable CPUs."""
    unsteady: tuple[str, ...]
    """Baselines that did not become steady while warming up."""

    @property
    def compile_sd(self) -> float:
        """Standard deviation between two compiles of one configuration.

        The variance is that between A/A sessions less the part that window noise explains, capped at `COMPILE_SD`.
        """
        beyond = self.session_sd**2 - self.window_sd**2 / PAIRS
        return min(COMPILE_SD, math.sqrt(max(COMPILE_SD_AT_LEAST**2, beyond)))

    def session_sd_of(self, pairs: int, window_s: float | None = None) -> float:
        """Returns the standard deviation between sessions of `pairs` pairs, of `window_s` or the usual windows.

        Only the noise of windows averages out.
        """
        own = self.window_sd_of(window_s or self.window_s) ** 2
        return math.sqrt(max(0.0, self.session_sd**2 - self.window_sd**2 / PAIRS) + own / pairs)

    def window_sd_of(self, window_s: float) -> float:
        """Returns the standard deviation of one pair of windows of `window_s` (s), as of independent noise."""
        return self.window_sd * math.sqrt(self.window_s / window_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationSessions:
    """The sessions that a calibration rests on, and how they were measured."""

    metric: Metric
    """Metric of the (first) objective."""
    session: Session
    """The session of the baselines."""
    baselines: Mapping[str, Windows]
    """Name -> windows of each baseline that ran in `session`."""
    reference: str
    """Name of the strongest baseline."""
    window_s: float
    """Length of the windows (s)."""
    aa_sessions: Sequence[Session] = ()
    """Sessions of the reference beside itself."""
    has_own_processes: bool = False
    """True if every member had processes of its own."""

    def aa_pairs(self) -> list[tuple[Windows, Windows]]:
        """Returns the two members of each A/A session in which both ran."""
        ran = ([windows for _, windows in session.ran()] for session in self.aa_sessions)
        return [(members[0], members[1]) for members in ran if len(members) == 2]

    def equal_pairs(self) -> Iterator[tuple[Windows, Windows]]:
        """Yields the pairs with one effective configuration: baselines that share one, then A/A sessions.

        On a CPU `{}` and LATENCY are such a pair of baselines.
        """
        first: dict[str, Windows] = {}
        for member in self.baselines.values():
            if (equal := first.setdefault(member.effective.key, member)) is not member:
                yield member, equal
        yield from self.aa_pairs()


def calibrate(data: CalibrationSessions, *, known: KnownNoise | None = None, is_fixed: bool = False) -> Calibration:
    """Returns the noise of this host, as the sessions show it.

    `known` noise of an earlier study replaces the usual noise as the prior. With `is_fixed` the windows keep their
    length, which a CPU quota, arriving requests or cold starts decide.
    """
    ours = data.baselines[data.reference].windows
    windows = [w for member in data.baselines.values() for w in member.windows]
    cost = measured_cost(
        data.session.costs,
        wall_s=data.session.wall_s,
        members=len(data.baselines),
        turns=len(windows),
        window_s=data.window_s,
        has_own_processes=data.has_own_processes,
        windows=len(by_callers(ours)),
    )
    correlation, drift_sd, drift_s = _drift(data, cost.turn_s)
    window_s, window_sd = data.window_s, _pair_sd(data)
    if not is_fixed:
        window_s, window_sd = best_window(window_sd, drift_sd, drift_s, cost.turn_s, measured_s=window_s)
    session_sd, session_df = _session_sd(data, known)
    return Calibration(
        window_sd=window_sd,
        session_sd=max(session_sd, window_sd / math.sqrt(PAIRS)),
        session_df=session_df,
        lag_correlation=correlation,
        drift_sd=drift_sd,
        window_s=window_s,
        cost=cost,
        requests_per_window=requests_per_window(ours),
        longest_window_s=max(w.duration_s for w in ours),
        steal_pct=statistics.fmean(w.steal_pct for w in windows),
        other_cpu_pct=statistics.fmean(w.other_cpu_pct for w in windows),
        unsteady=tuple(name for name, member in data.baselines.items() if not member.is_steady),
    )


def best_window(
    pair_sd: float, drift_sd: float, drift_s: float, turn_s: float, *, measured_s: float
) -> tuple[float, float]:
    """Returns the length of `WINDOWS_S` (s) that makes the mean of a fixed time's pairs most exact, and their sd.

    The variance of a pair has two parts. The windows' own noise averages out in longer windows. The drift between two
    neighbouring windows (standard deviation `drift_sd`, time constant `drift_s`) grows with their length. `pair_sd` is
    that of windows of `measured_s`; a turn takes `turn_s` beside its window.
    """

    def drifted(window_s: float) -> float:
        return 2.0 * drift_sd**2 * (1.0 - math.exp(-(window_s + turn_s) / drift_s))

    own = max(0.0, pair_sd**2 - drifted(measured_s)) * measured_s

    def variance(window_s: float) -> float:
        return own / window_s + drifted(window_s)

    best = min(WINDOWS_S, key=lambda w: (variance(w) * (w + turn_s), abs(w - measured_s)))
    return best, math.sqrt(variance(best))


def _pair_sd(data: CalibrationSessions) -> float:
    """Returns the median standard deviation of one pair (log-ratio) over baselines and A/A sessions."""
    ours = data.baselines[data.reference]
    pairs = [*((m, ours) for name, m in data.baselines.items() if name != data.reference), *data.aa_pairs()]
    ratios = [pair_ratios(data.metric, a.windows, b.windows) for a, b in pairs]
    spreads = [mad_sd(found) for found in ratios if len(found) >= MIN_PAIRS]
    return max(statistics.median(spreads) if spreads else PRIOR_WINDOW_SD, MIN_WINDOW_SD)


def _session_sd(data: CalibrationSessions, known: KnownNoise | None) -> tuple[float, int]:
    """Returns the standard deviation of A/A values (log-ratio), shrunk to the prior, and the number of these values."""
    found = (session_value(data.metric, a, b, min_requests=1) for a, b in data.equal_pairs())
    values = [value for value in found if value is not None]
    ours = data.baselines[data.reference].windows
    requests = sum(sum(w.latency_counts.values()) for w in ours)
    latency_ms = sum(w.latency_sum_ms for w in ours) / max(1, requests)
    usual = KnownNoise(session_sd=PRIOR_SD_TINY if latency_ms < TINY_MS else PRIOR_SD, df=0)
    prior = known or usual
    sample_sd = math.sqrt(sum(v * v for v in values) / len(values)) if values else 0.0
    return shrunk_sd(sample_sd, len(values), prior.session_sd, prior.df + PRIOR_DF), len(values)


def _drift(data: CalibrationSessions, turn_s: float) -> tuple[float, float, float]:
    """Returns the lag-1 correlation of windows, the standard deviation of their drift, and its time constant (s).

    The drift is a first-order autoregressive process that is seen through independent noise, estimated by the
    autocovariances of the throughputs' logs at one and at two windows.
    """
    products: list[list[float]] = [[], [], []]
    durations_s: list[float] = []
    for members in (list(data.baselines.values()), *data.aa_pairs()):
        series: list[tuple[float, float]] = []
        for windows in (group for m in members if m.windows for group in by_callers(m.windows)):
            logs = [math.log(w.samples / w.duration_s) for w in windows]
            center = statistics.fmean(logs)
            series += [(w.started_s, log - center) for w, log in zip(windows, logs, strict=True)]
            durations_s += [w.duration_s for w in windows]
        centered = [log for _, log in sorted(series)]
        for lag, found in enumerate(products):
            found += [a * b for a, b in zip(centered, centered[lag:], strict=False)]
    if len(durations_s) < MIN_DRIFT_WINDOWS:
        return 0.0, 0.0, 1.0
    own, first, second = (statistics.fmean(found) for found in products)
    if own <= 0.0:
        return 0.0, 0.0, 1.0
    correlation = min(1.0, first / own)
    step_s = turn_s + statistics.median(durations_s)
    if first <= 0.0:
        return correlation, 0.0, step_s
    decay = min(0.95, max(0.1, second / first))
    return correlation, math.sqrt(min(own, first / decay)), -step_s / math.log(decay)
