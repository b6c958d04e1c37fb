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
        runner.measure(_members(state, plan, found), session_plan)
    return found


def _members(state: StudyState, plan: ConfirmationPlan, found: Confirmation) -> list[SessionMember]:
    """Returns the members of the next session; a winner that no session can help takes no part any more."""
    configs = state.setup.baselines
    candidates = () if not plan.is_front and found.is_winner_out else plan.members
    return [
        SessionMember(config=configs[plan.reference], role=Role.REFERENCE),
        *(SessionMember(config=config, role=Role.CANDIDATE) for config in candidates),
        *(SessionMember(config=configs[name], role=Role.BASELINE) for name in plan.baselines),
    ]


def _show(runner: SessionRunner, found: Confirmation) -> None:
    plan = found.plan
    sessions = found.sessions if found.baselines is None else found.baselines.sessions
    runner.show(
        "confirm",
        Measuring(
            configurations=tuple(plan.members),
            baselines=(plan.reference, *plan.baselines) if plan.baselines else (),
            session=len(sessions) + 1,
            max_sessions=plan.looks[-1],
        ),
        incumbent=None if plan.is_front or not plan.members else plan.members[0],
        incumbent_gain=found.interval.estimate if found.interval else None,
        reference=plan.reference,
    )


def read_host(state: StudyState) -> ConfirmationRead:
    """Returns what the host did to the confirmation, and to the baselines before it."""
    windows = windows_of(line.session for line in state.log.sessions("confirm", attempt=state.attempt))
    known = mean_load(windows_of([state.reference.line.session]))
    return ConfirmationRead(host=HostReading.of(windows), known=known)
