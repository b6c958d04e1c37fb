"""Candidates and their comparisons, read off the sessions on record; nothing here is stored twice.

Responsible for values, standard errors and limits. Must not know how candidates are proposed or when a phase ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tuner.bench.configuration import DeploymentConfig, Failure, FailureKind
from tuner.bench.measurement import Windows
from tuner.bench.metrics import Metric, requests_per_window
from tuner.bench.protocol import Phase
from tuner.records.session_log import Line, SessionLine
from tuner.statistics.disturbance import calm_pairs
from tuner.statistics.early_stopping import pair_se
from tuner.statistics.limits import search_violation
from tuner.statistics.pareto import layers
from tuner.statistics.session_effect import Estimate, mean_of, session_sd, session_value
from tuner.study.space import Assignment
from tuner.study.study import Objective

RANK_BY_SD = 0.5
"""Standard errors that are subtracted from a value to rank it (tuner/README.md, final).

A lucky short trial then does not displace a solid one.
"""

SEARCHED: tuple[Phase, ...] = ("search", "race", "final")
"""Phases whose sessions are evidence of candidates; those of a confirmation count for its verdict alone."""

INVALID_ALLOWED = 1
"""Number of sessions without a comparison after which a candidate that was never compared has failed."""

FORGIVEN = (FailureKind.TIMEOUT, FailureKind.MEMORY)
"""Failures that a slow or crowded host may cause: the first one after a comparison only invalidates its session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricValues:
    """Every metric of one configuration that was measured."""

    values: Mapping[str, float]
    """Name of a metric -> its value in the metric's unit."""
    requests: int = 0
    """Number of requests behind the values, as a percentile of too few is no claim; 0 if nothing was measured."""

    def row(self) -> dict[str, float]:
        """Returns the values and, after them, the number of requests, as files and JSON have them."""
        return {**self.values, "requests": float(self.requests)} if self.values else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One member of one session, compared with the reference of that session."""

    value: float
    """Log-ratio on the first objective, positive = better than the reference."""
    sd: float
    """Standard error of `value`, the difference between two compiles included."""
    violations: Mapping[str, float]
    """Metric of a limit -> log of the excess, less `sd`; <= 0 is feasible."""
    window_s: float
    """Duration of the member's windows (s), on average."""
    requests_per_window: float
    """Number of requests in a window of the member, on average."""
    others: tuple[Estimate, ...] = ()
    """Estimates on the objectives after the first."""

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """The estimate on each objective, the first one first."""
        return (Estimate(value=self.value, sd=self.sd), *self.others)


@dataclass(slots=True, kw_only=True)
class Candidate:
    """One effective configuration and everything that was measured of it outside the confirmation."""

    key: str
    config: DeploymentConfig
    trial: int | None
    assignment: Assignment | None
    comparisons: list[Comparison] = field(default_factory=list)
    invalid_sessions: int = 0
    """Number of sessions without a comparison: a member failed, or nothing completed in a window."""
    failure: Failure | None = None

    @property
    def is_measured(self) -> bool:
        """True if the candidate has a value and did not fail."""
        return self.failure is None and bool(self.comparisons)

    @property
    def is_known(self) -> bool:
        """True if the candidate has a value or a failure."""
        return self.failure is not None or bool(self.comparisons)

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """Mean of the sessions on each objective, weighted by precision; the first objective first."""
        return tuple(mean_of(column) for column in zip(*(c.estimates for c in self.comparisons), strict=True))

    @property
    def value(self) -> float:
        """Log-ratio on the first objective, positive = better than the reference."""
        return self.estimates[0].value

    @property
    def sd(self) -> float:
        """Standard error of `value`."""
        return self.estimates[0].sd

    @property
    def rank(self) -> float:
        """Number by which candidates are ranked, the largest first: a cautious `value`."""
        return self.value - RANK_BY_SD * self.sd

    @property
    def excesses(self) -> dict[str, float]:
        """Metric of a limit -> mean log of the excess over the sessions; <= 0 keeps the limit."""
        names = {name for c in self.comparisons for name in c.violations}
        found = {name: [c.violations[name] + c.sd for c in self.comparisons if name in c.violations] for name in names}
        return {name: sum(values) / len(values) for name, values in sorted(found.items())}

    @property
    def excess(self) -> float:
        """Excess of the worst limit (log); -inf if there are no limits."""
        return max(self.excesses.values(), default=-math.inf)

    @property
    def violation(self) -> float:
        """Excess less one standard error (log): lenient, and less so with every session."""
        return self.excess - self.sd

    @property
    def is_feasible(self) -> bool:
        """True if the candidate keeps every limit, as leniently as a search asks."""
        return self.violation <= 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparer:
    """Compares members of a session with its reference, by the calibrated noise of this host."""

    objective: Objective
    window_sd: float
    """Standard deviation of one pair (log-ratio): a trial's own one to four pairs say little of their spread."""
    window_s: float
    """Seconds of the windows that `window_sd` is about."""
    compile_sd: float
    """Standard deviation between two compiles (log-ratio)."""
    best_ratios_log: Mapping[str, float]
    """Metric of a limit -> log-ratio of the reference to the best baseline, at most 0."""

    def compare(self, member: Windows, reference: Windows) -> Comparison | None:
        """Returns a member against the reference of the same session; None if there is nothing to compare.

        In a search few requests are enough for a percentile, because a search claims nothing. The standard error of a
        percentile is its own, if that is larger than the calibrated one.
        """
        estimates = [self._estimate(metric, member, reference) for metric in self.objective.rows]
        found = tuple(estimate for estimate in estimates if estimate is not None)
        if len(found) < len(estimates):
            return None
        value, sd = found[0].value, found[0].sd
        excesses = {
            limit.metric: search_violation(limit, member, reference, self.best_ratios_log.get(limit.metric, 0.0), sd)
            for limit in self.objective.limits
        }
        return Comparison(
            value=value,
            sd=sd,
            violations={metric: excess for metric, excess in excesses.items() if excess is not None},
            window_s=sum(w.duration_s for w in member.windows) / len(member.windows),
            requests_per_window=requests_per_window(member.windows),
            others=found[1:],
        )

    def _estimate(self, metric: Metric, member: Windows, reference: Windows) -> Estimate | None:
        value = session_value(metric, member, reference, min_requests=1)
        if value is None:
            return None
        own_sd = session_sd(metric, member, reference) if metric.quantile is not None else None
        usual_sd = pair_se(max(1, calm_pairs(member, reference)), self._window_sd(member, reference))
        return Estimate(value=value, sd=math.hypot(max(own_sd or 0.0, usual_sd), self.compile_sd))

    def _window_sd(self, member: Windows, reference: Windows) -> float:
        """Returns the standard deviation of a pair of these windows, the shorter the larger."""
        ours_s, theirs_s = (sum(w.duration_s for w in side.windows) / len(side.windows) for side in (member, reference))
        return self.window_sd * math.sqrt(self.window_s * (1 / ours_s + 1 / theirs_s) / 2)


class Evidence:
    """Candidates by key, from the search, race and final sessions of a record that only grows.

    Each line is read once, because a search asks for its candidates several times for each trial. The key is that of
    the effective configuration; a configuration that never ran has the key of the request.
    """

    def __init__(self, comparer: Comparer, *, reference_key: str) -> None:
        """Begins without candidates. `reference_key` is the effective key of the reference."""
        self.candidates: dict[str, Candidate] = {}
        self.requests: dict[DeploymentConfig, Candidate] = {}
        """Every configuration that was asked for, in that order: several may be one candidate."""
        self._comparer = comparer
        self._reference_key = reference_key
        self._lines_read = 0

    def read(self, lines: Sequence[Line]) -> dict[str, Candidate]:
        """Reads the lines that were added since the last call, and returns the candidates."""
        for line in lines[self._lines_read :]:
            if isinstance(line, SessionLine) and line.phase in SEARCHED:
                self.add(line)
        self._lines_read = len(lines)
        return self.candidates

    def add(self, line: SessionLine) -> None:
        """Adds the members of one session."""
        reference = line.session.members[0]
        for i, (config, member) in enumerate(line.session.items()):
            if line.trials[i] is None:
                continue
            if config not in self.requests:
                key = member.effective.key if isinstance(member, Windows) else config.key
                new = Candidate(key=key, config=config, trial=line.trials[i], assignment=line.assignments[i])
                self.requests[config] = self.candidates.setdefault(key, new)
            _add_result(self.requests[config], member, reference, self._compare(member, reference))

    def _compare(self, member: Windows | Failure, reference: Windows | Failure) -> Comparison | None:
        """Returns a member against the reference; None if either failed, or if another baseline was the reference."""
        if isinstance(member, Failure) or isinstance(reference, Failure):
            return None
        return self._comparer.compare(member, reference) if reference.effective.key == self._reference_key else None


def _add_result(
    candidate: Candidate, member: Windows | Failure, reference: Windows | Failure, comparison: Comparison | None
) -> None:
    """Adds the result of one session: a comparison, or an invalid session that may be one too many."""
    if comparison is not None:
        candidate.comparisons.append(comparison)
        return
    candidate.invalid_sessions += 1
    was_compared = bool(candidate.comparisons)
    is_too_often = candidate.invalid_sessions > INVALID_ALLOWED
    if isinstance(member, Failure):
        if not was_compared or is_too_often or member.kind not in FORGIVEN:
            candidate.failure = member
    elif is_too_often and not was_compared:
        cause = reference if isinstance(reference, Failure) else "nothing completed in a window"
        message = f"never measured beside the reference: {cause}"
        candidate.failure = Failure(kind=FailureKind.RUNTIME, message=message)


def ranked(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Returns the measured candidates: those that keep the limits by rank, then the others by their violation."""
    alive = [c for c in candidates if c.is_measured]
    return sorted(alive, key=lambda c: (not c.is_feasible, -c.rank if c.is_feasible else c.violation, c.key))


def ranked_for(objective: Objective, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Returns the measured candidates, those most worth more time first.

    With one objective the best candidate is first. With several the order is layer by layer, followed by candidates
    that break a limit, the nearest to the limit first.
    """
    plain = ranked(candidates)
    if not objective.has_several:
        return plain
    feasible = {c.key: c for c in plain if c.is_feasible}
    order = layers({key: [e.value for e in c.estimates] for key, c in feasible.items()})
    return [*(feasible[key] for layer in order for key in layer), *(c for c in plain if not c.is_feasible)]
