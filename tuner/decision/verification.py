"""The answer of a verification: does the promise of a best.yaml hold, as its sessions measured it here?

Responsible for the gain, the limits and the failures of one configuration beside another. Must not run sessions.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass

from tuner.bench.configuration import Failure
from tuner.bench.measurement import Session, Windows
from tuner.bench.metrics import METRICS, Metric
from tuner.decision.members import FAILURES_ALLOWED, INVALID_ALLOWED
from tuner.statistics.limits import Bound, ConstraintCheck, LimitOutcome, Pair, bounds_of, check_limit
from tuner.statistics.sequential_test import interval
from tuner.statistics.session_effect import session_value
from tuner.statistics.verification_test import (
    ALARM_ALPHA,
    HOLD_ALPHA,
    LOOKS,
    Answer,
    Bounds,
    answer,
    bounds,
    level,
    sessions_needed,
)
from tuner.study.study import Limit

BROKEN_SESSIONS = 2
"""Number of sessions in which a maximum has to be above its limit. One slow request of a busy host is no alarm."""

DRIFT_MARGIN_LOG = math.log(1.25)
"""Excess (log-ratio, 25 %) over an absolute limit that a slower moment of the host may cause.

A noisy virtual machine drifts by 10 % (sd) within minutes (tests/virtual.py), and no baseline takes that out of an
absolute value; without the margin one in four limits that are exactly kept is called broken.
"""


class VerificationCause(enum.StrEnum):
    """Cause of the answer of a verification."""

    MEASURED = "measured"
    """Enough sessions were measured to answer, or the minutes ended first."""
    FAILED = "failed"
    """The configuration failed in more than one session, or does not compile."""
    INVALID = "invalid"
    """Too many sessions have no value: the other side failed, or there were too few requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """The claims of a best.yaml that are checked."""

    metric: Metric
    required: float | None
    """Least gain that is promised (log-ratio); None for a file that promises limits alone."""
    tolerance: float
    """Loss (log-ratio) below the promise that still holds; 0 for a gain that the user asked for."""
    limits: tuple[Limit, ...] = ()

    @property
    def claims(self) -> int:
        """Number of claims, which share the chance of a false alarm."""
        return (self.required is not None) + sum(len(bounds_of(limit)) for limit in self.limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitAnswer:
    """The answer of one limit."""

    check: ConstraintCheck
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """State of a promise after the sessions so far."""

    answer: Answer
    cause: VerificationCause
    sessions: int
    """Number of sessions that count."""
    values: tuple[float, ...]
    """Gain of each session that counts (log-ratio); empty where there is none."""
    gain: Bounds | None = None
    """Bounds of the gain at the last look; None before the first look, and where the file promises none."""
    gain_answer: Answer | None = None
    limits: tuple[LimitAnswer, ...] = ()
    failures: tuple[Failure, ...] = ()
    """Failures of the configuration."""
    invalid: tuple[Failure | None, ...] = ()
    """Failure of the other side in each session without a value; None for too few requests."""
    needed: int | None = None
    """Number of sessions that could answer, if mean and spread stay; None if no number could, or none is needed."""

    @property
    def is_decided(self) -> bool:
        """True if no further session is needed."""
        is_last = self.sessions >= LOOKS[-1]
        return self.cause is not VerificationCause.MEASURED or self.answer is not Answer.CANNOT_TELL or is_last


def read_verification(promise: Promise, sessions: Sequence[Session]) -> Verification:
    """Returns what sessions say; their first member is the reference, their second one the configuration."""
    pairs: list[Pair] = []
    values: list[float] = []
    failures: list[Failure] = []
    invalid: list[Failure | None] = []
    for session in sessions:
        reference, ours = session.members
        if isinstance(ours, Failure):
            failures.append(ours)
        elif isinstance(reference, Failure):
            invalid.append(reference)
        else:
            value = session_value(promise.metric, ours, reference)
            if promise.required is not None and value is None:
                invalid.append(None)
                continue
            pairs.append((ours, reference))
            values += [] if value is None else [value]
    cause, said = VerificationCause.MEASURED, Answer.CANNOT_TELL
    if len(failures) > FAILURES_ALLOWED:
        cause, said = VerificationCause.FAILED, Answer.DOES_NOT_HOLD
    elif len(invalid) > INVALID_ALLOWED:
        cause = VerificationCause.INVALID
    due = [count for count in LOOKS if count <= len(pairs)]
    gain = gain_answer = needed = None
    limits: tuple[LimitAnswer, ...] = ()
    if due:
        n = due[-1]
        if promise.required is not None:
            gain = bounds(values[:n], promise.claims)
            gain_answer = answer(gain, promise.required, promise.tolerance)
            if gain_answer is Answer.CANNOT_TELL:
                needed = sessions_needed(values[:n], promise.required, promise.tolerance, promise.claims)
        limits = tuple(found for limit in promise.limits for found in _limit_answers(limit, pairs[:n], promise.claims))
        if cause is VerificationCause.MEASURED:
            said = _worst([*([gain_answer] if gain_answer else []), *(found.answer for found in limits)])
    return Verification(
        answer=said,
        cause=cause,
        sessions=len(pairs),
        values=tuple(values),
        gain=gain,
        gain_answer=gain_answer,
        limits=limits,
        failures=tuple(failures),
        invalid=tuple(invalid),
        needed=needed,
    )


def _worst(answers: Sequence[Answer]) -> Answer:
    """Returns the answer of all claims together: one that does not hold decides, then one that cannot be told."""
    for found in (Answer.DOES_NOT_HOLD, Answer.CANNOT_TELL):
        if found in answers:
            return found
    return Answer.HOLDS


def _limit_answers(limit: Limit, pairs: Sequence[Pair], claims: int) -> list[LimitAnswer]:
    """Returns the answer of each bound: kept as a confirmation shows it, or broken beyond doubt."""
    found = []
    for check in check_limit(limit, pairs, 0.0, alpha=HOLD_ALPHA / len(LOOKS)):
        if check.is_kept:
            said = Answer.HOLDS
        else:
            said = Answer.DOES_NOT_HOLD if _is_broken(check, pairs, claims) else Answer.CANNOT_TELL
        found.append(LimitAnswer(check=check, answer=said))
    return found


def _is_broken(check: ConstraintCheck, pairs: Sequence[Pair], claims: int) -> bool:
    """Returns True if a limit is shown to be broken, by the values of whole sessions.

    Requests of one session share its moment, so the bound comes from the spread between sessions (t-interval). An
    absolute value also has to be beyond its limit by more than hosts drift.
    """
    bound = check.bound
    if check.outcome is not LimitOutcome.BROKEN:
        return False
    excesses = [bound.excess_log(value) for pair in pairs if (value := _session_log(bound, pair)) is not None]
    margin = 0.0 if bound.is_ratio else DRIFT_MARGIN_LOG
    if METRICS[bound.metric].is_maximum and not bound.is_ratio:
        return sum(excess > margin for excess in excesses) >= BROKEN_SESSIONS
    return len(excesses) >= LOOKS[0] and interval(excesses, level(ALARM_ALPHA, claims)).low > margin


def _session_log(bound: Bound, pair: Pair) -> float | None:
    """Returns the log of a session's value, or of its ratio; None where the session lacks it."""
    metric, (ours, reference) = METRICS[bound.metric], pair
    if bound.is_ratio:
        value = session_value(metric, ours, reference)
        return None if value is None else metric.sign * value
    return _read_log(metric, ours)


def _read_log(metric: Metric, windows: Windows) -> float | None:
    if not windows.windows or not metric.is_in(windows.windows):
        return None
    value = metric.read(windows.windows)
    return math.log(value) if value > 0.0 else None
