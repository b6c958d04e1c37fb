"""`tuner verify` on the command line: real sessions with short windows, and files that cannot be verified."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT, SHORTLY, Tuner, environment
from tests.documents import WRITTEN, blocks, commands
from tuner.bench.configuration import Conditions
from tuner.commands.verify import VerifyOptions, baseline_of, configuration_of, promise_of, study_of
from tuner.deploy.best import Best, BestArrivals, BestBaseline, BestConstraint, BestGain, BestInput, BestModel
from tuner.deploy.best import BestObjective as Objective
from tuner.deploy.best_file import load_best, write_best
from tuner.errors import BestFileError
from tuner.model.host import host_facts
from tuner.model.locate import sha256
from tuner.model.spec import ModelSpec

MLP = ModelSpec(path="builtin:mlp", folder=Path())


def gain(low_pct: float) -> BestGain:
    return BestGain(
        estimate_pct=low_pct + 5, low_pct=low_pct, high_pct=low_pct + 10, confidence=0.96, sessions=4, pairs=32
    )


def best(**more: Any) -> Best:
    """The MLP in batches of eight, which is many times faster than one synchronous stream."""
    host = host_facts()
    given: dict[str, Any] = {
        "study": "mlp",
        "verdict": "tuned",
        "device": "CPU",
        "model": BestModel(path=MLP.path, sha256=sha256(MLP)),
        "properties": {"PERFORMANCE_HINT": "THROUGHPUT"},
        "inputs": {"x": BestInput(shape=(1, 64), batch_axis=0)},
        "batch_size": 8,
        "infer_requests": 8,
        "api": "async",
        "effective": {},
        "objective": Objective(metric="throughput", value=1e6, unit="samples/s"),
        "baseline": BestBaseline(name="LATENCY", value=1e5, properties={"PERFORMANCE_HINT": "LATENCY"}),
        "baselines": {"LATENCY": 1e5},
        "gain": gain(20.0),
        "environment": {"cpu_model": host.cpu_model, "cpus_allowed": host.cpus_allowed, "openvino": host.openvino},
    }
    return Best(**{**given, **more})


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str = "best.yaml", **more: Any) -> Path:
        path = tmp_path / name
        write_best(path, best(**more))
        return path

    return write


Written = Callable[..., Path]


@pytest.mark.openvino
def test_a_promise_is_verified_with_real_sessions(
    written: Written, tuner_here: Tuner, tmp_path: Path, short_windows: None
) -> None:
    path = written()
    before = sorted(file.name for file in tmp_path.iterdir() if file.suffix == ".yaml")
    done = tuner_here("verify", path, "--junit", tmp_path / "report.xml", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["answer"] == "holds"
    assert found["gain"]["low_pct"] > 14
    assert found["sessions"] >= 4
    assert set(found["metrics"]) == {"this file", "LATENCY"}
    assert ET.parse(tmp_path / "report.xml").getroot()[0].attrib["failures"] == "0"
    assert sorted(file.name for file in tmp_path.iterdir() if file.suffix == ".yaml") == before


@pytest.mark.openvino
def test_a_promise_that_is_not_kept_exits_1_and_one_that_time_cannot_tell_exits_4(
    written: Written, tuner_here: Tuner, short_windows: None
) -> None:
    broken = tuner_here("verify", written(gain=gain(100_000.0)))
    assert broken.code == 1, broken.err
    assert broken.out.startswith("verify: does not hold")
    short = tuner_here("verify", written(), "--minutes", "0.1", "--min-gain", "20")
    assert short.code in (0, 4), short.err
    limit = BestConstraint(metric="latency_p50_ms", max=1e-4, measured=1e-5)
    late = tuner_here("verify", written(constraints=(limit,)))
    assert late.code == 1
    assert "limit latency_p50_ms max 0.0001: does not hold" in late.out


@pytest.mark.openvino
def test_another_file_takes_the_place_of_the_baseline(written: Written, tuner_here: Tuner, short_windows: None) -> None:
    slow = written("slow.yaml", batch_size=1, infer_requests=1, api="sync")
    done = tuner_here("verify", written(), "--against", slow, "--min-gain", "10")
    assert done.code == 0, done.err
    assert "throughput at least 10 % higher than with the other file: holds" in done.out
    turned = tuner_here("verify", slow, "--against", written())
    assert turned.code == 1, turned.err


@pytest.mark.openvino
def test_another_host_is_said_and_measured(written: Written, tuner_here: Tuner, short_windows: None) -> None:
    elsewhere = {"cpu_model": "Other CPU", "cpus_allowed": 128, "cpu_quota": 3.5, "openvino": "2024.6"}
    effective = {"INFERENCE_PRECISION_HINT": "another"}
    done = tuner_here("verify", written(environment=elsewhere, effective=effective))
    assert done.code == 0, done.err
    for words in ("on Other CPU", "with 128 CPUs", "a quota of 3.5 CPUs", "OpenVINO 2024.6", "(was another)"):
        assert words in done.out


@pytest.mark.openvino
def test_a_property_that_is_gone_does_not_hold_after_an_upgrade_and_is_a_wrong_file_before(
    written: Written, tuner_here: Tuner
) -> None:
    gone = {"NO_SUCH_PROPERTY": 1}
    upgraded = tuner_here("verify", written(properties=gone, environment={"openvino": "2024.6"}))
    assert upgraded.code == 1, upgraded.err
    assert "the configuration fails: compile" in upgraded.out
    edited = tuner_here("verify", written(properties=gone))
    assert edited.code == 2
    assert "was the file edited?" in edited.err


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ({"schema_version": 2}, "Upgrade tuner"),
        ({"batch_size": "eight"}, "batch_size"),
        ({"model": {"path": "missing.onnx", "variant": "default", "sha256": "0" * 64}}, "missing.onnx"),
        ({"model": {"path": "builtin:mlp", "variant": "default", "sha256": "0" * 64}}, "is not the one that was tuned"),
        ({"gain": None}, "promises nothing"),
        ({"objective": {"metric": "speed", "value": 1.0, "unit": "m/s"}}, "no metric is called speed"),
        ({"constraints": [{"metric": "latency_p99_ms", "max": 0, "measured": 1.0}]}, "above 0"),
        ({"deployment": {"cpus": -1}}, "deployment.cpus"),
        ({"deployment": {"replicas": "two"}}, "deployment.replicas"),
    ],
)
def test_a_file_that_cannot_be_verified_exits_2_with_one_message(
    edit: dict[str, Any], words: str, written: Written, tuner_here: Tuner
) -> None:
    path = written()
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **edit}, sort_keys=False))
    done = tuner_here("verify", path)
    assert done.code == 2, done.err
    assert words in done.err
    assert done.out == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--minutes", "nan"], "--minutes"),
        (["--min-gain", "-100"], "above -100"),
        (["--min-gain", "inf"], "above -100"),
        (["--against", "missing.yaml"], "cannot read missing.yaml"),
        (["--junit", "README.md"], "no JUnit report"),
    ],
)
def test_a_wrong_option_exits_2_before_anything_is_measured(
    options: list[str], words: str, written: Written, tuner_here: Tuner
) -> None:
    done = tuner_here("verify", written(), *options)
    assert done.code == 2, done.err
    assert words in done.err


def test_files_of_different_models_inputs_or_devices_are_not_compared(written: Written, tuner_here: Tuner) -> None:
    mine = written()
    for more, words in (
        ({"model": BestModel(path="builtin:mlp", sha256="1" * 64)}, "different models"),
        ({"inputs": {"x": BestInput(shape=(1, 65), batch_axis=0)}}, "different inputs"),
        ({"device": "GPU"}, "is for CPU"),
    ):
        done = tuner_here("verify", mine, "--against", written("other.yaml", **more))
        assert done.code == 2
        assert words in done.err


def test_cpus_that_this_host_lacks_exit_3(written: Written, tuner_here: Tuner) -> None:
    done = tuner_here("verify", written(deployment={"cpuset": "4000-4001"}))
    assert done.code == 3, done.err
    assert "4000-4001" in done.err


def test_what_is_measured_is_what_the_file_deploys_beside_its_baseline() -> None:
    own = BestBaseline(name="today", value=1.0, properties={"NUM_STREAMS": 1}, infer_requests=3, replicas=1, api="sync")
    found = best(replicas=2, affinity="split", baseline=own)
    ours, theirs = configuration_of(found), baseline_of(found)
    assert (ours.batch_size, ours.infer_requests, ours.replicas, ours.affinity) == (8, 8, 2, "split")
    assert (theirs.infer_requests, theirs.replicas, theirs.api) == (3, 1, "sync")
    assert dict(theirs.properties) == {"NUM_STREAMS": 1}
    same = baseline_of(replace(found, baseline=replace(own, replicas=None, api=None)))
    assert (same.replicas, same.api) == (2, "async")


def test_the_promise_is_the_gain_and_the_limits_that_the_study_kept() -> None:
    kept = BestConstraint(metric="latency_p99_ms", max=20.0, measured=9.0)
    broken = BestConstraint(metric="latency_p50_ms", max=1.0, measured=2.0, kept=False)
    ratio = BestConstraint(metric="latency_p90_ms", max_ratio=1.1, measured=0.9)
    found = best(constraints=(kept, broken, ratio))
    promised = promise_of(found, VerifyOptions())
    assert [limit.metric for limit in promised.limits] == ["latency_p99_ms", "latency_p90_ms"]
    assert promised.claims == 3
    assert promised.tolerance > 0.0
    against = promise_of(found, VerifyOptions(against=Path("other.yaml")))
    assert [limit.metric for limit in against.limits] == ["latency_p99_ms"]
    assert against.required == 0.0
    asked = promise_of(found, VerifyOptions(min_gain_pct=10.0))
    assert asked.tolerance == 0.0
    alone = promise_of(replace(found, gain=None), VerifyOptions())
    assert alone.required is None
    with pytest.raises(BestFileError, match=r"gain\.low_pct"):
        promise_of(best(gain=gain(-120.0)), VerifyOptions())


def test_arrivals_and_conditions_are_those_of_the_study() -> None:
    limit = BestConstraint(metric="latency_p99_ms", max=20.0, measured=9.0)
    at_rate = best(arrivals=BestArrivals(pattern="poisson", rate_per_s=80.0), constraints=(limit,))
    conditions = Conditions(cpus=1.0)
    study = study_of(at_rate, promise_of(at_rate, VerifyOptions()), conditions, 4.0)
    assert study.load is not None
    assert (study.load.rate_per_s, study.load.keep) == (80.0, ())
    assert len(study.objective.limits) == 1
    assert study.conditions.cpus == 1.0
    largest = best(arrivals=BestArrivals(pattern="poisson"), constraints=(limit,))
    study = study_of(largest, promise_of(largest, VerifyOptions()), conditions, 4.0)
    assert study.load is not None
    assert study.load.keep == (("latency_p99_ms", 20.0),)
    assert study.objective.limits == ()


@pytest.mark.openvino
def test_an_interrupted_verification_exits_130_and_leaves_nothing(written: Written, tmp_path: Path) -> None:
    words = [sys.executable, "-c", SHORTLY, "verify", str(written()), "--min-gain", "100000"]
    with subprocess.Popen(
        words, cwd=ROOT, env=environment(tmp_path), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("tuner-verify-*/verify.jsonl")) and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "starts again" in err
    assert out == ""
    assert not list(tmp_path.glob("tuner-verify-*"))


@pytest.mark.openvino
def test_a_warm_start_is_tried_first_and_is_no_other_study(
    written: Written, tuner_here: Tuner, tmp_path: Path, short_windows: None
) -> None:
    study = tmp_path / "mlp.yaml"
    study.write_text(
        "{schema_version: 1, model: builtin:mlp, device: CPU, objective: {maximize: throughput}, "
        "budget: {minutes: 0.1}, space: {PERFORMANCE_HINT: {choices: [THROUGHPUT, LATENCY]}, "
        "batch_size: {choices: [1, 2, 4, 8]}, infer_requests: {choices: [1, 2, 4, 8]}}}\n"
    )
    run = ("run", study, "--results", tmp_path / "results")
    warm = tuner_here(*run, "--warm-start", written(batch_size=16))
    assert warm.code == 0, warm.err
    said = " ".join(warm.err.split())
    assert "is tried first, as a suggestion" in said
    assert "this space has other values of batch_size" in said
    again = tuner_here(*run)
    assert again.code == 0, again.err
    missing = tuner_here(*run, "--warm-start", tmp_path / "missing.yaml")
    assert missing.code == 2


# The documents


@pytest.mark.openvino
def test_every_verify_command_of_the_documents_runs(
    written: Written, tuner_here: Tuner, tmp_path: Path, short_windows: None
) -> None:
    """The file of the documents, and the older one beside it, promise what surely holds here."""
    mine, old = written(), written("old.yaml", batch_size=1, infer_requests=1)
    found = [command for command in commands(*WRITTEN) if command.startswith("tuner verify")]
    found += [step["run"] for step in _workflow()["jobs"]["verify"]["steps"] if "tuner verify" in step.get("run", "")]
    assert len(found) >= 4
    found += [f"{command} --plan" for command in commands(*WRITTEN) if "--warm-start" in command]
    assert "--plan" in found[-1]
    for command in found:
        words = shlex.split(command.partition("||")[0])[1:]
        words = [str(old if "old" in word else mine) if word.endswith("best.yaml") else word for word in words]
        words = [str(tmp_path / word) if word.endswith(".xml") else word for word in words]
        done = tuner_here(*words, *(["--results", tmp_path / "results"] if words[0] == "run" else []))
        assert done.code == 0, f"{command}: {done.err}{done.out}"


def test_the_workflow_of_the_documents_is_one_of_github_actions() -> None:
    """The parts of its schema that this file uses: triggers, jobs with a runner, steps with one of `uses` and `run`."""
    workflow = _workflow()
    assert set(workflow) <= {"name", "on", "jobs", "permissions"}
    assert set(workflow["on"]) <= {"schedule", "workflow_dispatch", "pull_request", "push"}
    for job in workflow["jobs"].values():
        assert set(job) <= {"runs-on", "steps", "timeout-minutes"}
        assert job["runs-on"]
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            assert set(step) <= {"uses", "run", "with", "if", "name", "id", "shell"}
            assert "@" in step.get("uses", "@")


@pytest.mark.slow
def test_the_workflow_of_the_documents_is_valid_by_the_schema_of_github(tmp_path: Path) -> None:
    pytest.importorskip("check_jsonschema")
    (tmp_path / "verify.yaml").write_text(next(text for text in blocks("results/README.md", "yaml") if "jobs:" in text))
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*words, "verify.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    (tmp_path / "verify.yaml").write_text((tmp_path / "verify.yaml").read_text().replace("runs-on", "runs-at"))
    assert subprocess.run([*words, "verify.yaml"], cwd=tmp_path, capture_output=True, check=False).returncode == 1


def _workflow() -> dict[str, Any]:
    (text,) = [block for block in blocks("results/README.md", "yaml") if "jobs:" in block]
    content = yaml.load(text, Loader=yaml.BaseLoader)
    assert isinstance(content, dict)
    return content


def test_the_file_of_these_tests_reads_back(written: Written) -> None:
    assert replace(load_best(written()), source=None) == best()
