"""Ends a search: its time, its trials, and the size of the sessions that still fit.

Must not know which points are tried.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tuner.bench.protocol import Clock
from tuner.evidence.state import StudyState
from tuner.planning.budget import StudyPlan
from tuner.planning.confirmation_size import front_reserve_s, reserve_s
from tuner.planning.pareto_selection import front_finalists
from tuner.planning.selection import next_refinement, open_candidates
from tuner.planning.session_plan import PROBES
from tuner.search.enumeration import GIVE_UP_AFTER
from tuner.search.known import KnownConfigurations
from tuner.search.stopping import PERCENTILE_CAP_S
from tuner.search.strategies import GROUP, Batch, EndReason, SearchEnd

USUAL_WINDOWS = 2
"""Number of windows of a candidate of a search, on average: most have one, the best have more."""

FINAL_PROMISE = 3.0
"""Factor by which a second of the final must promise more than one of the search, which then ends.

The worth of a session of the final takes the values for independent, which makes it too large: neighbours agree.
Chosen on the recorded tables and two server tables, 8 to 32 studies a cell, where 1 and 3 ended about as near to the
best; results/benchmarks.md has other seeds of the recorded tables.
"""

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
        """Returns the remaining seconds of the search; None if the budget does not limit its time.

        They are its share of what the confirmation of the best candidate so far leaves to search and final, and half of
        the planned time at least.
        """
        state, plan = self.state, self.plan
        if plan.search_s is None or (remaining_s := state.remaining_s()) is None:
            return None
        own_s = self.clock() - self.begin_s - self.measured_s
        spent_s = sum(line.session.wall_s for line in state.log.sessions("search", "race"))
        at_least_s = SEARCH_AT_LEAST * plan.search_s
        if state.study.objective.has_several:
            allowed_s = spent_s + remaining_s - front_reserve_s(state, plan, front_finalists(state, plan))
        else:
            best = next(iter(open_candidates(state)), None)
            refinement = next_refinement(state, plan) if plan.final_s else None
            final_s = min(plan.final_s, refinement.session_s) if refinement else plan.final_s
            allowed_s = spent_s + remaining_s - reserve_s(state, plan, best) - final_s
        return max(at_least_s, allowed_s) - spent_s - own_s

    def is_better_spent(self, batch: Batch) -> bool:
        """Returns True if a second of the final promises more than a second of this batch."""
        if self.plan.search_s is None or self.state.study.objective.has_several or math.isinf(batch.worth):
            return False
        refinement = next_refinement(self.state, self.plan)
        batch_s = (1 + len(batch.points)) * self.member_s()
        return (
            refinement is not None and refinement.worth / refinement.session_s > FINAL_PROMISE * batch.worth / batch_s
        )

    def member_s(self) -> float:
        """Returns the mean duration (s) of one member of a session so far.

        Before the first session it is estimated from the session of the baselines, for a member of a search.
        """
        sessions = [line.session for line in self.state.log.sessions("search", "race")]
        if not sessions:
            reference = self.state.reference
            noise, cost = reference.noise, reference.noise.cost
            is_session_level = self.state.study.objective.row.is_session_level
            window_s = noise.longest_window_s if is_session_level else reference.window_s
            return cost.fixed_s / 2 + usual_windows(self.state) * cost.block_s(window_s)
        return sum(s.wall_s for s in sessions) / sum(len(s.configurations) for s in sessions)

    def group_size(self) -> int:
        """Returns the number of candidates that fit into one session, beside the reference."""
        remaining_s, member_s, trials = self.remaining_s(), self.member_s(), remaining_trials(self.state)
        by_time = GROUP if remaining_s is None else int(remaining_s / member_s) - 1
        return max(1, min(GROUP, by_time, GROUP if trials is None else trials))


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


def usual_windows(state: StudyState) -> int:
    """Returns the number of windows of a candidate before any was measured."""
    is_session_level = state.study.objective.row.is_session_level
    return max(USUAL_WINDOWS, _percentile_blocks(state), PROBES if is_session_level else 1)


def _percentile_blocks(state: StudyState) -> int:
    """Returns the number of windows that hold the requests which a percentile needs, within a trial's cap."""
    rows = [row for row in state.study.objective.rows if row.quantile is not None]
    if not rows:
        return 1
    per_window = max(1.0, state.reference.noise.requests_per_window)
    needed = max(row.min_requests for row in rows)
    return min(int(needed / per_window) + 1, int(PERCENTILE_CAP_S / state.reference.window_s / 2))
