"""Inputs for which no right data can be made are found by the graph, each with its key and a range that is safe."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import openvino
import pytest
from openvino import opset13, opset15

from tuner.model.inputs import random_inputs
from tuner.model.read import find_faults, read
from tuner.model.spec import InputSpec, ModelSpec

pytestmark = pytest.mark.openvino
ROWS = 10
Lookup = Callable[[openvino.Node], openvino.Node]


def table() -> openvino.Node:
    return opset13.constant(np.arange(ROWS * 3, dtype=np.float32).reshape(ROWS, 3))


LOOKUPS: dict[str, Lookup] = {
    "Gather": lambda ids: opset13.gather(table(), ids, opset13.constant(0)),
    "Gather on another axis": lambda ids: opset13.gather(
        opset13.transpose(table(), opset13.constant([1, 0])), ids, opset13.constant(-1)
    ),
    "GatherND": lambda ids: opset13.gather_nd(table(), opset13.unsqueeze(ids, opset13.constant(2))),
    "through other nodes": lambda ids: opset13.gather(
        table(), opset13.reshape(opset13.convert(ids, "i32"), opset13.constant([-1]), False), opset13.constant(0)
    ),
    "EmbeddingBag": lambda ids: opset15.embedding_bag_packed(table(), ids),
}


@pytest.mark.parametrize("lookup", LOOKUPS)
def test_a_range_beyond_a_table_is_a_fault_with_the_safe_one(
    core: openvino.Core, save: Callable[..., ModelSpec], lookup: str
) -> None:
    ids = opset13.parameter([1, 4], np.int64, name="ids")
    model = openvino.Model([LOOKUPS[lookup](ids)], [ids], "lookup")
    (fault,) = find_faults(core, save(model, inputs={"ids": InputSpec(range=(0, ROWS))}))
    assert fault.at == ("inputs", "ids", "range")
    assert f"a table of {ROWS} rows" in fault.message
    assert "SIGSEGV (signal 11)" in fault.message
    assert fault.advice == f"Write `range: [0, {ROWS - 1}]`."
    assert find_faults(core, save(model, inputs={"ids": InputSpec(range=(0, ROWS - 1))})) == []


def test_ids_that_the_graph_changes_are_left_to_the_user(core: openvino.Core, save: Callable[..., ModelSpec]) -> None:
    ids = opset13.parameter([1, 4], np.int64, name="ids")
    wrapped = opset13.floor_mod(ids, opset13.constant(np.int64(ROWS)))
    model = openvino.Model([opset13.gather(table(), wrapped, opset13.constant(0))], [ids], "wrapped")
    assert find_faults(core, save(model, inputs={"ids": InputSpec(range=(0, 1e9))})) == []


def test_the_smallest_of_several_tables_bounds_an_input(core: openvino.Core, save: Callable[..., ModelSpec]) -> None:
    ids = opset13.parameter([1, 4], np.int64, name="ids")
    two = opset13.constant(np.zeros((2, 3), np.float32))
    both = opset13.add(LOOKUPS["Gather"](ids), opset13.gather(two, ids, opset13.constant(0)))
    (fault,) = find_faults(core, save(openvino.Model([both], [ids], "two"), inputs={"ids": InputSpec(range=(0, 5))}))
    assert "a table of 2 rows" in fault.message


def test_strings_and_empty_ranges_are_found_each_with_its_key(
    core: openvino.Core, save: Callable[..., ModelSpec]
) -> None:
    text = opset15.parameter([-1], openvino.Type.string, name="text")
    flag = opset15.parameter([1], np.bool_, name="flag")
    level = opset15.parameter([1], np.int8, name="level")
    begins = opset15.abs(opset15.string_tensor_unpack(text).output(0))
    model = openvino.Model([begins, opset15.logical_not(flag), opset15.abs(level)], [text, flag, level], "m")
    inputs = {"text": InputSpec(shape=(1,)), "flag": InputSpec(range=(2, 3)), "level": InputSpec(range=(300, 400))}
    faults = {fault.at: fault for fault in find_faults(core, save(model, inputs=inputs))}
    assert set(faults) == {("inputs", "text"), ("inputs", "flag"), ("inputs", "level", "range")}
    assert "element type string" in faults["inputs", "text"].message
    assert "cut the text preprocessing off" in faults["inputs", "text"].advice
    assert "true or false" in faults["inputs", "flag"].message


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_one_value_fills_every_kind_of_input(core: openvino.Core, save: Callable[..., ModelSpec], value: float) -> None:
    flag, rate = opset13.parameter([4], np.bool_, name="flag"), opset13.parameter([], np.int64, name="rate")
    half = opset13.parameter([2], np.float16, name="half")
    model = openvino.Model([opset13.logical_not(flag), opset13.abs(rate), opset13.abs(half)], [flag, rate, half], "v")
    given = InputSpec(range=(value, value))
    spec = save(model, inputs={"flag": given, "rate": given, "half": given})
    arrays = random_inputs(read(core, spec), spec, 3)
    assert [array.dtype for array in arrays] == [np.bool_, np.int64, np.float16]
    assert [array.shape for array in arrays] == [(4,), (), (2,)]
    assert all(np.all(array == value) for array in arrays)
