"""What is known of each candidate, read off the sessions on record. Nothing here is stored twice.

Knows values, spreads and limits; not how candidates are proposed nor when a phase ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tuner.bench.configuration import DeploymentConfig, Failure, FailureKind
from tuner.bench.measurement import Windows
from tuner.bench.metrics import request_count
from tuner.bench.protocol import Phase
from tuner.records.session_log import Line, SessionLine
from tuner.statistics.disturbance import calm_pairs
from tuner.statistics.limits import search_violation
from tuner.statistics.pareto import layers
from tuner.statistics.session_effect import Estimate, mean_of, session_sd, session_value
from tuner.study.space import Assignment
from tuner.study.study import Objective


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


RANK_BY_SD = 0.5
"""Finalists are ranked by mean - 0.5 sd (measurement.md): a lucky short trial does not push out a solid one."""

SEARCHED: tuple[Phase, ...] = ("search", "race", "final")
"""The phases whose sessions tell of candidates; the confirmation speaks for itself."""

INVALID_ALLOWED = 1
"""A candidate that was twice not comparable, because the reference failed beside it, is given up as failed."""

FORGIVEN = (FailureKind.TIMEOUT, FailureKind.MEMORY)
"""What a slow moment of the host or a crowded session may do to a candidate that ran before: once it is only lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricValues:
    """Every metric of one configuration that was measured."""

    values: Mapping[str, float]
    """Name of a metric -> its value in the metric's unit."""
    requests: int = 0
    """Number of requests that the values rest on; a percentile of too few is no claim. 0 if nothing was measured."""

    def row(self) -> dict[str, float]:
        """Returns the values and, after them, the number of requests, as files and JSON have them."""
        return {**self.values, "requests": float(self.requests)} if self.values else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One member of one session against that session's reference."""

    value: float
    """Log-ratio, positive = better than the reference."""
    sd: float
    """Its standard error, what differs between two compiles included."""
    violations: Mapping[str, float]
    """Limit -> log of the excess, less `sd`; <= 0 is feasible."""
    window_s: float
    requests_per_window: float
    """What one of its windows takes and holds, on average."""
    others: Mapping[str, Estimate] = field(default_factory=dict)
    """Of several objectives, those after the first."""

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """The estimate of each objective, the first one first."""
        return (Estimate(value=self.value, sd=self.sd), *self.others.values())


@dataclass(slots=True, kw_only=True)
class Candidate:
    """One effective configuration and everything measured of it outside the confirmation."""

    key: str
    config: DeploymentConfig
    trial: int | None
    assignment: Assignment | None
    comparisons: list[Comparison] = field(default_factory=list)
    invalid_sessions: int = 0
    """Sessions that said nothing of it: it or the reference failed there, or nothing completed in a window."""
    failure: Failure | None = None

    @property
    def is_measured(self) -> bool:
        return self.failure is None and bool(self.comparisons)

    @property
    def is_known(self) -> bool:
        """Whether there is an answer: a value or a failure."""
        return self.failure is not None or bool(self.comparisons)

    @property
    def value(self) -> float:
        """The mean of its session values, weighted by their precision."""
        weights = [1 / j.sd**2 for j in self.comparisons]
        return sum(w * j.value for w, j in zip(weights, self.comparisons, strict=True)) / sum(weights)

    @property
    def sd(self) -> float:
        return math.sqrt(1 / sum(1 / j.sd**2 for j in self.comparisons))

    @property
    def others(self) -> dict[str, Estimate]:
        """Of several objectives, those after the first."""
        names = list(self.comparisons[0].others) if self.comparisons else []
        return {name: mean_of([j.others[name] for j in self.comparisons]) for name in names}

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """Of each objective, the first one first."""
        return (Estimate(value=self.value, sd=self.sd), *self.others.values())

    @property
    def rank(self) -> float:
        return self.value - RANK_BY_SD * self.sd

    @property
    def excesses(self) -> dict[str, float]:
        """Limit -> how far the mean of its sessions is beyond it (log); <= 0 keeps it."""
        names = {name for j in self.comparisons for name in j.violations}
        found = {name: [j.violations[name] + j.sd for j in self.comparisons if name in j.violations] for name in names}
        return {name: sum(values) / len(values) for name, values in sorted(found.items())}

    @property
    def excess(self) -> float:
        """Of the worst limit; -inf where there are no limits."""
        return max(self.excesses.values(), default=-math.inf)

    @property
    def violation(self) -> float:
        """The excess less one sd: lenient, less so with every session."""
        return self.excess - self.sd

    @property
    def is_feasible(self) -> bool:
        return self.violation <= 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparer:
    """Compares members of a session with its reference, by what is known of the noise of this host.

    `window_sd` and `compile_sd` are the calibrated standard deviations of one pair and of two compiles (log-ratios): a
    trial's own two to four pairs say little of their spread. `best_ratios_log` maps the metric of a limit to how much
    better the reference is on it than the best baseline.
    """

    objective: Objective
    window_sd: float
    compile_sd: float
    best_ratios_log: Mapping[str, float]

    def compare(self, member: Windows, reference: Windows) -> Comparison | None:
        """Returns a member against the reference of the same session; None where there is nothing to compare.

        In a search few requests are enough for a percentile: it makes no claim. A percentile's own error counts where
        it is larger.
        """
        pairs = max(1, calm_pairs(member, reference))
        found: list[Estimate] = []
        for metric in self.objective.rows:
            value = session_value(metric, member, reference, min_requests=1)
            if value is None:
                return None
            own_sd = session_sd(metric, member, reference) if metric.quantile is not None else None
            sd = math.hypot(max(own_sd or 0.0, self.window_sd / math.sqrt(pairs)), self.compile_sd)
            found.append(Estimate(value=value, sd=sd))
        value, sd = found[0].value, found[0].sd
        violations = {}
        for limit in self.objective.limits:
            excess = search_violation(limit, member, reference, self.best_ratios_log.get(limit.metric, 0.0), sd)
            if excess is not None:
                violations[limit.metric] = excess
        return Comparison(
            value=value,
            sd=sd,
            violations=violations,
            window_s=sum(w.duration_s for w in member.windows) / len(member.windows),
            requests_per_window=request_count(member.windows) / len(member.windows),
            others=dict(zip(self.objective.others, found[1:], strict=True)),
        )


class Evidence:
    """Key -> candidate, from the search, race and final sessions of a record that only grows.

    Every line is judged once: a search asks for its candidates several times for each trial. The key is the effective
    one, of a configuration that never ran that of the request.
    """

    def __init__(self, comparer: Comparer, *, reference_key: str) -> None:
        self.candidates: dict[str, Candidate] = {}
        self.requests: dict[DeploymentConfig, Candidate] = {}
        """Every configuration that was asked for, in that order: several may be one candidate."""
        self._comparer = comparer
        self._reference_key = reference_key
        self._lines_read = 0

    def read(self, lines: Sequence[Line]) -> dict[str, Candidate]:
        """The candidates, after what has been added to `lines` since the last time."""
        for line in lines[self._lines_read :]:
            if isinstance(line, SessionLine) and line.phase in SEARCHED:
                self.add(line)
        self._lines_read = len(lines)
        return self.candidates

    def add(self, line: SessionLine) -> None:
        session = line.session
        reference = session.members[0]
        is_paired = isinstance(reference, Windows) and reference.effective.key == self._reference_key
        for i, (config, member) in enumerate(zip(session.configurations, session.members, strict=True)):
            if line.trials[i] is None:
                continue
            found = self.requests.get(config)
            if found is None:
                key = member.effective.key if isinstance(member, Windows) else config.key
                found = self.candidates.setdefault(
                    key, Candidate(key=key, config=config, trial=line.trials[i], assignment=line.assignments[i])
                )
                self.requests[config] = found
            if isinstance(member, Failure):
                found.invalid_sessions += 1
                if not found.comparisons or found.invalid_sessions > INVALID_ALLOWED or member.kind not in FORGIVEN:
                    found.failure = member
                continue
            comparison = None
            if is_paired and isinstance(reference, Windows):
                comparison = self._comparer.compare(member, reference)
            if comparison is not None:
                found.comparisons.append(comparison)
                continue
            found.invalid_sessions += 1
            if not found.comparisons and found.invalid_sessions > INVALID_ALLOWED:
                why = reference if isinstance(reference, Failure) else "nothing completed in a window"
                message = f"never measured beside the reference: {why}"
                found.failure = Failure(kind=FailureKind.RUNTIME, message=message)


def ranked(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Measured candidates, best first: those that keep the limits by rank, then the others by how far they are off."""
    alive = [c for c in candidates if c.is_measured]
    return sorted(alive, key=lambda c: (not c.is_feasible, -c.rank if c.is_feasible else c.violation, c.key))
