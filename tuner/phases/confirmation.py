"""Phases 5 and 6: the sessions of a confirmation, in fresh processes on fresh data.

Acts: it runs what `confirmation.py` says is missing.
"""

from __future__ import annotations

from tuner.bench.protocol import Role, SessionMember
from tuner.decision.confirmation import Confirmation, is_decided, read_confirmation
from tuner.evidence.state import StudyState
from tuner.phases.runner import SessionRunner
from tuner.planning.session_plan import plan_session
from tuner.records.confirmation_plan import ConfirmationPlan
from tuner.report.words.host import disturbed_words, late_words, warning
from tuner.statistics.disturbance import count_disturbed, mean_load, windows_of


def run_confirmation(runner: SessionRunner, plan: ConfirmationPlan) -> Confirmation:
    """Runs the sessions of a confirmation that are missing and returns what all of them show."""
    state = runner.state
    while not is_decided(found := read_confirmation(state, plan)):
        _show(runner, found)
        session_plan = plan_session(
            state, state.reference, "confirm", blocks=plan.pairs, window_s=plan.window_s, is_fresh=True
        )
        reference = SessionMember(config=state.setup.baselines[plan.reference], role=Role.REFERENCE)
        winners = [SessionMember(config=config, role=Role.CANDIDATE) for config in plan.members]
        runner.measure([reference, *winners], session_plan)
    return found


def _show(runner: SessionRunner, found: Confirmation) -> None:
    plan, number = found.plan, len(found.sessions) + 1
    if plan.is_front:
        note, incumbent = f"session {number} of {plan.looks[-1]}, {len(plan.members)} points", ""
    else:
        note, incumbent = f"session {number} of at most {plan.looks[-1]}", str(plan.members[0])
    runner.show(
        "confirm",
        note,
        incumbent=incumbent,
        incumbent_gain=found.interval.estimate if found.interval else None,
        reference=plan.reference,
    )


def confirmation_lines(state: StudyState) -> list[str]:
    """Returns what the host did to the confirmation: the windows it disturbed, and a warning, each in one line.

    The warning is due if the host was much worse than while the baselines were measured, on which the plan rests.
    """
    windows = windows_of(line.session for line in state.log.sessions("confirm", attempt=state.attempt))
    known = mean_load(windows_of([state.reference.line.session]))
    disturbed = disturbed_words(count_disturbed(windows), len(windows))
    warned = warning(mean_load(windows), when="while the winner was confirmed", beyond=known)
    return [words for words in (disturbed, late_words(windows), warned) if words]
