"""What each exporter writes, read back by the schema or the parser of its consumer, or with its command replaced."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.export.conftest import BESTS, ROOT, made_up
from tests.deploy.export.foreign import installed
from tests.deploy.export.parsed import commands_of, export, options
from tuner.deploy.best import Best, BestInput, BestModel
from tuner.deploy.export.exporter import FACTS, SETTINGS, settled_properties
from tuner.deploy.export.targets import EXPORTERS

TRITON = ("tritonclient==2.73.0",)

every_target = pytest.mark.parametrize("target", EXPORTERS)


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


@pytest.mark.slow
@pytest.mark.parametrize("target", ["benchmark_app", "ovms", "docker", "dlstreamer"])
def test_a_shell_runs_one_command_for_each_process(target: str, tmp_path: Path) -> None:
    for name, best in BESTS.items():
        (script,) = (text for file, text in export(target, best).files.items() if file.endswith(".sh"))
        calls = commands_of(script, tmp_path)
        assert len(calls) == (best.replicas if target == "docker" else 1), name
        assert all("further" in " ".join(call) for call in calls), name


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
