"""A finished study read back without device, model or lock."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.outcome.test_best_config import best_of
from tests.virtual import Fuse, PowerCut, Virtual, make_study
from tuner.deploy.best_file import write_best
from tuner.outcome.finished import read_finished
from tuner.outcome.metrics_table import final_metrics
from tuner.records.identity import check_identity

pytestmark = pytest.mark.slow


def test_a_finished_study_says_the_same_without_its_device(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path)
    result = study.run()
    best = best_of(study, result)
    (tmp_path / "study.yaml").write_text(study.study.text)
    check_identity(tmp_path, {}, {"cpu_quota": None})
    (tmp_path / "best.yaml").unlink()
    assert read_finished(study.study, tmp_path) is None, "its best.yaml is still to be written"
    write_best(tmp_path / "best.yaml", best)
    found = read_finished(study.study, tmp_path)
    assert found is not None
    assert found.result == result
    assert found.best == best
    assert found.metrics == final_metrics(study.state(), result)
    for other in (make_study(minutes=3.0), replace(study.study, text="another file")):
        assert read_finished(other, tmp_path) is None


def test_a_resumed_study_says_where_it_stands(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path)
    with pytest.raises(PowerCut):
        study.run(Fuse(study.bench, 3))
    assert not [line for line in study.listener.lines if line.startswith("resuming")]
    study.run()
    (line,) = [line for line in study.listener.lines if line.startswith("resuming")]
    assert line.startswith("resuming: 2 sessions on record, phase ")
    assert line.endswith(" s left")
