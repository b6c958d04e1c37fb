"""Refuses, before the search, what a study asks and this host or this budget cannot give.

Knows the reference and the study; measures nothing and shortens nothing.
"""

from __future__ import annotations

import math

from tuner.bench.measurement import Windows
from tuner.bench.metrics import METRICS, Metric, Requirement
from tuner.errors import HostError, InputError
from tuner.evidence.session_cost import PAIRS
from tuner.evidence.state import StudyState
from tuner.planning.budget import CONFIRM_SHARE_AT_MOST, StudyPlan
from tuner.planning.session_plan import percentile_blocks
from tuner.statistics.sequential_test import SESSIONS
from tuner.study.study import Objective, Study

OVERRUN_AT_MOST = 1.0
"""Share of the budget by which a confirmation may make a study longer; beyond it a person decides.

Requests of 40 ms make a p999 study of two minutes one of two hours.
"""

OVERRUN_ALWAYS_S = 60.0
"""Seconds by which a confirmation may make any study longer: no person has to decide about a minute."""


def check_host(study: Study, no_energy: str) -> None:
    """Refuses what can be known to be missing before anything is measured.

    `no_energy` says why RAPL cannot be read, and is empty if it can. Raises HostError, and InputError for starts of
    replicas.
    """
    objective = study.objective
    counts = [study.conditions.replicas, *(baseline.replicas or 1 for baseline in study.baselines.values())]
    counts += [v for p in study.space.parameters if p.name == "replicas" for v in p.values if isinstance(v, int)]
    if objective.needs(Requirement.COLD_START) and max(counts) > 1:
        names = ", ".join(row.name for row in objective.decided_by if Requirement.COLD_START in row.requires)
        raise InputError(f"{names}: a start is measured of one process", advice="take replicas out of the study file")
    if objective.needs(Requirement.ENERGY) and no_energy:
        names = ", ".join(row.name for row in objective.decided_by if Requirement.ENERGY in row.requires)
        raise HostError(
            f"{names}: RAPL cannot be read here: {no_energy}",
            advice="virtual machines have none; elsewhere it takes root or the right to read energy_uj. Without it "
            "cpu_ms_per_sample is the nearest",
        )


def check_reference(state: StudyState, plan: StudyPlan) -> None:
    """Refuses a study whose baselines or whose budget cannot give what it decides by.

    Raises HostError if the baselines lack a metric, InputError if the budget cannot hold the requests of the
    percentiles. Only the first attempt checks the budget.
    """
    _check_measured(state)
    if state.attempt == 1:
        _check_requests(state, plan)


def needed_percentile(state: StudyState) -> Metric | None:
    """Returns the metric whose claim makes sessions longer than usual; None if none does."""
    objective = state.study.objective
    is_usual = percentile_blocks(objective, state.reference.noise.requests_per_window) <= PAIRS
    return None if is_usual else _neediest(objective)


def _check_measured(state: StudyState) -> None:
    ran = [m for m in state.reference.line.session.members if isinstance(m, Windows) and m.windows]
    for row in state.study.objective.decided_by:
        if ran and not any(row.is_in(member.windows) for member in ran):
            raise HostError(
                f"{row.name} was not measured: this host does not tell it",
                advice="decide by another metric; `tuner schema` lists them",
            )


def _check_requests(state: StudyState, plan: StudyPlan) -> None:
    objective = state.study.objective
    per_window = state.reference.noise.requests_per_window
    if plan.total_s is None or percentile_blocks(objective, per_window) <= PAIRS:
        return
    if plan.overrun_s <= max(OVERRUN_AT_MOST * plan.total_s, OVERRUN_ALWAYS_S):
        return
    fewest_s = SESSIONS[0] * plan.session_cost_s
    minutes = math.ceil(fewest_s / CONFIRM_SHARE_AT_MOST / 60)
    lower = ", ".join(
        f"{m.name} {m.min_requests}" for m in METRICS.values() if m.quantile and m != _neediest(objective)
    )
    raise InputError(
        f"the budget of {plan.total_s / 60:g} min is too short: {_need(objective)}. At {per_window:.0f} requests in a "
        f"window that is {plan.pairs} pairs, and {SESSIONS[0]} confirmation sessions take {fewest_s / 60:.0f} min",
        advice=f"--minutes {minutes} is enough; or decide by a percentile that needs fewer requests ({lower})",
    )


def _need(objective: Objective) -> str:
    row = _neediest(objective)
    return f"a claim about {row.name} needs {row.min_requests} requests"


def _neediest(objective: Objective) -> Metric:
    return max(objective.decided_by, key=lambda row: row.min_requests)
