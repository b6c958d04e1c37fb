"""Shows several studies side by side: what they found, and what of their conditions differs.

Responsible for words and tables. Must not compute results.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from tuner.bench.metrics import METRICS
from tuner.deploy.best import Best, BestConstraint
from tuner.evidence.candidates import MetricValues
from tuner.outcome.study_report import StudyReport
from tuner.report.study_json import study_json
from tuner.report.terminal import figure, plain
from tuner.report.words.answer import bound_words, headline, limit_phrase
from tuner.report.words.configuration import deployed, short_name
from tuner.report.words.gain import Gain, gain_words
from tuner.statistics.limits import bounds_of
from tuner.study.conditions import as_written

Rows = Mapping[str, Sequence[str]]
"""Title of a row -> its text for each study."""

METRIC_ROWS = ("throughput", "latency_p50_ms", "latency_p99_ms", "cpu_ms_per_sample")
"""Metrics of the deployed configurations that are compared, beside objectives and limits."""

CAUTION = "each gain is against the study's own baselines; values compare as far as the conditions agree"
"""Sentence that goes with every comparison."""


def study_names(reports: Sequence[StudyReport]) -> list[str]:
    """Returns a name for each study that no other has: its own, or the path of its folder."""
    count = Counter(report.study.name for report in reports)
    names = [r.study.name if count[r.study.name] == 1 else str(r.folder) for r in reports]
    twice = Counter(names)
    return [name if twice[name] == 1 else f"{name} ({i})" for i, name in enumerate(names, start=1)]


def found_rows(reports: Sequence[StudyReport]) -> Rows:
    """Returns what each study found: the answer, its gains, and the metrics of what is deployed."""
    rows = {
        "answer": [headline(r.best) if r.best else "no verdict yet" for r in reports],
        "deployed": [short_name(deployed(r.best)) if r.best else "-" for r in reports],
        "gain over what runs today": [_over_today(r.best) for r in reports],
        "gain over the strongest baseline": [_over_strongest(r.best) for r in reports],
        "limits": [_limits(r.best.constraints) if r.best else "-" for r in reports],
    }
    metrics = [_deployed_metrics(report) for report in reports]
    wanted = [
        name for r in reports for name in (*r.study.objective.metrics, *(x.metric for x in r.study.objective.limits))
    ]
    for name in dict.fromkeys([*wanted, *METRIC_ROWS]):
        if any(one is not None and name in one.values for one in metrics):
            unit = METRICS[name].unit
            title = name if unit.lower() in name.split("_") else f"{name} ({unit})"
            rows[title] = [figure(one.values.get(name) if one else None) for one in metrics]
    rows["measured for (s)"] = [f"{r.spent_s:.0f}" for r in reports]
    rows["windows disturbed by the host"] = [f"{r.disturbed} of {r.windows}" for r in reports]
    return {title: cells for title, cells in rows.items() if set(cells) != {"-"}}


def condition_rows(reports: Sequence[StudyReport]) -> Rows:
    """Returns the conditions under which each study measured."""
    every = [_conditions(report) for report in reports]
    titles = dict.fromkeys(title for one in every for title in one)
    return {title: [one.get(title, "-") for one in every] for title in titles}


def differing_rows(rows: Rows) -> Rows:
    """Returns the rows that are not the same for all studies."""
    return {title: cells for title, cells in rows.items() if len(set(cells)) > 1}


def comparison_lines(reports: Sequence[StudyReport]) -> list[str | Table]:
    """Returns what `tuner show` prints for several folders."""
    names, conditions = study_names(reports), condition_rows(reports)
    differing = differing_rows(conditions)
    equal = [f"{title} {cells[0]}" for title, cells in conditions.items() if title not in differing]
    lines: list[str | Table] = [_table(names, found_rows(reports)), f"  {CAUTION}", ""]
    if differing:
        lines += [f"their conditions differ in: {', '.join(differing)}", _table(names, differing)]
    else:
        lines.append("their conditions do not differ in anything on record")
    return [*lines, "", f"the same for all: {'; '.join(equal)}"] if equal else lines


def comparison_json(reports: Sequence[StudyReport]) -> dict[str, Any]:
    """Returns what `tuner show --json` prints for several folders."""
    return {
        "studies": [study_json(report) for report in reports],
        "names": study_names(reports),
        "differing": {title: list(cells) for title, cells in differing_rows(condition_rows(reports)).items()},
    }


def _table(names: Sequence[str], rows: Rows) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("", overflow="fold")
    for name in names:
        table.add_column(plain(name), overflow="fold")
    for title, cells in rows.items():
        table.add_row(title, *map(plain, cells))
    return table


def _conditions(report: StudyReport) -> dict[str, str]:
    study, host, best = report.study, report.environment, report.best
    objective, budget = study.objective, study.budget
    goals = [f"{'maximize' if row.is_higher_better else 'minimize'} {row.name}" for row in objective.rows]
    limits = [bound_words(bound) for limit in objective.limits for bound in bounds_of(limit)]
    found = {
        "model": study.model.path,
        "model file": best.model.sha256[:12] if best else "",
        "inputs": _inputs(best) if best else "",
        "device": study.device,
        "objective": ", ".join(goals),
        "limits": ", ".join(limits),
        "arrivals": _arrivals(report),
        **{f"deployment: {name}": f"{value}" for name, value in as_written(study.conditions).items()},
        "baselines of its own": ", ".join(study.baselines),
        "CPU": str(host.get("cpu_model") or ""),
        "CPUs": str(host.get("cpus_allowed") or ""),
        "CPU quota": str(host.get("cpu_quota") or ""),
        "system": " ".join(str(host[name]) for name in ("system", "kernel", "machine") if host.get(name)),
        "OpenVINO": str(host.get("openvino") or ""),
        "budget": f"{budget.minutes:g} min" if budget.minutes else f"{budget.trials} trials",
        "space": "auto" if study.space.is_auto else "its own",
        "seed": str(study.seed),
    }
    return {title: text for title, text in found.items() if text}


def _inputs(best: Best) -> str:
    return ", ".join(f"{name} {list(given.shape)}" for name, given in best.inputs.items())


def _arrivals(report: StudyReport) -> str:
    load = report.study.load
    if load is None:
        return "closed loop"
    return load.pattern if load.rate_per_s is None else f"{load.pattern}, {load.rate_per_s:g} requests/s"


def _over_today(best: Best | None) -> str:
    if best is None or best.today is None or best.today_gain is None:
        return "-"
    return f"{best.today.name}: {gain_words(best.objective.metric, Gain.of(best.today_gain))}"


def _over_strongest(best: Best | None) -> str:
    if best is None or best.gain is None:
        return "-"
    return f"{best.baseline.name}: {gain_words(best.gain.metric or best.objective.metric, Gain.of(best.gain))}"


def _limits(constraints: Sequence[BestConstraint]) -> str:
    return "; ".join(limit_phrase(constraint) for constraint in constraints) or "-"


def _deployed_metrics(report: StudyReport) -> MetricValues | None:
    """Returns the metrics of what a study deploys; None before its verdict and for a front, whose points have names."""
    if report.result is None or report.metrics is None or report.front is not None:
        return None
    return report.metrics.winner if report.result.is_tuned else report.metrics.reference
