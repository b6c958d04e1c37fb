"""Says which arrays a compiled model takes and gives, and how many samples of a batch they hold.

Responsible for names, shapes, element types and batch axes. Must not run an inference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tuner.errors import InputError
from tuner.model.ports import input_aliases, input_name
from tuner.model.read import batch_axes
from tuner.model.spec import ModelSpec

if TYPE_CHECKING:
    import openvino

Array = np.ndarray[Any, np.dtype[Any]]
Inputs = Mapping[str, Any] | Sequence[Any] | Array
"""Arrays by the names of the inputs, or in their order, or the array of the only input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """Describes one input or output."""

    name: str
    names: frozenset[str]
    shape: tuple[int, ...] | None
    """Shape at the compiled batch size; None for an output whose shape depends on the data."""
    dtype: np.dtype[Any]
    is_bf16: bool
    is_text: bool
    axis: int | None
    """Index of the axis that carries the batch; None if none does."""

    def part(self, first: int, samples: int, batch_size: int) -> tuple[slice, ...]:
        """Returns the index of `samples` samples from sample `first` in an array for the whole batch."""
        if self.axis is None or self.shape is None or samples == batch_size:
            return ()
        unit = self.shape[self.axis] // batch_size
        return (slice(None),) * self.axis + (slice(first * unit, (first + samples) * unit),)


class Outputs(dict[str, Array]):
    """Maps the name of each output to its array. The index or another name of an output works too."""

    def __init__(self, ports: Sequence[Port], arrays: Sequence[Array]) -> None:
        super().__init__(zip((port.name for port in ports), arrays, strict=True))
        self._ports = ports

    def __missing__(self, key: str | int) -> Array:
        if isinstance(key, int):
            return self[self._ports[key].name]
        for port in self._ports:
            if key in port.names:
                return self[port.name]
        raise KeyError(key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Holds the inputs and outputs of a compiled model."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    batch_size: int
    one_piece: str
    """Reason for which a batch cannot be divided among several callers; empty if it can."""
    has_open_shapes: bool
    """True if a shape inside the model depends on the data, so that an inference can fail on some data."""

    def accept(self, given: Inputs, *, copy: bool) -> tuple[tuple[Array, ...], int]:
        """Returns the arrays in the order of the inputs, in their element types, and the number of samples.

        With `copy` the arrays are copies, which the caller may overwrite. Raises InputError if something is missing
        or unknown, or has the wrong shape or element type.
        """
        values = self._in_order(given)
        arrays = tuple(_array(port, value, copy=copy) for port, value in zip(self.inputs, values, strict=True))
        counts = {
            port.name: samples
            for port, array in zip(self.inputs, arrays, strict=True)
            if (samples := _samples(port, array, self.batch_size)) is not None
        }
        if len(set(counts.values())) > 1:
            raise InputError(f"the inputs hold different numbers of samples: {counts}")
        samples = next(iter(counts.values()), self.batch_size)
        if samples < self.batch_size and self.one_piece:
            raise InputError(
                f"{samples} samples for a batch of {self.batch_size}, and {self.one_piece}: fill the batch"
            )
        return arrays, samples

    def may_share(self, arrays: Sequence[Array], others: Sequence[Array]) -> bool:
        """Returns True if two calls fit into one batch: what carries no batch has to be the same in both."""
        return all(
            port.axis is not None or np.array_equal(array, other)
            for port, array, other in zip(self.inputs, arrays, others, strict=True)
        )

    def _in_order(self, given: Inputs) -> Sequence[Any]:
        if isinstance(given, Mapping):
            if len(given) == len(self.inputs) and all(port.name in given for port in self.inputs):
                return [given[port.name] for port in self.inputs]  # as nearly every call names them: 5 us less
            known = {key for index, port in enumerate(self.inputs) for key in (port.name, index, *port.names)}
            if unknown := [repr(key) for key in given if key not in known]:
                raise InputError(f"unknown inputs {', '.join(unknown)}; the model has {self._names()}")
            left: dict[Any, Any] = dict(given)
            values = [_take(left, index, port) for index, port in enumerate(self.inputs)]
            if left:
                raise InputError(f"an input is given twice: also as {', '.join(map(repr, left))}; give it once")
            return values
        values = list(given) if isinstance(given, list | tuple) else [given]
        if len(values) != len(self.inputs):
            raise InputError(f"{len(values)} arrays for {len(self.inputs)} inputs: {self._names()}")
        return values

    def _names(self) -> str:
        """Returns the names of all inputs, in quotes where a comma or a space in one would mislead."""
        return ", ".join(repr(name) if {*", "} & {*name} else name for name in (port.name for port in self.inputs))


def ports_of(model: openvino.Model, compiled: openvino.CompiledModel, spec: ModelSpec, batch_size: int) -> Ports:
    """Returns the ports of a model that was read and compiled at `batch_size`. Reshapes `model` to one sample.

    An output can be divided among the samples where one axis of length 1 grows to the batch size, and no other changes.
    """
    input_axes = batch_axes(model, spec)
    batched = [_static(port) for port in compiled.outputs]
    one_piece = ""
    output_axes: list[int | None] = [None] * len(batched)
    if batch_size > 1:
        one_piece, output_axes = _output_axes(model, batched, input_axes, batch_size)
    return Ports(
        inputs=tuple(
            _port(port, named, input_axes.get(input_name(named)) if batch_size > 1 else None)
            for port, named in zip(compiled.inputs, model.inputs, strict=True)
        ),
        outputs=tuple(
            _port(port, named, axis)
            for port, named, axis in zip(compiled.outputs, model.outputs, output_axes, strict=True)
        ),
        batch_size=batch_size,
        one_piece=one_piece,
        has_open_shapes=any(port.partial_shape.is_dynamic for node in model.get_ops() for port in node.outputs()),
    )


def _output_axes(
    model: openvino.Model, batched: list[tuple[int, ...] | None], input_axes: Mapping[str, int], batch_size: int
) -> tuple[str, list[int | None]]:
    """Returns why the outputs cannot be divided, or an empty text and the batch axis of each."""
    shapes = {}
    for port in model.inputs:
        shape = list(port.shape)
        if (axis := input_axes.get(input_name(port))) is not None:
            shape[axis] //= batch_size
        shapes[port] = shape
    try:
        model.reshape(shapes)
    except RuntimeError:
        return "the model does not take one sample", [None] * len(batched)
    axes: list[int | None] = []
    for port, many in zip(model.outputs, batched, strict=True):
        one = _static(port)
        if one is None or many is None or len(one) != len(many):
            return f"the shape of output {input_name(port)!r} depends on the data", [None] * len(batched)
        grown = [axis for axis in range(len(one)) if one[axis] != many[axis]]
        if len(grown) > 1 or any((one[axis], many[axis]) != (1, batch_size) for axis in grown):
            return f"output {input_name(port)!r} has no axis for the samples", [None] * len(batched)
        axes.append(grown[0] if grown else None)
    return "", axes


def _static(port: openvino.Output) -> tuple[int, ...] | None:
    return tuple(port.shape) if port.partial_shape.is_static else None


def _port(port: openvino.Output, named: openvino.Output, axis: int | None) -> Port:
    """Describes a compiled port; `named` is the same port of the model that was read, which knows its node's name."""
    kind = port.get_element_type()
    return Port(
        name=input_name(named),
        names=frozenset(input_aliases(named) | port.get_names()),
        shape=_static(port),
        dtype=np.dtype(kind.to_dtype()),
        is_bf16=kind.to_string() == "bf16",
        is_text=kind.to_string() == "string",
        axis=axis,
    )


def _take(given: dict[Any, Any], index: int, port: Port) -> Any:
    for key in (port.name, index, *port.names):
        if key in given:
            return given.pop(key)
    raise InputError(f"the input {port.name!r} is missing: each call gives all inputs, {_wanted(port)}")


def _array(port: Port, value: Any, *, copy: bool) -> Array:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"no array for the input {port.name!r} ({error}): {_wanted(port)}") from error
    if port.is_bf16 and array.dtype != port.dtype:
        raise InputError(f"the input {port.name!r} takes bf16: an array of float16 that holds its bits")
    if not np.can_cast(array.dtype, port.dtype, "same_kind"):
        raise InputError(f"{array.dtype} values for the input {port.name!r}: convert them, {_wanted(port)}")
    return np.array(array, port.dtype) if copy else np.asarray(array, port.dtype)


def _samples(port: Port, array: Array, batch_size: int) -> int | None:
    """Returns the number of samples in an array, None for an input that carries no batch; raises InputError."""
    wanted = list(port.shape or ())
    samples = None
    if port.axis is not None and array.ndim == len(wanted):
        samples, rest = divmod(array.shape[port.axis] * batch_size, wanted[port.axis])
        if 1 <= samples <= batch_size and not rest:
            wanted[port.axis] = array.shape[port.axis]
    if list(array.shape) != wanted:
        raise InputError(f"shape {list(array.shape)} for the input {port.name!r}: {_wanted(port)}")
    return samples


def _wanted(port: Port) -> str:
    fewer = "" if port.axis is None else f", or fewer on axis {port.axis}"
    return f"{port.name!r} takes {port.dtype} {list(port.shape or ())}{fewer}"
