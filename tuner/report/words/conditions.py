"""The conditions under which the figures of a study were measured, in one line that stands above every table.

Responsible for words about a study file. Must not know results.
"""

from __future__ import annotations

from tuner.report.words.answer import bound_words, condition_words
from tuner.statistics.limits import bounds_of
from tuner.study.conditions import as_written
from tuner.study.study import Study


def conditions_line(study: Study, cpu_quota: float | None = None) -> str:
    """Returns how requests come, the stated conditions and the limits; `cpu_quota` is that of the host itself."""
    stated = as_written(study.conditions)
    if "cpus" not in stated and cpu_quota is not None:
        stated = {"cpus": cpu_quota, **stated}
    line = f"measured with {', '.join([_requests(study), *condition_words(stated)])}"
    limits = [bound_words(bound) for limit in study.objective.limits for bound in bounds_of(limit)]
    return f"{line}; limits: {', '.join(limits)}" if limits else line


def _requests(study: Study) -> str:
    load = study.load
    if load is not None:
        return f"{load.pattern} arrivals" + (f" of {load.rate_per_s:g} requests/s" if load.rate_per_s else "")
    return "one request at a time" if study.is_single else "each configuration's own number of requests in flight"
