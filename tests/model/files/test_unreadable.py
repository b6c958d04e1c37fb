"""Files that people give for models: the message says what each one is, and the one step that helps."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path

import openvino
import pytest

from tuner.model.files.unreadable import identify
from tuner.model.read import find_faults
from tuner.model.spec import ModelSpec

pytestmark = pytest.mark.openvino
HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(500)
OLD_IR = b"""<?xml version="1.0" ?>
<net batch="1" name="old" version="7"><layers>
<layer id="0" name="data" precision="FP32" type="Input"><output><port id="0"><dim>1</dim></port></output></layer>
</layers><edges/></net>"""
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 5242880\n"
HEADER = json.dumps({"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
PIR = json.dumps({"base_code": {"magic": "pir", "version": 1}, "program": {"regions": []}}).encode()


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return buffer.getvalue()


TORCH = zipped(best__data_dot_pkl=b"\x80\x02}q\x00.", best__version=b"3\n")
KERAS = zipped(metadata_dot_json=b"{}", config_dot_json=b"{}", model_dot_weights_dot_h5=HDF5)
FILES = {
    "best.pt": (TORCH, "a PyTorch file", "ONNX"),
    "renamed.onnx": (TORCH, "a PyTorch file", "ONNX"),
    "old.pth": (b"\x80\x02cfoo\n", "a PyTorch file", "openvino.convert_model"),
    "net.keras": (KERAS, "a Keras file", "SavedModel"),
    "net.h5": (HDF5, "an HDF5 file, as Keras", "SavedModel"),
    "model.safetensors": (
        struct.pack("<Q", len(HEADER)) + HEADER + bytes(16),
        "weights without a graph",
        "optimum-cli",
    ),
    "inference.json": (PIR, "PaddlePaddle's newer format", "paddle2onnx"),
    "config.json": (b"{}", "a JSON file", ".onnx"),
    "old.xml": (OLD_IR, "an OpenVINO IR of version 7; versions from 10 are read", "ovc"),
    "yolo.engine": (b"ftrt" + bytes(200), "a TensorRT engine", "ONNX"),
    "pointer.onnx": (POINTER, "a Git LFS pointer", "git lfs pull"),
    "page.onnx": (b"\n<!DOCTYPE html>\n<html></html>\n", "a web page, not a model", "Download it again"),
    "page.xml": (b"<html><body>404</body></html>", "a web page, not a model", "Download it again"),
    "weights.bin": (bytes(256), "weights without a graph", "Name the model beside it (.xml"),
    "inference.pdiparams": (bytes(256), "weights without a graph", ".pdmodel"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_model_is_called_what_it_is(core: openvino.Core, tmp_path: Path, name: str) -> None:
    content, what, step = FILES[name]
    (tmp_path / name).write_bytes(content)
    (fault,) = find_faults(core, ModelSpec(path=name, folder=tmp_path))
    assert fault.at == ("path",)
    assert what in fault.message
    assert step in fault.advice
    assert "damaged" not in fault.message
    assert "\n" not in fault.message + fault.advice


@pytest.mark.parametrize("content", [b"\x08", b"PK\x03\x04", b"\x80", bytes(9), b'{"a"', "é".encode("latin1")])
@pytest.mark.parametrize("name", ["model.onnx", "model.tflite", "model.xml"])
def test_other_bytes_are_a_damaged_model(core: openvino.Core, tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert identify(tmp_path / name) is None
    (fault,) = find_faults(core, ModelSpec(path=name, folder=tmp_path))
    assert "damaged" in fault.message
    assert fault.advice
