"""What acts in a study: sessions are issued and go to disk, and the status is shown while they are measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.virtual import Virtual
from tuner.bench.protocol import Role, SessionMember, SessionPlan
from tuner.phases.progress import Measuring
from tuner.phases.runner import SessionRunner
from tuner.planning.session_plan import plan_session

pytestmark = pytest.mark.slow


def members_of(study: Virtual) -> list[SessionMember]:
    return [SessionMember(config=config, role=Role.BASELINE) for config in study.setup.baselines.values()]


def plan_of(runner: SessionRunner) -> SessionPlan:
    return plan_session(runner.state, None, "baselines", blocks=3)


def test_a_session_is_on_disk_when_it_is_returned(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path)
    runner = study.runner()
    lines = [runner.measure(members_of(study), plan_of(runner)) for _ in range(2)]
    assert study.sessions() == lines
    assert [(line.phase, line.attempt, line.index_in_phase) for line in lines] == [
        ("baselines", 1, 0),
        ("baselines", 1, 1),
    ]


def test_two_sessions_in_flight_are_numbered_and_seeded_when_they_are_issued(tmp_path: Path) -> None:
    alone = Virtual(folder=tmp_path / "alone")
    study = Virtual(folder=tmp_path / "two")
    for folder in (alone.folder, study.folder):
        folder.mkdir()
    runner = study.runner()
    one, two = (runner.issue(members_of(study), plan_of(runner), duplicates=n) for n in (3, 4))
    assert (one.number, two.number) == (0, 1)
    assert one.plan.seed != two.plan.seed
    lines = [runner.finish(request, study.bench.measure(request)) for request in (two, one)]
    assert study.sessions() == lines
    assert [(line.index_in_phase, line.duplicates) for line in lines] == [(1, 4), (0, 3)]
    one_by_one = [alone.runner().issue(members_of(alone), plan_of(alone.runner()))]
    assert one_by_one[0].plan.seed == one.plan.seed


def test_numbers_continue_from_the_record_and_none_is_issued_twice(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path)
    runner = study.runner()
    runner.issue(members_of(study), plan_of(runner))
    second = runner.issue(members_of(study), plan_of(runner))
    runner.finish(second, study.bench.measure(second))
    assert runner.issue(members_of(study), plan_of(runner)).number == 2
    assert study.runner().issue(members_of(study), plan_of(runner)).number == 2, "the first was lost with its process"
    confirming = plan_session(runner.state, None, "confirm", blocks=3)
    assert runner.issue(members_of(study), confirming).number == 0, "each phase counts for itself"


def test_a_line_has_what_its_members_say(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path)
    runner = study.runner()
    reference, other, *_ = study.setup.baselines.values()
    tried = SessionMember(config=other, role=Role.CANDIDATE, trial=7, assignment={"NUM_STREAMS": 4})
    line = runner.measure([SessionMember(config=reference, role=Role.REFERENCE), tried], plan_of(runner))
    assert line.session.configurations == (reference, other)
    assert line.trials == (None, 7)
    assert line.assignments == (None, {"NUM_STREAMS": 4})


def test_the_status_is_shown_after_every_step_and_its_time_goes_on(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path)
    runner = study.runner()
    runner.show("baselines", Measuring())
    before = len(study.listener.shown)
    plan, members = plan_of(runner), members_of(study)
    runner.measure(members, plan)
    shown = study.listener.shown[before:]
    assert len(shown) == len(members) * (2 + plan.blocks), "compile, warm-up and windows of each member"
    remaining_s = [status.remaining_s for status in shown]
    assert remaining_s == sorted(set(remaining_s), reverse=True), "each window takes some of it"
    assert {replace(status, remaining_s=runner.status.remaining_s) for status in shown} == {runner.status}


def test_a_status_keeps_what_is_not_said_anew(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path)
    runner, this = study.runner(), study.setup.baselines["LATENCY"]
    runner.show("search", Measuring(session=1), incumbent=this, trials=3)
    runner.show("final", Measuring(session=2))
    (first, second) = study.listener.shown
    assert (second.phase, second.measuring.session, second.incumbent, second.trials) == ("final", 2, this, 3)
    assert first.remaining_s == second.remaining_s == 120.0
