"""The size of a confirmation: its members, sessions and pairs, and the time that it takes.

The planned size shrinks if windows are long, and grows if search and final took less time than planned. Must not know
results of a confirmation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from tuner.evidence.candidates import Candidate
from tuner.evidence.state import Reference, StudyState
from tuner.planning.budget import CONFIRM_TOLERANCE, FRONT_MEMBERS, SHORTEST_PAIRS, StudyPlan
from tuner.planning.session_plan import MEMBERS_AT_MOST, WARM_UP_WINDOWS, longer_s, percentile_blocks
from tuner.planning.study_plan import shortest_window_s
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


RESERVE = 1.1
"""Factor on the seconds that a clear gain reserves for its confirmation; the value is the best of many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationSize:
    """The size of a confirmation and the time that it takes."""

    members: int = 1
    """Number of configurations beside the reference."""
    sessions: int
    pairs: int
    window_s: float
    """Length of a window (s)."""
    session_s: float
    """Seconds of one session."""

    @property
    def total_s(self) -> float:
        """Seconds of all sessions."""
        return self.sessions * self.session_s


def due_size(state: StudyState, plan: StudyPlan, candidate: Candidate) -> ConfirmationSize:
    """Returns the size of a candidate's confirmation that begins now.

    A clear gain has as few sessions as it needs, as long as planned if there is time; with limits it has as many as
    planned. Otherwise the size is the one that proves most in the remaining time, or the quickest if none fits.
    """
    remaining_s = state.remaining_s()
    if remaining_s is None:
        pairs = _pairs_needed(state, candidate, plan.pairs)
        return _size(state.reference, plan, candidate, sessions=plan.max_sessions, pairs=pairs, window_s=plan.window_s)
    sizes, proof = _sizes(state, plan, candidate), _quickest_proof(state, plan, candidate)
    fitting = [size for size in sizes if size.total_s <= remaining_s] or sizes[:1]
    if proof is not None and proof.total_s <= remaining_s:
        sessions = plan.max_sessions if state.study.objective.limits else proof.sessions
        pairs = max(proof.pairs, plan.pairs)
        fitting = [size for size in fitting if size.sessions <= sessions and size.pairs <= pairs]
    return min(fitting, key=lambda size: _provable(state.reference, size))


def clear_size(state: StudyState, plan: StudyPlan, candidate: Candidate) -> ConfirmationSize | None:
    """Returns the quickest confirmation that a candidate's gain needs; None if the gain is not clear enough to tell.

    None also with limits, which a quick confirmation may fail to prove.
    """
    return None if state.study.objective.limits else _quickest_proof(state, plan, candidate)


def _quickest_proof(state: StudyState, plan: StudyPlan, candidate: Candidate) -> ConfirmationSize | None:
    """Returns the quickest confirmation that proves a candidate's gain with a margin; None if none does."""
    sure = (candidate.value - CLEAR_SDS * candidate.sd) / CLEAR
    sizes = _sizes(state, plan, candidate)
    return next((size for size in sizes if sure >= _provable(state.reference, size)), None)


def _sizes(state: StudyState, plan: StudyPlan, candidate: Candidate) -> list[ConfirmationSize]:
    """Returns all sizes of a candidate's confirmation, the quickest first."""
    windows = {plan.window_s, min(plan.window_s, shortest_window_s(state.setup))}
    is_session_level = state.study.objective.row.is_session_level
    least = _pairs_needed(state, candidate, plan.pairs if is_session_level else SHORTEST_PAIRS)
    sizes = [
        _size(state.reference, plan, candidate, sessions=sessions, pairs=pairs, window_s=window_s)
        for sessions in SESSIONS
        for pairs in range(least, max(least, MOST_PAIRS) + 1)
        for window_s in windows
    ]
    return sorted(sizes, key=lambda size: size.total_s)


def baseline_size(state: StudyState, plan: StudyPlan) -> ConfirmationSize:
    """Returns the size of a confirmation of two baselines alone, with as many sessions as fit."""
    session_s, remaining_s = state.reference.noise.cost.of(plan.pairs, plan.window_s), state.remaining_s()
    fitting = [n for n in SESSIONS if remaining_s is not None and n * session_s <= remaining_s]
    sessions = max([*fitting, plan.sessions_within(session_s)])
    return ConfirmationSize(sessions=sessions, pairs=plan.pairs, window_s=plan.window_s, session_s=session_s)


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
        longer = sum(longer_s(reference.window_s, candidate) for candidate in points[:members] if candidate is not None)
        session_s = reference.noise.cost.of(pairs, plan.window_s, 1 + members) + (pairs + WARM_UP_WINDOWS) * longer
        sessions = plan.sessions_within(session_s)
        return ConfirmationSize(
            members=members, sessions=sessions, pairs=pairs, window_s=plan.window_s, session_s=session_s
        )

    most = min(MEMBERS_AT_MOST - 1, len(points))
    if plan.total_s is None or most <= POINTS_AT_LEAST:
        return size(most)
    sizes = [size(members) for members in range(most, POINTS_AT_LEAST - 1, -1)]
    allowed_s = CONFIRM_TOLERANCE * plan.confirm_s
    return next((found for found in sizes if SESSIONS[0] * found.session_s <= allowed_s), sizes[-1])


def front_reserve_s(state: StudyState, plan: StudyPlan, finalists: Sequence[Candidate]) -> float:
    """Returns the seconds of final and confirmation with these candidates of several objectives, best first."""
    if not finalists:
        return plan.final_s + plan.confirm_s
    longer = sum(longer_s(state.reference.window_s, candidate) for candidate in finalists)
    confirm_s = max(plan.confirm_s, front_size(state, plan, finalists).total_s)
    return plan.final_s + (plan.final.blocks + WARM_UP_WINDOWS) * longer + confirm_s


def reserve_s(state: StudyState, plan: StudyPlan, best: Candidate | None) -> float:
    """Returns the seconds to keep for the confirmation of the best candidate so far, the planned ones at most.

    A clear gain needs few, and a gain that is not clear what its cautious value needs.
    """
    if best is None or state.study.objective.limits:
        return plan.confirm_s
    if (clear := clear_size(state, plan, best)) is not None:
        return min(plan.confirm_s, RESERVE * clear.total_s)
    cautious = best.value - best.sd
    needed = (size.total_s for size in _sizes(state, plan, best) if cautious >= _provable(state.reference, size))
    return min(plan.confirm_s, next(needed, math.inf))


def _provable(reference: Reference, size: ConfirmationSize) -> float:
    """Returns the smallest gain (log-ratio) that a confirmation of this size proves with a probability of 80 %."""
    return reference.noise.session_sd_of(size.pairs, size.window_s) * _provable_sds(size.sessions)


@cache
def _provable_sds(sessions: int) -> float:
    """Returns the smallest gain that so many sessions prove, in standard deviations between sessions."""
    return gain_log(smallest_provable_gain_pct(1.0, sessions))


def _pairs_needed(state: StudyState, candidate: Candidate, pairs: int) -> int:
    """Returns so many pairs, or more if the percentiles of the candidate's requests need them."""
    return max(pairs, percentile_blocks(state.study.objective, candidate.comparisons[-1].requests_per_window))


def _size(
    reference: Reference, plan: StudyPlan, candidate: Candidate, *, sessions: int, pairs: int, window_s: float
) -> ConfirmationSize:
    """Returns the size with the seconds of a session, whose windows are as long as the candidate's at least."""
    block_s = reference.noise.cost.block_s
    more_s = pairs * block_s(window_s) - plan.pairs * block_s(plan.window_s)
    session_s = plan.session_cost_s + plan.members * more_s + (pairs + WARM_UP_WINDOWS) * longer_s(window_s, candidate)
    return ConfirmationSize(sessions=sessions, pairs=pairs, window_s=window_s, session_s=session_s)
