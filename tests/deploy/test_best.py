from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tuner.deploy.best import Best, BestInput, portable_path
from tuner.errors import BestFileError
from tuner.model.spec import ModelSpec

MakeBest = Callable[..., Best]


@pytest.mark.parametrize("path", ["package:onnx/a.onnx", "builtin:mlp", "/models/a.onnx", "~/a.onnx"])
def test_a_path_that_means_the_same_everywhere_is_kept(path: str) -> None:
    assert portable_path(ModelSpec(path=path, folder=Path("/configs")), Path("/results/x")) == path


def test_a_relative_path_is_made_relative_to_the_folder_of_best_yaml() -> None:
    spec = ModelSpec(path="../models/a.onnx", folder=Path("/srv/configs"))
    assert portable_path(spec, Path("/srv/results/x")) == "../../models/a.onnx"


def test_relative_model_paths_start_at_the_folder_of_the_file(illustration: Best) -> None:
    best = replace(illustration, source=Path("/results/x/best.yaml"))
    assert best.spec().folder == Path("/results/x")
    assert best.spec("other.onnx") == replace(best.spec(), path="other.onnx", folder=Path.cwd())


def test_the_batch_axis_of_the_file_becomes_the_layout(illustration: Best) -> None:
    inputs = {
        "a": BestInput(shape=(2, 1, 128), batch_axis=1),
        "b": BestInput(shape=(1, 64), batch_axis=None),
        "c": BestInput(shape=(1, 3, 8, 8), batch_axis=0, layout="NCHW"),
        "d": BestInput(shape=(), batch_axis=None),
    }
    layouts = {name: given.layout for name, given in replace(illustration, inputs=inputs).spec().inputs.items()}
    assert layouts == {"a": "?N?", "b": "??", "c": "NCHW", "d": None}
    assert inputs["a"].batched_shape(4) == [2, 4, 128]
    assert inputs["b"].batched_shape(4) == [1, 64]


@pytest.mark.parametrize("axis", [None, 1])
def test_a_layout_and_an_axis_that_disagree_are_refused(illustration: Best, axis: int | None) -> None:
    best = replace(illustration, inputs={"x": BestInput(shape=(1, 64), layout="NC", batch_axis=axis)})
    with pytest.raises(BestFileError, match="disagree"):
        best.spec()
