"""The front of several objectives: which confirmed points are on it, and which of them is the knee.

Responsible for the evidence of a confirmation; measurements of the search do not count here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tuner.decision.confirmation import Confirmation, gaps_between
from tuner.decision.pareto_point import ParetoPoint, Removal, RemovalReason, measured_point, removal_of, with_proof
from tuner.evidence.state import StudyState
from tuner.planning.selection import BASELINES_AT_MOST
from tuner.statistics.pareto import is_beaten, knee, survivors


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """The front of one attempt."""

    confirmation: Confirmation | None
    """None if no candidate was worth confirming: the points are baselines as they were first measured."""
    points: tuple[ParetoPoint, ...]
    """Points of the front, by the first objective, best first."""
    knee: ParetoPoint | None
    """The point that is deployed; None if no point may be."""
    removed: Mapping[str, Removal] = field(default_factory=dict)
    """Name of a confirmed point that is not on the front -> the reason."""

    @property
    def sessions(self) -> int:
        """Number of sessions in which the reference ran."""
        return len(self.confirmation.sessions) if self.confirmation else 0


def read_front(state: StudyState, found: Confirmation | None) -> Front:
    """Returns the front of a confirmation, or that of the baselines if there is no confirmation."""
    if found is None:
        return _front(None, _measured_baselines(state))
    points = [measured_point(state, found, position) for position in range(1 + len(found.plan.members))]
    removed = {point.name: why for point in points if (why := removal_of(state, found, point))}
    alive = [point for point in points if point.name not in removed]
    beats = {
        (a.name, b.name): is_beaten(gaps_between(state, found, a.position, b.position), sd_floor=found.plan.sd_floor)
        for a in alive
        for b in alive
        if a is not b
    }
    on_front = survivors(alive, lambda a, b: beats[a.name, b.name], lambda point: sum(point.values))
    names = [point.name for point in on_front]
    for point in alive:
        if point.name not in names:
            by = next((name for name in names if beats[name, point.name]), "")
            removed[point.name] = Removal(reason=RemovalReason.BEATEN, by=by)
    baselines = [point for point in alive if point.is_baseline]
    proved = [with_proof(state, found, point, baselines) for point in on_front]
    return _front(found, proved, removed, has_baselines=bool(baselines))


def _front(
    found: Confirmation | None,
    points: Sequence[ParetoPoint],
    removed: Mapping[str, Removal] | None = None,
    *,
    has_baselines: bool = True,
) -> Front:
    """Returns a front with its knee: a baseline or a proved point if baselines keep the limits, else any point."""
    ordered = tuple(sorted(points, key=lambda point: (-point.values[0], point.name)))
    eligible = [point for point in ordered if point.is_baseline or point.is_proven or not has_baselines]
    extent = [point.values for point in ordered]
    return Front(
        confirmation=found,
        points=ordered,
        knee=eligible[knee([point.values for point in eligible], extent)] if eligible else None,
        removed=removed or {},
    )


def _measured_baselines(state: StudyState) -> list[ParetoPoint]:
    """Returns the baselines that keep the limits, as they were measured against each other."""
    ranking = state.reference.ranking
    return [
        ParetoPoint(
            name=name,
            config=state.setup.baselines[name],
            is_baseline=True,
            values=(ranking.values[name], *(values[name] for values in ranking.others.values())),
        )
        for name in state.reference.distinct_baselines()[:BASELINES_AT_MOST]
        if ranking.keeps_limits(name)
    ]
