"""How many sessions and pairs a confirmation has: what was planned, what long windows leave of it, and what time that
search and final left adds to it.

Knows seconds and what is believed of the candidate; must not know what a confirmation shows.
"""

from __future__ import annotations

from collections.abc import Sequence

from tuner.study.budget import CONFIRM_TOLERANCE, SHORT_PAIRS, StudyPlan
from tuner.study.decision import SESSIONS, gain_log
from tuner.study.evidence import Candidate
from tuner.study.power import smallest_provable_gain_pct
from tuner.study.session_plan import WARM_UP_WINDOWS, longer_s, percentile_blocks
from tuner.study.state import Reference, StudyState

CLEAR_SDS, CLEAR = 2.0, 1.5
"""A gain is clear where its lower end is half as much again as what so many sessions prove."""
MOST_PAIRS = 16
"""Twice the usual: where windows are the noise, a session is then 0.7 times as noisy. More would only tell better how
this one start of a process went."""


def confirmation_size(state: StudyState, plan: StudyPlan, candidate: Candidate) -> tuple[int, int, float]:
    """Sessions, pairs in each, and seconds in all of a confirmation of this candidate by the plan: as it stands where
    its windows are short; else what fits into the time reserved, four sessions of six pairs at least. A percentile may
    need more pairs."""
    remaining_s = state.remaining_s()
    lent_s = 0.0 if remaining_s is None else max(0.0, plan.confirm_s - max(0.0, remaining_s))
    usual = _pairs_needed(state, candidate, plan.pairs)
    fewest = _pairs_needed(state, candidate, min(plan.pairs, SHORT_PAIRS))

    def size(pairs: int) -> tuple[int, int, float]:
        one_s = _session_s(state.reference, plan, candidate, pairs)
        sessions = plan.sessions_within(one_s, lent_s=lent_s)
        return sessions, pairs, sessions * one_s

    wanted = size(usual)
    if plan.total_s is None or wanted[2] <= CONFIRM_TOLERANCE * plan.confirm_s:
        return wanted
    return size(fewest)


def due_size(state: StudyState, plan: StudyPlan, candidate: Candidate) -> tuple[int, int]:
    """Sessions and pairs of the confirmation that begins now: what search and final left beyond the time reserved goes
    into more sessions and, once there are twelve, into longer ones. What is clear needs neither."""
    sessions, pairs, _ = confirmation_size(state, plan, candidate)
    remaining_s = state.remaining_s()
    if remaining_s is None or is_clear(state.reference, candidate):
        return sessions, pairs
    one_s = _session_s(state.reference, plan, candidate, pairs)
    sessions = max(sessions, max((n for n in SESSIONS if n * one_s <= remaining_s), default=0))
    if sessions == SESSIONS[-1]:
        longer = range(pairs, MOST_PAIRS + 1)
        pairs = max(
            (n for n in longer if sessions * _session_s(state.reference, plan, candidate, n) <= remaining_s),
            default=pairs,
        )
    return sessions, pairs


def is_clear(reference: Reference, candidate: Candidate) -> bool:
    """Whether its gain is so large that four sessions prove it."""
    return _proves(reference, candidate, SESSIONS[0])


def sessions_to_keep(reference: Reference, candidate: Candidate) -> int | None:
    """How many sessions the confirmation of this candidate must not lend: one look more than its gain should need. None
    where it may need more than there can be."""
    following = (*SESSIONS[1:], SESSIONS[-1])
    return next((later for n, later in zip(SESSIONS, following, strict=True) if _proves(reference, candidate, n)), None)


def _proves(reference: Reference, candidate: Candidate, sessions: int) -> bool:
    easy = gain_log(smallest_provable_gain_pct(reference.noise.session_sd, sessions))
    return candidate.value - CLEAR_SDS * candidate.sd >= CLEAR * easy


def beyond_plan_s(state: StudyState, plan: StudyPlan, finalists: Sequence[Candidate]) -> float:
    """How much longer final and confirmation take with these candidates, best first, than the plan has it."""
    if not finalists:
        return 0.0
    longer = [longer_s(state.reference, candidate) for candidate in finalists]
    windows = plan.final.stage_rounds + WARM_UP_WINDOWS
    final_s = sum(windows * sum(longer[:size]) for size in plan.final.stages)
    if finalists[0].value <= 0.0:
        return final_s
    return final_s + max(0.0, confirmation_size(state, plan, finalists[0])[2] - plan.confirm_s)


def confirmation_s(state: StudyState, plan: StudyPlan, candidate: Candidate, sessions: int) -> float:
    """Seconds of so many sessions of the usual pairs."""
    return sessions * _session_s(state.reference, plan, candidate, _pairs_needed(state, candidate, plan.pairs))


def _pairs_needed(state: StudyState, candidate: Candidate, pairs: int) -> int:
    """So many, or more where the percentiles of this candidate's requests need them."""
    return max(pairs, percentile_blocks(state.study.objective, candidate.comparisons[-1].requests_per_window))


def _session_s(reference: Reference, plan: StudyPlan, candidate: Candidate, pairs: int) -> float:
    """Seconds of one session of so many pairs, with windows as long as this candidate's."""
    pair_s = 2 * (plan.window_s + reference.noise.cost.turn_s)
    return (
        plan.session_cost_s + (pairs - plan.pairs) * pair_s + (pairs + WARM_UP_WINDOWS) * longer_s(reference, candidate)
    )
