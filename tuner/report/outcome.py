"""Shows what a study ended with: the verdict, all configurations side by side, the limits, and the next command.

Must not compute results.
"""

from __future__ import annotations

import math
from dataclasses import asdict, replace

from rich.table import Table

from tuner.bench.metrics import METRICS
from tuner.decision.result import Result
from tuner.deploy.best import Best, BestConstraint
from tuner.deploy.front_file import FrontFile
from tuner.deploy.words import NOT_KEPT
from tuner.outcome.metrics_table import FinalMetrics
from tuner.outcome.study_report import StudyReport
from tuner.report.front import front_lines
from tuner.report.terminal import Column, few_requests, figure, metrics_table
from tuner.report.words.configuration import baseline_name, differing, name_by

TITLES = ("tuned", "candidate", "measured")
"""Headings of columns that are no baseline's."""


def end_lines(report: StudyReport) -> list[str | Table]:
    """Returns what `tuner run` prints at its end and `tuner show` below everything else."""
    if report.result is None or report.metrics is None:
        return ["no verdict yet: the same `tuner run` continues"]
    if report.front is not None:
        lines = [*front_lines(report.front), *_front_files(report, report.front)]
    elif report.best is not None:
        lines = _decided_lines(report, report.best, report.result, report.metrics)
    else:
        lines = [f"verdict: {report.result.line.verdict}; the same `tuner run` writes its best.yaml"]
    if report.is_going_on:
        lines.append("this was the verdict before a larger budget was begun: the same `tuner run` continues")
    return lines


def verdict_lines(best: Best, name: str) -> list[str]:
    """Returns the decision and its evidence; `name` is that of the configuration to deploy."""
    if best.gain is not None:
        gain = best.gain
        return [
            f"verdict: tuned, {best.objective.metric} at least {gain.low_pct:.1f} % better than {best.baseline.name}",
            f"  estimate {gain.estimate_pct:.1f} % better, interval {gain.low_pct:.1f} to {gain.high_pct:.1f} % "
            f"(confidence {100 * gain.confidence:.1f} %), {gain.sessions} fresh sessions, {gain.pairs} pairs",
            f"  {name}",
        ]
    if best.verdict == "tuned":
        return [f"verdict: tuned, {best.reason}", f"  {name}"]
    lines = [f"verdict: baseline, keep {best.baseline.name} ({best.reason})", f"  {name}"]
    return [*([f"{NOT_KEPT}: {best.broken}"] if best.broken else []), *lines]


def winner_title(result: Result) -> str:
    """Returns the heading of the candidate that was confirmed; one that is not deployed is not called tuned."""
    return "tuned" if result.is_tuned else "candidate"


def column_title(baseline: str) -> str:
    """Returns the heading of a baseline's column, which no other column has."""
    return f"{baseline} (baseline)" if baseline in TITLES else baseline


def searched_parameters(report: StudyReport) -> frozenset[str]:
    """Returns the names of the parameters that differ between the candidates of a study and its reference."""
    configs = [candidate.config for candidate in (*report.candidates, *report.failures)]
    return differing([*configs, *([report.reference.configuration] if report.reference else [])])


def _decided_lines(report: StudyReport, best: Best, result: Result, metrics: FinalMetrics) -> list[str | Table]:
    """Returns the end of a study with one objective."""
    columns = _columns(result, metrics)
    deployed = next(column.title for column in columns if column.is_deployed)
    lines: list[str | Table] = [*verdict_lines(best, _deployed_name(report, best, result)), ""]
    lines += [metrics_table(columns, objective=best.objective.metric), "  * is what best.yaml deploys"]
    if metrics.baselines:
        others = ", ".join(map(column_title, metrics.baselines))
        lines.append(f"  {others}: as measured beside {result.reference} before, moved to what it measures here")
    confirmed = result.confirmation
    if confirmed is not None and not confirmed.plan.is_front and not result.is_tuned:
        winner = name_by(confirmed.plan.members[0], searched_parameters(report))
        lines.append(f"  candidate, confirmed and not deployed: {winner}")
    lines += few_requests(columns)
    lines += [_limit(constraint, deployed) for constraint in best.constraints]
    if best.batch_size > 1:
        lines.append(f"  latency is per request of {best.batch_size} samples: a larger batch makes each request slower")
    path = report.folder / "best.yaml"
    following = "relax a limit, or give it a wider space or a longer budget" if best.broken else f"tuner apply {path}"
    return [*lines, "", f"written: {path}", f"next:    {following}"]


def _front_files(report: StudyReport, front: FrontFile) -> list[str]:
    folder = report.folder
    return [
        "",
        f"written: {folder / 'front.yaml'}, {folder / 'best.yaml'}",
        f"next:    tuner apply {folder / 'best.yaml'}",
        f"         tuner show {folder} --pick '{_example(front)}'",
    ]


def _example(front: FrontFile) -> str:
    """Returns a bound on the last objective that a point other than the knee keeps, if there is one."""
    name, direction = list(front.objectives.items())[-1]
    others = [point for point in front.points if point.name != front.knee] or front.points
    values = [point.metrics[name] for point in others]
    if not values:
        return f"{name}<=1"
    if direction == "minimize":
        return f"{name}<={math.ceil(max(values)):g}"
    return f"{name}>={math.floor(min(values)):g}"


def _deployed_name(report: StudyReport, best: Best, result: Result) -> str:
    """Returns the name of what is deployed, with the number of requests that the device suggested."""
    config = replace(result.config, infer_requests=best.infer_requests, api=best.api)
    return name_by(config, searched_parameters(report)) if result.is_tuned else baseline_name(result.reference, config)


def _columns(result: Result, metrics: FinalMetrics) -> list[Column]:
    """Returns the winner and the baselines."""
    title = column_title(result.reference)
    columns = [Column(title=title, metrics=metrics.reference, is_deployed=not result.is_tuned)]
    columns += [Column(title=column_title(name), metrics=one) for name, one in metrics.baselines.items()]
    if metrics.winner is not None:
        columns.insert(0, Column(title=winner_title(result), metrics=metrics.winner, is_deployed=result.is_tuned))
    return columns


def _limit(constraint: BestConstraint, deployed: str) -> str:
    """Returns a limit with what was measured, and the number of requests on which the figure rests."""
    given = asdict(constraint)
    bounds = " ".join(f"{name} {given[name]:g}" for name in ("min", "max", "min_ratio", "max_ratio") if given[name])
    words = f"limit {constraint.metric} {bounds}: {deployed} measured {figure(constraint.measured)}"
    if not constraint.requests:
        return words
    # About later requests a maximum promises nothing.
    caveat = "; of those to come it promises nothing" if METRICS[constraint.metric].is_maximum else ""
    return f"{words} in {constraint.requests} requests{caveat}"
