"""The session of a trial: when it may end, and what Optuna is told of it.

Knows windows, comparisons and the record of a session; not which candidate comes next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from tuner.bench.configuration import Failure
from tuner.bench.measurement import Windows
from tuner.evidence.pooled_metrics import metrics_of
from tuner.evidence.state import StudyState
from tuner.records.session_log import SessionLine
from tuner.study.space import Assignment
from tuner.study.trial import Answer, FinishedTrial


def trials_of(line: SessionLine) -> Iterator[tuple[int, Assignment, int]]:
    """(trial number, assignment, place in the configurations) of every candidate of a session."""
    for i, (number, assignment) in enumerate(zip(line.trials, line.assignments, strict=True)):
        if number is not None and assignment is not None:
            yield number, assignment, i


def answer_of(state: StudyState, line: SessionLine, i: int) -> Answer:
    """What the session says of the member at place `i`."""
    member, reference = line.session.members[i], line.session.members[0]
    record: dict[str, object] = {
        "phase": line.phase,
        "round": line.attempt,
        "step": line.index_in_phase,
        "config": asdict(line.session.configurations[i]),
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
