"""How a study's time is divided, and what can be proved in it.

Responsible for arithmetic on seconds and standard deviations. Must not know clocks, benches or the search.
"""

from __future__ import annotations

from dataclasses import dataclass

from tuner.evidence.session_cost import PAIRS, WINDOW_S, SessionCost
from tuner.statistics.sequential_test import SESSIONS, looks

BASELINES_SHARE = 0.10

CONFIRM_SHARE = 0.40
"""What the confirmation may take where it has the choice between more sessions and more search."""

CONFIRM_SHARE_AT_MOST = 0.60
"""Four sessions may take so much; beyond it they are made shorter."""

SHORT_PAIRS, SHORT_WINDOW_S = 6, 0.3

SMALL_FINAL_FROM_S = 100.0

FULL_FINAL_FROM_S = 300.0

SD_FLOOR = 0.5
"""Share of the calibrated standard deviation between sessions that is assumed at least: where compiles have two speeds,
one study in sixteen draws the same one in all of its first four sessions, and their own spread says that nothing
differs."""

TRIALS_ONLY_MAX_SESSIONS = 6
"""Where only trials are budgeted nobody waits for a minute: six sessions, the first number whose false wins stay at the
nominal level where compiles differ (measurement.md)."""

CONFIRM_TOLERANCE = 1.1
"""A session that takes a tenth more than planned is no reason for fewer: the plan is no better than that."""

ROUNDING_S = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalPlan:
    """The best `top` candidates and the baselines in `rounds` shuffled blocks. Each entry of `keep` says how many
    candidates stay after its equal part of the rounds."""

    top: int
    rounds: int
    keep: tuple[int, ...]
    has_baselines: bool = True
    """Whether every baseline takes part; else the reference alone."""

    @property
    def stages(self) -> tuple[int, ...]:
        """How many candidates each part of the rounds has."""
        return (self.top, *self.keep)[:-1]

    @property
    def stage_rounds(self) -> int:
        return self.rounds // max(1, len(self.stages))


NO_FINAL = FinalPlan(top=0, rounds=0, keep=())

SMALL_FINAL = FinalPlan(top=3, rounds=4, keep=(1,), has_baselines=False)

FULL_FINAL = FinalPlan(top=6, rounds=8, keep=(3, 1))

SMALL_FRONT_FINAL = FinalPlan(top=4, rounds=4, keep=(1,))

FULL_FRONT_FINAL = FinalPlan(top=8, rounds=6, keep=(1,))
"""Of several objectives: one part of as many lineups as its candidates fill, every baseline in each."""

FRONT_MEMBERS = 5
"""Of a confirmation session of several objectives, for planning: the reference and four points. Where the time allows
there are more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPlan:
    """Seconds for each phase; None for the search where only trials are budgeted. `overruns`: even four short sessions
    do not fit, and the study will take `overrun_s` longer than its budget. `notes` are lines for the user."""

    total_s: float | None
    baselines_s: float
    search_s: float | None
    final_s: float
    confirm_s: float
    final: FinalPlan
    max_sessions: int
    pairs: int
    window_s: float
    session_cost_s: float
    overrun_s: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def overruns(self) -> bool:
        return self.overrun_s > 0.0

    def sessions_within(self, session_s: float, *, lent_s: float = 0.0) -> int:
        """How many sessions the confirmation has where one takes `session_s`, more than planned: what fits into the
        time reserved, less what it lent to the final, and four in any case."""
        if self.total_s is None:
            return self.max_sessions
        allowed_s = CONFIRM_TOLERANCE * self.confirm_s - lent_s
        return max((k for k in looks(self.max_sessions) if k * session_s <= allowed_s), default=SESSIONS[0])


def plan_budget(
    total_s: float | None,
    cost: SessionCost,
    *,
    baselines: int = 3,
    baselines_s: float | None = None,
    wanted_window_s: float = WINDOW_S,
    min_window_s: float = SHORT_WINDOW_S,
    min_pairs: int = 1,
    has_several: bool = False,
) -> StudyPlan:
    """Divide `total_s`, the budget after preflight and resolving (None: only trials are budgeted), by measurement.md.

    The confirmation is reserved first: the most of 4, 6, 9, 12 sessions that take at most max(40 %, four sessions); if
    four take more than 60 %, sessions of 6 pairs of 0.3 s; if those do too, the confirmation overruns. `baselines`: how
    many there are; `baselines_s`: what they took where they have run (else 10 % is reserved, and 0 without a total);
    `wanted_window_s`: what suits the noise; `min_window_s`: the shortest window that holds enough completions on this
    model; `min_pairs`: the fewest pairs that hold enough requests for a percentile. The full final takes both halves of
    its rounds with every baseline beside the best 6, then 3. `has_several` objectives: sessions have more members.
    """
    members = FRONT_MEMBERS if has_several else 2
    small, full = (SMALL_FRONT_FINAL, FULL_FRONT_FINAL) if has_several else (SMALL_FINAL, FULL_FINAL)
    spent_s = baselines_s if baselines_s is not None else BASELINES_SHARE * (total_s or 0.0)
    pairs, window_s = max(PAIRS, min_pairs), max(wanted_window_s, min_window_s)
    session_s = cost.of(pairs, window_s, members)
    if total_s is None:
        final_s = _final_s(full, cost, baselines, window_s)
        return StudyPlan(
            total_s=None,
            baselines_s=spent_s,
            search_s=None,
            final_s=final_s,
            confirm_s=TRIALS_ONLY_MAX_SESSIONS * session_s,
            final=full,
            max_sessions=TRIALS_ONLY_MAX_SESSIONS,
            pairs=pairs,
            window_s=window_s,
            session_cost_s=session_s,
        )
    notes: list[str] = []
    fewest = SESSIONS[0]
    at_most_s = CONFIRM_SHARE_AT_MOST * total_s + ROUNDING_S
    if fewest * session_s > at_most_s:
        pairs, window_s = max(SHORT_PAIRS, min_pairs), max(SHORT_WINDOW_S, min_window_s)
        session_s = cost.of(pairs, window_s, members)
        notes.append(f"the budget is short: confirmation sessions have {pairs} pairs of {window_s:g} s windows")
    allowed_s = max(CONFIRM_SHARE * total_s, fewest * session_s) + ROUNDING_S
    max_sessions = max(k for k in SESSIONS if k * session_s <= allowed_s)
    confirm_s = max_sessions * session_s
    overrun_s = 0.0
    if confirm_s > at_most_s:
        overrun_s = confirm_s - CONFIRM_SHARE_AT_MOST * total_s
        longer = f": the study takes about {overrun_s:.0f} s longer" if overrun_s >= 1.0 else ""
        notes.append(
            f"{max_sessions} confirmation sessions take {confirm_s:.0f} s, which is more than "
            f"{100 * CONFIRM_SHARE_AT_MOST:.0f} % of {total_s:.0f} s{longer}"
        )
    remaining_s = max(0.0, total_s + overrun_s - confirm_s - spent_s)
    final, final_s = _affordable_final(total_s, remaining_s, cost, baselines, window_s, notes, (small, full))
    return StudyPlan(
        total_s=total_s,
        baselines_s=spent_s,
        search_s=remaining_s - final_s,
        final_s=final_s,
        confirm_s=confirm_s,
        final=final,
        max_sessions=max_sessions,
        pairs=pairs,
        window_s=window_s,
        session_cost_s=session_s,
        overrun_s=overrun_s,
        notes=tuple(notes),
    )


def _final_s(final: FinalPlan, cost: SessionCost, baselines: int, window_s: float) -> float:
    """What a final takes: the small one has only the reference beside its candidates, the full one every baseline."""
    if not final.rounds:
        return 0.0
    others = baselines if final.has_baselines else 1
    turns = sum(field + others for field in final.stages) * final.stage_rounds
    return cost.fixed_s / 2.0 * (final.top + others) + turns * (window_s + cost.turn_s)


def _affordable_final(
    total_s: float,
    remaining_s: float,
    cost: SessionCost,
    baselines: int,
    window_s: float,
    notes: list[str],
    finals: tuple[FinalPlan, FinalPlan],
) -> tuple[FinalPlan, float]:
    """The final for this budget; a smaller one where it would take longer than the search before it."""
    wanted = [NO_FINAL]
    if total_s >= SMALL_FINAL_FROM_S:
        wanted.insert(0, finals[0])
    if total_s >= FULL_FINAL_FROM_S:
        wanted.insert(0, finals[1])
    for final in wanted:
        final_s = _final_s(final, cost, baselines, window_s)
        if final_s <= remaining_s / 2.0:
            break
    if final is not wanted[0]:
        notes.append("windows and compiles are slow on this model: the final is smaller than the budget would have it")
    return final, final_s
