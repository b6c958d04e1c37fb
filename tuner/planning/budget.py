"""The division of a study's time among its phases, and the number of sessions that its confirmation has.

Responsible for arithmetic on seconds. Must not know clocks, benches or the search.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tuner.evidence.session_cost import PAIRS, WINDOW_S, SessionCost
from tuner.statistics.sequential_test import SESSIONS, looks

BASELINES_SHARE = 0.10
"""Share of the budget that baselines and calibration may take (tuner/README.md, budget)."""

CONFIRM_SHARE = 0.40
"""Share of the budget up to which the confirmation has more than four sessions (tuner/README.md, budget)."""

CONFIRM_SHARE_AT_MOST = 0.60
"""Share of the budget that four sessions may take; beyond it the sessions are made shorter."""

SHORT_PAIRS, SHORTEST_PAIRS, SHORT_WINDOW_S = 6, 4, 0.3
"""Number of pairs of a short confirmation session and of the shortest, and length of their windows (s)."""

SMALL_FINAL_FROM_S, FULL_FINAL_FROM_S = 100.0, 300.0
"""Seconds of the budget from which on a front has a small final, and every study a full one."""

SD_FLOOR = 0.5
"""Share of the calibrated standard deviation between sessions that a confirmation assumes at least.

If compiles have two speeds, one study in sixteen draws the same speed in its first four sessions. Their own spread then
says that nothing differs.
"""

TRIALS_ONLY_MAX_SESSIONS = 6
"""Number of sessions at most if the budget has trials alone.

Six is the first number whose false positives stay at alpha if compiles differ (tuner/README.md).
"""

CONFIRM_TOLERANCE = 1.1
"""Factor by which a session may take longer than planned without fewer sessions: the plan is no more exact."""

ROUNDING_S = 1e-9
"""Seconds by which a sum of shares may exceed their whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalPlan:
    """A final: sessions of the best candidates, which are measured again until more would tell nothing."""

    top: int
    """Number of candidates in a session at most."""
    blocks: int
    """Number of blocks of a session."""
    has_baselines: bool = True
    """True if every baseline takes part in the first session, and in all of a front.

    Otherwise the reference alone does.
    """


SMALL_FINAL = FinalPlan(top=3, blocks=4, has_baselines=False)
FULL_FINAL = FinalPlan(top=3, blocks=4)
"""Finals of one objective, by `FULL_FINAL_FROM_S` (tuner/README.md, final)."""

NO_FINAL = FinalPlan(top=0, blocks=0, has_baselines=False)
SMALL_FRONT_FINAL = FinalPlan(top=4, blocks=4)
FULL_FRONT_FINAL = FinalPlan(top=8, blocks=6)
"""Finals of several objectives: as many sessions as their candidates fill, every baseline in each."""

FRONT_MEMBERS = 5
"""Number of members that a session of several objectives is planned with: the reference and four points.

If the time allows, a session has more.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTerms:
    """The facts about sessions that the division of a budget depends on."""

    cost: SessionCost
    baselines: int = 3
    """Number of baselines."""
    baselines_s: float | None = None
    """Seconds that the baselines took; None before they have run."""
    wanted_window_s: float = WINDOW_S
    """Length of a window (s) that suits the noise."""
    min_window_s: float = SHORT_WINDOW_S
    """Length of the shortest window (s) that holds enough completions."""
    min_pairs: int = 1
    """Number of pairs at least that hold enough requests for the percentiles."""
    has_several: bool = False
    """True if the study has several objectives, whose sessions have more members."""
    members: int = 2
    """Number of members of a confirmation's session: reference, winner, and today's baseline if that is another one."""

    @property
    def finals(self) -> tuple[tuple[float, FinalPlan], ...]:
        """Pairs of a budget (s) and the final that it has from there on, the largest first."""
        full, small = (FULL_FRONT_FINAL, SMALL_FRONT_FINAL) if self.has_several else (FULL_FINAL, SMALL_FINAL)
        return ((FULL_FINAL_FROM_S, full), (SMALL_FINAL_FROM_S, small), (0.0, NO_FINAL))

    def final_s(self, final: FinalPlan, window_s: float) -> float:
        """Returns the seconds of one session of a final, which is all of a front's."""
        if not final.blocks:
            return 0.0
        others = self.baselines if final.has_baselines else 1
        turns = (final.top + others) * final.blocks
        starts_s = self.cost.fixed_s / 2.0 * (final.top + others) * min(1, final.top)
        return starts_s + turns * self.cost.block_s(window_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPlan:
    """The seconds of each phase, and the size of final and confirmation."""

    total_s: float | None
    """Seconds of the budget; None if the budget has trials alone."""
    baselines_s: float
    search_s: float | None = None
    """Seconds of the search; None if the budget has trials alone."""
    final: FinalPlan = NO_FINAL
    final_s: float = 0.0
    max_sessions: int = TRIALS_ONLY_MAX_SESSIONS
    """Number of sessions of the confirmation at most."""
    pairs: int = PAIRS
    """Number of pairs in a session of the confirmation."""
    window_s: float = WINDOW_S
    """Length of a window (s) of the confirmation."""
    session_cost_s: float = 0.0
    """Seconds of one session of the confirmation."""
    members: int = 2
    """Number of members of such a session, if there is one objective."""
    overrun_s: float = 0.0
    """Seconds by which the study exceeds its budget, because even four short sessions do not fit."""
    is_short: bool = False
    """True if sessions of the confirmation are shorter than usual, because four usual ones do not fit."""
    is_final_smaller: bool = False
    """True if the final is smaller than usual for this budget, because windows and compiles are slow."""

    @property
    def confirm_s(self) -> float:
        """Seconds of the confirmation."""
        return self.max_sessions * self.session_cost_s

    def sessions_within(self, session_s: float) -> int:
        """Returns the number of sessions of the confirmation if one takes `session_s`, more than planned.

        These are as many as fit into the reserved time, but four at least.
        """
        if self.total_s is None:
            return self.max_sessions
        allowed_s = CONFIRM_TOLERANCE * self.confirm_s
        return max((k for k in looks(self.max_sessions) if k * session_s <= allowed_s), default=SESSIONS[0])


def plan_budget(total_s: float | None, terms: SessionTerms) -> StudyPlan:
    """Returns how the budget is divided that remains after preflight and resolving (tuner/README.md, budget).

    `total_s` is None if the budget has trials alone. The confirmation is reserved first: the most of 4, 6, 9, 12
    sessions that take at most max(40 %, four sessions). If four take more than 60 %, they have 6 or 4 pairs of 0.3 s;
    if those still do, the confirmation overruns. The final follows, and the search has the rest.
    """
    spent_s = BASELINES_SHARE * (total_s or 0.0) if terms.baselines_s is None else terms.baselines_s
    plan = _with_sessions(StudyPlan(total_s=total_s, baselines_s=spent_s), terms, PAIRS, terms.wanted_window_s)
    if total_s is None:
        full = terms.finals[0][1]
        return replace(plan, final=full, final_s=terms.final_s(full, plan.window_s))
    return _with_search_and_final(_with_confirmation(plan, terms, total_s), terms, total_s)


def _with_sessions(plan: StudyPlan, terms: SessionTerms, pairs: int, window_s: float) -> StudyPlan:
    """Returns the plan with confirmation sessions of this size, or larger if the model needs it."""
    pairs, window_s = max(pairs, terms.min_pairs), max(window_s, terms.min_window_s)
    cost_s = terms.cost.of(pairs, window_s, FRONT_MEMBERS if terms.has_several else terms.members)
    return replace(plan, pairs=pairs, window_s=window_s, session_cost_s=cost_s, members=terms.members)


def _with_confirmation(plan: StudyPlan, terms: SessionTerms, total_s: float) -> StudyPlan:
    """Returns the plan with the number of sessions that the budget allows, short ones if it must be."""
    at_most_s = CONFIRM_SHARE_AT_MOST * total_s
    for pairs in (SHORT_PAIRS, SHORTEST_PAIRS):
        if SESSIONS[0] * plan.session_cost_s > at_most_s + ROUNDING_S:
            plan = replace(_with_sessions(plan, terms, pairs, SHORT_WINDOW_S), is_short=True)
    allowed_s = max(CONFIRM_SHARE * total_s, SESSIONS[0] * plan.session_cost_s) + ROUNDING_S
    plan = replace(plan, max_sessions=max(k for k in SESSIONS if k * plan.session_cost_s <= allowed_s))
    if plan.confirm_s > at_most_s + ROUNDING_S:
        plan = replace(plan, overrun_s=plan.confirm_s - at_most_s)
    return plan


def _with_search_and_final(plan: StudyPlan, terms: SessionTerms, total_s: float) -> StudyPlan:
    """Returns the plan with the final of this budget, or a smaller one that is no longer than the search."""
    remaining_s = max(0.0, total_s + plan.overrun_s - plan.confirm_s - plan.baselines_s)
    possible = [final for from_s, final in terms.finals if total_s >= from_s]
    costs_s = {final: terms.final_s(final, plan.window_s) for final in possible}
    final = next((final for final in possible if costs_s[final] <= remaining_s / 2.0), possible[-1])
    final_s = costs_s[final]
    return replace(
        plan,
        search_s=remaining_s - final_s,
        final=final,
        final_s=final_s,
        is_final_smaller=final is not possible[0],
    )
