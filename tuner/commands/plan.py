"""Tells what `tuner run` would do: baselines, the listed space, the parts of the budget, provable gains.

Knows the plan of a budget; measures nothing and writes nothing.
"""

from __future__ import annotations

from tuner.decision.result import is_finished
from tuner.phases.progress import BaselinesListed, CallersStated, Event, SpaceEnumerated, StudyFinished
from tuner.phases.runner import SessionRunner
from tuner.planning.description import describe_plan
from tuner.search.enumeration import enumerate_space


def plan_events(runner: SessionRunner) -> list[Event]:
    """Returns what a run would do, as the events that it would begin with. Resolves the whole space.

    Noise and costs are the usual ones until the baselines of this study are on record.
    """
    state = runner.state
    study = state.study
    events: list[Event] = [CallersStated(callers=study.callers)] if study.callers or study.means_one_caller else []
    events.append(BaselinesListed(baselines=state.setup.baselines))
    if enumeration := enumerate_space(state.setup, runner.resolve, clock=runner.clock, tell=runner.tell):
        events.append(SpaceEnumerated(enumeration=enumeration))
    return [*events, StudyFinished() if is_finished(state) else describe_plan(state)]
