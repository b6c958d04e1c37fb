"""Shows a finished run, a study's folder and a single measurement as lines and tables or as JSON.

Must not compute results.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.table import Table

from tuner.bench.metrics import METRICS
from tuner.deploy.best import Best
from tuner.deploy.front_file import FrontFile
from tuner.deploy.words import NOT_KEPT
from tuner.outcome.finished import RunReport
from tuner.outcome.measured import Measured
from tuner.outcome.study_report import StudyRecord
from tuner.report.front import front_json, front_lines, settings
from tuner.report.terminal import Column, few_requests, figure, metrics_table, percent
from tuner.report.words.host import disturbed_words
from tuner.statistics.sequential_test import Interval, gain_pct

TITLES = ("tuned", "candidate", "measured")
"""Headings of columns that are no baseline's."""
SHOWN_TRIALS = 15
"""Number of trials that `tuner show` lists, so that they fit on one screen; --json has all."""


def outcome_lines(outcome: RunReport) -> list[str | Table]:
    """Returns the verdict, all configurations side by side, and the command that deploys the answer."""
    best = outcome.best
    if outcome.front is not None:
        folder = outcome.folder
        return [
            *front_lines(outcome.front),
            "",
            f"written: {folder / 'front.yaml'}, {folder / 'best.yaml'}",
            f"next:    tuner apply {folder / 'best.yaml'}",
            f"         tuner show {folder} --pick '{_example(outcome.front)}'",
        ]
    columns = _columns(outcome)
    table = metrics_table(columns, objective=best.objective.metric)
    deployed = next(column.title for column in columns if column.is_deployed)
    lines: list[str | Table] = [*verdict_lines(best), "", table, "  * is what best.yaml deploys"]
    reference = outcome.result.reference
    if outcome.metrics.baselines:
        others = ", ".join(map(_title, outcome.metrics.baselines))
        lines.append(f"  {others}: as measured beside {reference} before, at the level it has here")
    confirmed = outcome.result.confirmation
    if confirmed is not None and not outcome.result.is_tuned:
        lines.append(f"  candidate, confirmed and not deployed: {confirmed.plan.members[0]}")
    lines += few_requests(columns)
    lines += [
        f"limit {_limit(c)}: {deployed} measured {figure(c['measured'])}{_rests_on(c)}"
        for c in map(asdict, best.constraints)
    ]
    if best.batch_size > 1:
        lines.append(f"  latency is per request of {best.batch_size} samples: a larger batch makes each request slower")
    path = outcome.folder / "best.yaml"
    following = "relax a limit, or give it a wider space or a longer budget" if best.broken else f"tuner apply {path}"
    return [*lines, "", f"written: {path}", f"next:    {following}"]


def _example(front: FrontFile) -> str:
    """Returns a bound on the last objective that a point other than the knee keeps, if there is one."""
    name, direction = list(front.objectives.items())[-1]
    values = [point.metrics[name] for point in front.points if point.name != front.knee] or [
        point.metrics[name] for point in front.points
    ]
    if not values:
        return f"{name}<=1"
    is_upper = direction == "minimize"
    value = max(values) if is_upper else min(values)
    return f"{name}<={math.ceil(value):g}" if is_upper else f"{name}>={math.floor(value):g}"


def verdict_lines(best: Best) -> list[str]:
    """Returns the decision and its evidence."""
    if best.gain is not None:
        gain = best.gain
        return [
            f"verdict: tuned, {best.objective.metric} at least {gain.low_pct:.1f} % better than {best.baseline.name}",
            f"  estimate {gain.estimate_pct:.1f} % better, interval {gain.low_pct:.1f} to {gain.high_pct:.1f} % "
            f"(confidence {100 * gain.confidence:.1f} %), {gain.sessions} fresh sessions, {gain.pairs} pairs",
            f"  {settings(best)}",
        ]
    if best.verdict == "tuned":
        return [f"verdict: tuned, {best.reason}", f"  {settings(best)}"]
    lines = [f"verdict: baseline, keep {best.baseline.name} ({best.reason})", f"  {settings(best)}"]
    return [*([f"{NOT_KEPT}: {best.broken}"] if best.broken else []), *lines]


def outcome_json(outcome: RunReport) -> dict[str, Any]:
    """Returns a finished run as plain values for JSON."""
    best, winner = outcome.best, outcome.metrics.winner
    front = {} if outcome.front is None else {"front": front_json(outcome.front)}
    confirmed = {} if winner is None else {_winner_title(outcome): winner.row()}
    return {
        "folder": str(outcome.folder),
        "verdict": best.verdict,
        "reason": best.reason,
        "gain": asdict(best.gain) if best.gain else None,
        "reference": best.baseline.name,
        "properties": dict(best.properties),
        "batch_size": best.batch_size,
        "infer_requests": best.infer_requests,
        "replicas": best.replicas,
        "affinity": best.affinity,
        "api": best.api,
        "metrics": {name: one.row() for name, one in outcome.metrics.named(outcome.result.reference).items()},
        **confirmed,
        "constraints": [asdict(c) for c in best.constraints],
        **front,
    }


def study_lines(found: StudyRecord) -> list[str | Table]:
    """Returns the content of a study's folder: host, noise, baselines, candidates and verdict."""
    lines: list[str | Table] = [
        f"study {found.study.name}: {found.study.model.path} on {found.study.device}, "
        f"{' against '.join(found.study.objective.metrics)}",
        f"measured for {found.spent_s:.0f} s on {found.environment.get('cpu_model')}, "
        f"{found.environment.get('cpus_allowed')} CPUs, OpenVINO {found.environment.get('openvino')}",
    ]
    if found.ranking is None or found.noise is None:
        return [*lines, "nothing is measured yet"]
    noise = f"noise: neighbouring windows differ by {100 * found.noise.window_sd:.1f} % (sd)"
    if found.provable_gain_pct is not None:
        noise += f"; a gain of {found.provable_gain_pct:.1f} % was provable within the budget"
    lines.append(noise)
    if found.disturbed:
        lines.append(disturbed_words(found.disturbed, found.windows))
    lines += ["", "baselines, as first measured (* is the reference):"]
    columns = [
        Column(title=name, metrics=metrics, is_deployed=name == found.ranking.reference)
        for name, metrics in found.baselines.items()
    ]
    lines += [metrics_table(columns, objective=found.study.objective.metric), *few_requests(columns)]
    return [*lines, "", *_candidate_lines(found), "", *_end_lines(found)]


def _candidate_lines(found: StudyRecord) -> list[str | Table]:
    shown = found.candidates[:SHOWN_TRIALS]
    lines: list[str | Table] = [
        f"candidates: {len(found.candidates)} measured, {len(found.failures)} failed; best first"
    ]
    if shown:
        lines.append("  gain: as the search measured it, not confirmed; +- is one standard deviation of that value")
        lines.append(_candidate_table(found))
    return [*lines, *(f"  trial {c.trial} failed: {c.failure}" for c in found.failures[:SHOWN_TRIALS])]


def _candidate_table(found: StudyRecord) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    others = found.study.objective.others
    first = f"gain in {found.study.objective.metric}" if others else "gain"
    for name in ("trial", first, "+-", *others, "sessions", "configuration"):
        table.add_column(name, justify="left" if name == "configuration" else "right", overflow="fold")
    for c in found.candidates[:SHOWN_TRIALS]:
        limits = "" if c.is_feasible else " (beyond a limit)"
        sd = f"{100 * c.sd:.1f} %"
        more = [percent(estimate.value) for estimate in c.estimates[1:]]
        table.add_row(str(c.trial), percent(c.value), sd, *more, str(len(c.comparisons)), f"{c.config}{limits}")
    return table


def _end_lines(found: StudyRecord) -> list[str | Table]:
    lines: list[str | Table] = []
    if found.front is not None:
        lines += front_lines(found.front)
    elif found.best is not None:
        lines += verdict_lines(found.best)
    elif found.verdict is not None:
        lines.append(f"verdict: {found.verdict.verdict}; the same `tuner run` writes its best.yaml")
    else:
        lines.append("no verdict yet: the same `tuner run` continues")
    if found.is_going_on:
        lines.append("this was the verdict before a larger budget was begun: the same `tuner run` continues")
    return lines


def study_json(found: StudyRecord) -> dict[str, Any]:
    """Returns the content of a study's folder as plain values for JSON."""
    return {
        "study": found.study.name,
        "objective": found.study.objective.metric,
        "environment": dict(found.environment),
        "spent_s": found.spent_s,
        "noise_pct": 100 * found.noise.window_sd if found.noise else None,
        "provable_gain_pct": found.provable_gain_pct,
        "windows": found.windows,
        "disturbed_windows": found.disturbed,
        "reference": found.ranking.reference if found.ranking else None,
        "baselines": {name: metrics.row() for name, metrics in found.baselines.items()},
        "candidates": [
            {
                "trial": c.trial,
                "gain_pct": gain_pct(c.value),
                "sd_pct": 100 * c.sd,
                "is_feasible": c.is_feasible,
                "config": asdict(c.config),
            }
            for c in found.candidates
        ],
        "failures": [{"trial": c.trial, "failure": str(c.failure)} for c in found.failures],
        "verdict": found.best.verdict if found.best else None,
        "reason": found.best.reason if found.best else None,
        "gain": asdict(found.best.gain) if found.best and found.best.gain else None,
        **({} if found.front is None else {"front": front_json(found.front)}),
    }


def measured_lines(measured: Measured) -> list[str | Table]:
    """Returns a measured configuration against each baseline, and all of them side by side."""
    gain = measured.gain
    metric = measured.metric
    columns = [Column(title="measured", metrics=measured.metrics)]
    columns += [Column(title=_title(name), metrics=one) for name, one in measured.baselines.items()]
    return [
        f"{measured.config}",
        f"  {metric} {percent(gain.estimate)} (positive is better) against {measured.reference}, the best baseline "
        f"({100 * gain.confidence:.0f} % interval {percent(gain.low)} to {percent(gain.high)}, "
        f"{gain.sessions} fresh sessions)",
        *(
            f"  against {name} {percent(one.estimate)} ({percent(one.low)} to {percent(one.high)})"
            for name, one in measured.gains.items()
            if name != measured.reference
        ),
        "",
        metrics_table(columns, objective=metric),
        *few_requests(columns),
        "",
        f"evidence: {measured.folder / 'measure.jsonl'}",
    ]


def measured_json(measured: Measured) -> dict[str, Any]:
    """Returns a measured configuration as plain values for JSON."""
    return {
        "config": asdict(measured.config),
        "reference": measured.reference,
        "gain": _interval_json(measured.gain),
        "gains": {name: _interval_json(one) for name, one in measured.gains.items()},
        "metrics": {name: metrics.row() for name, metrics in measured.baselines.items()},
        "measured": measured.metrics.row(),
    }


def _interval_json(found: Interval) -> dict[str, Any]:
    return {
        "estimate_pct": gain_pct(found.estimate),
        "low_pct": gain_pct(found.low),
        "high_pct": gain_pct(found.high),
        "confidence": found.confidence,
        "sessions": found.sessions,
    }


def _columns(outcome: RunReport) -> list[Column]:
    """Returns the winner and the baselines; a candidate that is not deployed is not called tuned."""
    metrics, result = outcome.metrics, outcome.result
    columns = [Column(title=_title(result.reference), metrics=metrics.reference, is_deployed=not result.is_tuned)]
    columns += [Column(title=_title(name), metrics=one) for name, one in metrics.baselines.items()]
    if metrics.winner is not None:
        columns.insert(0, Column(title=_winner_title(outcome), metrics=metrics.winner, is_deployed=result.is_tuned))
    return columns


def _winner_title(outcome: RunReport) -> str:
    return "tuned" if outcome.result.is_tuned else "candidate"


def _title(baseline: str) -> str:
    """Returns the heading of a baseline's column, which no other column has."""
    return f"{baseline} (baseline)" if baseline in TITLES else baseline


def _rests_on(constraint: Mapping[str, Any]) -> str:
    """Returns the number of requests on which a figure rests; about later requests a maximum promises nothing."""
    if not constraint["requests"]:
        return ""
    is_maximum = METRICS[constraint["metric"]].is_maximum
    words = "; of those to come it promises nothing" if is_maximum else ""
    return f" in {constraint['requests']} requests{words}"


def _limit(constraint: Mapping[str, Any]) -> str:
    bounds = [f"{name} {constraint[name]:g}" for name in ("min", "max", "min_ratio", "max_ratio") if constraint[name]]
    return f"{constraint['metric']} {' '.join(bounds)}"
