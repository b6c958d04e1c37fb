"""Runs the final: the best few candidates and the baselines, interleaved.

Must not choose: `selection.py` and `pareto_selection.py` do. With one objective those that may be the best are measured
again until more would tell nothing; with several objectives all are measured, in as many sessions as needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tuner.bench.protocol import Role, SessionMember
from tuner.evidence.candidates import Candidate
from tuner.phases.audit import equal_requests, read_audits
from tuner.phases.progress import Measuring
from tuner.phases.runner import SessionRunner
from tuner.planning.budget import StudyPlan
from tuner.planning.pareto_selection import confirmed_points, front_finalists, plan_front_confirmation
from tuner.planning.selection import (
    REFINEMENT_BLOCKS,
    Finalist,
    best_finalist,
    candidates_in,
    final_baselines,
    finalists,
    next_refinement,
    plan_baseline_confirmation,
    plan_confirmation,
    runner_up,
)
from tuner.planning.session_plan import MEMBERS_AT_MOST, plan_session
from tuner.records.confirmation_plan import ConfirmationPlan
from tuner.records.session_log import SessionLine
from tuner.study.space import Assignment


def next_confirmation(runner: SessionRunner, plan: StudyPlan) -> ConfirmationPlan | None:
    """Runs the missing sessions of the final and returns the plan of the confirmation that follows.

    None if no candidate can be better than the reference within the limits, and the reference is what runs today.
    """
    state = runner.state
    if state.study.objective.has_several:
        _run_front_final(runner, plan)
        points = confirmed_points(state, plan)
        return plan_front_confirmation(state, plan, points) if points else None
    following = runner_up(state)
    finalist = best_finalist(state, [following]) if following else _run_final(runner, plan)
    return plan_confirmation(state, plan, finalist) if finalist else plan_baseline_confirmation(state, plan)


def _run_final(runner: SessionRunner, plan: StudyPlan) -> Finalist | None:
    state = runner.state
    chosen = finalists(state, plan)
    if chosen and plan.final.has_baselines and not state.session_count("final"):
        _measure_baselines_too(runner, plan, chosen)
    while refined := next_refinement(state, plan):
        before = _comparison_count(runner)
        # Fresh processes: only several compiles average out the difference between two.
        _measure(
            runner,
            [state.reference.name],
            refined.candidates,
            is_refinement=True,
            blocks=REFINEMENT_BLOCKS,
            is_fresh=True,
        )
        if _comparison_count(runner) == before:
            break  # the reference failed
    met = candidates_in(state, state.log.sessions("final", attempt=state.attempt))
    return best_finalist(state, met or chosen)


def _run_front_final(runner: SessionRunner, plan: StudyPlan) -> None:
    state = runner.state
    baselines = final_baselines(state.reference, plan)
    room = MEMBERS_AT_MOST - len(baselines)
    while state.session_count("final") < math.ceil(plan.final.top / room):
        lines = state.log.sessions("final", attempt=state.attempt)
        done = {number for line in lines for number in line.trials if number is not None}
        waiting = [c for c in front_finalists(state, plan) if c.trial not in done][:room]
        if not waiting:
            return
        _measure(runner, baselines, waiting, blocks=REFINEMENT_BLOCKS)


def _measure_baselines_too(runner: SessionRunner, plan: StudyPlan, chosen: Sequence[Candidate]) -> None:
    """Measures the best candidates and the baselines, with requests that should make no difference, for the audit."""
    baselines = final_baselines(runner.state.reference, plan)
    audited = equal_requests(runner, chosen, MEMBERS_AT_MOST - len(baselines) - len(chosen))
    line = _measure(runner, baselines, chosen, audited=audited, blocks=REFINEMENT_BLOCKS)
    for audit in read_audits(runner.state, line):
        runner.tell(audit)


def _measure(
    runner: SessionRunner,
    baselines: Sequence[str],
    chosen: Sequence[Candidate],
    *,
    audited: Sequence[Assignment] = (),
    is_refinement: bool = False,
    blocks: int,
    is_fresh: bool = False,
) -> SessionLine:
    """Measures one session of baselines, candidates and audited requests."""
    state = runner.state
    measuring = Measuring(configurations=tuple(c.config for c in chosen), is_refinement=is_refinement)
    runner.show("final", measuring)
    roles = [Role.REFERENCE, *[Role.BASELINE] * (len(baselines) - 1)]
    members = [
        *(SessionMember(config=state.setup.baselines[b], role=r) for b, r in zip(baselines, roles, strict=True)),
        *(SessionMember(config=c.config, role=Role.CANDIDATE, trial=c.trial, assignment=c.assignment) for c in chosen),
        *(SessionMember(config=state.setup.configuration(a), role=Role.AUDIT, assignment=a) for a in audited),
    ]
    return runner.measure(members, plan_session(state, state.reference, "final", blocks=blocks, is_fresh=is_fresh))


def _comparison_count(runner: SessionRunner) -> int:
    return sum(len(candidate.comparisons) for candidate in runner.state.candidates.values())
