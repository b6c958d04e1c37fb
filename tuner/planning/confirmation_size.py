"""The size of a confirmation: its members, sessions and pairs, and the time that it takes.

The planned size shrinks if windows are long, and grows if search and final took less time than planned. Must not know
results of a confirmation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tuner.evidence.candidates import Candidate
from tuner.evidence.state import Reference, StudyState
from tuner.planning.budget import CONFIRM_TOLERANCE, FRONT_MEMBERS, SHORT_PAIRS, StudyPlan
from tuner.planning.session_plan import MEMBERS_AT_MOST, WARM_UP_WINDOWS, longer_s, percentile_blocks
from tuner.statistics.power import smallest_provable_gain_pct
from tuner.statistics.sequential_test import SESSIONS, gain_log

CLEAR_SDS, CLEAR = 2.0, 1.5
"""A gain is clear if its lower bound is `CLEAR` times the smallest gain that the sessions can prove.

The lower bound is the value less `CLEAR_SDS` standard errors.
"""

MOST_PAIRS = 16
"""Number of pairs in a session at most, twice the usual.

A session is then 0.7 times as noisy if the windows are the noise; more would only tell better how this one start of a
process went.
"""

POINTS_AT_LEAST = FRONT_MEMBERS - 1
"""Number of points confirmed beside the reference even if four sessions of them take longer than was reserved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationSize:
    """The size of a confirmation and the time that it takes."""

    members: int = 1
    """Number of configurations beside the reference."""
    sessions: int
    pairs: int
    session_s: float
    """Seconds of one session."""

    @property
    def total_s(self) -> float:
        """Seconds of all sessions."""
        return self.sessions * self.session_s


def confirmation_size(state: StudyState, plan: StudyPlan, candidate: Candidate) -> ConfirmationSize:
    """Returns the size of a candidate's confirmation by the plan.

    The plan stands if the windows of the candidate are short. Else the size fits into the reserved time, with four
    sessions of six pairs at least. A percentile may need more pairs.
    """
    remaining_s = state.remaining_s()
    lent_s = 0.0 if remaining_s is None else max(0.0, plan.confirm_s - max(0.0, remaining_s))

    def size(pairs: int) -> ConfirmationSize:
        session_s = _session_s(state.reference, plan, candidate, pairs)
        sessions = plan.sessions_within(session_s, lent_s=lent_s)
        return ConfirmationSize(sessions=sessions, pairs=pairs, session_s=session_s)

    wanted = size(_pairs_needed(state, candidate, plan.pairs))
    if plan.total_s is None or wanted.total_s <= CONFIRM_TOLERANCE * plan.confirm_s:
        return wanted
    return size(_pairs_needed(state, candidate, min(plan.pairs, SHORT_PAIRS)))


def due_size(state: StudyState, plan: StudyPlan, candidate: Candidate) -> ConfirmationSize:
    """Returns the size of a candidate's confirmation that begins now.

    Time that remains beyond the reserved time goes into more sessions and, once there are twelve, into longer ones. A
    clear gain needs neither.
    """
    size = confirmation_size(state, plan, candidate)
    remaining_s = state.remaining_s()
    if remaining_s is None or _proves(state.reference, candidate, SESSIONS[0]):
        return size

    def fits(sessions: int, pairs: int) -> bool:
        return sessions * _session_s(state.reference, plan, candidate, pairs) <= remaining_s

    sessions = max([size.sessions, *(n for n in SESSIONS if fits(n, size.pairs))])
    longer = range(size.pairs, MOST_PAIRS + 1) if sessions == SESSIONS[-1] else ()
    pairs = max([size.pairs, *(n for n in longer if fits(sessions, n))])
    session_s = _session_s(state.reference, plan, candidate, pairs)
    return ConfirmationSize(sessions=sessions, pairs=pairs, session_s=session_s)


def front_size(state: StudyState, plan: StudyPlan, points: Sequence[Candidate | None]) -> ConfirmationSize:
    """Returns how many of the points, most worth first, are confirmed, and in how many sessions of how many pairs.

    As many as a session holds and four sessions of them fit into the time reserved, four at least. A baseline among the
    points is None: its windows are as long as planned.
    """
    reference = state.reference
    measured = [candidate for candidate in points if candidate is not None]
    fewest = min((c.comparisons[-1].requests_per_window for c in measured), default=math.inf)
    per_window = min(fewest, reference.noise.requests_per_window)
    pairs = max(plan.pairs, percentile_blocks(state.study.objective, per_window))

    def size(members: int) -> ConfirmationSize:
        longer = sum(longer_s(reference, candidate) for candidate in points[:members] if candidate is not None)
        session_s = reference.noise.cost.of(pairs, plan.window_s, 1 + members) + (pairs + WARM_UP_WINDOWS) * longer
        sessions = plan.sessions_within(session_s)
        return ConfirmationSize(members=members, sessions=sessions, pairs=pairs, session_s=session_s)

    most = min(MEMBERS_AT_MOST - 1, len(points))
    if plan.total_s is None or most <= POINTS_AT_LEAST:
        return size(most)
    sizes = [size(members) for members in range(most, POINTS_AT_LEAST - 1, -1)]
    allowed_s = CONFIRM_TOLERANCE * plan.confirm_s
    return next((found for found in sizes if SESSIONS[0] * found.session_s <= allowed_s), sizes[-1])


def beyond_plan_s(state: StudyState, plan: StudyPlan, finalists: Sequence[Candidate]) -> float:
    """Returns the seconds by which final and confirmation exceed the plan with these candidates, best first."""
    if not finalists:
        return 0.0
    longer = [longer_s(state.reference, candidate) for candidate in finalists]
    windows = plan.final.stage_blocks + WARM_UP_WINDOWS
    if state.study.objective.has_several:
        return windows * sum(longer) + max(0.0, front_size(state, plan, finalists).total_s - plan.confirm_s)
    final_s = sum(windows * sum(longer[:size]) for size in plan.final.stages)
    if finalists[0].value <= 0.0:
        return final_s
    return final_s + max(0.0, confirmation_size(state, plan, finalists[0]).total_s - plan.confirm_s)


def sessions_to_keep(reference: Reference, candidate: Candidate) -> int | None:
    """Returns the sessions to reserve for a candidate's confirmation: one look more than its gain should need.

    None if the gain may need more than there can be.
    """
    following = (*SESSIONS[1:], SESSIONS[-1])
    return next((later for n, later in zip(SESSIONS, following, strict=True) if _proves(reference, candidate, n)), None)


def confirmation_s(state: StudyState, plan: StudyPlan, candidate: Candidate, sessions: int) -> float:
    """Returns the seconds of so many sessions of the usual pairs."""
    return sessions * _session_s(state.reference, plan, candidate, _pairs_needed(state, candidate, plan.pairs))


def _proves(reference: Reference, candidate: Candidate, sessions: int) -> bool:
    """Returns True if the gain is so large that so many sessions prove it."""
    easy = gain_log(smallest_provable_gain_pct(reference.noise.session_sd, sessions))
    return candidate.value - CLEAR_SDS * candidate.sd >= CLEAR * easy


def _pairs_needed(state: StudyState, candidate: Candidate, pairs: int) -> int:
    """Returns so many pairs, or more if the percentiles of the candidate's requests need them."""
    return max(pairs, percentile_blocks(state.study.objective, candidate.comparisons[-1].requests_per_window))


def _session_s(reference: Reference, plan: StudyPlan, candidate: Candidate, pairs: int) -> float:
    """Returns the seconds of one session of so many pairs, with windows as long as the candidate's."""
    pair_s = plan.members * (plan.window_s + reference.noise.cost.turn_s)
    longer = (pairs + WARM_UP_WINDOWS) * longer_s(reference, candidate)
    return plan.session_cost_s + (pairs - plan.pairs) * pair_s + longer
