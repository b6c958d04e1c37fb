"""Evidence for the choice of a configuration: what the search measured of its nearest neighbours.

Reads the candidates of a report; measures nothing, and makes no words.
"""

from __future__ import annotations

from dataclasses import dataclass

from tuner.evidence.candidates import Candidate
from tuner.outcome.study_report import StudyReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A candidate that differs from the chosen one in one parameter."""

    parameter: str
    candidate: Candidate
    loss: float
    """Loss (log-ratio) against the chosen configuration in the search, not confirmed; positive is worse."""
    sd: float
    """Standard deviation of the loss (log-ratio)."""


def chosen(report: StudyReport) -> Candidate | None:
    """Returns the candidate that is deployed; None if a baseline is."""
    if report.result is None or not report.result.is_tuned:
        return None
    return next((c for c in report.candidates if c.config == report.result.config), None)


def neighbours(report: StudyReport) -> list[Neighbour]:
    """Returns the neighbours of the chosen candidate, of each parameter the one that loses most, largest loss first."""
    best = chosen(report)
    if best is None or best.assignment is None:
        return []
    found: dict[str, Neighbour] = {}
    for other in report.candidates:
        if other is best or other.assignment is None or not other.comparisons:
            continue
        mine, theirs = best.assignment, other.assignment
        names = [name for name in {*mine, *theirs} if mine.get(name) != theirs.get(name)]
        if len(names) != 1:
            continue
        sd = (best.sd**2 + other.sd**2) ** 0.5
        one = Neighbour(parameter=names[0], candidate=other, loss=best.value - other.value, sd=sd)
        if one.parameter not in found or one.loss > found[one.parameter].loss:
            found[one.parameter] = one
    return sorted(found.values(), key=lambda one: (-one.loss, one.parameter))
