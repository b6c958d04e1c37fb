"""What a user is told of each event, and of what is being measured."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.virtual import LARGE, Virtual, make_study
from tuner.bench.configuration import DeploymentConfig, Failure, FailureKind
from tuner.phases.progress import AuditRead, CandidateRejected, Event, Measuring, SearchEnded, SpaceEnumerated, Status
from tuner.report.words import progress
from tuner.report.words.progress import event_lines
from tuner.report.words.status import status_line
from tuner.search.enumeration import SpaceEnumeration
from tuner.search.strategies import EndReason, SearchEnd

TWO, FOUR = (DeploymentConfig(device="CPU", properties={"NUM_STREAMS": n, "ENABLE_CPU_PINNING": False}) for n in (2, 4))
REFUSED = Failure(kind=FailureKind.COMPILE, message="no streams")


def test_there_are_words_for_every_event() -> None:
    kinds = {kind for given in get_args(Event) for kind in (get_args(given) or (given,))}
    assert kinds == set(progress._WORDS)


@pytest.mark.slow
def test_the_events_of_a_whole_study_are_plain_values(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path, space=LARGE, study=make_study(trials=4))
    study.run()
    assert len(study.listener.events) >= 4
    assert pickle.loads(pickle.dumps(study.listener.events)) == study.listener.events
    assert pickle.loads(pickle.dumps(study.listener.shown)) == study.listener.shown


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        ({}, ["space: 8 requested, 2 distinct"]),
        ({"without_effect": ["A"]}, ["space: 8 requested, 2 distinct, 1 parameter without effect here: A"]),
        ({"without_effect": ["A", "B"]}, ["space: 8 requested, 2 distinct, 2 parameters without effect here: A, B"]),
        (
            {"refused": (REFUSED,)},
            ["space: 8 requested, 2 distinct", "1 sets of properties do not compile, the last: no streams"],
        ),
    ],
)
def test_a_space_is_told_with_what_has_no_effect_and_what_does_not_compile(
    given: dict[str, Any], lines: list[str]
) -> None:
    plain = SpaceEnumeration(requested=8, distinct={"a": {}, "b": {}}, without_effect=[])
    assert event_lines(SpaceEnumerated(enumeration=replace(plain, **given))) == lines


@pytest.mark.parametrize(
    ("tried", "distinct", "is_few"),
    [(11, 100, True), (12, 100, False), (4, 10, True), (5, 10, False), (1, None, False)],
)
def test_a_search_that_tried_little_says_so(tried: int, distinct: int | None, is_few: bool) -> None:
    (line,) = event_lines(SearchEnded(end=SearchEnd(reason=EndReason.TIME_USED), tried=tried, distinct=distinct))
    assert line.startswith("search ended: the time for the search is used up")
    assert (
        line.endswith(f"; only {tried} of {distinct} configurations were tried: a longer budget tries more") == is_few
    )


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        (EndReason.TIME_USED, "a longer budget tries more"),
        (EndReason.TRIALS_DONE, "more trials try more"),
        (EndReason.ALL_MEASURED, None),
        (EndReason.NOTHING_NEW, None),
        (EndReason.NOTHING_BETTER, None),
        (EndReason.TOO_SLOW, None),
        (EndReason.ALL_FAILED, None),
    ],
)
def test_the_end_of_a_search_contradicts_itself_for_no_reason(reason: EndReason, remedy: str | None) -> None:
    """Nothing tries more where everything has been measured, though three of four may be baselines."""
    (line,) = event_lines(SearchEnded(end=SearchEnd(reason=reason), tried=1, distinct=4))
    assert ("only 1 of 4" in line) == (remedy is not None)
    assert line.endswith(f": {remedy}") == (remedy is not None)


def test_an_audit_names_both_requests_by_what_differs() -> None:
    found = AuditRead(gain=math.log(1.3), is_suspicious=True, configurations=(TWO, FOUR))
    (line,) = event_lines(found)
    assert line.startswith("warning: audit: two requests for one effective configuration differ by +30.0 %")
    assert line.endswith("(2 streams and 4 streams)")
    (line,) = event_lines(replace(found, is_suspicious=False))
    assert line == "audit: two requests for one effective configuration differ by +30.0 %"


def test_the_runner_up_has_its_short_name() -> None:
    event = CandidateRejected(detail="it broke a limit", following=FOUR, differing=frozenset({"NUM_STREAMS"}))
    assert event_lines(event) == ["turned down: it broke a limit; the runner-up is 4 streams"]


@pytest.mark.parametrize(
    ("phase", "measuring", "words"),
    [
        ("preflight", Measuring(), "one inference on the device"),
        ("baselines", Measuring(baselines=("default", "today")), "default, today"),
        ("calibration", Measuring(), "against itself"),
        ("race", Measuring(configurations=(TWO, FOUR)), "2 at once"),
        ("search", Measuring(configurations=(TWO,)), "2 streams"),
        ("final", Measuring(configurations=(TWO, FOUR)), "2 candidates"),
        (
            "final",
            Measuring(configurations=(TWO, FOUR), is_refinement=True),
            "2 candidates, the best from the second best",
        ),
        ("confirm", Measuring(configurations=(TWO,), session=2, max_sessions=6), "session 2 of at most 6"),
        ("confirm", Measuring(configurations=(TWO, FOUR), session=2, max_sessions=6), "session 2 of 6, 2 points"),
        ("measure", Measuring(configurations=(FOUR,), session=1, max_sessions=4), "session 1 of 4: 4 streams"),
    ],
)
def test_the_status_ends_with_what_is_being_measured(phase: Any, measuring: Measuring, words: str) -> None:
    status = Status(phase=phase, remaining_s=None, measuring=measuring, differing=frozenset({"NUM_STREAMS"}))
    assert status_line(status) == f"{phase} | {words}"
