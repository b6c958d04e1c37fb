"""Phases 1 and 2: the baselines, and the reference beside itself.

Acts: it measures sessions and fixes what they say of the noise. The reference follows from the record.
"""

from __future__ import annotations

from tuner.bench.protocol import Role, SessionMember
from tuner.evidence.baseline_ranking import rank_baselines
from tuner.evidence.noise import ENOUGH_DF
from tuner.evidence.state import Reference
from tuner.phases.host_events import HostReading
from tuner.phases.progress import BaselinesMeasured, Measuring
from tuner.phases.runner import SessionRunner
from tuner.planning.budget import BASELINES_SHARE
from tuner.planning.description import provable_pct
from tuner.planning.feasibility import check_reference
from tuner.planning.session_plan import BASELINE_BLOCKS, percentile_blocks, plan_session
from tuner.planning.study_plan import study_plan
from tuner.records.session_log import CalibrationLine
from tuner.statistics.disturbance import windows_of
from tuner.study.windows import first_window_s

CALIBRATION_PAIRS = 6
"""Number of pairs of windows in a session of the reference beside itself, at least."""


def settle_reference(runner: SessionRunner) -> None:
    """Runs phases 1 and 2: the baselines, interleaved in fresh processes, and the reference beside itself.

    The user is told what they showed. Raises NoAnswerError if no baseline runs, and what `check_reference` raises.
    """
    state = runner.state
    budget = state.study.budget
    total_s = float("inf") if budget.minutes is None else 60 * budget.minutes
    blocks, pairs = next((blocks, pairs) for from_s, blocks, pairs in BASELINE_BLOCKS if total_s >= from_s)
    if not state.has_reference:
        configs = state.setup.baselines
        runner.show("baselines", Measuring(baselines=tuple(configs)))
        plan = plan_session(state, None, "baselines", blocks=blocks, is_fresh=True)
        members = [SessionMember(config=config, role=Role.BASELINE) for config in configs.values()]
        line = runner.measure(members, plan)
        # Raises the reason if none of them runs; the same command tries again.
        rank_baselines(state.study.objective, dict(zip(configs, line.session.members, strict=True)))
    check_reference(state, study_plan(state))
    if state.log.calibration() is None and not state.log.sessions("search", "race"):
        _calibrate(runner, pairs, total_s)
    runner.tell(read_baselines(state.reference))


def _calibrate(runner: SessionRunner, sessions: int, total_s: float) -> None:
    """Measures the reference beside itself and appends the line that fixes what follows.

    Takes `sessions` in fresh processes, fewer if they do not fit into a tenth of the budget, none if an earlier study
    of today knew the noise.
    """
    state, reference = runner.state, runner.state.reference
    known, cost = state.setup.known_noise, reference.noise.cost
    if known is not None and known.df >= ENOUGH_DF:
        sessions = 0
    needed = percentile_blocks(state.study.objective, reference.noise.requests_per_window)
    pairs = max(CALIBRATION_PAIRS, needed)
    window_s = first_window_s(state.setup)
    for _ in range(state.session_count("calibration"), sessions):
        if state.log.spent_s() + cost.of(pairs, window_s) > BASELINES_SHARE * total_s:
            break
        runner.show("calibration", Measuring())
        plan = plan_session(state, reference, "calibration", blocks=pairs, window_s=window_s, is_fresh=True)
        runner.measure(
            [SessionMember(config=reference.configuration, role=r) for r in (Role.REFERENCE, Role.COPY)], plan
        )
    noise = state.reference.noise
    runner.append(
        CalibrationLine(
            known=known,
            session_sd=noise.session_sd,
            session_df=noise.session_df,
            provable_gain_pct=provable_pct(state, study_plan(state)),
        )
    )
    runner.remember(noise)


def read_baselines(reference: Reference) -> BaselinesMeasured:
    """Returns the baselines against the reference, the noise, and what the host did meanwhile."""
    ranking, noise = reference.ranking, reference.noise
    return BaselinesMeasured(
        reference=ranking.reference,
        gains={name: value for name, value in ranking.values.items() if name != ranking.reference},
        same=same_names(reference),
        violated={
            name: [metric for metric, excess in violations.items() if excess > 0.0]
            for name, violations in ranking.violations.items()
        },
        is_feasible=ranking.is_feasible,
        failures=ranking.failures,
        window_sd=noise.window_sd,
        unsteady=noise.unsteady,
        host=HostReading.of(windows_of([reference.line.session])),
        metric=reference.comparer.objective.metric,
    )


def same_names(reference: Reference) -> list[list[str]]:
    """Returns the names of baselines that are one effective configuration, for each that has several."""
    names: dict[str, list[str]] = {}
    for name, key in reference.baseline_keys.items():
        names.setdefault(key, []).append(name)
    return [found for found in names.values() if len(found) > 1]
