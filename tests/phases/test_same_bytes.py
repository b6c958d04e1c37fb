"""Whole seeded studies of every kind in virtual time write what they wrote when their digests were taken.

The last bits of exponentials and matrix products differ between CPUs, so the digests are of files whose floats are
rounded. To see what differs, write the files themselves with both states of the code and compare the two folders:

    PYTHONPATH=. python tests/phases/test_same_bytes.py DIR

DIR/digests.json is then what `golden/digests.json` has to become where a difference is meant.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.outcome.test_best_config import best_of
from tests.phases.test_front_study import files_of
from tests.virtual import Fuse, PowerCut, Virtual, crash, quiet, refuse, space_of, streams
from tuner import __version__
from tuner.bench.configuration import DeploymentConfig, Failure
from tuner.bench.simulated.synthetic import SyntheticBench, hill
from tuner.deploy.best_file import write_best
from tuner.search.optuna_constraints import IS_NAMED
from tuner.study.file.loader import load_study

DIGESTS = Path(__file__).parents[1] / "golden" / "digests.json"
DIGITS = 9
HEAD = """\
schema_version: 1
name: virtual
model: builtin:mlp
device: CPU
"""
THROUGHPUT = "objective: {maximize: throughput}\n"
FIVE = "space: {NUM_STREAMS: {choices: [1, 4, 8]}, infer_requests: {choices: [8, 16]}}\n"
RACED = """\
space:
  NUM_STREAMS: {choices: [1, 2, 4, 8]}
  infer_requests: {choices: [4, 8, 16]}
  batch_size: {choices: [1, 4]}
"""
SAMPLED = """\
space:
  NUM_STREAMS: {choices: [1, 2, 4, 8]}
  INFERENCE_NUM_THREADS: {choices: [2, 4, 8]}
  ENABLE_CPU_PINNING: {choices: [true, false]}
  infer_requests: {choices: [4, 8, 16, 32]}
  batch_size: {choices: [1, 2, 4, 8]}
"""
ARRIVING = "space: {NUM_STREAMS: {choices: [1, 4, 8]}, infer_requests: {choices: [1, 2, 4]}}\n"
APART = """\
deployment: {replicas: 2}
space:
  NUM_STREAMS: {choices: [1, 4]}
  replicas: {choices: [1, 2, 4]}
  affinity: {choices: [shared, split]}
"""


def by_requests(config: DeploymentConfig) -> float:
    """Alone a request takes 10 ms, two at a time 8 ms each; four get in each other's way."""
    requests = config.infer_requests or (4 if config.properties.get("PERFORMANCE_HINT") == "THROUGHPUT" else 1)
    return {1: 100.0, 2: 250.0, 4: 150.0}[requests]


def by_replicas(config: DeploymentConfig) -> float:
    return float(hill(config) * config.replicas**0.8)


def never(config: DeploymentConfig) -> Failure | None:
    return None


def some_fail(config: DeploymentConfig) -> Failure | None:
    """Two streams are refused, sixteen requests take their process with them."""
    if streams(config) == 2:
        return refuse()
    return crash() if config.infer_requests == 16 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A study file below HEAD, and the made-up host that it runs on."""

    text: str
    surface: Callable[[DeploymentConfig], float] = hill
    failure_of: Callable[[DeploymentConfig], Failure | None] = never
    start_up: bool = False
    cpu_quota: float | None = None
    cuts: tuple[int, ...] = field(default=())
    """The process ends before these sessions, each counted from the start before."""


KINDS = {
    "few": Kind(text=f"{THROUGHPUT}{FIVE}baselines: {{today: {{INFERENCE_NUM_THREADS: 7}}}}\nbudget: {{minutes: 3}}\n"),
    "race": Kind(text=f"{THROUGHPUT}{RACED}budget: {{minutes: 4}}\n"),
    "gp": Kind(text=f"{THROUGHPUT}{SAMPLED}budget: {{minutes: 8}}\n"),
    "tpe": Kind(text=f"{THROUGHPUT}{SAMPLED}budget: {{trials: 16}}\nsearch: {{sampler: tpe, seed: 3}}\n"),
    "random": Kind(text=f"{THROUGHPUT}{SAMPLED}budget: {{trials: 8}}\nsearch: {{sampler: random, seed: 4}}\n"),
    "failures": Kind(text=f"{THROUGHPUT}{RACED}budget: {{minutes: 4}}\n", failure_of=some_fail),
    "interrupted": Kind(text=f"{THROUGHPUT}{RACED}budget: {{minutes: 4}}\n", cuts=(1, 2, 4)),
    "front": Kind(
        text=f"objectives: [{{maximize: throughput}}, {{minimize: latency_p90_ms}}]\n{RACED}budget: {{minutes: 3}}\n"
    ),
    "front-sampled": Kind(
        text="objectives: [{maximize: throughput}, {minimize: latency_p90_ms}]\n"
        f"subject_to: {{latency_p99_ms: {{max: 60}}}}\n{SAMPLED}budget: {{trials: 12}}\n"
    ),
    "absolute-limit": Kind(
        text="objective: {maximize: throughput, subject_to: {latency_p90_ms: {max: 24.8}}}\n"
        f"{RACED}budget: {{minutes: 4}}\n"
    ),
    "ratio-limit": Kind(
        text="objective: {minimize: cpu_ms_per_sample, subject_to: {throughput: {min_ratio: 0.7}}}\n"
        f"{RACED}budget: {{minutes: 4}}\n"
    ),
    "unreachable-limit": Kind(
        text="objective: {maximize: throughput, subject_to: {latency_p90_ms: {max: 0.5}}}\n"
        f"{FIVE}budget: {{minutes: 3}}\n"
    ),
    "latency": Kind(
        text="objective: {minimize: latency_p50_ms}\n"
        "space: {INFERENCE_NUM_THREADS: {choices: [2, 4, 6, 8]}, ENABLE_CPU_PINNING: {choices: [true, false]}}\n"
        "budget: {minutes: 3}\n"
    ),
    "quota": Kind(text=f"{THROUGHPUT}{FIVE}deployment: {{cpus: 2}}\nbudget: {{minutes: 6}}\n", cpu_quota=2.0),
    "replicas": Kind(text=f"{THROUGHPUT}{APART}budget: {{minutes: 6}}\n", surface=by_replicas),
    "poisson": Kind(
        text="objective: {minimize: latency_p90_ms}\nload: {poisson: {rate_per_s: 80}}\n"
        f"{ARRIVING}budget: {{minutes: 6}}\n",
        surface=by_requests,
    ),
    "constant": Kind(
        text="objective: {minimize: latency_p90_ms}\nload: {constant: {rate_per_s: 90}}\n"
        f"{ARRIVING}budget: {{minutes: 4}}\n",
        surface=by_requests,
    ),
    "find-max": Kind(
        text="objective: {maximize: max_rate_per_s, subject_to: {latency_p90_ms: {max: 40}}}\n"
        f"load: {{poisson: {{find_max: true}}}}\n{ARRIVING}budget: {{minutes: 8}}\n",
        surface=by_requests,
    ),
    "start-up": Kind(
        text="objective: {minimize: load_ms, subject_to: {latency_p50_ms: {max_ratio: 2.0}}}\n"
        "space: {NUM_STREAMS: {choices: [1, 4, 8]}, INFERENCE_NUM_THREADS: {choices: [4, 8]}}\n"
        "baselines: {today: {NUM_STREAMS: 8}}\nbudget: {minutes: 4}\n",
        start_up=True,
    ),
    "start-up-limit": Kind(
        text=f"objective: {{maximize: throughput, subject_to: {{load_cached_ms: {{max: 60}}}}}}\n"
        f"{FIVE}budget: {{minutes: 4}}\n",
        start_up=True,
    ),
}


def write_files(kind: Kind, folder: Path) -> None:
    """Runs the study to its verdict and writes what the command writes: its record, best.yaml and, of several
    objectives, front.yaml. said.txt has the lines that a user sees meanwhile."""
    (folder / "study.yaml").write_text(HEAD + kind.text)
    study = load_study(folder / "study.yaml")
    virtual = Virtual(
        folder=folder,
        study=study,
        space=space_of(*study.space.parameters),
        bench=SyntheticBench(
            surface=kind.surface,
            effects=quiet(),
            failure_of=kind.failure_of,
            is_fatal=lambda config: config.infer_requests == 16,
            start_up=kind.start_up,
        ),
        cpu_quota=kind.cpu_quota,
    )
    for cut in kind.cuts:
        with pytest.raises(PowerCut):
            virtual.run(Fuse(virtual.bench, cut))
    result = virtual.run()
    if study.objective.has_several:
        _, knee = files_of(virtual, result)
        write_best(folder / "best.yaml", knee)
    else:
        best_of(virtual, result)
    (folder / "said.txt").write_text("".join(f"{line}\n" for line in virtual.listener.lines))


def rounded(value: Any) -> Any:
    """The same with nine digits of every float; the version of the program is no part of what is compared."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: "" if (key, part) == ("tuner", __version__) else rounded(part) for key, part in value.items()}
    return [rounded(part) for part in value] if isinstance(value, list) else value


def digests_of(folder: Path) -> dict[str, str]:
    """A digest of each file, with the order of its keys."""
    contents: dict[str, Any] = {"said.txt": (folder / "said.txt").read_text()}
    lines = (folder / "sessions.jsonl").read_text().splitlines()
    contents["sessions.jsonl"] = [json.loads(line) for line in lines]
    for path in sorted(folder.glob("*.yaml")):
        contents[path.name] = yaml.safe_load(path.read_text())
    return {name: sha256(json.dumps(rounded(content)).encode()).hexdigest() for name, content in contents.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_a_study_of_each_kind_writes_what_it_always_wrote(tmp_path: Path, name: str) -> None:
    if name == "tpe" and not IS_NAMED:
        pytest.skip("the TPE of Optuna 4 chooses other points")
    write_files(KINDS[name], tmp_path)
    found, expected = digests_of(tmp_path), json.loads(DIGESTS.read_text())[name]
    differing = sorted(file for file in {*found, *expected} if found.get(file) != expected.get(file))
    assert not differing, (
        f"the study {name!r} writes other files than before: {', '.join(differing)}; to see the first line that "
        "differs, run `PYTHONPATH=. python tests/phases/test_same_bytes.py DIR` with the code before and after, "
        f"each with a DIR of its own, and compare DIR/{name}"
    )


def write_all(target: Path) -> None:
    """The files of every kind, and their digests."""
    digests = {}
    for name, kind in KINDS.items():
        folder = target / name
        folder.mkdir(parents=True)
        write_files(kind, folder)
        digests[name] = digests_of(folder)
    (target / "digests.json").write_text(json.dumps(digests, indent=2) + "\n")


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
