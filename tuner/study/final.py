"""Phase 4, the final: the best few and the baselines interleaved, halved until one is left.

Knows the field and the halving; the verdict belongs to the confirmation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuner.study.audit import audit_lines, equal_requests
from tuner.study.baseline_ranking import rank_baselines
from tuner.study.budget import FULL_FINAL, SMALL_FINAL, StudyPlan
from tuner.study.evidence import Candidate, ranked
from tuner.study.play_off import measure_field, next_field
from tuner.study.records import SessionLine
from tuner.study.runner import SessionRunner
from tuner.study.session_plan import LINEUP, plan_session
from tuner.study.state import Reference, StudyState

HOPELESS_SDS = 3.0
"""A candidate so far behind the reference takes no time in the final, however few others there are."""
BASELINES_AT_MOST = 4
"""Where a study names many baselines, the strongest: half of the final's places belong to candidates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Winner:
    """Who goes into the confirmation, and against which baseline."""

    candidate: Candidate
    reference: str


def pick_winner(runner: SessionRunner, plan: StudyPlan) -> Winner | None:
    """Runs what is left of the final. None where no candidate can be better than the reference within the limits."""
    state = runner.state
    field = finalists(state, plan)
    for stage, size in enumerate(plan.final.stages):
        if not field:
            return None
        if stage == state.steps("final"):
            _measure(runner, plan, field[:size])
        field = _of_sessions(state, state.log.sessions("final", round=state.attempt)[stage : stage + 1])
    while rivals := next_field(state, plan, may_win(_open(state), state.reference)):
        if not measure_field(runner, rivals):
            break
    met = _of_sessions(state, state.log.sessions("final", round=state.attempt))
    return winner_of(state, met or field)


def _of_sessions(state: StudyState, lines: Sequence[SessionLine]) -> list[Candidate]:
    """The candidates that met there, best first."""
    numbers = {number for line in lines for number in line.trials if number is not None}
    return ranked(c for c in state.candidates.values() if c.trial in numbers)


def winner_of(state: StudyState, field: Sequence[Candidate]) -> Winner | None:
    """The best of the field, best first, that may win."""
    good = may_win(field, state.reference)
    return Winner(candidate=good[0], reference=_strongest(state)) if good else None


def may_win(field: Sequence[Candidate], reference: Reference) -> list[Candidate]:
    """Those that are better, in the same order. The confirmation is strict where the search was lenient: where any
    keep their limits as measured the others are out."""
    good = [c for c in field if is_better(c, reference)]
    return [c for c in good if c.excess <= 0.0] or good


def is_better(candidate: Candidate, reference: Reference) -> bool:
    """Than the reference, within the limits; where no baseline keeps them it need not be faster."""
    return candidate.is_feasible and (candidate.value > 0.0 or not reference.ranking.is_feasible)


def finalists(state: StudyState, plan: StudyPlan) -> list[Candidate]:
    """The best candidates that are still open, as many as the final takes."""
    room = LINEUP - len(baseline_field(state.reference, plan))
    return _open(state)[: min(plan.final.top or SMALL_FINAL.top, room)]


def _open(state: StudyState) -> list[Candidate]:
    """The measured candidates that no earlier confirmation has judged, best first. One whose gain was not significant
    is not judged yet: more sessions may prove it. Under limits that no baseline keeps a candidate need not be
    faster."""
    open_attempts = {line.round for line in state.log.verdicts() if line.reason == "not_significant"}
    attempts = [a for a in range(1, state.attempt) if a not in open_attempts]
    judged = {line.winner for a in attempts if (line := state.log.confirmation(a))}
    known = [c for c in state.candidates.values() if c.config not in judged]
    if state.reference.ranking.is_feasible:
        known = [c for c in known if c.is_measured and c.value + HOPELESS_SDS * c.sd > 0.0]
    return ranked(known)


def _measure(runner: SessionRunner, plan: StudyPlan, field: Sequence[Candidate]) -> None:
    state = runner.state
    runner.show("final", f"{len(field)} candidates")
    baselines = [state.setup.baselines[name] for name in baseline_field(state.reference, plan)]
    is_long = plan.final == FULL_FINAL
    audited = equal_requests(runner, field, LINEUP - len(baselines) - len(field)) if is_long else []
    line = runner.measure(
        [*baselines, *(c.config for c in field), *(state.setup.configuration(assignment) for assignment in audited)],
        plan_session(state, state.reference, "final", blocks=plan.final.stage_rounds),
        trials=[*(None for _ in baselines), *(c.trial for c in field), *(None for _ in audited)],
        assignments=[*(None for _ in baselines), *(c.assignment for c in field), *audited],
    )
    for words in audit_lines(state, line):
        runner.say(words)


def baseline_field(reference: Reference, plan: StudyPlan) -> list[str]:
    """Returns the baselines that take part, by name, the reference first: all that differ, or the reference alone."""
    return reference.distinct_baselines()[:BASELINES_AT_MOST] if plan.final.has_baselines else [reference.name]


def _strongest(state: StudyState) -> str:
    """The baseline that baselines' session and final together found strongest. Sessions with one of them alone tell
    nothing: what the host did to it there it would have done to the others."""
    configs = state.setup.baselines
    lines = (state.reference.line, *state.log.sessions("final", round=state.attempt))
    members = [dict(zip(line.session.lineup, line.session.members, strict=True)) for line in lines]
    found = [{name: met[config] for name, config in configs.items() if config in met} for met in members]
    return rank_baselines(state.study.objective, *(baselines for baselines in found if len(baselines) > 1)).reference
