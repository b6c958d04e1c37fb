"""Exports for what starts processes: docker, compose, Kubernetes and systemd, by their schemas and parsers."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.export.conftest import BESTS, made_up
from tests.deploy.export.foreign import ask, installed
from tests.deploy.export.parsed import commands_of, export, options, unit
from tuner.deploy.best import Best
from tuner.deploy.best_file import format_best, parse_best

KUBERNETES = ("kubernetes-validate==1.37.0",)
COMPOSE = ("check-jsonschema==0.39.0",)


def test_docker_states_the_conditions_of_each_replica(tmp_path: Path) -> None:
    files = export("docker", BESTS["everything"]).files
    first, second = commands_of(files["docker.sh"], tmp_path)
    given = options(first, "--")
    assert (given["cpus"], given["cpuset-cpus"], given["memory"]) == ("1.5", "0-2,5", "1073741824")
    assert "type=bind,source=/models,target=/models,readonly" in first
    assert f'type=bind,"source={tmp_path}/best.yaml",target=/etc/tuner/best.yaml,readonly' in first
    assert "REPLICA=0" in first
    assert "REPLICA=1" in second
    shared = options(commands_of(export("docker", BESTS["shared-quota"]).files["docker.sh"], tmp_path)[0], "--")
    assert shared["cpus"] == "0.75"


def mounted(files: Mapping[str, str], best: Best) -> None:
    assert parse_best(files["best.yaml"], "best.yaml") == parse_best(format_best(best), "best.yaml")


@pytest.mark.slow
def test_the_schema_of_compose_accepts_every_kind() -> None:
    folder = installed((*COMPOSE, *KUBERNETES), with_dependencies=True)
    schema = json.loads((folder / "check_jsonschema/builtin_schemas/vendor/compose-spec.json").read_text())
    contents = []
    for best in BESTS.values():
        files = export("compose", best).files
        mounted(files, best)
        contents.append(yaml.safe_load(files["compose.yaml"]))
        assert len(contents[-1]["services"]) == best.replicas
    contents.append({"services": {"wrong": {"cpu": 1}}})
    wrong = ask(
        folder,
        "import json, sys, jsonschema\n"
        "schema, contents = json.load(sys.stdin)\n"
        "validator = jsonschema.validators.validator_for(schema)(schema)\n"
        "print(json.dumps([[e.message for e in validator.iter_errors(c)] for c in contents]))",
        [schema, contents],
    )
    assert wrong[-1], "the schema refuses an unknown key"
    assert [found for found in wrong[:-1] if found] == []


def test_compose_states_the_conditions_of_each_replica() -> None:
    services = yaml.safe_load(export("compose", BESTS["everything"]).files["compose.yaml"])["services"]
    first = services["made-up-0"]
    assert (first["cpus"], first["cpuset"], first["mem_limit"]) == ("1.5", "0-2,5", 1 << 30)
    assert [one["environment"]["REPLICA"] for one in services.values()] == ["0", "1"]
    assert first["environment"]["MODEL_FILE"] == "/models/m.onnx"


@pytest.mark.slow
def test_kubernetes_accepts_every_manifest_of_every_kind() -> None:
    folder = installed((*COMPOSE, *KUBERNETES), with_dependencies=True)
    objects = [
        content
        for best in BESTS.values()
        for text in export("kubernetes", best).files.values()
        for content in yaml.safe_load_all(text)
    ]
    wrong = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "dat": {}}
    problems = ask(
        folder,
        "import json, sys, kubernetes_validate as k\n"
        "def problem(o):\n"
        "    try: k.validate(o, '1.37', strict=True)\n"
        "    except k.ValidationError as error: return str(error)\n"
        "print(json.dumps([problem(o) for o in json.load(sys.stdin)]))",
        [*objects, wrong],
    )
    assert problems[-1]
    assert [found for found in problems[:-1] if found] == []


def kubernetes(best: Best) -> dict[str, tuple[str, dict[str, Any], dict[str, Any]]]:
    """Returns comments, ConfigMap and workload of both variants."""
    files = export("kubernetes", best).files
    found = {}
    for way in ("whole-cpus", "quota"):
        text = files[f"kubernetes-{way}.yaml"]
        config, workload = yaml.safe_load_all(text)
        found[way] = (text, config, workload)
    return found


def resources(workload: dict[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    return container["resources"]["requests"], container["resources"]["limits"]


@pytest.mark.slow
def test_whole_cpus_are_guaranteed_and_a_quota_never_is() -> None:
    for best in BESTS.values():
        both = kubernetes(best)
        requests, limits = resources(both["whole-cpus"][2])
        assert requests == limits
        assert limits["cpu"].isdigit()
        assert {"cpu", "memory"} <= set(limits)
        requests, limits = resources(both["quota"][2])
        assert requests["cpu"] != limits["cpu"]


def test_kubernetes_says_which_way_the_study_emulated() -> None:
    quota = kubernetes(made_up(deployment={"cpus": 1.0}))
    assert "This is what the study emulated" in quota["quota"][0]
    assert "The study did not emulate this, but a quota" in quota["whole-cpus"][0]
    assert resources(quota["quota"][2])[1]["cpu"] == "1000m"
    assert resources(quota["whole-cpus"][2])[1]["cpu"] == "1"
    inside = kubernetes(made_up(environment={"cpu_quota": 2.5, "cpus_allowed": 4}))
    assert "This is what the study emulated" in inside["quota"][0]
    assert resources(inside["whole-cpus"][2])[1]["cpu"] == "3"
    whole = kubernetes(made_up(deployment={"cpuset": "0-2"}))
    assert "The study emulated this: CPUs of its own" in whole["whole-cpus"][0]
    assert resources(whole["whole-cpus"][2])[1]["cpu"] == "3"
    assert "did not emulate this, but a host without a quota" in kubernetes(made_up())["quota"][0]


def test_replicas_split_the_cpus_in_kubernetes_once() -> None:
    both = kubernetes(made_up(replicas=2, affinity="split"))
    _, config, workload = both["whole-cpus"]
    alone = parse_best(config["data"]["best.yaml"], "best.yaml")
    assert (alone.replicas, alone.affinity, workload["kind"]) == (1, "shared", "Deployment")
    assert resources(workload)[1]["cpu"] == "2"
    _, config, workload = both["quota"]
    numbered = parse_best(config["data"]["best.yaml"], "best.yaml")
    assert (numbered.replicas, numbered.affinity, workload["kind"]) == (2, "split", "StatefulSet")


def test_units_state_the_conditions_of_each_replica() -> None:
    files = export("systemd", BESTS["everything"]).files
    assert list(files) == ["made-up-0.service", "made-up-1.service", "best.yaml"]
    service = unit(files["made-up-1.service"])
    assert service["CPUQuota"] == ["150%"]
    assert service["AllowedCPUs"] == ["0-2,5"]
    assert service["MemoryMax"] == ["1073741824"]
    assert service["Environment"] == [
        '"BEST_FILE=/etc/tuner/best.yaml"',
        '"MODEL_FILE=/models/m.onnx"',
        '"REPLICA=1"',
    ]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")
def test_systemd_accepts_its_units(tmp_path: Path) -> None:
    files = export("systemd", BESTS["everything"]).files
    for name, text in files.items():
        (tmp_path / name).write_text(text.replace("/usr/local/bin/your-application", "/bin/true"))
    units = [tmp_path / name for name in files if name.endswith(".service")]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    assert "Unknown" not in done.stderr, done.stderr
    assert "made-up" not in done.stderr, done.stderr
