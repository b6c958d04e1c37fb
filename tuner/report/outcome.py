"""Shows what a study ended with: the verdict, all configurations side by side, the limits, and the next command.

Must not compute results.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from rich.table import Table

from tuner.decision.result import Result
from tuner.deploy.best import Best
from tuner.deploy.front_file import FrontFile
from tuner.deploy.words import NOT_KEPT
from tuner.evidence.state import Reference
from tuner.outcome.metrics_table import FinalMetrics
from tuner.outcome.study_report import StudyReport
from tuner.report.front import front_lines
from tuner.report.terminal import Column, few_requests, metrics_table
from tuner.report.words.answer import callers_words, evidence_lines, headline, limit_phrase, next_words, validity_words
from tuner.report.words.conditions import conditions_line
from tuner.report.words.configuration import baseline_name, differing, name_by
from tuner.report.words.why import why_line

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
    """Returns what to deploy, what that changes, how sure that is, and what it is valid for.

    `name` is that of the configuration to deploy.
    """
    lines = [f"verdict: {headline(best)}"]
    if best.broken:
        lines.append(f"  {NOT_KEPT}")
    lines += [f"  {name}", *(f"  {line}" for line in evidence_lines(best))]
    if best.reason and best.gain is None:
        lines.append(f"  {'' if best.verdict == 'tuned' else 'no tuned settings: '}{best.reason}")
    lines += [f"  limit {limit_phrase(constraint)}" for constraint in best.constraints]
    callers = callers_words(best)
    return [*lines, f"  valid {validity_words(best)}", *([f"  {callers}"] if callers else [])]


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
    columns = _columns(report, result, metrics)
    lines: list[str | Table] = [*verdict_lines(best, _deployed_name(report, best, result))]
    lines += [f"  {why}"] if (why := why_line(report)) else []
    lines += ["", conditions_line(report.study, report.environment.get("cpu_quota"))]
    lines += [metrics_table(columns, objective=best.objective.metric), "  * is what best.yaml deploys"]
    confirmed = result.confirmation
    beside = set(confirmed.plan.baselines) if confirmed is not None else set()
    moved = [
        name
        for names in groups(report.reference, metrics.baselines)
        if not beside & {*names}
        for name in [title(names)]
    ]
    if moved:
        lines.append(
            f"  {', '.join(moved)}: as measured beside {result.reference} before, moved to what it measures here"
        )
    if confirmed is not None and confirmed.plan.members and not confirmed.plan.is_front and not result.is_tuned:
        winner = name_by(confirmed.plan.members[0], searched_parameters(report))
        lines.append(f"  candidate, confirmed and not deployed: {winner}")
    lines += few_requests(columns)
    if best.batch_size > 1:
        lines.append(f"  latency is per request of {best.batch_size} samples: a larger batch makes each request slower")
    written = report.folder / "best.yaml"
    return [*lines, "", f"written: {written}", f"next:    {next_words(best, str(report.folder))}"]


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
    return name_by(config, searched_parameters(report)) if result.is_tuned else baseline_name(result.baseline, config)


def _columns(report: StudyReport, result: Result, metrics: FinalMetrics) -> list[Column]:
    """Returns the winner and the baselines; baselines that are one configuration have one column."""
    named = metrics.named(result.reference)
    columns = [
        Column(
            title=title(names), metrics=named[names[0]], is_deployed=not result.is_tuned and result.baseline in names
        )
        for names in groups(report.reference, named)
    ]
    if metrics.winner is not None:
        columns.insert(0, Column(title=winner_title(result), metrics=metrics.winner, is_deployed=result.is_tuned))
    return columns


def title(names: Sequence[str]) -> str:
    """Returns the heading of baselines that are one configuration."""
    return " = ".join(map(column_title, names))


def groups(reference: Reference | None, named: Iterable[str]) -> list[list[str]]:
    """Returns names of baselines in groups that are one effective configuration, in the order of their first."""
    found: dict[tuple[str, ...], list[str]] = {}
    for name in named:
        found.setdefault((name,) if reference is None else reference.same_as(name), []).append(name)
    return list(found.values())
