"""Selection of the candidates and baselines for the final and the confirmation, for several objectives.

Must not measure. The front itself is decided by the confirmation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuner.bench.configuration import DeploymentConfig
from tuner.evidence.candidates import Candidate, ranked_for
from tuner.evidence.state import StudyState
from tuner.planning.budget import SD_FLOOR, StudyPlan
from tuner.planning.confirmation_size import front_size
from tuner.planning.selection import final_baselines
from tuner.planning.session_plan import MEMBERS_AT_MOST
from tuner.records.confirmation_plan import FrontLine
from tuner.statistics.pareto import is_clearly_dominated, layers
from tuner.statistics.sequential_test import attempt_alpha
from tuner.statistics.session_effect import Estimate, mean_of


@dataclass(frozen=True, slots=True)
class FrontCandidate:
    """A candidate or a baseline that may be a point of the front, with its estimate of each objective."""

    name: str
    """Name of the baseline, or `trial 12`."""
    config: DeploymentConfig
    estimates: Sequence[Estimate]
    candidate: Candidate | None = None
    """The candidate; None for a baseline."""


def front_finalists(state: StudyState, plan: StudyPlan) -> list[Candidate]:
    """Returns the candidates that none clearly dominates, most worth more time first, as many as the final takes."""
    found = {c.candidate.key for c in _undominated(state, plan) if c.candidate is not None}
    known = [c for c in state.candidates.values() if c.key in found]
    return ranked_for(state.study.objective, known)[: plan.final.top or MEMBERS_AT_MOST]


def confirmed_points(state: StudyState, plan: StudyPlan) -> list[FrontCandidate]:
    """Returns the points that are worth confirming beside the reference; none if no candidate may be on the front.

    The other baselines come first, which a candidate has to be better than, then the candidates, most worth first.
    """
    points = [c for c in _undominated(state, plan) if c.name != state.reference.name]
    candidates = [c for c in points if c.candidate is not None]
    return [*(c for c in points if c.candidate is None), *candidates] if candidates else []


def plan_front_confirmation(state: StudyState, plan: StudyPlan, points: Sequence[FrontCandidate]) -> FrontLine:
    """Returns the plan of a front's confirmation: the first points, as many as fit into the time that there is."""
    size = front_size(state, plan, [point.candidate for point in points])
    confirmed = points[: size.members]
    return FrontLine(
        attempt=state.attempt,
        members=tuple(point.config for point in confirmed),
        names=tuple(point.name for point in confirmed),
        reference=state.reference.name,
        sessions=size.sessions,
        alpha=attempt_alpha(state.log.winners_before(state.attempt), state.log.baselines_alone_before(state.attempt)),
        pairs=size.pairs,
        window_s=plan.window_s,
        sd_floor=SD_FLOOR * state.reference.noise.session_sd,
    )


def _undominated(state: StudyState, plan: StudyPlan) -> list[FrontCandidate]:
    """Returns the candidates and baselines that keep the limits and that no other clearly dominates.

    The order is by layers: first those that are known to be good at something.
    """
    candidates = (c for c in state.candidates.values() if c.is_measured and c.is_feasible)
    known = [
        *_baseline_candidates(state, plan),
        *(FrontCandidate(f"trial {c.trial}", c.config, c.estimates, candidate=c) for c in candidates),
    ]
    alive = {
        one.name: one
        for one in known
        if not any(is_clearly_dominated(one.estimates, by.estimates) for by in known if by is not one)
    }
    order = layers({name: [x.value for x in one.estimates] for name, one in alive.items()})
    return [alive[name] for layer in order for name in layer]


def _baseline_candidates(state: StudyState, plan: StudyPlan) -> list[FrontCandidate]:
    """Returns one baseline of each effective configuration that keeps the limits and was measured."""
    reference, configs = state.reference, state.setup.baselines
    names = [name for name in final_baselines(reference, plan) if reference.ranking.keeps_limits(name)]
    found = (FrontCandidate(name, configs[name], _baseline_estimates(state, name)) for name in names)
    return [baseline for baseline in found if baseline.estimates]


def _baseline_estimates(state: StudyState, name: str) -> list[Estimate]:
    """Returns a baseline's estimate of each objective; empty if it was never compared with the reference.

    Every session outside the confirmation counts in which both ran.
    """
    reference, config = state.reference, state.setup.baselines[name]
    if name == reference.name:
        return [Estimate(value=0.0, sd=0.0)] * len(state.study.objective.metrics)
    lines = (reference.line, *state.log.sessions("final", attempt=state.attempt))
    sessions = [dict(line.session.ran()) for line in lines]
    shared = [
        (ran[config], ran[reference.configuration])
        for ran in sessions
        if {config, reference.configuration} <= ran.keys()
    ]
    compared = [found.estimates for pair in shared if (found := reference.comparer.compare(*pair))]
    return [mean_of(column) for column in zip(*compared, strict=True)]
