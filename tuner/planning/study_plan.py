"""The division of a study's time, by the noise and the costs that its record shows. Arithmetic alone; nothing acts."""

from __future__ import annotations

from tuner.evidence.session_cost import PAIRS, usual_cost
from tuner.evidence.state import StudyState
from tuner.planning.budget import SHORT_WINDOW_S, SessionTerms, StudyPlan, plan_budget
from tuner.planning.session_plan import percentile_blocks
from tuner.study.setup import StudySetup
from tuner.study.windows import first_window_s, is_window_fixed

TODAY_PAIRS = 2 * PAIRS
"""Number of pairs up to which sessions are longer for the percentiles of today's baseline: they are for the winner."""


def study_plan(state: StudyState, attempt: int | None = None) -> StudyPlan:
    """Returns how the budget of an attempt is divided, by default of the current one.

    The time of finals and confirmations of earlier attempts is spent. Raises ValueError before a baseline has run.
    """
    attempt = state.attempt if attempt is None else attempt
    setup, reference, log = state.setup, state.reference, state.log
    minutes, objective = setup.study.budget.minutes, setup.study.objective
    earlier_s = sum(line.session.wall_s for line in log.sessions("final", "confirm") if line.attempt < attempt)
    terms = SessionTerms(
        cost=reference.noise.cost,
        baselines=len(setup.baselines),
        baselines_s=sum(line.session.wall_s for line in (reference.line, *log.sessions("calibration"))),
        wanted_window_s=reference.noise.window_s,
        min_window_s=shortest_window_s(setup),
        min_pairs=max(
            percentile_blocks(objective, reference.noise.requests_per_window),
            min(TODAY_PAIRS, percentile_blocks(objective, reference.requests_per_window)),
        ),
        has_several=objective.has_several,
        members=3 if reference.differs_from_today(reference.name) else 2,
    )
    return plan_budget(None if minutes is None else max(0.0, 60.0 * minutes - earlier_s), terms)


def usual_plan(setup: StudySetup) -> StudyPlan:
    """Returns how the budget is divided on a usual host: the plan before the baselines have run."""
    study = setup.study
    minutes = study.budget.minutes
    terms = SessionTerms(
        cost=usual_cost(
            replicas=study.conditions.replicas,
            has_own_processes=study.has_own_processes,
            windows=study.windows_per_block,
        ),
        baselines=len(setup.baselines),
        wanted_window_s=first_window_s(setup),
        min_window_s=shortest_window_s(setup),
        has_several=study.objective.has_several,
    )
    return plan_budget(None if minutes is None else 60 * minutes, terms)


def shortest_window_s(setup: StudySetup) -> float:
    """Returns the length (s) of the shortest window that still holds enough of what happens."""
    return first_window_s(setup) if is_window_fixed(setup) else SHORT_WINDOW_S
