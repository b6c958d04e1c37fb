"""Selection of the candidates and baselines for the final and the confirmation, for one objective.

Must not measure. Several objectives are the task of `pareto_selection.py`.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tuner.evidence.baseline_ranking import rank_baselines
from tuner.evidence.candidates import Candidate, ranked
from tuner.evidence.state import Reference, StudyState
from tuner.planning.budget import SD_FLOOR, SMALL_FINAL, StudyPlan
from tuner.planning.confirmation_size import ConfirmationSize, baseline_size, due_size, reserve_s
from tuner.planning.session_plan import MEMBERS_AT_MOST, SEARCH_WINDOW_S, WARM_UP_WINDOWS, longer_s
from tuner.planning.study_plan import study_plan
from tuner.records.confirmation_plan import ConfirmationLine
from tuner.records.session_log import Answer, Reason, SessionLine, VerdictLine
from tuner.statistics.early_stopping import pair_se
from tuner.statistics.knowledge_gradient import knowledge_gradient
from tuner.statistics.sequential_test import SESSIONS, attempt_alpha
from tuner.study.study import Budget

BEHIND_SDS = 3.0
"""Standard deviations behind the reference beyond which a candidate takes no time in the final."""

BASELINES_AT_MOST = 4
"""Number of baselines in a final, the strongest: half of its places belong to candidates."""

REFINED_AT_MOST = MEMBERS_AT_MOST - 1
"""Number of candidates in a session of the final refinement, beside the reference."""

TRIALS_ONLY_SESSIONS = 4
"""Number of sessions of a final at most if the budget has trials alone."""

REFINEMENT_BLOCKS = 4
"""Number of blocks of a session that measures the best candidates again."""

KNOWN_SD = 1e-9
"""Standard error (log-ratio) of the reference's gain over itself."""

WORTH_A_SESSION = 0.001
"""Expected improvement of the winner (log-ratio) below which a session of the final refinement is not run.

Assumed: 0.1 % is far below what a confirmation proves.
"""

REJECTING = (Reason.CONSTRAINT, Reason.UNSTABLE)
"""Reasons of a verdict that leave the candidates behind the winner open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalist:
    """The candidate that is confirmed, and the baseline that it is confirmed against."""

    candidate: Candidate
    reference: str


def final_baselines(reference: Reference, plan: StudyPlan) -> list[str]:
    """Returns the baselines that take part, by name, the reference first: all that differ, or the reference alone."""
    return reference.distinct_baselines()[:BASELINES_AT_MOST] if plan.final.has_baselines else [reference.name]


def finalists(state: StudyState, plan: StudyPlan) -> list[Candidate]:
    """Returns the best candidates that are still open, as many as the final takes."""
    room = MEMBERS_AT_MOST - len(final_baselines(state.reference, plan))
    return open_candidates(state)[: min(plan.final.top or SMALL_FINAL.top, room)]


def open_candidates(state: StudyState) -> list[Candidate]:
    """Returns the measured candidates that no earlier confirmation has decided about, best first.

    A candidate whose gain was not significant is still open: more sessions may prove it. A candidate far behind the
    reference is left out, unless no baseline keeps the limits: then the candidate need not be faster.
    """
    undecided = {line.attempt for line in state.log.verdicts() if line.reason is Reason.NOT_SIGNIFICANT}
    attempts = [attempt for attempt in range(1, state.attempt) if attempt not in undecided]
    plans = [plan for attempt in attempts if (plan := state.log.confirmation(attempt))]
    decided = {plan.members[0] for plan in plans if plan.members}
    known = [c for c in state.candidates.values() if c.config not in decided]
    if state.reference.ranking.is_feasible:
        known = [c for c in known if c.is_measured and c.value + BEHIND_SDS * c.sd > 0.0]
    return ranked(known)


def candidates_in(state: StudyState, lines: Sequence[SessionLine]) -> list[Candidate]:
    """Returns the candidates of these sessions, best first."""
    numbers = {number for line in lines for number in line.trials if number is not None}
    return ranked(c for c in state.candidates.values() if c.trial in numbers)


def is_better(candidate: Candidate, reference: Reference) -> bool:
    """Returns True if a candidate keeps the limits and beats the reference, or if no baseline keeps the limits."""
    return candidate.is_feasible and (candidate.value > 0.0 or not reference.ranking.is_feasible)


def may_win(candidates: Sequence[Candidate], reference: Reference) -> list[Candidate]:
    """Returns the candidates that are better than the reference, in the same order.

    The confirmation is stricter than the search: if any candidates keep their limits as measured, the others are out.
    """
    good = [c for c in candidates if is_better(c, reference)]
    return [c for c in good if c.excess <= 0.0] or good


def best_finalist(state: StudyState, candidates: Sequence[Candidate]) -> Finalist | None:
    """Returns the first of the candidates, best first, that may win, and its reference; None if none may."""
    good = may_win(candidates, state.reference)
    return Finalist(candidate=good[0], reference=_strongest_baseline(state)) if good else None


def plan_confirmation(state: StudyState, plan: StudyPlan, finalist: Finalist) -> ConfirmationLine:
    """Returns the plan of a finalist's confirmation, with as many sessions as fit into the time that there is."""
    size = due_size(state, plan, finalist.candidate)
    remaining_s = state.remaining_s()
    spare_s = math.inf if remaining_s is None else remaining_s - size.total_s
    line = _confirmation_line(state, finalist.reference, size, spare_s=spare_s)
    return replace(line, winner=finalist.candidate.config)


def plan_baseline_confirmation(state: StudyState, plan: StudyPlan) -> ConfirmationLine | None:
    """Returns the plan of a confirmation without a winner: is the strongest baseline better than today's?

    None if these are one configuration, if no baseline keeps the limits, or if an earlier attempt has shown it.
    """
    reference, name = state.reference, _strongest_baseline(state)
    if not reference.differs_from_today(name) or not reference.ranking.is_feasible:
        return None
    if any(line.answer is Answer.HINT for line in state.log.verdicts()):
        return None
    size = baseline_size(state, plan)
    remaining_s = state.remaining_s()
    spare_s = math.inf if remaining_s is None else remaining_s - size.total_s
    return _confirmation_line(state, name, size, spare_s=spare_s)


def _confirmation_line(
    state: StudyState, reference: str, size: ConfirmationSize, *, spare_s: float
) -> ConfirmationLine:
    """Returns the plan of a confirmation, without its winner.

    Today's baseline takes part if it is another configuration than the reference, and weaker baselines as far as their
    time is to spare.
    """
    known = state.reference
    today = [known.today] if known.today is not None and known.differs_from_today(reference) else []
    member_s = size.sessions * known.noise.cost.of(size.pairs, size.window_s, 1)
    room = MEMBERS_AT_MOST - 2 - len(today)
    weaker = [
        name
        for name in known.distinct_baselines()
        if known.differs_from_today(name) and known.baseline_keys[name] != known.baseline_keys[reference]
    ]
    most = room if math.isinf(spare_s) else min(room, max(0, math.floor(spare_s / member_s)))
    return ConfirmationLine(
        attempt=state.attempt,
        winner=None,
        reference=reference,
        max_sessions=size.sessions,
        alpha=attempt_alpha(state.log.winners_before(state.attempt), state.log.baselines_alone_before(state.attempt)),
        pairs=size.pairs,
        window_s=size.window_s,
        sd_floor=SD_FLOOR * known.noise.session_sd_of(size.pairs, size.window_s),
        today=known.today,
        baselines=(*today, *weaker[:most]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Refinement:
    """One more session of the final."""

    candidates: Sequence[Candidate]
    worth: float
    """Expected improvement of the winner by the session (log-ratio)."""
    session_s: float
    """Seconds of the session."""


def next_refinement(state: StudyState, plan: StudyPlan) -> Refinement | None:
    """Returns one more session of the final, of those candidates that may win.

    None if a session would tell nothing, or if the confirmation of the best candidate may need the time.
    """
    remaining_s, reference = state.remaining_s(), state.reference
    known = _may_turn_out_best(open_candidates(state))
    is_complete = remaining_s is None and state.session_count("final") >= TRIALS_ONLY_SESSIONS
    if is_complete or not known:
        return None
    # The reference is an arm too, which is known exactly: a session may tell whether anything is better at all.
    values, sds = [0.0, *(c.value for c in known)], [KNOWN_SD, *(c.sd for c in known)]
    order = sorted(range(len(values)), key=lambda i: -values[i])
    next_sd = math.hypot(
        pair_se(REFINEMENT_BLOCKS, reference.noise.window_sd_of(SEARCH_WINDOW_S)), reference.noise.compile_sd
    )
    found = knowledge_gradient(
        np.array([values[i] for i in order]),
        np.array([sds[i] for i in order]),
        np.full(len(order), next_sd),
        seed=zlib.crc32(f"{state.study.seed}/{state.attempt}/{state.session_count('final')}".encode()),
        most=REFINED_AT_MOST,
    )
    contenders = [known[order[i] - 1] for i in found.contenders if order[i]]
    if found.worth < WORTH_A_SESSION:
        return None
    spare_s = math.inf if remaining_s is None else remaining_s - reserve_s(state, plan, known[0])
    for count in range(len(contenders), 0, -1):
        chosen = contenders[:count]
        if (session_s := _refinement_s(reference, chosen)) <= spare_s:
            return Refinement(candidates=chosen, worth=found.worth, session_s=session_s)
    return None


def _may_turn_out_best(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Returns the candidates that keep the limits, in the same order, as measured if any does so."""
    feasible = [c for c in candidates if c.is_feasible]
    return [c for c in feasible if c.excess <= 0.0] or feasible


def runner_up(state: StudyState) -> Candidate | None:
    """Returns the candidate that is confirmed next, within the same budget, after a winner that was rejected.

    A winner that broke its limits or crashed says nothing of the others: the best of them follows, if there is time
    for four sessions. After a winner that gained too little none follows.
    """
    verdicts = state.log.verdicts()
    if not verdicts or verdicts[-1].reason not in REJECTING or is_larger(state.study.budget, verdicts[-1]):
        return None
    last, remaining_s = verdicts[-1].attempt, state.remaining_s()
    if not state.has_reference or state.study.objective.has_several or state.log.confirmation(last) is None:
        return None
    plan = study_plan(state, last)
    if remaining_s is not None and remaining_s < SESSIONS[0] * plan.session_cost_s:
        return None
    return next((c for c in finalists(state, plan) if is_better(c, state.reference)), None)


def is_larger(budget: Budget, line: VerdictLine) -> bool:
    """Returns True if a budget goes beyond the one that led to a verdict, in time or in trials."""
    more_time = line.minutes is not None and (budget.minutes is None or budget.minutes > line.minutes)
    more_trials = line.trials is not None and (budget.trials is None or budget.trials > line.trials)
    return more_time or more_trials


def _strongest_baseline(state: StudyState) -> str:
    """Returns the baseline that the baselines' session and the final together found strongest.

    Sessions with one baseline alone tell nothing: the host might have slowed the others down as well.
    """
    configs = state.setup.baselines
    lines = (state.reference.line, *state.log.sessions("final", attempt=state.attempt))
    members = [dict(line.session.items()) for line in lines]
    found = [{name: met[config] for name, config in configs.items() if config in met} for met in members]
    return rank_baselines(state.study.objective, *(baselines for baselines in found if len(baselines) > 1)).reference


def _refinement_s(reference: Reference, candidates: Sequence[Candidate]) -> float:
    """Returns the seconds of one more session of the final."""
    longer = sum(longer_s(SEARCH_WINDOW_S, candidate) for candidate in candidates)
    usual_s = reference.noise.cost.of(REFINEMENT_BLOCKS, SEARCH_WINDOW_S, 1 + len(candidates))
    return usual_s + (REFINEMENT_BLOCKS + WARM_UP_WINDOWS) * longer
