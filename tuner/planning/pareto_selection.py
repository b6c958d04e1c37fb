"""Which candidates and baselines take part in the final and are confirmed, where there are several objectives.

Knows what is believed of candidates; measures nothing. The front itself is decided by the confirmation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuner.bench.configuration import DeploymentConfig
from tuner.bench.measurement import Windows
from tuner.evidence.candidates import Candidate, ranked_for
from tuner.evidence.state import StudyState
from tuner.planning.budget import SD_FLOOR, StudyPlan
from tuner.planning.confirmation_size import front_size
from tuner.planning.selection import final_baselines
from tuner.planning.session_plan import MEMBERS_AT_MOST
from tuner.records.confirmation_plan import FrontLine
from tuner.statistics.pareto import is_clearly_dominated, layers
from tuner.statistics.sequential_test import alpha_of
from tuner.statistics.session_effect import Estimate, mean_of


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontCandidate:
    """A candidate or a baseline that may be a point of the front, with what is known of each objective."""

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
        alpha=alpha_of(state.log.winners_before(state.attempt)),
        pairs=size.pairs,
        window_s=plan.window_s,
        sd_floor=SD_FLOOR * state.reference.noise.session_sd,
    )


def front_candidate(candidate: Candidate) -> FrontCandidate:
    """Returns a candidate as a possible point."""
    return FrontCandidate(
        name=f"trial {candidate.trial}",
        config=candidate.config,
        estimates=candidate.estimates,
        candidate=candidate,
    )


def _undominated(state: StudyState, plan: StudyPlan) -> list[FrontCandidate]:
    """Returns the candidates and baselines that keep the limits and that no other clearly dominates.

    The order is by layers: first those that are known to be good at something.
    """
    candidates = [c for c in state.candidates.values() if c.is_measured and c.is_feasible]
    known = [*_baseline_candidates(state, plan), *map(front_candidate, candidates)]
    alive = {
        one.name: one
        for one in known
        if not any(is_clearly_dominated(one.estimates, by.estimates) for by in known if by is not one)
    }
    order = layers({name: [x.value for x in one.estimates] for name, one in alive.items()})
    return [alive[name] for layer in order for name in layer]


def _baseline_candidates(state: StudyState, plan: StudyPlan) -> list[FrontCandidate]:
    """Returns one baseline of each effective configuration, of those that keep the limits.

    Every session outside the confirmation counts in which the baseline ran beside the reference.
    """
    sessions: list[Mapping[DeploymentConfig, Windows]] = [
        {c: m for c, m in zip(line.session.configurations, line.session.members, strict=True) if isinstance(m, Windows)}
        for line in (state.reference.line, *state.log.sessions("final", attempt=state.attempt))
    ]
    reference, found = state.reference, []
    for name in final_baselines(reference, plan):
        if not reference.ranking.keeps_limits(name):
            continue
        config = state.setup.baselines[name]
        if name == reference.name:
            estimates = [Estimate(value=0.0, sd=0.0)] * len(state.study.objective.metrics)
        else:
            compared = [
                comparison.estimates
                for members in sessions
                if config in members
                and reference.configuration in members
                and (comparison := reference.comparer.compare(members[config], members[reference.configuration]))
            ]
            estimates = [mean_of(column) for column in zip(*compared, strict=True)]
        if estimates:
            found.append(FrontCandidate(name=name, config=config, estimates=estimates))
    return found
