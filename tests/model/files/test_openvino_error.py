from __future__ import annotations

import pytest

from tuner.errors import ModelError
from tuner.model.files.openvino_error import first_line, unsupported_operations

# Texts as OpenVINO 2026.4.1 writes them.
CONVERSION = """Exception from src/inference/src/cpp/core.cpp:84:
Check 'false' failed at src/frontends/common_translators/src/unconverted_ops_report.cpp:151:
FrontEnd API failed with OpConversionFailure:
Model wasn't fully converted. Failed operations detailed log:
-- Conv-16 with a message:
While validating ONNX node '<Node(Conv): If_0>': Check 'data.rank().is_static()' failed at src/op/conv.cpp:38:
FrontEnd API failed with GeneralFailure:
The input data tensor's rank has to be known (static)

Summary:
-- Conversion is failed for: Conv-16, ReduceMean-16

"""
RESHAPE = """Check 'backward_compatible_check || in_out_elements_equal' failed at src/core/reshape_shape_inference.hpp:360:
While validating node 'opset1::Reshape n140 (opset1::AvgPool n139[0]:f32[4,1024,1,1]) -> (f32[1,1024])' with friendly_name 'n140':
Shape inference input shapes {[4,1024,1,1],[2]}
Requested output shape [1,1024] is incompatible with input shape
"""  # noqa: E501
PROPERTY = """Exception from src/inference/src/cpp/core.cpp:117:
Exception from src/inference/src/dev/plugin.cpp:54:
Exception from src/plugins/intel_cpu/src/config.cpp:505:
NotFound: Unsupported property FOO by CPU plugin.



"""
VALUE = """Exception from src/inference/src/cpp/core.cpp:117:
Check 'val_i >= 0' failed at src/inference/src/dev/threading/istreams_executor.cpp:58:
Wrong value for property key INFERENCE_NUM_THREADS. Expected only non negative integer numbers. Got: -3

"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (CONVERSION, "operations that OpenVINO cannot convert: Conv, ReduceMean"),
        (PROPERTY, "Unsupported property FOO by CPU plugin."),
        (
            VALUE,
            "Wrong value for property key INFERENCE_NUM_THREADS. Expected only non negative integer numbers. Got: -3",
        ),
        ("Check 'a > b' failed at src/x.cpp:3:\n\n", "check failed: a > b"),
        ("Exception from src/x.cpp:3: Check 'a' failed at src/y.cpp:4: too small", "too small"),
        ("plain", "plain"),
    ],
)
def test_the_line_that_helps_is_found_among_the_frames(text: str, line: str) -> None:
    assert first_line(RuntimeError(text)) == line


def test_a_failed_reshape_names_the_node() -> None:
    line = first_line(RuntimeError(RESHAPE))
    assert line == "Reshape n140: Requested output shape [1,1024] is incompatible with input shape"


def test_an_error_without_text_is_known_by_its_type() -> None:
    assert first_line(MemoryError()) == "MemoryError"
    assert first_line(RuntimeError("\n")) == "RuntimeError"


def test_errors_of_python_keep_their_type_and_errors_of_ours_do_not() -> None:
    assert first_line(KeyError("x")) == "KeyError: 'x'"
    assert first_line(ModelError("no such model")) == "no such model"


def test_a_line_has_an_end() -> None:
    line = first_line(RuntimeError("x" * 10_000))
    assert len(line) == 300
    assert line.endswith("...")


def test_operations_are_named_once() -> None:
    text = "OpenVINO does not support the following ONNX operations: ai.onnx.Foo, ai.onnx.Bar, ai.onnx.Foo\n"
    assert unsupported_operations(text) == ["ai.onnx.Foo", "ai.onnx.Bar"]
    assert unsupported_operations("nothing of the kind") == []
