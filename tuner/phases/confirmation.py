"""Phases 5 and 6: the sessions of a confirmation, in fresh processes on fresh data.

Acts: it runs the sessions that `decision/confirmation.py` finds missing.
"""

from __future__ import annotations

from tuner.bench.protocol import Role, SessionMember
from tuner.decision.confirmation import Confirmation, is_decided, read_confirmation
from tuner.evidence.state import StudyState
from tuner.phases.host_events import HostReading
from tuner.phases.progress import ConfirmationRead, Measuring
from tuner.phases.runner import SessionRunner
from tuner.planning.session_plan import plan_session
from tuner.records.confirmation_plan import ConfirmationPlan
from tuner.statistics.disturbance import mean_load, windows_of


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
    plan = found.plan
    runner.show(
        "confirm",
        Measuring(configurations=tuple(plan.members), session=len(found.sessions) + 1, max_sessions=plan.looks[-1]),
        incumbent=None if plan.is_front else plan.members[0],
        incumbent_gain=found.interval.estimate if found.interval else None,
        reference=plan.reference,
    )


def read_host(state: StudyState) -> ConfirmationRead:
    """Returns what the host did to the confirmation, and to the baselines before it."""
    windows = windows_of(line.session for line in state.log.sessions("confirm", attempt=state.attempt))
    known = mean_load(windows_of([state.reference.line.session]))
    return ConfirmationRead(host=HostReading.of(windows), known=known)
