"""The words for what a study is about to do: its model, its host, and what is wanted.

Responsible for words. Must not read files or hosts.
"""

from __future__ import annotations

from collections.abc import Mapping

from tuner.bench.metrics import METRICS
from tuner.model.host import HostFacts
from tuner.phases.progress import StudyBegins
from tuner.report.words.text import callers_phrase, printable
from tuner.study.conditions import as_written
from tuner.study.study import Limit, Study

BOUNDS: Mapping[str, str] = {
    "min": "{metric} >= {value:g}",
    "max": "{metric} <= {value:g}",
    "min_ratio": "{metric} >= {value:g} of the best baseline's",
    "max_ratio": "{metric} <= {value:g} times the best baseline's",
}
"""Bound of a limit -> its words."""


def opening_lines(event: StudyBegins) -> list[str]:
    """Returns what begins, in lines: the model, the host, and what is wanted."""
    study = event.state.study
    return [
        f"study {study.name}: {study.model.path}",
        f"host: {host_facts_words(event.host)}",
        f"wanted: {wanted_words(study)}",
    ]


def host_facts_words(host: HostFacts) -> str:
    """Returns the host in one line."""
    quota = "" if host.cpu_quota is None else f", a quota of {host.cpu_quota:g}"
    cpus = "1 CPU" if host.cpus_allowed == 1 else f"{host.cpus_allowed} CPUs"
    return printable(f"{host.cpu_model}, {cpus}{quota}, OpenVINO {host.openvino.split('-')[0]}")


def wanted_words(study: Study) -> str:
    """Returns what a study wants, on which device, under which conditions and in which time, in one line."""
    words = " and ".join(
        f"{'maximize' if METRICS[name].is_higher_better else 'minimize'} {name}" for name in study.objective.metrics
    )
    limits = [words for limit in study.objective.limits for words in bound_words(limit)]
    parts = [f"{words}{' within ' if limits else ''}{', '.join(limits)} on {study.device}"]
    if study.load is not None:
        rate = "the largest rate" if study.load.rate_per_s is None else f"{study.load.rate_per_s:g} requests/s"
        parts.append(f"{study.load.pattern} arrivals at {rate}")
    if study.callers or study.means_one_caller:
        parts.append(callers_phrase(study.callers))
    parts += [f"{name} {value}" for name, value in as_written(study.conditions).items()]
    budget = study.budget
    parts += [f"{budget.minutes:g} min"] if budget.minutes is not None else []
    parts += [f"{budget.trials} trials"] if budget.trials is not None else []
    return printable(", ".join(parts))


def bound_words(limit: Limit) -> list[str]:
    """Returns each bound of a limit, such as `latency_p99_ms <= 20`."""
    given = {bound: getattr(limit, bound) for bound in BOUNDS}
    return [
        BOUNDS[bound].format(metric=limit.metric, value=value) for bound, value in given.items() if value is not None
    ]
