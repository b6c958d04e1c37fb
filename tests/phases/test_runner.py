"""What acts in a study: sessions go to disk, and the status is shown while they are measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.virtual import Virtual
from tuner.bench.configuration import Failure
from tuner.bench.measurement import Windows
from tuner.planning.session_plan import plan_session

pytestmark = pytest.mark.slow


def test_a_session_is_on_disk_when_it_is_returned(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path)
    runner = study.runner()
    plan = plan_session(runner.state, None, "baselines", blocks=2)
    lines = [runner.measure(list(study.setup.baselines.values()), plan) for _ in range(2)]
    assert study.sessions() == lines
    assert [(line.phase, line.attempt, line.index_in_phase) for line in lines] == [
        ("baselines", 1, 0),
        ("baselines", 1, 1),
    ]


def test_the_status_is_shown_between_blocks_whatever_the_stop_rule_is(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path)
    runner, asked = study.runner(), []

    def enough(members: Sequence[Windows | Failure]) -> bool:
        asked.append(members)
        return len(asked) == 2

    plan = plan_session(runner.state, None, "baselines", blocks=4)
    runner.show("baselines", "")
    before = len(study.listener.shown)
    runner.measure(list(study.setup.baselines.values()), plan)
    every_block = len(study.listener.shown) - before
    runner.measure(list(study.setup.baselines.values()), replace(plan, enough=enough))
    assert len(study.listener.shown) - before - every_block == len(asked) == 2
    assert every_block > 2
    assert set(study.listener.shown) == {runner.status}


def test_a_status_keeps_what_is_not_said_anew(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path)
    runner = study.runner()
    runner.show("search", "one", incumbent="this", trials=3)
    runner.show("final", "two")
    (first, second) = study.listener.shown
    assert (second.phase, second.note, second.incumbent, second.trials) == ("final", "two", "this", 3)
    assert first.remaining_s == second.remaining_s == 120.0
