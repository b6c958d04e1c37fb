"""Reads a model and gives every input a static shape, at any batch size.

Responsible for shapes and layouts. Must not know why a model is read.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tuner.errors import ModelError
from tuner.model.builtin import BUILTINS
from tuner.model.data_faults import data_faults
from tuner.model.files.openvino_error import first_line
from tuner.model.files.unreadable import damaged, explain, identify
from tuner.model.locate import BUILTIN, locate
from tuner.model.ports import given_name, given_names, input_aliases, input_name, input_spec, yaml_key
from tuner.model.spec import Fault, InputSpec, ModelSpec

if TYPE_CHECKING:
    import openvino


FRONTENDS = {".onnx": "onnx", ".xml": "ir", ".tflite": "tflite"}
"""Name of the OpenVINO frontend that reads files with a suffix."""


def find_faults(core: openvino.Core, spec: ModelSpec) -> list[Fault]:
    """Returns everything that keeps `read` from reading the model at batch size 1."""
    try:
        model = read_file(core, spec)
    except ModelError as error:
        return [Fault(at=("path",), message=str(error), advice=error.advice)]
    if faults := [*_name_faults(model, spec), *_input_faults(model, spec), *data_faults(model, spec)]:
        return faults
    try:
        read(core, spec)
    except ModelError as error:
        return [Fault(at=("inputs",), message=str(error), advice=error.advice)]
    return []


def read(core: openvino.Core, spec: ModelSpec, *, batch_size: int = 1) -> openvino.Model:
    """Returns the model with the shapes of `spec.inputs`, every dimension static, at `batch_size`.

    Raises ModelError: no such file, a file that cannot be read, an unknown input, a shape that the model does not
    accept, or a dimension that nothing fixes.
    """
    model = read_file(core, spec)
    for fault in (*_name_faults(model, spec), *_layout_faults(model, spec)):
        raise ModelError(fault.message, advice=fault.advice)
    _set_layouts(model, spec)
    axes = batch_axes(model, spec)
    if batch_size != 1 and not axes:
        raise ModelError(
            f"batch size {batch_size}: no input of {spec.path!r} carries a batch",
            advice="Mark the batch axis with N in the input's layout, or use batch size 1.",
        )
    shapes = {port: _shape(port, spec, axes, batch_size) for port in model.inputs}
    open_ports = [port for port, shape in shapes.items() if shape is None]
    if open_ports:
        found = ", ".join(f"{input_name(port)} {port.partial_shape}" for port in open_ports)
        lines = "\n".join(f"    {_wanted(port, spec)}" for port in open_ports)
        raise ModelError(
            f"{spec.path!r} has inputs with dimensions that nothing fixes: {found}",
            advice=f"Add to the study file, with numbers for the question marks:\nmodel:\n  inputs:\n{lines}",
        )
    try:
        model.reshape(dict(shapes))
    except RuntimeError as error:
        at = f" at batch size {batch_size}" if batch_size != 1 else ""
        wanted = ", ".join(f"{input_name(port)} {shape}" for port, shape in shapes.items())
        raise ModelError(
            f"{spec.path!r} does not accept the shapes {wanted}{at}: {first_line(error)}",
            advice="Give shapes the model was made for." if batch_size == 1 else "The model cannot be batched.",
        ) from error
    return model


def check_format(spec: ModelSpec) -> None:
    """Raises ModelError if the file does not begin as its suffix says.

    OpenVINO tries every format to read such a file, and its TensorFlow reader writes complaints to stderr. The check
    takes 20 ms, so that only doubtful files are checked.
    """
    path = locate(spec)
    if path is None or path.is_dir() or path.suffix not in FRONTENDS or path.stat().st_size == 0:
        return
    from openvino.frontend import FrontEndManager

    try:
        is_known = FrontEndManager().load_by_framework(FRONTENDS[path.suffix]).supported(str(path))
    except (RuntimeError, AttributeError):  # an OpenVINO without this frontend: reading will tell
        return
    if not is_known:
        foreign = identify(path)
        raise damaged(path) if foreign is None else ModelError(f"{path} {foreign.what}", advice=foreign.step)


def batch_axes(model: openvino.Model, spec: ModelSpec) -> dict[str, int]:
    """Returns the batch axis of each input that carries the batch; `model` has batch size 1 or as read.

    The layout of the study file decides, then the layout of the model. Without either, axis 0 is the batch if it has
    length 1 or is dynamic.
    """
    from openvino import Layout, layout_helpers

    axes: dict[str, int] = {}
    for port in model.inputs:
        rank = port.partial_shape.rank
        if rank.is_dynamic and input_spec(port, spec).shape is None:
            continue
        given = input_spec(port, spec)
        dims = list(given.shape) if given.shape is not None else _dims(port)
        layout = Layout(given.layout) if given.layout is not None else port.node.layout
        if not layout.empty:
            if layout_helpers.has_batch(layout):
                axes[input_name(port)] = layout_helpers.batch_idx(layout) % len(dims)
        elif dims and dims[0] in (1, None):
            axes[input_name(port)] = 0
    return axes


def _dims(port: openvino.Output) -> list[int | None]:
    return [dim.get_length() if dim.is_static else None for dim in port.partial_shape]


def _shape(port: openvino.Output, spec: ModelSpec, axes: dict[str, int], batch_size: int) -> list[int] | None:
    """Returns the static shape of an input, or None if nothing fixes one of its dimensions."""
    given = input_spec(port, spec)
    if given.shape is None and port.partial_shape.rank.is_dynamic:
        return None
    dims: list[int | None] = list(given.shape) if given.shape is not None else _dims(port)
    axis = axes.get(input_name(port))
    if axis is not None:
        # Only a layout can say that an open dimension is the batch: elsewhere axis 0 may mean anything.
        if dims[axis] is None and _has_layout(port, given):
            dims[axis] = 1
        length = dims[axis]
        dims[axis] = None if length is None else length * batch_size
    fixed = [dim for dim in dims if dim is not None]
    return fixed if len(fixed) == len(dims) else None


def _has_layout(port: openvino.Output, given: InputSpec) -> bool:
    return given.layout is not None or not port.node.layout.empty


def _wanted(port: openvino.Output, spec: ModelSpec) -> str:
    """Returns the lines that a study file needs for an input with open dimensions."""
    wanted = "..."
    if port.partial_shape.rank.is_static:
        dims = _dims(port)
        wanted = ", ".join(
            str(dim) if dim is not None else ("1" if axis == 0 else "?") for axis, dim in enumerate(dims)
        )
    return f"{yaml_key(given_name(port, spec))}: {{shape: [{wanted}]}}"


def _name_faults(model: openvino.Model, spec: ModelSpec) -> Iterator[Fault]:
    known = {name for port in model.inputs for name in input_aliases(port)}
    proper = [input_name(port) for port in model.inputs]
    has = ", ".join(f"{input_name(port)} {port.partial_shape}" for port in model.inputs) or "none"
    for name in spec.inputs:
        if name not in known:
            close = difflib.get_close_matches(name, proper, n=1, cutoff=0.5)
            question = f"Did you mean {close[0]!r}? " if close else ""
            yield Fault(
                at=("inputs", name),
                message=f"{spec.path!r} has no input {name!r}",
                advice=f"{question}Its inputs: {has}.",
            )
    for port in model.inputs:
        first, *others = given_names(port, spec) or [""]
        for name in others:
            yield Fault(
                at=("inputs", name),
                message=f"{name!r} and {first!r} are names of one input of {spec.path!r}",
                advice="Say everything about it under one of them.",
            )


def _input_faults(model: openvino.Model, spec: ModelSpec) -> list[Fault]:
    """Returns the faults of shapes and layouts, or the open dimensions if neither is wrong."""
    if faults := list(_layout_faults(model, spec)):
        return faults
    _set_layouts(model, spec)
    axes = batch_axes(model, spec)
    return [
        Fault(
            at=("inputs", given_name(port, spec)),
            message=f"nothing fixes the dimensions of the input {input_name(port)} {port.partial_shape}",
            advice=f"Write `inputs: {{{_wanted(port, spec)}}}`, with numbers for the question marks.",
        )
        for port in model.inputs
        if _shape(port, spec, axes, 1) is None
    ]


def _layout_faults(model: openvino.Model, spec: ModelSpec) -> Iterator[Fault]:
    from openvino import Layout

    for port in model.inputs:
        given, at = input_spec(port, spec), ("inputs", given_name(port, spec))
        name = input_name(port)
        rank = port.partial_shape.rank
        if given.shape is not None and rank.is_static and rank.get_length() != len(given.shape):
            yield Fault(
                at=(*at, "shape"),
                message=f"input {name!r} of {spec.path!r} has {rank.get_length()} dimensions, "
                f"but the shape {list(given.shape)} has {len(given.shape)}",
                advice=f"The model declares {port.partial_shape}.",
            )
            continue
        if given.layout is None:
            continue
        try:
            Layout(given.layout)
        except RuntimeError as error:
            yield Fault(
                at=(*at, "layout"),
                message=f"the layout {given.layout!r} of input {name!r} is not one: {first_line(error)}",
                advice="One letter a dimension, N for the batch: NCHW.",
            )
            continue
        length = len(given.shape) if given.shape is not None else (rank.get_length() if rank.is_static else None)
        if length is not None and "..." not in given.layout and _letters(given.layout) != length:
            yield Fault(
                at=(*at, "layout"),
                message=f"the layout {given.layout!r} of input {name!r} does not have {length} letters",
                advice=f"One letter a dimension of {port.partial_shape}, N for the batch: NCHW.",
            )


def _set_layouts(model: openvino.Model, spec: ModelSpec) -> None:
    from openvino import Layout

    for port in model.inputs:
        layout = input_spec(port, spec).layout
        if layout is not None:
            port.node.layout = Layout(layout)


def _letters(layout: str) -> int:
    return layout.count(",") + 1 if layout.startswith("[") else len(layout)


def read_file(core: openvino.Core, spec: ModelSpec) -> openvino.Model:
    """Returns the model as its file declares it, open dimensions included. Raises ModelError."""
    path = locate(spec)
    if path is None:
        return BUILTINS[spec.path.removeprefix(BUILTIN)].build()
    if path.stat().st_size == 0:
        raise ModelError(f"{path} is empty", advice="Copy or export the model again.")
    try:
        return core.read_model(str(path))
    except RuntimeError as error:
        raise explain(path, error) from error
