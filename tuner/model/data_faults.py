"""Finds inputs for which no right random data can be made: their types, their ranges, the tables they index.

Responsible for what the graph tells. Must not run the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuner.model.inputs import INTEGERS, refusal
from tuner.model.ports import given_name, input_name, input_spec
from tuner.model.spec import Fault, ModelSpec

if TYPE_CHECKING:
    import openvino

UNCHANGED = frozenset({"Convert", "Unsqueeze", "Squeeze", "Reshape", "Transpose", "Concat", "Slice", "StridedSlice"})
"""Operations that pass ids on without changing their values."""
MAX_NODES = 1000
"""Largest number of nodes that are looked at for one input; ids reach their table after a few."""


def data_faults(model: openvino.Model, spec: ModelSpec) -> list[Fault]:
    """Returns a fault for each input that cannot be fed: strings, and ranges without a value that the input takes."""
    faults = []
    for port in model.inputs:
        kind, given = port.get_element_type().to_string(), input_spec(port, spec)
        message, advice = refusal(input_name(port), kind, *given.range)
        if message:
            is_range = kind in INTEGERS
            at = ("inputs", given_name(port, spec), *(("range",) if is_range else ()))
            faults.append(Fault(at=at, message=message, advice=advice))
    return faults or table_faults(model, spec)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table in the graph that an input's values index."""

    rows: int
    node: str
    """Name of the node that looks the values up."""


def smallest_table(port: openvino.Output) -> Table | None:
    """Returns the smallest table that an input's values index unchanged, None where the graph tells of none."""
    tables: list[Table] = []
    open_ports, seen = [port], 0
    while open_ports and seen < MAX_NODES:
        for target in open_ports.pop().get_target_inputs():
            seen += 1
            node = target.get_node()
            kind = node.get_type_name()
            if kind in UNCHANGED and (target.get_index() == 0 or kind == "Concat"):
                open_ports.append(node.output(0))
            elif target.get_index() == 1 and (rows := _rows(node)) is not None:
                tables.append(Table(rows=rows, node=node.get_friendly_name()))
    return min(tables, key=lambda table: table.rows, default=None)


def _rows(node: openvino.Node) -> int | None:
    """Returns the length of the axis that a node's indices select from, None for another node or an open length."""
    shape = node.input_value(0).get_partial_shape()
    if shape.rank.is_dynamic:
        return None
    kind = node.get_type_name()
    axis: int | None = None
    if kind == "Gather":
        constant = node.input_value(2).get_node()
        axis = int(constant.get_data().flatten()[0]) if constant.get_type_name() == "Constant" else None
    elif kind == "GatherElements":
        axis = int(node.get_attributes()["axis"])
    elif kind == "GatherND":
        indices = node.input_value(1).get_partial_shape()
        is_single = indices.rank.is_static and len(indices) > 0 and indices[len(indices) - 1] == 1
        axis = int(node.get_attributes().get("batch_dims", 0)) if is_single else None
    elif kind.startswith("Embedding"):
        axis = 0
    if axis is None or not -len(shape) <= axis < len(shape):
        return None
    dim = shape[axis % len(shape)]
    return int(dim.get_length()) if dim.is_static else None


def table_faults(model: openvino.Model, spec: ModelSpec) -> list[Fault]:
    """Returns a fault for each input whose range has values outside of its table; negative ids count from the end."""
    faults = []
    for port in model.inputs:
        if port.get_element_type().to_string() not in INTEGERS:
            continue
        (low, high), table = input_spec(port, spec).range, smallest_table(port)
        if table is None or (low >= -table.rows and high < table.rows):
            continue
        faults.append(
            Fault(
                at=("inputs", given_name(port, spec), "range"),
                message=f"input {input_name(port)!r} indexes a table of {table.rows} rows (node {table.node!r}); "
                f"the range {low:g} to {high:g} leaves it, where OpenVINO reads memory that is not the table's: "
                "the process that infers may be killed by SIGSEGV (signal 11), and figures mean nothing",
                advice=f"Write `range: [0, {table.rows - 1}]`.",
            )
        )
    return faults
