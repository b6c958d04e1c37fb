"""Phases 1 and 2: the baselines, and the reference beside itself.

Acts: it measures sessions and fixes what they say of the noise. The reference follows from the record.
"""

from __future__ import annotations

from collections.abc import Mapping

from tuner.bench.protocol import Role, SessionMember
from tuner.evidence.baseline_ranking import rank_baselines
from tuner.evidence.noise import ENOUGH_DF
from tuner.evidence.state import Reference
from tuner.phases.runner import SessionRunner
from tuner.planning.budget import BASELINES_SHARE
from tuner.planning.description import provable_pct
from tuner.planning.feasibility import check_reference
from tuner.planning.session_plan import percentile_blocks, plan_session
from tuner.planning.study_plan import study_plan
from tuner.records.session_log import CalibrationLine
from tuner.report.words.host import disturbed_words, late_words, warning
from tuner.statistics.disturbance import count_disturbed, mean_load, windows_of
from tuner.statistics.sequential_test import gain_pct
from tuner.study.windows import first_window_s

BASELINE_BLOCKS = ((600.0, 8, 4), (300.0, 6, 2), (100.0, 6, 0), (0.0, 4, 0))
"""Budget in seconds from which on -> blocks of the baselines, sessions of the reference beside itself.

Both together take a tenth of the budget (tuner/README.md).
"""

CALIBRATION_PAIRS = 6
"""Number of pairs of windows in a session of the reference beside itself, at least."""

NOISY_WINDOW_SD = 0.15
"""Standard deviation of windows (log-ratio) above which they differ by more than most gains worth having."""


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
        runner.show("baselines", ", ".join(configs))
        plan = plan_session(state, None, "baselines", blocks=blocks, is_fresh=True)
        members = [SessionMember(config=config, role=Role.BASELINE) for config in configs.values()]
        line = runner.measure(members, plan)
        # Raises the reason if none of them runs; the same command tries again.
        rank_baselines(state.study.objective, dict(zip(configs, line.session.members, strict=True)))
    check_reference(state, study_plan(state))
    if state.log.calibration() is None and not state.log.sessions("search", "race"):
        _calibrate(runner, pairs, total_s)
    for words in baseline_lines(state.reference):
        runner.say(words)


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
        runner.show("calibration", "against itself")
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


def baseline_lines(reference: Reference) -> list[str]:
    """Returns the baselines against the reference, and a calm warning about a noisy host, each in one line."""
    ranking, noise = reference.ranking, reference.noise
    others = [
        f"{name} {gain_pct(value):+.1f} %{_broken(ranking.violations.get(name, {}))}"
        for name, value in ranking.values.items()
        if name != ranking.reference
    ]
    lines = [f"reference: {ranking.reference}; beside it, positive is better: {', '.join(others)}"] if others else []
    if not ranking.is_feasible:
        lines.append("no baseline keeps the limits: candidates are compared with the nearest, and no gain is claimed")
    lines += [f"one configuration here under several names: {', '.join(names)}" for names in _same(reference)]
    lines += [f"baseline {name} failed: {failure}" for name, failure in ranking.failures.items()]
    words = f"noise: neighbouring windows differ by {100 * noise.window_sd:.1f} % (sd)"
    windows = windows_of([reference.line.session])
    warned = warning(mean_load(windows), when="while the baselines were measured")
    if noise.window_sd > NOISY_WINDOW_SD and not warned:
        words += ": this host is noisy; a longer budget proves smaller gains"
    if noise.unsteady:
        lines.append(f"not steady after 5 s of warm-up: {', '.join(noise.unsteady)}")
    disturbed = disturbed_words(count_disturbed(windows), len(windows))
    return [*lines, words, *filter(None, (disturbed, late_words(windows), warned))]


def _same(reference: Reference) -> list[list[str]]:
    """Returns the names of baselines that are one effective configuration, for each that has several."""
    names: dict[str, list[str]] = {}
    for name, key in reference.baseline_keys.items():
        names.setdefault(key, []).append(name)
    return [found for found in names.values() if len(found) > 1]


def _broken(violations: Mapping[str, float]) -> str:
    """Returns why a baseline that is better than the reference is not the reference."""
    metrics = [metric for metric, excess in violations.items() if excess > 0.0]
    return f" (beyond the limit of {', '.join(metrics)})" if metrics else ""
