"""Every file of a model is the model: external weights of an ONNX, the variables of a SavedModel."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import openvino
import pytest

from tests.model.protobuf import blob, write_onnx, write_saved_model
from tuner.model.files.onnx_weights import external_files
from tuner.model.locate import locate, sha256
from tuner.model.read import find_faults, read
from tuner.model.spec import InputSpec, ModelSpec

pytestmark = pytest.mark.openvino
INPUTS = {"x": InputSpec(shape=(1, 8))}
EYE, TWO = np.eye(8, dtype=np.float32), 2 * np.eye(8, dtype=np.float32)


@pytest.fixture
def external(tmp_path: Path) -> ModelSpec:
    write_onnx(tmp_path / "net.onnx", {"weights/part-a.bin": EYE, "net.weights": TWO})
    return ModelSpec(path="net.onnx", folder=tmp_path, inputs=INPUTS)


@pytest.fixture
def saved(tmp_path: Path) -> ModelSpec:
    write_saved_model(tmp_path / "saved", TWO)
    return ModelSpec(path="saved", folder=tmp_path, inputs=INPUTS)


def answer(core: openvino.Core, spec: ModelSpec) -> np.ndarray:
    x = np.arange(8, dtype=np.float32)[None]
    return np.array(core.compile_model(read(core, spec), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(x)[0])


def test_external_weights_of_any_name_are_found_and_part_of_the_hash(core: openvino.Core, external: ModelSpec) -> None:
    folder = external.folder
    assert external_files(folder / "net.onnx") == ["weights/part-a.bin", "net.weights"]
    np.testing.assert_array_equal(answer(core, external), 2 * np.arange(8, dtype=np.float32)[None])
    files = [folder / name for name in ("net.onnx", "weights/part-a.bin", "net.weights")]
    before = sha256(external)
    assert before == hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    for file in files[1:]:
        content = file.read_bytes()
        file.write_bytes(content[::-1])
        assert sha256(external) != before
        file.write_bytes(content)
    assert sha256(external) == before


def test_a_hash_without_other_files_is_that_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(b"no model at all")
    spec = ModelSpec(path="net.onnx", folder=tmp_path)
    assert sha256(spec) == hashlib.sha256(b"no model at all").hexdigest()
    (tmp_path / "net.onnx_data").write_bytes(b"more")
    assert sha256(spec) == hashlib.sha256(b"no model at allmore").hexdigest()


def test_usual_names_count_once_and_first_as_they_always_did(tmp_path: Path) -> None:
    write_onnx(tmp_path / "net.onnx", {"a.bin": EYE, "net.onnx_data": TWO})
    spec = ModelSpec(path="net.onnx", folder=tmp_path)
    parts = [(tmp_path / name).read_bytes() for name in ("net.onnx", "net.onnx_data", "a.bin")]
    assert sha256(spec) == hashlib.sha256(b"".join(parts)).hexdigest()


def test_missing_external_weights_are_named_with_the_folder(core: openvino.Core, external: ModelSpec) -> None:
    (external.folder / "weights" / "part-a.bin").unlink()
    (fault,) = find_faults(core, external)
    assert fault.at == ("path",)
    assert f"lacks its weights: weights/part-a.bin in {external.folder}" in fault.message
    assert "Loading input model" not in fault.message


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, blob(7, blob(7, b"\x0a")), blob(7, b"\x0a\xff\x7f")])
def test_bytes_that_are_no_onnx_have_no_weights(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(content)
    assert external_files(file) == []
    assert external_files(tmp_path / "missing.onnx") == []


def test_a_saved_model_is_read_from_its_folder(core: openvino.Core, saved: ModelSpec) -> None:
    assert locate(saved) == saved.folder / "saved"
    assert find_faults(core, saved) == []
    np.testing.assert_array_equal(answer(core, saved), 2 * np.arange(8, dtype=np.float32)[None])


@pytest.mark.parametrize("name", ["saved_model.pb", "variables/variables.data-00000-of-00001"])
def test_each_file_of_a_saved_model_is_part_of_its_hash(saved: ModelSpec, name: str) -> None:
    before = sha256(saved)
    file = saved.folder / "saved" / name
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"\0")
    assert sha256(saved) != before
    file.write_bytes(content)
    (saved.folder / "saved" / "fingerprint.pb").write_bytes(b"")
    assert sha256(saved) == before


def test_one_file_of_a_saved_model_is_answered_with_its_folder(core: openvino.Core, saved: ModelSpec) -> None:
    (fault,) = find_faults(core, ModelSpec(path="saved/saved_model.pb", folder=saved.folder, inputs=INPUTS))
    assert fault.at == ("path",)
    assert "one file of a TensorFlow SavedModel" in fault.message
    assert fault.advice == f"Name the folder {saved.folder / 'saved'} instead."
