"""Runs the phases in their order, from the baselines to the verdict; what is on record is not done again.

Knows what follows what, on any bench; each phase has its own module.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from tuner.bench.configuration import DeploymentConfig, Effective, Failure
from tuner.decision.result import Result, is_finished, read_result
from tuner.decision.verdict import decide
from tuner.evidence.state import StudyState
from tuner.evidence.trials import finished_trials
from tuner.phases.baselines import settle_reference
from tuner.phases.confirmation import read_host, run_confirmation
from tuner.phases.final import next_confirmation
from tuner.phases.progress import CandidateRejected, Measuring, SearchEnded, StudyFinished, StudyResumed
from tuner.phases.runner import SessionRunner
from tuner.phases.search import explore
from tuner.planning.description import describe_plan
from tuner.planning.selection import runner_up
from tuner.planning.study_plan import study_plan
from tuner.records.session_log import VerdictLine
from tuner.search.enumeration import enumerate_space
from tuner.search.optuna_study import Search
from tuner.search.strategies import EndReason, SearchEnd


def run_phases(runner: SessionRunner, search: Search) -> Result:
    """Runs phases 1 to 6, from wherever the record stands, with a search that is empty. Raises their TunerErrors."""
    state = runner.state
    if is_finished(state):
        runner.tell(StudyFinished())
        return read_result(state)
    if sessions := state.log.all_sessions():
        remaining_s = state.remaining_s()
        runner.tell(StudyResumed(sessions=len(sessions), phase=sessions[-1].phase, remaining_s=remaining_s))
    # A space that does not compile is found before anything is measured.
    resolve = partial(_resolve_shown, runner, itertools.count(1))
    enumeration = enumerate_space(state.setup, resolve, clock=runner.clock, tell=runner.tell)
    state = runner.state = replace(state, distinct=len(enumeration.distinct) if enumeration else None)
    settle_reference(runner)
    plan = study_plan(state)
    runner.tell(describe_plan(state))
    end = None
    search.restore(finished_trials(state), duplicates=state.log.duplicates())
    is_searched = bool(state.session_count("final")) or runner_up(state) is not None
    if not is_searched and state.log.confirmation(state.attempt) is None:
        end = explore(runner, plan, search, enumeration)
        distinct = len(enumeration.distinct) if enumeration else None
        runner.tell(SearchEnded(end=end, tried=_tried(state), distinct=distinct))
    while True:
        verdict = _conclude(runner, end)
        runner.tell(read_host(state))
        runner.append(replace(verdict, duplicates=search.duplicates))
        if (following := runner_up(state)) is None:
            return read_result(state)
        searched = state.setup.space.searched
        runner.tell(CandidateRejected(detail=verdict.detail, following=following.config, differing=searched))


def _resolve_shown(runner: SessionRunner, numbers: Iterator[int], config: DeploymentConfig) -> Effective | Failure:
    """Returns what the device makes of a configuration, after its number was shown: many compiles take a while."""
    runner.show("enumeration", Measuring(configurations=(config,), session=next(numbers)))
    return runner.resolve(config)


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
        detail=runner.describe(verdict),
        minutes=budget.minutes,
        trials=budget.trials,
        answer=verdict.answer,
    )


def _tried(state: StudyState) -> int:
    """Returns the number of candidates that searches have measured."""
    return len({n for line in state.log.sessions("search", "race") for n in line.trials if n is not None})
