"""Ends a search: its time, its trials, and the size of the sessions that still fit.

Must not know which points are tried.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tuner.bench.protocol import Clock
from tuner.evidence.state import StudyState
from tuner.planning.budget import StudyPlan
from tuner.planning.confirmation_size import beyond_plan_s
from tuner.planning.pareto_selection import front_finalists
from tuner.planning.selection import finalists
from tuner.planning.session_plan import PROBES
from tuner.search.enumeration import GIVE_UP_AFTER
from tuner.search.known import KnownConfigurations
from tuner.search.stopping import PERCENTILE_CAP_S
from tuner.search.strategies import GROUP, EndReason, SearchEnd

RACE_BLOCKS = 3
"""Smallest number of blocks of a race's session."""

SEARCH_AT_LEAST = 0.5
"""Smallest share of its time that a search keeps if final and confirmation need more than was planned."""


@dataclass(slots=True, kw_only=True)
class SearchTime:
    """The time of one run of a search, with sessions and with the time to choose points."""

    state: StudyState
    plan: StudyPlan
    clock: Clock
    begin_s: float = field(init=False)
    measured_s: float = 0.0
    """Seconds that the sessions of this run took."""

    def __post_init__(self) -> None:
        self.begin_s = self.clock()

    def is_over(self) -> bool:
        """Returns True if no other session fits; the first one always does."""
        remaining_s = self.remaining_s()
        is_begun = bool(self.state.log.sessions("search", "race"))
        return is_begun and remaining_s is not None and remaining_s < 2 * self.member_s()

    def remaining_s(self) -> float | None:
        """Returns the remaining seconds of the search; None if the budget does not limit its time."""
        state, plan = self.state, self.plan
        if plan.search_s is None:
            return None
        recorded_s = sum(line.session.wall_s for line in state.log.sessions("search", "race"))
        spent_s = recorded_s + (self.clock() - self.begin_s - self.measured_s)
        chosen = front_finalists(state, plan) if state.study.objective.has_several else finalists(state, plan)
        reserve_s = beyond_plan_s(state, plan, chosen)
        return max(SEARCH_AT_LEAST * plan.search_s, plan.search_s - reserve_s) - spent_s

    def member_s(self) -> float:
        """Returns the mean duration (s) of one member of a session so far.

        Before the first session it is estimated from the session of the baselines, for a member of a race.
        """
        sessions = [line.session for line in self.state.log.sessions("search", "race")]
        if not sessions:
            reference = self.state.reference
            noise, cost = reference.noise, reference.noise.cost
            is_session_level = self.state.study.objective.row.is_session_level
            window_s = noise.longest_window_s if is_session_level else reference.window_s
            return cost.fixed_s / 2 + race_blocks(self.state) * cost.block_s(window_s)
        return sum(s.wall_s for s in sessions) / sum(len(s.configurations) for s in sessions)

    def group_size(self) -> int:
        """Returns the number of candidates of a race that fit into one session, beside the reference."""
        remaining_s, member_s = self.remaining_s(), self.member_s()
        return GROUP if remaining_s is None else max(1, min(GROUP, int(remaining_s / member_s) - 1))


def remaining_trials(state: StudyState) -> int | None:
    """Returns the number of trials that the budget still allows; None if it does not limit them.

    A trial counts once it has been measured, however often that is.
    """
    total = state.study.budget.trials
    if total is None:
        return None
    lines = state.log.sessions("search", "race")
    return max(0, total - len({number for line in lines for number in line.trials if number is not None}))


def failure_of(known: KnownConfigurations) -> SearchEnd | None:
    """Returns the end of a search in which every configuration failed; None otherwise, and before the first trial."""
    causes = known.causes()
    if not causes or any(c.is_measured for c in known.state.candidates.values()):
        return None
    return SearchEnd(reason=EndReason.ALL_FAILED, cause=causes[-1])


def end_of(known: KnownConfigurations, time: SearchTime, *, is_new: bool) -> SearchEnd | None:
    """Returns why no session may follow, None if one may; `is_new`: the session would measure a new trial."""
    state = known.state
    if (failure := failure_of(known)) is not None and len(known.causes()) >= GIVE_UP_AFTER:
        return failure
    if is_new and remaining_trials(state) == 0:
        return SearchEnd(reason=EndReason.TRIALS_DONE, trials=state.study.budget.trials)
    return SearchEnd(reason=EndReason.TIME_USED) if time.is_over() else None


def race_blocks(state: StudyState) -> int:
    """Returns the number of blocks of a race's session."""
    is_session_level = state.study.objective.row.is_session_level
    return max(RACE_BLOCKS, _percentile_blocks(state), PROBES if is_session_level else 1)


def _percentile_blocks(state: StudyState) -> int:
    """Returns the number of windows that hold the requests which a percentile needs, within a trial's cap."""
    rows = [row for row in state.study.objective.rows if row.quantile is not None]
    if not rows:
        return 1
    per_window = max(1.0, state.reference.noise.requests_per_window)
    needed = max(row.min_requests for row in rows)
    return min(int(needed / per_window) + 1, int(PERCENTILE_CAP_S / state.reference.window_s / 2))
