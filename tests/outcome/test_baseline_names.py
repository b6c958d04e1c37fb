"""A baseline may have any name, also one that a table has for another column, or a file for another number."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.outcome.test_best_config import HOST, best_of
from tests.phases.test_front_study import files_of
from tests.virtual import Fuse, Virtual, calm, streams
from tuner.bench.configuration import DeploymentConfig
from tuner.deploy.best_file import load_best, write_best
from tuner.outcome.study_report import StudyReport, read_finished
from tuner.records.folder import write_text
from tuner.records.identity import check_identity
from tuner.report.outcome import end_lines
from tuner.report.study import study_lines
from tuner.report.study_json import study_json
from tuner.report.terminal import print_lines
from tuner.study.file.loader import load_study

pytestmark = pytest.mark.slow

NAMES = ["tuned", "candidate", "measured", "requests"]
TEXT = """\
schema_version: 1
model: builtin:mlp
device: CPU
{objective}
baselines: {{{name}: {{INFERENCE_NUM_THREADS: 7}}}}
space: {{NUM_STREAMS: {{choices: [1, 4, 8]}}, infer_requests: {{choices: [8, 16]}}}}
budget: {{minutes: 6}}
"""


def speeds(own: float, best: float) -> Callable[[DeploymentConfig], float]:
    """The baseline of the study's own completes `own` samples/s, eight streams `best`, everything else 100."""

    def speed(config: DeploymentConfig) -> float:
        if "INFERENCE_NUM_THREADS" in config.properties:
            return own
        return best if streams(config) == 8 else 100.0

    return speed


def ready(
    folder: Path, name: str, own: float, best: float, objective: str = "objective: {maximize: throughput}"
) -> Virtual:
    write_text(folder / "study.yaml", TEXT.format(name=name, objective=objective))
    check_identity(folder, {}, asdict(HOST))
    return Virtual(folder=folder, study=load_study(folder / "study.yaml"), bench=calm(speeds(own, best)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("own", "best", "verdict", "reference"),
    [
        (120.0, 200.0, "tuned", True),
        (80.0, 200.0, "tuned", False),
        (120.0, 100.0, "baseline", True),
        (80.0, 100.0, "baseline", False),
    ],
)
def test_a_study_finishes_shows_and_resumes_whatever_its_baseline_is_called(
    tmp_path: Path, name: str, own: float, best: float, verdict: str, reference: bool
) -> None:
    study = ready(tmp_path, name, own, best)
    result = study.run()
    written = best_of(study, result)
    assert (written.verdict, written.baseline.name == name) == (verdict, reference)
    assert written.baselines[name] == pytest.approx(own, rel=0.02)
    assert written.objective.value == pytest.approx(best if verdict == "tuned" else max(own, 100.0), rel=0.02)

    outcome = read_finished(study.study, tmp_path)
    assert outcome is not None
    found = json.loads(json.dumps(study_json(outcome)))
    assert found["metrics"][name]["throughput"] == pytest.approx(own, rel=0.02)
    assert found["reference"] == written.baseline.name
    if verdict == "tuned":
        assert found["tuned"]["throughput"] == pytest.approx(best, rel=0.02)
    print_lines(end_lines(outcome), io.StringIO())

    shown = study_json(StudyReport.read(tmp_path))
    assert shown["baselines"][name]["throughput"] == pytest.approx(own, rel=0.02)
    assert study_lines(StudyReport.read(tmp_path))
    again = study.run(Fuse(study.bench, 1))
    assert again == result
    assert best_of(study, again) == written


@pytest.mark.parametrize("name", NAMES)
def test_a_front_with_such_a_baseline_is_written_and_read_back(tmp_path: Path, name: str) -> None:
    study = ready(tmp_path, name, 120.0, 200.0, "objectives: [{maximize: throughput}, {minimize: latency_p90_ms}]")
    result = study.run()
    front, best = files_of(study, result)
    write_best(tmp_path / "best.yaml", best)
    assert load_best(tmp_path / "best.yaml").verdict == front.verdict
    assert best.baselines[name] == pytest.approx(120.0, rel=0.02)
    outcome = read_finished(study.study, tmp_path)
    assert outcome is not None
    found = json.loads(json.dumps(study_json(outcome)))
    assert found["metrics"][name]["throughput"] == pytest.approx(120.0, rel=0.02)
    assert not {"tuned", "candidate"} & found.keys()
    assert study.run(Fuse(study.bench, 1)).line == result.line
