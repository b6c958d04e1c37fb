"""What the file of a model declares of its inputs, and the shapes that it makes likely."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino
import pytest
from openvino import opset13

from tuner.model.files.description import InputFacts, describe_inputs, propose_shape


def facts(*shape: int | None, name: str = "x", kind: str = "f32", **more: object) -> InputFacts:
    return InputFacts(name=name, shape=shape, kind=kind, **more)  # type: ignore[arg-type]


@pytest.mark.openvino
def test_inputs_are_described_with_names_lengths_layouts_and_tables(tmp_path: Path) -> None:
    picture = opset13.parameter([-1, 3, -1, 8], np.float32, name="picture")
    picture.layout = openvino.Layout("NCHW")
    ids = opset13.parameter(openvino.PartialShape([1, -1]), np.int64, name="ids")
    table = opset13.constant(np.ones((50, 4), np.float32))
    looked_up = opset13.gather(table, ids, opset13.constant(0))
    loose = opset13.parameter(openvino.PartialShape.dynamic(), np.float32, name="loose")
    model = openvino.Model([opset13.relu(picture), looked_up, opset13.relu(loose)], [picture, ids, loose], "m")
    model.inputs[0].get_tensor().set_names({"b", "a"})
    model.set_rt_info("[640, 480]", ["model_info", "imgsz"])
    first, second, third = map(InputFacts.from_json, describe_inputs(model))
    assert (first.name, first.shape, first.layout, first.kind) == ("a", [None, 3, None, 8], "NCHW", "f32")
    assert first.aliases == ["a", "b", "picture"]
    assert first.sides == [640, 480]
    assert (second.name, second.shape, second.layout, second.table_rows) == ("ids", [1, None], None, 50)
    assert third.shape is None


def test_an_input_is_open_unless_its_lengths_or_the_layout_of_its_batch_fix_it() -> None:
    assert not facts(1, 64).is_open
    assert facts(None, 64).is_open, "without a layout axis 0 may mean anything"
    assert not facts(None, 64, layout="NC").is_open
    assert facts(None, None, layout="NC").is_open
    assert InputFacts(name="x", shape=None, kind="f32").is_open


@pytest.mark.parametrize(
    ("given", "text", "layout", "reason"),
    [
        (facts(None, 3, None, None), "[1,3,224,224]", "NCHW", "224 is usual for pictures"),
        (facts(None, None, None, 3), "[1,224,224,3]", "NHWC", "224 is usual for pictures"),
        (facts(None, 3, None, None, sides=[640, 480]), "[1,3,640,480]", "NCHW", "by the metadata of the model"),
        (facts(None, None, None, None, layout="NCHW"), "[1,3,224,224]", "NCHW", "3 channels are colours"),
        (facts(None, None, name="input_ids", kind="i64"), "[1,128]", None, "128 tokens are a short text"),
        (facts(None, None), "[1,?]", None, ""),
        (facts(None, 3, None, None, kind="i64"), "[1,3,?,?]", None, ""),
        (facts(2, None, 7), "[2,?,7]", None, ""),
    ],
)
def test_what_metadata_layout_and_name_make_likely_is_proposed(
    given: InputFacts, text: str, layout: str | None, reason: str
) -> None:
    found = propose_shape(given)
    assert (found.text, found.layout) == (text, layout)
    assert reason in found.reason


def test_the_users_layout_comes_before_what_is_likely() -> None:
    found = propose_shape(facts(None, 3, None, None), "NHWC")
    assert (found.text, found.layout) == ("[1,3,224,3]", "NHWC")


def test_a_model_that_does_not_say_how_many_dimensions_it_has_gets_no_numbers() -> None:
    found = propose_shape(InputFacts(name="x", shape=None, kind="f32"))
    assert (found.text, found.layout) == ("[]", None)
    assert "how many dimensions" in found.reason
