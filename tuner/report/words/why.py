"""One line that says why this configuration and no other, from what was measured.

Responsible for words. The evidence comes from `tuner/outcome/why.py`.
"""

from __future__ import annotations

from tuner.outcome.study_report import StudyReport
from tuner.outcome.why import chosen, neighbours
from tuner.report.words.answer import beyond_words
from tuner.report.words.configuration import differing, name_by
from tuner.report.words.gain import amount_words, metric_name

SURE_SDS = 2.0
"""Standard deviations from which on a neighbour's loss is told: below, it may be noise."""

TOLD = 2
"""Number of neighbours in the line."""


def why_line(report: StudyReport) -> str:
    """Returns the line; empty if nothing was measured beside the answer."""
    metric, count = report.study.objective.metric, len(report.candidates)
    if report.study.objective.has_several or not count:
        return ""
    configurations = "the only configuration" if count == 1 else f"the best of {count} configurations"
    best = chosen(report)
    if best is None:
        first = report.candidates[0]
        beyond = beyond_words(first.excesses)
        said = f"{amount_words(metric, first.value)}{f', {beyond}' if beyond else ''}"
        return (
            f"why: {configurations} in the search was {name_by(first.config, _names(report))}, "
            f"{metric_name(metric)} {said} beside {_reference(report)}, not confirmed"
        )
    told = [one for one in neighbours(report) if one.loss > SURE_SDS * one.sd][:TOLD]
    if not told:
        return f"why: {configurations} in the search; its neighbours are as good, within the noise"
    words = "; ".join(
        f"{name_by(one.candidate.config, {one.parameter}) or one.parameter} instead of "
        f"{name_by(best.config, {one.parameter})}: {metric_name(metric)} {amount_words(metric, -one.loss)}"
        for one in told
    )
    return f"why: in the search, of {count} configurations, {words}"


def _names(report: StudyReport) -> frozenset[str]:
    return differing([candidate.config for candidate in report.candidates])


def _reference(report: StudyReport) -> str:
    return report.reference.name if report.reference is not None else "the reference"
