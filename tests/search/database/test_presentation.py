"""study.db as a person finds it: real values with units, the metric's own direction, and one attribute each."""

from __future__ import annotations

import math
from pathlib import Path

import optuna
import pytest

from tuner.bench.metrics import METRICS
from tuner.search.database.presentation import Presentation
from tuner.search.database.study_database import StudyDatabase
from tuner.search.optuna_study import Search
from tuner.study.space import Parameter, Space
from tuner.study.trial import FinishedTrial

SPACE = Space(
    parameters=(
        Parameter(name="ENABLE_CPU_PINNING", values=(True, False)),
        Parameter(name="NUM_STREAMS", values=(1, 2, 3)),
        Parameter(name="batch_size", values=(1, 4, 64)),
        Parameter(name="share", values=(0.25, 0.5)),
    )
)
CONFIG = {"device": "CPU", "properties": {"NUM_STREAMS": 3}, "batch_size": 64, "infer_requests": None}
RECORD = {"phase": "race", "sd": 0.013, "metrics": {"throughput": 1234.567, "latency_p99_ms": 7.25}, "config": CONFIG}
POINT = {"ENABLE_CPU_PINNING": False, "NUM_STREAMS": 3, "batch_size": 64, "share": 0.5}
FINISHED = FinishedTrial(
    number=0, assignment=POINT, value=math.log(1.5), constraints={"latency_p99_ms": math.log(1.2)}, record=RECORD
)


def mirrored(path: Path, metric: str, level: float) -> optuna.Study:
    shown = Presentation(space=SPACE, rows=[METRICS[metric]], levels=lambda: [level])
    database = StudyDatabase(
        path=path, name="mine", metrics=[metric], tell=lambda _: None, presentation=shown, about={"model": "m.onnx"}
    )
    with Search(space=SPACE, sampler="tpe", seed=0, database=database) as search:
        search.restore([FINISHED])
        search.tell(search.propose(POINT).number, value=math.log(0.5), record=RECORD)
        search.tell(search.propose(POINT).number, failure="crash: 9")
        assert search.trials()[0].value == pytest.approx(math.log(1.5)), "the search goes on with its own values"
        assert search.trials()[0].assignment == POINT
    return optuna.load_study(study_name="mine", storage=f"sqlite:///{path}")


def test_values_have_the_unit_and_the_direction_of_the_metric(tmp_path: Path) -> None:
    study = mirrored(tmp_path / "study.db", "throughput", 200.0)
    assert study.metric_names == ["throughput (samples/s)"]
    assert [direction.name for direction in study.directions] == ["MAXIMIZE"]
    assert [trial.value for trial in study.trials] == [300.0, 100.0, None]
    assert study.best_trial.number == 1, "the first trial exceeds its limit"
    assert study.user_attrs == {"model": "m.onnx"}


def test_a_better_latency_is_a_lower_one(tmp_path: Path) -> None:
    study = mirrored(tmp_path / "study.db", "latency_p99_ms", 30.0)
    assert study.metric_names == ["latency_p99_ms"]
    assert [direction.name for direction in study.directions] == ["MINIMIZE"]
    assert [trial.value for trial in study.trials] == [20.0, 60.0, None]


def test_parameters_are_their_values_not_their_places(tmp_path: Path) -> None:
    first, second, failed = mirrored(tmp_path / "study.db", "throughput", 1.0).trials
    assert first.params == second.params == failed.params == POINT
    batch, streams = first.distributions["batch_size"], first.distributions["NUM_STREAMS"]
    assert batch == optuna.distributions.IntDistribution(1, 64, log=True)
    assert streams == optuna.distributions.IntDistribution(1, 3)
    assert first.distributions["share"] == optuna.distributions.FloatDistribution(0.25, 0.5)


def test_attributes_are_read_at_a_glance(tmp_path: Path) -> None:
    first, second, failed = mirrored(tmp_path / "study.db", "throughput", 1.0).trials
    assert first.user_attrs == {
        "gain over the reference (%)": 50.0,
        "standard error of the gain (%)": 1.3,
        "measured throughput (samples/s)": 1234.6,
        "measured latency_p99_ms": 7.25,
        "limit of latency_p99_ms": "exceeded by 20 %",
        "phase": "race",
        "configuration": "NUM_STREAMS=3 batch_size=64",
    }
    assert first.constraints["latency_p99_ms"] == pytest.approx(math.log(1.2))
    assert first.system_attrs["constraints"] == [pytest.approx(math.log(1.2))], "as optuna-dashboard reads them"
    assert second.datetime_start is not None
    assert failed.user_attrs["failure"] == "crash: 9"
