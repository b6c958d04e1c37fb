"""What each exporter writes, read back by the schema or the parser of its consumer, or with its command replaced."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.export.conftest import BESTS, ROOT, made_up
from tests.deploy.export.foreign import installed
from tuner.deploy.best import Best, BestInput, BestModel
from tuner.deploy.best_file import format_best, parse_best
from tuner.deploy.export.exporter import FACTS, SETTINGS, Exported, settled_properties
from tuner.deploy.export.targets import EXPORTERS

KUBERNETES = ("kubernetes-validate==1.37.0",)
COMPOSE = ("check-jsonschema==0.39.0",)
TRITON = ("tritonclient==2.73.0",)

every_target = pytest.mark.parametrize("target", EXPORTERS)


def export(target: str, best: Best) -> Exported:
    return EXPORTERS[target].export(best)


# The table of what can be said


def test_every_field_of_a_best_file_is_a_setting_or_a_fact() -> None:
    fields = {field.name for field in dataclasses.fields(Best)}
    settings = {name.split(".")[0] for name in SETTINGS}
    assert settings | set(FACTS) | {"properties"} == fields
    assert not settings & set(FACTS)


@every_target
def test_a_refusal_is_about_a_setting(target: str) -> None:
    assert set(EXPORTERS[target].cannot) <= set(SETTINGS)


@pytest.mark.slow
@every_target
def test_what_is_not_expressed_stands_in_a_comment(target: str) -> None:
    mark = "//" if target == "cpp" else "#"
    for name, best in BESTS.items():
        exported = export(target, best)
        commented = [text for text in exported.files.values() if re.match(rf"(#!/bin/sh\n)?{mark} ", text)]
        assert commented, name
        lines = {line for text in commented for line in text.splitlines()}
        assert {f"{mark} - {line}" for line in exported.unsupported} <= lines, name


@pytest.mark.slow
def test_exporting_needs_neither_openvino_nor_the_packages_of_the_search() -> None:
    heavy = ("openvino", "optuna", "pydantic", "typer", "rich", "psutil", "scipy")
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({heavy!r}))\n"
        "from tuner.deploy.best_file import load_best\n"
        "from tuner.deploy.export.targets import EXPORTERS\n"
        "best = load_best('tests/deploy/golden/best-v1-replicas.yaml')\n"
        "assert all(exporter.export(best).files for exporter in EXPORTERS.values())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_target_that_says_a_setting_does_not_list_it() -> None:
    best = BESTS["everything"]
    assert [line.split(":")[0] for line in export("docker", best).unsupported] == ["background stress -c 2"]
    said = {line.split(":")[0] for line in export("triton", best).unsupported}
    assert said == {
        "shapes x [4, 3, 48, 192]",
        "2 replicas",
        "CPUs split among the replicas",
        "a CPU quota of 1.5",
        "CPUs 0-2,5",
        "a memory limit of 1073741824 bytes",
        "background stress -c 2",
        "ENABLE_CPU_PINNING=NO",
        "INFERENCE_PRECISION_HINT=f32",
    }


def test_gaps_that_a_consumer_would_fill_are_filled_as_measured() -> None:
    hint = made_up(properties={"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "bf16"})
    assert settled_properties(hint) == {
        "INFERENCE_PRECISION_HINT": "bf16",
        "NUM_STREAMS": 2,
        "INFERENCE_NUM_THREADS": 2,
        "ENABLE_CPU_PINNING": False,
    }
    assert settled_properties(dataclasses.replace(hint, effective={})) == hint.properties


# Commands: what a shell makes of them


STUB = '#!/bin/sh\nfor word in "$0" "$#" "$@"; do printf "%s\\0" "$word"; done >> "$OUT"\n'
"""Writes its name, the number of its words, and the words."""


def commands_of(script: str, folder: Path) -> list[list[str]]:
    """Runs a script with every command of a consumer replaced, and returns the words that each was given."""
    folder.mkdir(exist_ok=True)
    for name in ("benchmark_app", "ovms", "docker", "gst-launch-1.0"):
        (folder / name).write_text(STUB)
        (folder / name).chmod(0o755)
    (folder / "script.sh").write_text(script)
    out = folder / "words"
    out.unlink(missing_ok=True)
    done = subprocess.run(
        ["sh", folder / "script.sh", "further"],
        env={"PATH": f"{folder}:/usr/bin:/bin", "OUT": str(out)},
        cwd=folder,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found, calls = out.read_bytes().decode().split("\0"), []
    while len(found) > 1:
        name, count, *found = found
        calls.append([Path(name).name, *found[: int(count)]])
        found = found[int(count) :]
    return calls


@pytest.mark.slow
@pytest.mark.parametrize("target", ["benchmark_app", "ovms", "docker", "dlstreamer"])
def test_a_shell_runs_one_command_for_each_process(target: str, tmp_path: Path) -> None:
    for name, best in BESTS.items():
        (script,) = (text for file, text in export(target, best).files.items() if file.endswith(".sh"))
        calls = commands_of(script, tmp_path)
        assert len(calls) == (best.replicas if target == "docker" else 1), name
        assert all("further" in " ".join(call) for call in calls), name


def options(words: list[str], mark: str) -> dict[str, str]:
    """Returns the value behind each option."""
    return {word.lstrip("-"): words[i + 1] for i, word in enumerate(words[:-1]) if word.startswith(mark)}


def test_benchmark_app_gets_batch_requests_and_calls_on_the_command_line(tmp_path: Path) -> None:
    exported = export("benchmark_app", made_up(api="sync"))
    given = options(commands_of(exported.files["benchmark_app.sh"], tmp_path)[0], "-")
    assert given == {
        "m": "/models/m.onnx",
        "d": "CPU",
        "load_config": "load_config.json",
        "hint": "none",
        "api": "sync",
        "nireq": "4",
        "shape": "x[4,3,48,192]",
        "layout": "x[N???]",
    }
    assert json.loads(exported.files["load_config.json"]) == {
        "CPU": {
            "NUM_STREAMS": "2",
            "INFERENCE_NUM_THREADS": "2",
            "ENABLE_CPU_PINNING": "NO",
            "INFERENCE_PRECISION_HINT": "f32",
        }
    }


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


def test_the_element_of_dlstreamer_has_batch_requests_and_properties(tmp_path: Path) -> None:
    odd = made_up(properties={"NUM_STREAMS": 2, "CACHE_DIR": "a,b=c"})
    exported = export("dlstreamer", odd)
    words = commands_of(exported.files["dlstreamer.sh"], tmp_path)[0]
    assert "location=further" in words
    assert words[words.index("gvainference") :][:6] == [
        "gvainference",
        "model=/models/m.onnx",
        "device=CPU",
        "batch-size=4",
        "nireq=4",
        "ie-config=NUM_STREAMS=2",
    ]
    assert "CACHE_DIR=a,b=c: ie-config has no quotes for it" in exported.unsupported


# OpenVINO Model Server: its schema, restated


def ovms_problems(content: Any) -> Iterator[str]:
    """Yields what the server's schema refuses: it allows no further keys, and scalars only in plugin_config."""
    kinds: Mapping[str, tuple[type, ...]] = {
        "name": (str,),
        "base_path": (str,),
        "batch_size": (int, str),
        "shape": (dict, str),
        "layout": (dict, str),
        "nireq": (int,),
        "target_device": (str,),
        "allow_cache": (bool,),
        "model_version_policy": (dict,),
        "plugin_config": (dict,),
    }
    if list(content) != ["model_config_list"]:
        yield f"keys {list(content)}"
    for row in content["model_config_list"]:
        if list(row) != ["config"]:
            yield f"keys {list(row)}"
        config = row["config"]
        yield from (f"{name} is unknown" for name in config if name not in kinds)
        yield from (
            f"{name} is a {type(v)}" for name, v in config.items() if not isinstance(v, kinds.get(name, object))
        )
        yield from (f"{name} is missing" for name in ("name", "base_path") if name not in config)
        plugin = config.get("plugin_config", {})
        yield from (f"{n} is no scalar" for n, v in plugin.items() if not isinstance(v, str | int | float | bool))
        if "NUM_STREAMS" in plugin and "PERFORMANCE_HINT" in plugin:
            yield "NUM_STREAMS and PERFORMANCE_HINT"
        shape = config.get("shape", {})
        yield from (f"shape {s!r}" for s in shape.values() if not re.fullmatch(r"\(\d+(,\d+)*\)", s))
        if config["nireq"] < plugin.get("NUM_STREAMS", 0):
            yield "fewer requests than streams"


def test_the_schema_of_the_model_server_accepts_every_kind() -> None:
    for name, best in BESTS.items():
        content = json.loads(export("ovms", best).files["config.json"])
        assert list(ovms_problems(content)) == [], name


@pytest.mark.parametrize("name", ["everything", "no-inputs", "sync-defaults"])
def test_the_command_of_the_model_server_says_what_its_config_says(name: str, tmp_path: Path) -> None:
    files = export("ovms", BESTS[name]).files
    config = json.loads(files["config.json"])["model_config_list"][0]["config"]
    given = options(commands_of(files["ovms.sh"], tmp_path)[0], "--")
    assert given.pop("port") == "9000"
    assert given.pop("model_name") == config.pop("name")
    assert given.pop("model_path") == config.pop("base_path")
    for key in ("shape", "plugin_config"):
        if key in config:
            assert json.loads(given.pop(key)) == config.pop(key)
    assert given == {key: str(value) for key, value in config.items()}


def test_the_model_server_is_left_no_gap_to_fill() -> None:
    hint = made_up(properties={"PERFORMANCE_HINT": "THROUGHPUT"}, infer_requests=1)
    exported = export("ovms", hint)
    config = json.loads(exported.files["config.json"])["model_config_list"][0]["config"]
    assert config["plugin_config"] == {"NUM_STREAMS": 2, "INFERENCE_NUM_THREADS": 2, "ENABLE_CPU_PINNING": False}
    assert config["nireq"] == 2
    assert not exported.unsupported, "one request, which is not listed, is raised with the streams"


# Triton: its own message


@pytest.fixture(scope="session")
def triton() -> Any:
    """The module of Triton's configuration message, without the client around it."""
    path = installed(TRITON) / "tritonclient/grpc/model_config_pb2.py"
    spec = importlib.util.spec_from_file_location("model_config_pb2", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_triton_parses_its_config_of_every_kind(triton: Any) -> None:
    from google.protobuf import text_format

    known = {"NUM_STREAMS", "INFERENCE_NUM_THREADS", "PERFORMANCE_HINT", "HINT_BF16", "TARGET_DEVICE"}
    known |= {"SKIP_OV_DYNAMIC_BATCHSIZE", "ENABLE_BATCH_PADDING"}
    for best in BESTS.values():
        text = export("triton", best).files["config.pbtxt"]
        config = text_format.Parse(text, triton.ModelConfig())
        assert set(config.parameters) <= known
        assert config.instance_group[0].count == best.infer_requests
        assert config.max_batch_size == (best.batch_size if best.batch_size > 1 else 0)
    with pytest.raises(text_format.ParseError):
        text_format.Parse(text.replace("instance_group", "instances"), triton.ModelConfig())


@pytest.mark.slow
def test_triton_has_what_it_can_express(triton: Any) -> None:
    from google.protobuf import text_format

    best = made_up(properties={"NUM_STREAMS": 2, "INFERENCE_PRECISION_HINT": "bf16"})
    config = text_format.Parse(export("triton", best).files["config.pbtxt"], triton.ModelConfig())
    assert {name: given.string_value for name, given in config.parameters.items()} == {
        "TARGET_DEVICE": "CPU",
        "NUM_STREAMS": "2",
        "HINT_BF16": "YES",
        "SKIP_OV_DYNAMIC_BATCHSIZE": "YES",
        "ENABLE_BATCH_PADDING": "YES",
    }
    assert config.default_model_filename == "m.onnx"
    on_axis_1 = made_up(inputs={"x": BestInput(shape=(7, 1), batch_axis=1)})
    assert any("first axis" in line for line in export("triton", on_axis_1).unsupported)


# Containers and services


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
    wrong = foreign(
        folder,
        "import json, sys, jsonschema\n"
        "schema, contents = json.load(sys.stdin)\n"
        "validator = jsonschema.validators.validator_for(schema)(schema)\n"
        "print(json.dumps([[e.message for e in validator.iter_errors(c)] for c in contents]))",
        [schema, contents],
    )
    assert wrong[-1], "the schema refuses an unknown key"
    assert [found for found in wrong[:-1] if found] == []


def foreign(folder: Path, program: str, given: Any) -> Any:
    """Runs a program with the packages of a folder; JSON goes in and comes out."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"},
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


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
    problems = foreign(
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


def unit(text: str) -> dict[str, list[str]]:
    """Returns the settings of the [Service] section of a unit."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line
        elif line and not line.startswith(("#", ";")) and section == "[Service]":
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


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


# Python


@pytest.mark.parametrize("target", ["onnxruntime", "optimum", "genai", "python"])
def test_python_is_python(target: str) -> None:
    for best in BESTS.values():
        (text,) = (text for file, text in export(target, best).files.items() if file.endswith(".py"))
        ast.parse(text)


def test_optimum_gets_device_properties_and_shape() -> None:
    names: dict[str, Any] = {}
    exec(export("optimum", made_up()).files["optimum_model.py"], names)
    calls: list[Any] = []

    class Model:
        @classmethod
        def from_pretrained(cls, folder: str, **options: Any) -> Model:
            calls.append((folder, options))
            return cls()

        def reshape(self, *shape: int) -> None:
            calls.append(shape)

        def compile(self) -> None:
            calls.append("compile")

    names["load"](Model)
    settings = {
        "NUM_STREAMS": 2,
        "INFERENCE_NUM_THREADS": 2,
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    options = {"compile": False, "device": "CPU", "ov_config": settings}
    assert calls == [("/models", options), (4, 3, 48, 192), "compile"]
    two = made_up(inputs={"x": BestInput(shape=(1, 8), batch_axis=0), "y": BestInput(shape=(1, 3), batch_axis=0)})
    assert any(
        line.startswith("shapes x [4, 8], y [4, 3]: reshape takes one") for line in export("optimum", two).unsupported
    )


def test_the_file_of_llm_bench_is_flat() -> None:
    flat = json.loads(export("genai", made_up()).files["llm_bench.json"])
    assert flat["NUM_STREAMS"] == 2
    assert flat["ENABLE_CPU_PINNING"] == "NO"


def test_a_model_that_only_the_tuner_builds_is_said_to_be_one() -> None:
    best = made_up(model=BestModel(path="builtin:mlp", sha256="0" * 64))
    for target in EXPORTERS:
        is_said = any("builtin:mlp" in line for line in export(target, best).unsupported)
        assert is_said == (target not in ("docker", "compose", "kubernetes", "systemd", "python")), target
