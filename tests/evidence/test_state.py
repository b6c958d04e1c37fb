"""A study's state: what it reads off the record, and that it reads each line once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.virtual import Fuse, PowerCut, Virtual
from tuner.evidence.state import StudyState
from tuner.planning.study_plan import study_plan
from tuner.records.session_log import Log

pytestmark = pytest.mark.slow


@pytest.fixture(name="study")
def _study(tmp_path: Path) -> Virtual:
    study = Virtual(folder=tmp_path)
    study.run()
    return study


def test_there_is_no_reference_before_a_baseline_has_run(tmp_path: Path) -> None:
    state = Virtual(folder=tmp_path).state()
    assert not state.has_reference
    with pytest.raises(ValueError, match="no reference"):
        _ = state.reference


def test_the_attempt_is_one_more_than_the_verdicts(study: Virtual) -> None:
    assert study.state().attempt == 2
    fresh = Virtual(folder=study.folder / "fresh")
    fresh.folder.mkdir()
    with pytest.raises(PowerCut):
        fresh.run(Fuse(fresh.bench, 3))
    assert fresh.state().attempt == 1


def test_a_growing_state_equals_one_that_is_read_at_the_end(study: Virtual) -> None:
    log = Log(None)
    growing = StudyState(setup=study.setup, log=log)
    for line in study.log().lines:
        log.append(line)
        read = StudyState(setup=study.setup, log=log)
        assert growing.attempt == read.attempt
        assert growing.has_reference == read.has_reference
        if read.has_reference:
            assert growing.reference == read.reference
            assert growing.candidates == read.candidates


def test_reference_and_evidence_are_kept_until_a_line_changes_them(study: Virtual) -> None:
    lines = study.log().lines
    state = StudyState(setup=study.setup, log=Log(None))
    for line in lines[:-1]:
        state.log.append(line)
    reference, evidence = state.reference, state.evidence
    state.log.append(lines[-1])
    assert state.reference is reference
    assert state.evidence is evidence
    state.log.append(state.reference.line)
    assert state.reference is not reference
    assert state.evidence is not evidence


def test_a_copy_with_another_space_reads_the_record_again(study: Virtual) -> None:
    state = study.state()
    known = replace(state, distinct=5)
    assert (state.distinct, known.distinct) == (None, 5)
    assert known.reference == state.reference


def test_the_plan_of_an_attempt_excludes_earlier_finals_and_confirmations(study: Virtual) -> None:
    state = study.state()
    first_s, second_s = (study_plan(state, attempt).total_s for attempt in (1, 2))
    assert first_s is not None
    assert second_s is not None
    spent_s = sum(line.session.wall_s for line in study.sessions("final", "confirm"))
    assert second_s == pytest.approx(max(0.0, first_s - spent_s))
    assert study_plan(state) == study_plan(state, 2)
