"""The sessions of a verification: two configurations side by side until the promise is answered or time is over.

Responsible for members, windows and the end. Must not know files or words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuner.bench.configuration import DeploymentConfig, Failure
from tuner.bench.measurement import Session
from tuner.bench.protocol import Role, SessionMember, StopRule
from tuner.decision.verification import Promise, Verification, VerificationCause, read_verification
from tuner.phases.progress import Measuring
from tuner.phases.runner import SessionRunner
from tuner.planning.session_plan import PROBES, plan_session
from tuner.statistics.limits import LimitOutcome
from tuner.statistics.verification_test import LOOKS, Answer

BLOCKS, MOST_BLOCKS = 8, 60
"""Numbers of blocks of a session, as in a confirmation, and of blocks until a percentile has its requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The end of a verification: its answer and its sessions."""

    verification: Verification
    sessions: tuple[Session, ...]
    spent_s: float
    minutes_needed: float | None = None
    """Minutes that could answer, if mean and spread stay; None if none could, or none are needed."""


def verify_sessions(
    runner: SessionRunner, config: DeploymentConfig, reference: DeploymentConfig, promise: Promise, minutes: float
) -> Verified:
    """Measures a configuration beside the reference until a look answers, or the next look would come too late.

    Raises HostError where nothing can be measured.
    """
    if isinstance(failure := runner.resolve(config), Failure):
        return _without_sessions(Answer.DOES_NOT_HOLD, VerificationCause.FAILED, failures=(failure,))
    if isinstance(failure := runner.resolve(reference), Failure):
        return _without_sessions(Answer.CANNOT_TELL, VerificationCause.INVALID, invalid=(failure,))
    sessions: list[Session] = []
    found = read_verification(promise, sessions)
    while not found.is_decided:
        spent_s = sum(session.wall_s for session in sessions)
        if sessions and spent_s * (1.0 + _until_look(found) / len(sessions)) > 60.0 * minutes:
            break
        number = len(sessions) + 1
        measuring = Measuring(configurations=(config,), session=number, max_sessions=number - 1 + _until_look(found))
        runner.show("measure", measuring, remaining_s=60.0 * minutes - spent_s, differing=frozenset())
        sessions.append(measure_session(runner, config, reference, promise))
        found = read_verification(promise, sessions)
    spent_s = sum(session.wall_s for session in sessions)
    return Verified(
        verification=found,
        sessions=tuple(sessions),
        spent_s=spent_s,
        minutes_needed=_minutes_needed(found, spent_s / len(sessions)),
    )


def measure_session(
    runner: SessionRunner, config: DeploymentConfig, reference: DeploymentConfig, promise: Promise
) -> Session:
    """Measures one session in fresh processes."""
    ratios = [limit.row for limit in promise.limits if limit.min_ratio is not None or limit.max_ratio is not None]
    needed = [row.min_requests for row in (*([promise.metric] if promise.required is not None else []), *ratios)]
    needed += [-(-limit.row.min_requests // LOOKS[0]) for limit in promise.limits]
    stop = StopRule(
        min_windows=PROBES if promise.metric.is_session_level else BLOCKS,
        min_requests=max(needed, default=1),
        ends_together=True,
    )
    plan = plan_session(runner.state, None, "measure", blocks=MOST_BLOCKS, is_fresh=True, stop=stop)
    members = [
        SessionMember(config=reference, role=Role.REFERENCE),
        SessionMember(config=config, role=Role.CANDIDATE),
    ]
    return runner.measure(members, plan).session


def _until_look(found: Verification) -> int:
    """Returns how many sessions the next look needs, if all of them count."""
    return next(count for count in LOOKS if count > found.sessions) - found.sessions


def _minutes_needed(found: Verification, session_s: float) -> float | None:
    """Returns the minutes that could answer; before the first look, those of the first look."""
    if found.answer is not Answer.CANNOT_TELL or found.cause is not VerificationCause.MEASURED:
        return None
    if found.sessions < LOOKS[0]:
        return LOOKS[0] * session_s / 60.0
    if found.gain_answer is Answer.CANNOT_TELL:
        return None if found.needed is None else found.needed * session_s / 60.0
    if any(one.answer is Answer.CANNOT_TELL and one.check.outcome is LimitOutcome.BROKEN for one in found.limits):
        return None  # beyond the limit by less than hosts drift, which more sessions do not change
    more = [count for count in LOOKS if count > found.sessions]
    return more[0] * session_s / 60.0 if more else None


def _without_sessions(
    answer: Answer,
    cause: VerificationCause,
    *,
    failures: Sequence[Failure] = (),
    invalid: Sequence[Failure | None] = (),
) -> Verified:
    """Returns the end of a verification of which one side does not compile."""
    found = Verification(
        answer=answer, cause=cause, sessions=0, values=(), failures=tuple(failures), invalid=tuple(invalid)
    )
    return Verified(verification=found, sessions=(), spent_s=0.0)
