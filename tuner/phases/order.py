"""The order of the phases, from the baselines to the verdict. Runs on any Bench; what is on record is not done again.

Knows what follows what; each phase has its own module.
"""

from __future__ import annotations

from dataclasses import replace

from tuner.decision.result import Result, is_finished, read_result
from tuner.decision.verdict import decide
from tuner.evidence.state import StudyState
from tuner.evidence.trials import finished_trials
from tuner.phases.baselines import settle_reference
from tuner.phases.confirmation import confirmation_lines, run_confirmation
from tuner.phases.final import next_confirmation
from tuner.phases.runner import SessionRunner
from tuner.phases.search import explore
from tuner.planning.description import plan_lines
from tuner.planning.selection import runner_up
from tuner.planning.study_plan import study_plan
from tuner.records.session_log import VerdictLine
from tuner.report.words.space import given_up_line
from tuner.report.words.verdict import verdict_words
from tuner.search.enumeration import SpaceEnumeration, enumerate_space
from tuner.search.optuna_study import Search
from tuner.search.strategies import EndReason, SearchEnd

FINISHED = "finished before: its verdict stands, and a larger budget searches on"

FEW_TRIALS, FEW_SHARE = 12, 0.5
"""Number of candidates, and share of the space, below which the budget ended the search, not the search itself."""


def run_phases(runner: SessionRunner, search: Search) -> Result:
    """Runs phases 1 to 6, from wherever the record stands, with a search that is empty. Raises their TunerErrors."""
    state = runner.state
    if is_finished(state):
        runner.say(FINISHED)
        return read_result(state)
    if state.log.all_sessions():
        runner.say(_resumed_line(state))
    # A space that does not compile is found before anything is measured.
    enumeration = enumerate_space(
        state.setup, runner.resolve, clock=runner.clock, tell=lambda found: runner.say(given_up_line(found))
    )
    state = runner.state = replace(state, distinct=len(enumeration.distinct) if enumeration else None)
    settle_reference(runner)
    plan = study_plan(state)
    for line in plan_lines(state, plan):
        runner.say(line)
    end = None
    search.restore(finished_trials(state), duplicates=state.log.duplicates())
    is_searched = bool(state.session_count("final")) or runner_up(state) is not None
    if not is_searched and state.log.confirmation(state.attempt) is None:
        end = explore(runner, plan, search, enumeration)
        runner.say(f"search ended: {end}{_few(state, enumeration)}")
    while True:
        verdict = _conclude(runner, end)
        for line in confirmation_lines(state):
            runner.say(line)
        runner.append(replace(verdict, duplicates=search.duplicates))
        if (following := runner_up(state)) is None:
            return read_result(state)
        runner.say(f"turned down: {verdict.detail}; the runner-up is {following.config}")


def _conclude(runner: SessionRunner, end: SearchEnd | None) -> VerdictLine:
    """Runs what is missing of the final and of the confirmation, and returns the verdict of the attempt."""
    state, budget = runner.state, runner.state.study.budget
    plan = state.log.confirmation(state.attempt)
    if plan is None and (plan := next_confirmation(runner, study_plan(state))) is not None:
        # Fixed on disk before the first session: what is confirmed, and in how many sessions.
        runner.append(plan)
    found = run_confirmation(runner, plan) if plan else None
    failure = end.cause if end is not None and end.reason is EndReason.ALL_FAILED else ""
    verdict = decide(state, found, failure=failure)
    return VerdictLine(
        attempt=state.attempt,
        verdict="tuned" if verdict.cause.reason.is_tuned else "baseline",
        reason=verdict.cause.reason,
        detail=verdict_words(verdict),
        minutes=budget.minutes,
        trials=budget.trials,
    )


def _resumed_line(state: StudyState) -> str:
    """Returns the point at which a study that has begun stands."""
    lines, remaining_s = state.log.all_sessions(), state.remaining_s()
    left = "no limit of time" if remaining_s is None else f"{max(0.0, remaining_s):.0f} s left"
    return f"resuming: {len(lines)} sessions on record, phase {lines[-1].phase}, {left}"


def _few(state: StudyState, enumeration: SpaceEnumeration | None) -> str:
    """Returns that the budget was too short for a search; empty if it was not."""
    tried = {n for line in state.log.sessions("search", "race") for n in line.trials if n is not None}
    if enumeration is None or len(tried) >= min(FEW_TRIALS, FEW_SHARE * len(enumeration.distinct)):
        return ""
    return f"; only {len(tried)} of {len(enumeration.distinct)} configurations were tried: a longer budget tries more"
