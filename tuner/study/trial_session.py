"""The session of a trial: when it may end, and what Optuna is told of it.

Knows windows, comparisons and the record of a session; not which candidate comes next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from tuner.bench.metrics import request_count
from tuner.bench.protocol import Failure, Windows
from tuner.study.disturbance import calm_pairs
from tuner.study.estimate import session_value
from tuner.study.evidence import metrics_of
from tuner.study.hopeless import CAP_S, LOOKS_S, is_hopeless, is_precise
from tuner.study.records import SessionLine
from tuner.study.session_plan import PROBES
from tuner.study.space import Assignment
from tuner.study.state import StudyState
from tuner.study.study import Objective
from tuner.study.trial import FinishedTrial

SHORT_SEARCH_S, SHORT_CAP_S = 120.0, 4.0
"""In a search this short more candidates are worth more than sharper ones: the final is there to sharpen."""
PERCENTILE_CAP_S = 4 * CAP_S
"""A percentile needs its requests: such a trial may last longer than the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What Optuna is told: a value (log-ratio) with its constraints, or a failure; with the trial's record."""

    value: float | None = None
    others: tuple[float, ...] = ()
    failure: str | None = None
    constraints: Mapping[str, float] = field(default_factory=dict)
    record: Mapping[str, object] = field(default_factory=dict)


def trials_of(line: SessionLine) -> Iterator[tuple[int, Assignment, int]]:
    """(trial number, assignment, place in the lineup) of every candidate of a session."""
    for i, (number, assignment) in enumerate(zip(line.trials, line.assignments, strict=True)):
        if number is not None and assignment is not None:
            yield number, assignment, i


def answer_of(state: StudyState, line: SessionLine, i: int) -> Answer:
    """What the session says of the member at place `i`."""
    member, reference = line.session.members[i], line.session.members[0]
    record: dict[str, object] = {
        "phase": line.phase,
        "round": line.round,
        "step": line.step,
        "config": asdict(line.session.lineup[i]),
    }
    if isinstance(member, Failure):
        return Answer(failure=str(member), record=record)
    record["effective"] = asdict(member.effective)
    comparison = None
    if isinstance(reference, Windows):
        comparison = state.reference.comparer.compare(member, reference)
    if comparison is None:
        return Answer(failure="not measured beside the reference", record=record)
    record["sd"] = comparison.sd
    record["metrics"] = metrics_of(member).row()
    others = tuple(estimate.value for estimate in comparison.others.values())
    return Answer(value=comparison.value, others=others, constraints=comparison.violations, record=record)


def finished_trials(state: StudyState) -> list[FinishedTrial]:
    """Every trial that the record has a session of, with the answer that Optuna was or should have been told: that of
    the first session, later ones of a race add evidence but no second answer."""
    finished: dict[int, FinishedTrial] = {}
    for line in state.log.sessions("search", "race"):
        for number, assignment, i in trials_of(line):
            if number not in finished:
                answer = answer_of(state, line, i)
                finished[number] = FinishedTrial(
                    number=number,
                    assignment=assignment,
                    value=answer.value,
                    others=answer.others,
                    constraints=answer.constraints,
                    record=answer.record,
                    failure=answer.failure,
                )
    return list(finished.values())


def enough_rule(
    objective: Objective, *, window_sd: float, window_s: float, is_short: bool, incumbent_gain: float
) -> Callable[[Sequence[Windows | Failure]], bool]:
    """Returns when a session of the reference and one trial ends.

    It ends where the trial is hopeless at 1.5 s and 3 s of both sides together, where it is precise enough, or at the
    cap (tuner/README.md). A percentile also ends when it has its requests. With several objectives nothing is hopeless
    for one of them: the other may be what it is good at. `window_sd` is that of a pair of windows of `window_s`,
    `incumbent_gain` that of the best so far (log-ratios); in a search that `is_short` the cap comes sooner.
    """
    metric, percentiles = objective.row, [row for row in objective.rows if row.quantile is not None]
    needed = max((row.min_requests for row in percentiles), default=1)
    is_mixed = len(percentiles) < len(objective.rows)
    has_looks = not objective.has_several
    mean_cap_s = SHORT_CAP_S if is_short else CAP_S
    cap_s = PERCENTILE_CAP_S if percentiles else mean_cap_s
    cap_pairs = max(1, int(mean_cap_s / (2 * window_s)))

    def enough(members: Sequence[Windows | Failure]) -> bool:
        reference, candidate = members
        if isinstance(reference, Failure) or isinstance(candidate, Failure):
            return True
        pairs = calm_pairs(candidate, reference)
        timed_s = sum(w.timed_s for member in (reference, candidate) for w in member.windows)
        before_s = timed_s - reference.windows[-1].timed_s - candidate.windows[-1].timed_s
        value = session_value(metric, candidate, reference, min_requests=1)
        is_look = has_looks and any(before_s < look_s <= timed_s for look_s in LOOKS_S)
        if is_look and value is not None and is_hopeless(value, incumbent_gain, pairs, window_sd):
            return True
        if metric.is_whole:
            return len(candidate.windows) >= PROBES
        if timed_s >= cap_s:
            return True
        if percentiles and min(request_count(m.windows) for m in (reference, candidate)) < needed:
            return False
        if not is_mixed:
            return True
        return timed_s >= LOOKS_S[0] and is_precise(pairs, window_sd, cap_pairs)

    return enough
