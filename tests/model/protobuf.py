"""Protocol buffers by hand: enough to write small ONNX and TensorFlow models without their packages."""

from __future__ import annotations

from pathlib import Path

import numpy as np

ONNX_FLOAT, ONNX_EXTERNAL = 1, 1


def varint(number: int) -> bytes:
    """Returns a number of any sign, seven bits a byte."""
    number &= (1 << 64) - 1
    out = bytearray()
    while True:
        number, low = number >> 7, number & 127
        out.append(low | (128 if number else 0))
        if not number:
            return bytes(out)


def number(field: int, value: int) -> bytes:
    """Returns a field that holds a number."""
    return varint(field << 3) + varint(value)


def blob(field: int, *values: bytes | str) -> bytes:
    """Returns a field that holds a message, a text or bytes: the parts joined."""
    data = b"".join(value.encode() if isinstance(value, str) else value for value in values)
    return varint(field << 3 | 2) + varint(len(data)) + data


def write_onnx(file: Path, weights: dict[str, np.ndarray]) -> None:
    """Writes y = x [n, 8] times each of `weights` [8, 8] in turn, each in the file of its name beside the .onnx."""
    nodes, tensors, last = [], [], "x"
    for i, (location, array) in enumerate(weights.items()):
        (file.parent / location).parent.mkdir(parents=True, exist_ok=True)
        (file.parent / location).write_bytes(array.astype("<f4").tobytes())
        tensor = [number(1, dim) for dim in array.shape] + [number(2, ONNX_FLOAT), blob(8, f"w{i}")]
        tensor += [blob(13, blob(1, "location"), blob(2, location)), blob(13, blob(1, "offset"), blob(2, "0"))]
        tensors.append(blob(5, *tensor, number(14, ONNX_EXTERNAL)))
        output = "y" if i == len(weights) - 1 else f"h{i}"
        nodes.append(blob(1, blob(1, last), blob(1, f"w{i}"), blob(2, output), blob(3, f"n{i}"), blob(4, "MatMul")))
        last = output
    graph = [*nodes, blob(2, "external"), *tensors, blob(11, _value("x")), blob(12, _value("y"))]
    file.write_bytes(number(1, 9) + blob(7, *graph) + blob(8, blob(1, ""), number(2, 18)))


def _value(name: str) -> bytes:
    dims = blob(1, blob(2, "n")) + blob(1, number(1, 8))
    return blob(1, name) + blob(2, blob(1, number(1, ONNX_FLOAT) + blob(2, dims)))


def write_saved_model(folder: Path, weights: np.ndarray) -> None:
    """Writes a SavedModel: x [?, 8] times `weights` [8, 8] to y, with a variables folder that it does not use."""
    kind, no = number(6, ONNX_FLOAT), number(5, 0)
    dims = b"".join(blob(2, number(1, dim)) for dim in weights.shape)
    open_dims = blob(2, number(1, -1)) + blob(2, number(1, 8))
    constant = blob(8, number(1, ONNX_FLOAT), blob(2, dims), blob(4, weights.astype("<f4").tobytes()))
    graph = b"".join(
        [
            _node("in_x", "Placeholder", dtype=kind, shape=blob(7, open_dims)),
            _node("w", "Const", dtype=kind, value=constant),
            _node("y", "MatMul", "in_x", "w", T=kind, transpose_a=no, transpose_b=no),
            _node("out_y", "Identity", "y", T=kind),
            blob(4, number(1, 1087)),
        ]
    )
    takes = blob(1, "in_x:0") + number(2, ONNX_FLOAT) + blob(3, open_dims)
    gives = blob(1, "out_y:0") + number(2, ONNX_FLOAT) + blob(3, open_dims)
    signature = blob(1, blob(1, "x"), blob(2, takes)) + blob(2, blob(1, "y"), blob(2, gives))
    signature += blob(3, "tensorflow/serving/predict")
    meta = blob(1, blob(4, "serve"), blob(5, "2.15.0")) + blob(2, graph)
    (folder / "variables").mkdir(parents=True)
    (folder / "variables" / "variables.data-00000-of-00001").write_bytes(b"12345678")
    meta += blob(5, blob(1, "serving_default"), blob(2, signature))
    (folder / "saved_model.pb").write_bytes(number(1, 1) + blob(2, meta))


def _node(name: str, op: str, *inputs: str, **attributes: bytes) -> bytes:
    entries = [blob(5, blob(1, key), blob(2, value)) for key, value in attributes.items()]
    return blob(1, blob(1, name), blob(2, op), *(blob(3, given) for given in inputs), *entries)
