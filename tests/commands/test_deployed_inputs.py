"""The inputs of a best.yaml: under the model's own names, with what the study says under any of theirs."""

from __future__ import annotations

from pathlib import Path

from tuner.bench.protocol import ModelFacts
from tuner.commands.run import deployed_inputs
from tuner.deploy.best import BestInput
from tuner.study.file.loader import load_study

STUDY = """\
schema_version: 1
model:
  path: m.xml
  inputs:
    scope/x:0: {layout: NC, range: [-1, 1]}
    rate: {value: 16000}
device: CPU
objective: {maximize: throughput}
budget: {minutes: 1}
"""


def test_layout_range_and_value_are_kept_under_every_name(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY)
    inputs = [
        {"name": "7", "given": "scope/x:0", "shape": [1, 8], "dtype": "f32", "batch_axis": 0},
        {"name": "rate", "shape": [], "dtype": "i64", "batch_axis": None},
        {"name": "past", "shape": [1, 0], "dtype": "f32", "batch_axis": 0},
    ]
    facts = ModelFacts(
        inputs=inputs, precision="f32", device_properties=(), device_name="CPU", batch_legal=False, batch_reason=""
    )
    assert deployed_inputs(load_study(tmp_path / "study.yaml"), facts) == {
        "7": BestInput(shape=(1, 8), batch_axis=0, layout="NC", range=(-1.0, 1.0)),
        "rate": BestInput(shape=(), batch_axis=None, range=(16000.0, 16000.0)),
        "past": BestInput(shape=(1, 0), batch_axis=0),
    }
