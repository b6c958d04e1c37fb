"""How the time of a study is divided and what that proves, in words.

Knows the plan and the noise; measures and decides nothing.
"""

from __future__ import annotations

from tuner.evidence.state import StudyState
from tuner.planning.budget import FRONT_MEMBERS, SD_FLOOR, StudyPlan
from tuner.planning.feasibility import percentile_lines
from tuner.statistics.power import smallest_provable_gain_pct
from tuner.statistics.sequential_test import alpha_of, gain_log


def provable_pct(state: StudyState, plan: StudyPlan) -> float:
    """Returns the smallest gain that the plan proves with a probability of 80 %."""
    sd = state.reference.noise.session_sd_of(plan.pairs)
    alpha = alpha_of(state.log.winners_before(state.attempt))
    if (count := len(state.study.objective.metrics)) > 1:
        alpha /= count * (FRONT_MEMBERS - 1)
    return smallest_provable_gain_pct(
        sd,
        plan.max_sessions,
        alpha,
        min_gain_log=gain_log(state.study.min_gain_pct),
        sd_floor=SD_FLOOR * sd,
    )


def plan_lines(state: StudyState, plan: StudyPlan) -> list[str]:
    """Returns the budget by phases, what it rests on, and the smallest gain that it can prove, in lines."""
    noise = state.reference.noise
    search = "until the trials are done" if plan.search_s is None else f"{plan.search_s:.0f} s"
    minutes = state.study.budget.minutes
    within = "" if minutes is None else f", in {minutes:g} min"
    known = state.setup.known_noise
    usual = "" if noise.session_df or known else " (the usual noise: this budget has no time to find out)"
    return [
        f"plan: baselines and calibration {plan.baselines_s:.0f} s, search {search}, final {plan.final_s:.0f} s, "
        f"confirmation {plan.confirm_s:.0f} s (at most {plan.max_sessions} sessions of {plan.pairs} pairs)",
        f"sessions of equals differ by {100 * noise.session_sd:.1f} % here{usual}",
        f"provable on this machine{within}: a gain of {provable_pct(state, plan):.1f} % or more",
        *percentile_lines(state, plan),
        *plan.notes,
    ]
