"""Members of the sessions of a confirmation, and their values relative to each other.

Responsible for log-ratios of each session. Must not know plans or claims.
"""

from __future__ import annotations

from collections.abc import Sequence

from tuner.bench.configuration import Failure
from tuner.bench.measurement import Windows
from tuner.evidence.state import StudyState
from tuner.statistics.session_effect import session_value

FAILURES_ALLOWED = 1
"""Number of sessions in which a member may fail: two failures in fresh processes are a reason not to deploy."""

INVALID_ALLOWED = 2
"""Number of sessions that may be invalid; with a third one too few remain to prove a gain."""

Members = tuple[Windows | None, ...]
"""The members of one session, the reference first; None for a failure or too few requests for a claim."""


def claimed(state: StudyState, member: Windows | Failure | None, reference: Windows) -> Windows | None:
    """Returns a member whose values can be claimed; None if it failed, took no part or had too few requests."""
    return member if isinstance(member, Windows) and values_of(state, member, reference) is not None else None


def values_of(state: StudyState, member: Windows, reference: Windows) -> tuple[float, ...] | None:
    """Returns the log-ratio of a member to a reference in each objective; None if one of them cannot be claimed."""
    found = [session_value(row, member, reference) for row in state.study.objective.rows]
    values = tuple(value for value in found if value is not None)
    return values if len(values) == len(found) else None


def gaps(state: StudyState, sessions: Sequence[Members], one: int, other: int) -> list[list[float]]:
    """Returns, for each objective, the log-ratio of one member to another in each session that both shared.

    `one` and `other` are positions in the sessions. Positive values mean that `one` is better.
    """
    pairs = ((session[one], session[other]) for session in sessions)
    shared = [values for a, b in pairs if a and b and (values := values_of(state, a, b)) is not None]
    return [list(column) for column in zip(*shared, strict=True)] or [[] for _ in state.study.objective.metrics]
