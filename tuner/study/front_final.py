"""The final of several objectives: the points that may lie on the front, beside every baseline, in as many lineups as
they fill, and who of them is confirmed.

Knows candidates, baselines and lineups; the front itself is decided by the confirmation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuner.bench.protocol import DeploymentConfig, Windows
from tuner.study.budget import CONFIRM_TOLERANCE, FRONT_MEMBERS, StudyPlan
from tuner.study.decision import SESSIONS
from tuner.study.evidence import Candidate, Estimate, mean_of
from tuner.study.final import baseline_field
from tuner.study.front import is_clearly_dominated, layers, ranked_for
from tuner.study.runner import SessionRunner
from tuner.study.session_plan import LINEUP, WARM_UP_WINDOWS, longer_s, percentile_blocks, plan_session
from tuner.study.state import StudyState

POINTS_AT_LEAST = FRONT_MEMBERS - 1
"""Beside the reference; as many are confirmed even where four sessions of them take longer than was reserved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """Who may be a point of the front: a candidate or a baseline, with what is known of each objective."""

    name: str
    """A baseline's, or `trial 12`."""
    config: DeploymentConfig
    estimates: Sequence[Estimate]
    candidate: Candidate | None = None


def pick_points(runner: SessionRunner, plan: StudyPlan) -> list[Entrant]:
    """Runs what is left of the final. The points that are worth confirming beside the reference: the other baselines,
    which a candidate has to be better than, then the candidates, the most worth first. None where no candidate may be
    on the front."""
    state = runner.state
    room = LINEUP - len(baseline_field(state.reference, plan))
    lineups = math.ceil(plan.final.top / room)
    while state.steps("final") < lineups:
        lines = state.log.sessions("final", round=state.attempt)
        done = {number for line in lines for number in line.trials if number is not None}
        waiting = [c for c in field_of(state, plan) if c.trial not in done][:room]
        if not waiting:
            break
        _measure(runner, plan, waiting)
    points = [e for e in _undominated(state, plan) if e.name != state.reference.name]
    candidates = [e for e in points if e.candidate is not None]
    return [*(e for e in points if e.candidate is None), *candidates] if candidates else []


def field_of(state: StudyState, plan: StudyPlan) -> list[Candidate]:
    """The candidates that nobody clearly dominates, the most worth more time first, as many as the final takes."""
    found = {e.candidate.key for e in _undominated(state, plan) if e.candidate is not None}
    known = [c for c in state.candidates.values() if c.key in found]
    order = ranked_for(state.study.objective, known)
    return order[: plan.final.top or LINEUP]


def front_size(state: StudyState, plan: StudyPlan, points: Sequence[Entrant]) -> tuple[int, int, int, float]:
    """How many of the points, most worth first, are confirmed, in how many sessions of how many pairs, and the seconds
    that takes: as many points as a lineup holds and four sessions of them fit into the time reserved, four at least."""
    cost = state.reference.noise.cost
    measured = [e.candidate for e in points if e.candidate is not None]
    fewest = min((c.comparisons[-1].requests_per_window for c in measured), default=math.inf)
    per_window = min(fewest, state.reference.noise.requests_per_window)
    pairs = max(plan.pairs, percentile_blocks(state.study.objective, per_window))

    def one_s(count: int) -> float:
        longer = sum(longer_s(state.reference, e.candidate) for e in points[:count] if e.candidate is not None)
        return cost.of(pairs, plan.window_s, 1 + count) + (pairs + WARM_UP_WINDOWS) * longer

    count = min(LINEUP - 1, len(points))
    if plan.total_s is not None:
        while count > POINTS_AT_LEAST and SESSIONS[0] * one_s(count) > CONFIRM_TOLERANCE * plan.confirm_s:
            count -= 1
    sessions = plan.sessions_within(one_s(count))
    return count, sessions, pairs, sessions * one_s(count)


def front_beyond_plan_s(state: StudyState, plan: StudyPlan) -> float:
    """How much longer than planned final and confirmation take with the points found so far."""
    field = field_of(state, plan)
    if not field:
        return 0.0
    longer = sum(longer_s(state.reference, c) for c in field)
    entrants = [_entrant(c) for c in field]
    confirm_s = front_size(state, plan, entrants)[3]
    final_s = (plan.final.stage_rounds + WARM_UP_WINDOWS) * longer
    return final_s + max(0.0, confirm_s - plan.confirm_s)


def _undominated(state: StudyState, plan: StudyPlan) -> list[Entrant]:
    """Candidates and baselines that keep the limits and that none of the others clearly dominates: by layers, those
    known to be good at something first."""
    candidates = [c for c in state.candidates.values() if c.is_measured and c.is_feasible]
    everyone = [*_baseline_entrants(state, plan), *map(_entrant, candidates)]
    alive = [
        e for e in everyone if not any(is_clearly_dominated(e.estimates, o.estimates) for o in everyone if o is not e)
    ]
    named = {e.name: e for e in alive}
    order = layers({e.name: [x.value for x in e.estimates] for e in alive})
    return [named[name] for layer in order for name in layer]


def _entrant(candidate: Candidate) -> Entrant:
    return Entrant(
        name=f"trial {candidate.trial}",
        config=candidate.config,
        estimates=candidate.estimates,
        candidate=candidate,
    )


def _baseline_entrants(state: StudyState, plan: StudyPlan) -> list[Entrant]:
    """One baseline of each effective configuration, of those that keep the limits, by every session outside the
    confirmation in which it ran beside the reference."""
    sessions: list[Mapping[DeploymentConfig, Windows]] = [
        {c: m for c, m in zip(line.session.lineup, line.session.members, strict=True) if isinstance(m, Windows)}
        for line in (state.reference.line, *state.log.sessions("final", round=state.attempt))
    ]
    reference, baselines = state.reference, state.setup.baselines
    found = []
    for name in baseline_field(reference, plan):
        config = baselines[name]
        if max(reference.ranking.violations[name].values(), default=-math.inf) > 0.0:
            continue
        if name == reference.name:
            zeros = [Estimate(value=0.0, sd=0.0)] * len(state.study.objective.metrics)
            found.append(Entrant(name=name, config=config, estimates=zeros))
            continue
        compared = [
            comparison.estimates
            for members in sessions
            if config in members
            and reference.configuration in members
            and (comparison := reference.comparer.compare(members[config], members[reference.configuration]))
        ]
        if compared:
            columns = zip(*compared, strict=True)
            found.append(Entrant(name=name, config=config, estimates=[mean_of(column) for column in columns]))
    return found


def _measure(runner: SessionRunner, plan: StudyPlan, group: Sequence[Candidate]) -> None:
    state = runner.state
    runner.show("final", f"{len(group)} candidates")
    baselines = [state.setup.baselines[name] for name in baseline_field(state.reference, plan)]
    runner.measure(
        [*baselines, *(c.config for c in group)],
        plan_session(state, state.reference, "final", blocks=plan.final.stage_rounds),
        trials=[*(None for _ in baselines), *(c.trial for c in group)],
        assignments=[*(None for _ in baselines), *(c.assignment for c in group)],
    )
