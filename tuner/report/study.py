"""Shows a study's folder: host, noise, baselines, candidates, and what it ended with. Must not compute results."""

from __future__ import annotations

from rich.table import Table

from tuner.evidence.state import Reference
from tuner.outcome.metrics_table import candidate_metrics
from tuner.outcome.study_report import StudyReport
from tuner.report.outcome import end_lines, groups, searched_parameters, title
from tuner.report.terminal import Column, few_requests, figure, metrics_table, plain
from tuner.report.words.answer import beyond_words
from tuner.report.words.conditions import conditions_line
from tuner.report.words.configuration import name_by
from tuner.report.words.gain import amount_words, metric_name
from tuner.report.words.host import disturbed_words

SHOWN_TRIALS = 15
"""Number of trials that `tuner show` lists, so that they fit on one screen; --json has all."""


def study_lines(report: StudyReport) -> list[str | Table]:
    """Returns the content of a study's folder, which ends with the lines that the run ended with."""
    study, environment = report.study, report.environment
    lines: list[str | Table] = [
        f"study {study.name}: {study.model.path} on {study.device}, {' against '.join(study.objective.metrics)}",
        f"measured for {report.spent_s:.0f} s on {environment.get('cpu_model')}, "
        f"{environment.get('cpus_allowed')} CPUs, OpenVINO {environment.get('openvino')}",
    ]
    if report.reference is None:
        return [*lines, "nothing is measured yet"]
    lines += [*_noise_lines(report, report.reference), "", *_baseline_lines(report, report.reference)]
    return [*lines, "", *_candidate_lines(report), "", *end_lines(report)]


def _noise_lines(report: StudyReport, reference: Reference) -> list[str]:
    noise = f"noise: neighbouring windows differ by {100 * reference.noise.window_sd:.1f} % (sd)"
    if report.provable_gain_pct is not None:
        noise += f"; a gain of {report.provable_gain_pct:.1f} % was provable within the budget"
    disturbed = disturbed_words(report.disturbed, report.windows)
    return [noise, disturbed] if disturbed else [noise]


def _baseline_lines(report: StudyReport, reference: Reference) -> list[str | Table]:
    columns = [
        Column(title=title(names), metrics=report.baselines[names[0]], is_deployed=reference.name in names)
        for names in groups(reference, report.baselines)
    ]
    return [
        conditions_line(report.study, report.environment.get("cpu_quota")),
        "baselines, as first measured (* is the reference):",
        metrics_table(columns, objective=report.study.objective.metric),
        *few_requests(columns),
    ]


def _candidate_lines(report: StudyReport) -> list[str | Table]:
    shown = report.candidates[:SHOWN_TRIALS]
    lines: list[str | Table] = [
        f"candidates: {len(report.candidates)} measured, {len(report.failures)} failed; best first"
    ]
    if shown:
        lines.append("  as the search measured it, not confirmed; +- is one standard deviation of that value")
        lines.append(_candidate_table(report))
    return [*lines, *(f"  trial {c.trial} failed: {c.failure}" for c in report.failures[:SHOWN_TRIALS])]


def _candidate_table(report: StudyReport) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    objective = report.study.objective
    first = f"{metric_name(objective.metric)} beside {report.reference.name if report.reference else 'the reference'}"
    limited = list(dict.fromkeys(limit.metric for limit in objective.limits))
    names = ("trial", first, "+-", *map(metric_name, objective.others), *limited, "sessions", "configuration")
    for name in names:
        table.add_column(plain(name), justify="left" if name == "configuration" else "right", overflow="fold")
    parameters, measured = searched_parameters(report), candidate_metrics(report.state)
    for c in report.candidates[:SHOWN_TRIALS]:
        beyond = beyond_words(c.excesses) if not c.is_feasible else ""
        more = [
            amount_words(name, estimate.value)
            for name, estimate in zip(objective.others, c.estimates[1:], strict=False)
        ]
        own = measured.get(c.key)
        values = [figure(own.values.get(name)) if own is not None else "-" for name in limited]
        words = plain(f"{name_by(c.config, parameters)}{f' ({beyond})' if beyond else ''}")
        gain = amount_words(objective.metric, c.value)
        table.add_row(str(c.trial), gain, f"{100 * c.sd:.1f} %", *more, *values, str(len(c.comparisons)), words)
    return table
