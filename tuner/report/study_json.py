"""Shows a study's folder as plain values for JSON. Must not compute results."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tuner.deploy.best import Best
from tuner.outcome.study_report import StudyReport
from tuner.report.front import front_json
from tuner.report.outcome import winner_title
from tuner.statistics.sequential_test import gain_pct


def study_json(report: StudyReport) -> dict[str, Any]:
    """Returns what `tuner run --json` and `tuner show --json` print; what is not known yet is null or empty."""
    reference = report.reference
    return {
        "study": report.study.name,
        "folder": str(report.folder),
        "objective": report.study.objective.metric,
        "environment": dict(report.environment),
        "spent_s": report.spent_s,
        "noise_pct": 100 * reference.noise.window_sd if reference else None,
        "provable_gain_pct": report.provable_gain_pct,
        "windows": report.windows,
        "disturbed_windows": report.disturbed,
        "reference": report.result.reference if report.result else reference.name if reference else None,
        "baselines": {name: metrics.row() for name, metrics in report.baselines.items()},
        "candidates": [
            {
                "trial": c.trial,
                "gain_pct": gain_pct(c.value),
                "sd_pct": 100 * c.sd,
                "is_feasible": c.is_feasible,
                "config": asdict(c.config),
            }
            for c in report.candidates
        ],
        "failures": [{"trial": c.trial, "failure": str(c.failure)} for c in report.failures],
        "is_going_on": report.is_going_on,
        **_deployed(report.best),
        **_compared(report),
        **({} if report.front is None else {"front": front_json(report.front)}),
    }


def _deployed(best: Best | None) -> dict[str, Any]:
    """Returns what best.yaml holds; every value is null before it is written."""
    names = ("verdict", "reason", "answer", "batch_size", "infer_requests", "replicas", "affinity", "api")
    return {
        **{name: getattr(best, name) if best else None for name in names},
        "gain": asdict(best.gain) if best and best.gain else None,
        "today": best.today.name if best and best.today else None,
        "gain_over_today": asdict(best.today_gain) if best and best.today_gain else None,
        "baseline_gains": {name: asdict(gain) for name, gain in best.baseline_gains.items()} if best else {},
        "properties": dict(best.properties) if best else None,
        "constraints": [asdict(constraint) for constraint in best.constraints] if best else [],
    }


def _compared(report: StudyReport) -> dict[str, Any]:
    """Returns the metrics of what the verdict compared, the winner beside all others."""
    result, metrics = report.result, report.metrics
    if result is None or metrics is None:
        return {"metrics": {}}
    found: dict[str, Any] = {"metrics": {name: one.row() for name, one in metrics.named(result.reference).items()}}
    return found if metrics.winner is None else {**found, winner_title(result): metrics.winner.row()}
