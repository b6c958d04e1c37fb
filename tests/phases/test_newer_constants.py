"""A study is resumed by a version whose constants are others: what was fixed on disk stays, and the study ends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.virtual import SMALL, PhaseFuse, PowerCut, Virtual, calm, make_study
from tuner.bench.protocol import Phase

pytestmark = pytest.mark.slow

NEWER: Mapping[str, object] = {
    "tuner.planning.selection.SD_FLOOR": 0.9,
    "tuner.planning.confirmation_size.MOST_PAIRS": 9,
    "tuner.planning.budget.CONFIRM_SHARE": 0.3,
    "tuner.planning.budget.BASELINES_SHARE": 0.2,
    "tuner.statistics.sequential_test.FIRST_ALPHA": 0.01,
    "tuner.statistics.sequential_test.LATER_ALPHA": 0.001,
    "tuner.statistics.early_stopping.CAP_S": 3.0,
    "tuner.evidence.noise.PRIOR_SD": 0.03,
}
"""Constants of the next version: name -> value."""


def make(folder: Path) -> Virtual:
    return Virtual(folder=folder, space=SMALL, study=make_study(minutes=6.0), bench=calm())


def interrupted(folder: Path, phase: Phase, calls: int) -> Virtual:
    study = make(folder)
    with pytest.raises(PowerCut):
        study.run(PhaseFuse(study.bench, phase, calls))
    return study


def update(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in NEWER.items():
        monkeypatch.setattr(name, value)


def test_a_confirmation_that_has_begun_keeps_its_plan_and_its_alpha(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = interrupted(tmp_path, "confirm", 2)
    plan, lines = study.log().confirmation(1), study.log_path.read_bytes()
    update(monkeypatch)
    result = study.run()
    assert study.log().confirmation(1) == plan
    assert study.log_path.read_bytes().startswith(lines)
    monkeypatch.undo()
    (tmp_path / "other").mkdir()
    assert result.line == make(tmp_path / "other").run().line, "as without an interruption"


@pytest.mark.parametrize(("phase", "calls"), [("baselines", 1), ("race", 2), ("final", 1)])
def test_a_study_that_is_interrupted_earlier_ends_by_the_newer_constants(
    phase: Phase, calls: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = interrupted(tmp_path, phase, calls)
    before = study.log_path.read_bytes()
    update(monkeypatch)
    study.run()
    assert study.log_path.read_bytes().startswith(before), "nothing on record is changed"
    plan = study.log().confirmation(1)
    assert plan is not None
    assert plan.alpha == 0.01
    assert len(study.log().verdicts()) == 1
    assert len(study.sessions("baselines")) == 1
