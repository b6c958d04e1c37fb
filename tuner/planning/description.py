"""Numbers of a plan that a person reads: how the time of a study is divided, and what that proves.

Knows the plan and the noise; measures and decides nothing, and makes no sentences.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from tuner.evidence.noise import PRIOR_SD
from tuner.evidence.state import StudyState
from tuner.planning.budget import FRONT_MEMBERS, SD_FLOOR, StudyPlan
from tuner.planning.feasibility import needed_percentile
from tuner.planning.study_plan import study_plan, usual_plan
from tuner.statistics.power import smallest_provable_gain_pct
from tuner.statistics.sequential_test import attempt_alpha, gain_log, winner_alpha


class NoiseSource(enum.Enum):
    """Source of the noise that a plan assumes."""

    MEASURED = "measured"
    """This study has measured it."""
    KNOWN = "known"
    """An earlier study of today has measured it on this host."""
    USUAL = "usual"
    """It has not been measured: the noise of a usual host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan as a person is told of it."""

    plan: StudyPlan
    minutes: float | None
    """Budget in minutes; None if only trials are budgeted."""
    has_baselines: bool
    """True if the baselines have run."""
    session_sd: float
    """Standard deviation of sessions of one configuration against itself, a log-ratio."""
    noise: NoiseSource
    provable_gain_pct: float
    """Smallest gain that is proved with a probability of 80 %."""
    percentile: str = ""
    """Name of the metric whose claim makes sessions longer than usual; empty if none does."""


def provable_pct(state: StudyState, plan: StudyPlan) -> float:
    """Returns the smallest gain that the plan proves with a probability of 80 %."""
    sd = state.reference.noise.session_sd_of(plan.pairs)
    alpha = attempt_alpha(state.log.winners_before(state.attempt), state.log.baselines_alone_before(state.attempt))
    if not state.study.objective.has_several:
        claims_baseline = state.reference.differs_from_today(state.reference.name)
        alpha = winner_alpha(alpha, claims_baseline=claims_baseline, is_baseline_proved=False)
    if (count := len(state.study.objective.metrics)) > 1:
        alpha /= count * (FRONT_MEMBERS - 1)
    return smallest_provable_gain_pct(
        sd,
        plan.max_sessions,
        alpha,
        min_gain_log=gain_log(state.study.min_gain_pct),
        sd_floor=SD_FLOOR * sd,
    )


def describe_plan(state: StudyState) -> Planned:
    """Returns the plan of the attempt that is going on; before the baselines have run, that of a usual host."""
    if not state.has_reference:
        return _usual(state)
    plan, noise, known = study_plan(state), state.reference.noise, state.setup.known_noise
    source = NoiseSource.MEASURED if noise.session_df else NoiseSource.KNOWN if known else NoiseSource.USUAL
    return Planned(
        plan=plan,
        minutes=state.study.budget.minutes,
        has_baselines=True,
        session_sd=noise.session_sd,
        noise=source,
        provable_gain_pct=provable_pct(state, plan),
        percentile=row.name if (row := needed_percentile(state)) else "",
    )


def _usual(state: StudyState) -> Planned:
    plan, known = usual_plan(state.setup), state.setup.known_noise
    sd = known.session_sd if known else PRIOR_SD
    return Planned(
        plan=plan,
        minutes=state.study.budget.minutes,
        has_baselines=False,
        session_sd=sd,
        noise=NoiseSource.KNOWN if known else NoiseSource.USUAL,
        provable_gain_pct=smallest_provable_gain_pct(
            sd, plan.max_sessions, min_gain_log=gain_log(state.study.min_gain_pct)
        ),
    )
