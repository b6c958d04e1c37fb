"""The configurations of a study as points: short name, gain, metrics, and when they were measured.

Responsible for reading a StudyReport. Must not draw.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from tuner.bench.measurement import Windows
from tuner.bench.metrics import METRICS
from tuner.bench.value import Value
from tuner.deploy.best import Best
from tuner.evidence.candidates import SEARCHED, Candidate, MetricValues
from tuner.evidence.pooled_metrics import metrics_of, pool
from tuner.outcome.study_report import StudyReport
from tuner.report.outcome import searched_parameters
from tuner.report.words.configuration import deployed, name_by
from tuner.statistics.sequential_test import gain_pct


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One distinct effective configuration that the search measured."""

    trial: int | None
    name: str
    gain_pct: float
    """Gain (%) on the first objective against the reference, not confirmed."""
    sd_pct: float
    """Standard deviation (%) of the gain."""
    sessions: int
    is_feasible: bool
    metrics: MetricValues
    """Metrics over all windows of the search."""
    settings: Mapping[str, Value]
    """Parameter of the search -> its value."""


def points_of(report: StudyReport) -> list[Point]:
    """Returns the candidates that were measured, best first."""
    if report.reference is None:
        return []
    requests, found = report.state.evidence.requests, defaultdict[str, list[Windows]](list)
    for line in report.state.log.sessions(*SEARCHED):
        for (config, member), trial in zip(line.session.items(), line.trials, strict=True):
            if trial is not None and isinstance(member, Windows) and member.windows:
                found[requests[config].key].append(member)
    names = searched_parameters(report)
    return [
        Point(
            trial=c.trial,
            name=name_by(c.config, names),
            gain_pct=gain_pct(c.value),
            sd_pct=100 * c.sd,
            sessions=len(c.comparisons),
            is_feasible=c.is_feasible,
            metrics=metrics_of(pool(found[c.key])),
            settings={name: value for name, value in (c.assignment or {}).items() if value is not None},
        )
        for c in report.candidates
    ]


def compared_metrics(report: StudyReport) -> dict[str, MetricValues]:
    """Returns the metrics of baselines and of what was confirmed, by name; before a verdict those of the baselines."""
    if report.result is None or report.metrics is None:
        return dict(report.baselines)
    named = report.metrics.named(report.result.reference)
    if report.metrics.winner is None:
        return named
    return {"tuned" if report.result.is_tuned else "candidate, confirmed": report.metrics.winner, **named}


def latency_shown(report: StudyReport) -> str:
    """Returns the latency that the study limits or minimizes; the 99th percentile if there is none."""
    objective = report.study.objective
    names = [limit.metric for limit in objective.limits] + list(objective.metrics)
    return next((name for name in names if METRICS[name].kind == "latency"), "latency_p99_ms")


def same_configurations(report: StudyReport) -> list[tuple[str, list[str]]]:
    """Returns each candidate that was asked for in several ways, with the names of the other ways."""
    if report.reference is None:
        return []
    groups = defaultdict[str, list[str]](list)
    names = searched_parameters(report)
    for config, candidate in report.state.evidence.requests.items():
        groups[candidate.key].append(name_by(config, names))
    return [(first, rest) for first, *rest in groups.values() if rest]


def clamped_words(report: StudyReport) -> list[str]:
    """Returns each number that was asked for and that the device changed to another one, in a sentence."""
    found: dict[str, None] = {}
    for line in report.state.log.all_sessions():
        for config, member in line.session.ran():
            for name, value in config.properties.items():
                made = member.effective.properties.get(name, "")
                if type(value) is int and made.isdigit() and int(made) != value:
                    found[f"{name}={value} became {made}"] = None
    return list(found)


def failure_words(report: StudyReport) -> list[tuple[str, str]]:
    """Returns the name and the failure of each candidate and baseline that failed."""
    names = searched_parameters(report)
    found = [(_failed_name(c, names), str(c.failure)) for c in report.failures]
    ranking = report.reference.ranking.failures if report.reference else {}
    return [*((name, str(failure)) for name, failure in ranking.items()), *found]


def deployed_name(report: StudyReport, best: Best) -> str:
    """Returns the short name of the configuration that best.yaml deploys."""
    return name_by(deployed(best), searched_parameters(report))


def _failed_name(candidate: Candidate, names: frozenset[str]) -> str:
    return f"trial {candidate.trial}: {name_by(candidate.config, names)}"
