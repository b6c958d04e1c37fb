"""What is known of each candidate, read off the sessions on record. Nothing here is stored twice.

Knows values, spreads and limits; not how candidates are proposed nor when a phase ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tuner.bench.metrics import METRICS, Metric, log_ratio
from tuner.bench.protocol import DeploymentConfig, Failure, Session, Windows
from tuner.study.constraint import search_violation
from tuner.study.estimate import pair_ratios, session_sd, session_value
from tuner.study.hopeless import COMPILE_SD
from tuner.study.records import SessionLine
from tuner.study.space import Assignment
from tuner.study.study import Objective

RANK_BY_SD = 0.5
"""Finalists are ranked by mean - 0.5 sd (measurement.md): a lucky short trial does not push out a solid one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One member of one session against that session's reference."""

    value: float
    """Log-ratio, positive = better than the reference."""
    sd: float
    """Its standard error, what differs between two compiles included."""
    violations: Mapping[str, float]
    """Limit -> log of the excess; <= 0 is feasible."""


@dataclass(slots=True, kw_only=True)
class Candidate:
    """One effective configuration and everything measured of it outside the confirmation."""

    key: str
    config: DeploymentConfig
    trial: int | None
    assignment: Assignment | None
    judgements: list[Judgement] = field(default_factory=list)
    failure: Failure | None = None

    @property
    def is_measured(self) -> bool:
        return self.failure is None and bool(self.judgements)

    @property
    def value(self) -> float:
        """The mean of its session values, weighted by their precision."""
        weights = [1 / j.sd**2 for j in self.judgements]
        return sum(w * j.value for w, j in zip(weights, self.judgements, strict=True)) / sum(weights)

    @property
    def sd(self) -> float:
        return math.sqrt(1 / sum(1 / j.sd**2 for j in self.judgements))

    @property
    def rank(self) -> float:
        return self.value - RANK_BY_SD * self.sd

    @property
    def violation(self) -> float:
        """The worst limit's mean excess (log); -inf where there are no limits."""
        names = {name for j in self.judgements for name in j.violations}
        means = []
        for name in names:
            found = [j.violations[name] for j in self.judgements if name in j.violations]
            means.append(sum(found) / len(found))
        return max(means, default=-math.inf)

    @property
    def is_feasible(self) -> bool:
        return self.violation <= 0.0


def judge(
    objective: Objective,
    member: Windows,
    reference: Windows,
    *,
    window_sd: float,
    best_ratios_log: Mapping[str, float],
) -> Judgement | None:
    """One member against the reference of the same session; None where there is nothing to compare.

    In a search few requests are enough for a percentile: it makes no claim. `window_sd` is the calibrated sd of one
    pair, used where the session's own spread is smaller: two pairs that happen to agree prove little.
    """
    metric = objective.row
    value = session_value(metric, member, reference, min_requests=1)
    if value is None:
        return None
    pairs = min(len(member.windows), len(reference.windows))
    own_sd = session_sd(metric, member, reference) if metric.quantile is not None else None
    sd = math.hypot(max(own_sd or 0.0, window_sd / math.sqrt(pairs)), COMPILE_SD)
    violations = {}
    for limit in objective.limits:
        excess = search_violation(limit, member, reference, best_ratios_log.get(limit.metric, 0.0), sd)
        if excess is not None:
            violations[limit.metric] = excess
    return Judgement(value=value, sd=sd, violations=violations)


def gather(
    lines: Iterable[SessionLine],
    objective: Objective,
    *,
    reference_key: str,
    window_sd: float,
    best_ratios_log: Mapping[str, float],
) -> dict[str, Candidate]:
    """Effective key -> candidate, from search, race and final sessions whose first member is the reference."""
    candidates: dict[str, Candidate] = {}
    for line in lines:
        session = line.session
        reference = session.members[0]
        for i, (config, member) in enumerate(zip(session.lineup, session.members, strict=True)):
            if line.trials[i] is None:
                continue
            key = member.effective.key if isinstance(member, Windows) else config.key
            found = candidates.setdefault(
                key, Candidate(key=key, config=config, trial=line.trials[i], assignment=line.assignments[i])
            )
            if isinstance(member, Failure):
                found.failure = member
            elif isinstance(reference, Windows) and reference.effective.key == reference_key:
                judgement = judge(objective, member, reference, window_sd=window_sd, best_ratios_log=best_ratios_log)
                if judgement is not None:
                    found.judgements.append(judgement)
    failed = {c.config for c in candidates.values() if c.failure is not None}
    for candidate in candidates.values():
        if candidate.config in failed and candidate.failure is None:
            candidate.failure = next(
                c.failure for c in candidates.values() if c.config == candidate.config and c.failure
            )
    return candidates


def ranked(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Measured candidates, best first: those that keep the limits by rank, then the others by how far they are off."""
    alive = [c for c in candidates if c.is_measured]
    return sorted(alive, key=lambda c: (not c.is_feasible, -c.rank if c.is_feasible else c.violation, c.key))


def metrics_of(windows: Windows) -> dict[str, float]:
    """Every metric of a member, pooled over its windows."""
    return {name: metric.read(windows.windows) for name, metric in METRICS.items()} if windows.windows else {}


def pooled(sessions: Iterable[Session], config: DeploymentConfig) -> Windows | None:
    """All windows of one configuration over several sessions; None where it never ran."""
    found = [
        member
        for session in sessions
        for member_config, member in zip(session.lineup, session.members, strict=True)
        if member_config == config and isinstance(member, Windows)
    ]
    if not found:
        return None
    windows = tuple(w for member in found for w in member.windows)
    return Windows(
        effective=found[0].effective,
        windows=windows,
        compile_s=found[0].compile_s,
        is_steady=all(member.is_steady for member in found),
    )


def plain_ratio(metric: Metric, a: Windows, b: Windows) -> float:
    """How much better `a` is than `b` on a metric beside the objective: paired where pairs exist, else pooled."""
    if metric.quantile is None and (ratios := pair_ratios(metric, a.windows, b.windows)):
        return sorted(ratios)[len(ratios) // 2]
    return log_ratio(metric, a.windows, b.windows)
