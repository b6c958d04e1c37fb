"""The sentences on what was decided, and why a point is not on the front or not proved.

Knows verdicts as values; decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from tuner.decision.confirmation import Confirmation
from tuner.decision.pareto_confirmation import Front
from tuner.decision.pareto_point import ParetoPoint, RemovalReason
from tuner.decision.verdict import Cause, Verdict
from tuner.report.words.gain import Gain, gain_words, metric_name
from tuner.report.words.limits import limit_words
from tuner.study.study import Objective

T = TypeVar("T")


def verdict_words(verdict: Verdict) -> str:
    """Returns what a verdict rests on, in one sentence."""
    return _WORDS[verdict.cause](verdict)


def removal_words(objective: Objective, front: Front) -> dict[str, str]:
    """Returns the name of each point that was confirmed and is not on the front, with the reason."""
    return {name: _removal(objective, front, name) for name in front.removed}


def point_words(objective: Objective, front: Front, point: ParetoPoint, *, claims_gain: bool) -> str:
    """Returns the evidence behind a point of the front, as front.yaml has it."""
    if point.is_baseline:
        evidence = "as the baselines were first measured" if front.confirmation is None else "on the front"
        return f"one of the baselines, {evidence}"
    if claims_gain:
        return "a point of the front: fresh data show it to be better than every baseline beside it in an objective"
    return f"no gain is claimed: {unproven_words(objective, front, point)}"


def unproven_words(objective: Objective, front: Front, point: ParetoPoint) -> str:
    """Returns why no gain is claimed for a candidate on the front."""
    if front.confirmation is not None and front.confirmation.is_invalid:
        return _invalid(objective, front.confirmation)
    if point.unproven is None:
        return "no baseline keeps the limits"
    bounds = ", ".join(
        f"{metric_name(metric)} {gain_words(metric, Gain.of(gain))}" for metric, gain in point.unproven.gains.items()
    )
    return f"{point.name} is not shown to be better than {point.unproven.baseline} in any objective ({bounds})"


def _removal(objective: Objective, front: Front, name: str) -> str:
    removal, found = front.removed[name], _given(front.confirmation)
    if removal.reason is RemovalReason.FAILED:
        failures = found.failures[found.plan.names.index(name)]
        return f"it failed in {len(failures)} sessions, last: {failures[-1]}"
    if removal.reason is RemovalReason.INVALID:
        return _invalid(objective, found)
    if removal.reason is RemovalReason.BEATEN:
        return f"{removal.by} is better" if removal.by else "another point that left is better"
    if removal.check is not None:
        return limit_words(removal.check)
    if removal.reason is RemovalReason.TOO_FEW_REQUESTS:
        return f"too few requests in its windows: it needs {_requests_needed(objective)} in a session"
    return "it does not keep the limits"


def _invalid(objective: Objective, found: Confirmation) -> str:
    """Returns why the last session that says nothing does so."""
    failure = found.invalid[-1]
    if failure is not None:
        return f"the reference failed: {failure}"
    if found.plan.is_front:
        return f"too few requests of the reference: it needs {_requests_needed(objective)} in a session"
    row = objective.row
    return f"too few requests to claim {row.name}: it needs {row.min_requests} on each side"


def _requests_needed(objective: Objective) -> int:
    """Returns the number of requests on each side of a session for the objective that needs the most."""
    return max(row.min_requests for row in objective.rows)


def _none_feasible(verdict: Verdict) -> str:
    words = "no configuration that was tried keeps the limits"
    if verdict.front is not None or verdict.rate_per_s is None or verdict.capacity_per_s is None:
        return words
    most = f"the fastest baseline completes {verdict.capacity_per_s:.0f}/s at most"
    return f"{words} at {verdict.rate_per_s:g} requests/s; {most}"


def _none_better(verdict: Verdict) -> str:
    within = " within the limits" if verdict.objective.limits else ""
    if verdict.front is not None:
        return f"the baselines are the front: none of {verdict.candidates} candidates is beyond them{within}"
    return f"none of {verdict.candidates} candidates tried was better than the reference{within}"


def _unstable(verdict: Verdict) -> str:
    failures = _given(verdict.confirmation).failures[0]
    return f"the winner failed in {len(failures)} sessions, last: {failures[-1]}"


def _broken(verdict: Verdict) -> str:
    return next(limit_words(check) for check in _given(verdict.confirmation).checks if not check.is_kept)


def _proved(verdict: Verdict) -> str:
    failures = _given(verdict.confirmation).failures[0]
    once = f"; one session failed and is left out: {failures[0]}" if failures else ""
    return f"{verdict.objective.row.name} is better, and fresh data confirm it{once}"


def _bounds(verdict: Verdict) -> str:
    confirmation = _given(verdict.confirmation)
    metric, reference = verdict.objective.row.name, confirmation.plan.reference
    gain = gain_words(metric, Gain.of(_given(confirmation.interval)))
    return f"{metric_name(metric)} {gain} against {reference}"


def _no_point(verdict: Verdict) -> str:
    whys = removal_words(verdict.objective, _given(verdict.front)).items()
    return f"none that was tried was shown to keep the limits: {'; '.join(f'{name}: {why}' for name, why in whys)}"


def _beside_knee(verdict: Verdict) -> str:
    count = sum(point.is_proven for point in _given(verdict.front).points)
    points = "one point" if count == 1 else f"{count} points"
    return f"the knee of the front is {_knee(verdict)}; front.yaml holds {points} beside it"


def _none_proved(verdict: Verdict) -> str:
    front = _given(verdict.front)
    first = next(point for point in front.points if not point.is_baseline)
    return f"of the points beside the baselines none is proved: {unproven_words(verdict.objective, front, first)}"


def _knee(verdict: Verdict) -> str:
    return _given(_given(verdict.front).knee).name


def _given(evidence: T | None) -> T:
    """Returns the evidence that a cause implies."""
    assert evidence is not None
    return evidence


_WORDS: Mapping[Cause, Callable[[Verdict], str]] = {
    Cause.ALL_FAILED: lambda verdict: f"every configuration of the space failed, last: {verdict.failure}",
    Cause.NONE_FEASIBLE: _none_feasible,
    Cause.NONE_BETTER: _none_better,
    Cause.UNSTABLE: _unstable,
    Cause.INVALID: lambda verdict: (
        f"nothing could be proved: {_invalid(verdict.objective, _given(verdict.confirmation))}"
    ),
    Cause.NOT_SHOWN_FEASIBLE: lambda verdict: f"none that was tried was shown to keep the limits: {_broken(verdict)}",
    Cause.FIRST_FEASIBLE: lambda _: "the first configuration that keeps the limits; no gain is claimed",
    Cause.LIMIT_BROKEN: _broken,
    Cause.PROVED: _proved,
    Cause.TOO_LITTLE: lambda verdict: f"the best candidate gains too little to matter: {_bounds(verdict)}",
    Cause.NOISE: lambda verdict: f"the best candidate's gain may be noise: {_bounds(verdict)}",
    Cause.NO_POINT_FEASIBLE: _no_point,
    Cause.FIRST_KNEE: lambda _: "the knee of those that keep the limits; no gain is claimed",
    Cause.KNEE_PROVED: lambda verdict: f"the knee of the front is {_knee(verdict)}, and fresh data confirm it",
    Cause.KNEE_IS_BASELINE: _beside_knee,
    Cause.ALL_BEATEN: lambda _: "the baselines are the front: on fresh data every other point was beaten by one",
    Cause.NONE_PROVED: _none_proved,
}
"""Cause -> its sentence."""
