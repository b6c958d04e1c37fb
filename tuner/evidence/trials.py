"""The answer that Optuna is told about the trial of a session.

Responsible for answers read off the record. Must not know which candidate comes next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, fields

from tuner.bench.configuration import Failure
from tuner.bench.measurement import Windows
from tuner.evidence.pooled_metrics import metrics_of
from tuner.evidence.state import StudyState
from tuner.records.confirmation_plan import name_on_disk
from tuner.records.session_log import SessionLine
from tuner.study.space import Assignment
from tuner.study.trial import Answer, FinishedTrial


def trials_of(line: SessionLine) -> Iterator[tuple[int, Assignment, int]]:
    """Yields (number of the trial, assignment, position of the member) of every candidate of a session."""
    for position, (number, assignment) in enumerate(zip(line.trials, line.assignments, strict=True)):
        if number is not None and assignment is not None:
            yield number, assignment, position


def answer_of(state: StudyState, line: SessionLine, position: int) -> Answer:
    """Returns the answer that a session gives about the member at a position."""
    member, reference = line.session.members[position], line.session.members[0]
    record: dict[str, object] = {
        "phase": line.phase,
        name_on_disk("attempt"): line.attempt,
        name_on_disk("index_in_phase"): line.index_in_phase,
        "config": asdict(line.session.configurations[position]),
    }
    if isinstance(member, Failure):
        return Answer(failure=str(member), record=record)
    record["effective"] = asdict(member.effective)
    compare = state.reference.comparer.compare
    comparison = compare(member, reference) if isinstance(reference, Windows) else None
    if comparison is None:
        return Answer(failure="not measured beside the reference", record=record)
    record |= {"sd": comparison.sd, "metrics": metrics_of(member).row()}
    others = tuple(estimate.value for estimate in comparison.others)
    return Answer(value=comparison.value, others=others, constraints=comparison.violations, record=record)


def finished_trials(state: StudyState) -> list[FinishedTrial]:
    """Returns every trial that has a session on record, with the answer that Optuna was or should be told.

    The answer is that of the trial's first session: later sessions of a race add evidence, but no second answer.
    """
    finished: dict[int, FinishedTrial] = {}
    for line in state.log.sessions("search", "race"):
        for number, assignment, position in trials_of(line):
            if number not in finished:
                answer = answer_of(state, line, position)
                told = {field.name: getattr(answer, field.name) for field in fields(answer)}
                finished[number] = FinishedTrial(number=number, assignment=assignment, **told)
    return list(finished.values())
