"""The `space` section of a study file: parameters in their order, ranges spelled out, conditions checked.

Judges one section that the schema already accepts; knows neither the automatic space nor what a device supports.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from tuner.study.block import ParameterBlock
from tuner.study.document import NodePath
from tuner.study.problem import ProblemList, closest, listed, shown, unknown
from tuner.study.schema import AFFINITIES, OWN_PARAMETERS
from tuner.study.space import Parameter, Value, is_same
from tuner.study.value import MAX_VALUES, PROPERTY

MAX_PARAMETERS = 64
"""Each costs a question a trial; OpenVINO has fewer properties worth asking for."""
MAX_SPELLED_OUT = 64
"""A logarithmic range with more values goes in powers of two: neighbours differ by less than can be measured."""
REFUSED_PROPERTIES = {
    "PERF_COUNT": "profiling slows inference down",
    "LOG_LEVEL": "logging slows inference down",
}
OUTPUT_PROPERTIES = (
    "INFERENCE_PRECISION_HINT",
    "EXECUTION_MODE_HINT",
    "KV_CACHE_PRECISION",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE",
    "CPU_SPARSE_WEIGHTS_DECOMPRESSION_RATE",
)
"""Properties that change what the model answers, not only how fast."""

_SECTION: NodePath = ("space",)


def check_names(problems: ProblemList, section: NodePath, *, kind: str, also: Sequence[str] = ()) -> None:
    """The keys of a mapping that holds properties in UPPER_CASE beside our own parameters and `also`."""
    content = problems.find(section)
    for name in content if isinstance(content, Mapping) else ():
        path = (*section, name)
        if name in REFUSED_PROPERTIES:
            problems.unknown_key(path, f"{name} is refused while measuring: {REFUSED_PROPERTIES[name]}")
        elif name not in OWN_PARAMETERS and name not in also and not re.fullmatch(PROPERTY, name):
            if name.isidentifier() and name == name.lower():
                message = unknown(kind, name, [*also, *OWN_PARAMETERS])
                problems.unknown_key(path, f"{message} and OpenVINO properties in UPPER_CASE")
            else:
                message = f"{shown(name)} is neither a property in UPPER_CASE nor one of {listed(OWN_PARAMETERS)}"
                problems.unknown_key(path, message)


def read_parameters(problems: ProblemList) -> tuple[Parameter, ...]:
    """The parameters of the file, as far as they are right."""
    content = problems.find(_SECTION)
    if not isinstance(content, Mapping):
        return ()
    names = [name for name in content if name != "extends"]
    if not content:
        problems.at_value(_SECTION, "the space is empty; write `auto`, or at least one parameter")
    if len(names) > MAX_PARAMETERS:
        problems.at_key((*_SECTION, names[MAX_PARAMETERS]), f"more than {MAX_PARAMETERS} parameters")
        return ()
    if {"INFERENCE_PRECISION_HINT", "EXECUTION_MODE_HINT"} <= set(names):
        second = max("INFERENCE_PRECISION_HINT", "EXECUTION_MODE_HINT", key=names.index)
        first = min("INFERENCE_PRECISION_HINT", "EXECUTION_MODE_HINT", key=names.index)
        problems.at_key((*_SECTION, second), f"{second} and {first} exclude each other; keep one of them")
    above: dict[str, tuple[Value, ...] | None] = {}
    found: list[Parameter] = []
    for name in names:
        values: tuple[Value, ...] | None = None
        if block := problems.block(ParameterBlock, (*_SECTION, name)):
            values = _values(problems, name, block) or None
            _check_conditions(problems, name, block, above=above, names=names)
            if values and problems.is_right((*_SECTION, name)):
                when = {target: tuple(wanted) for target, wanted in block.when.items()}
                found.append(Parameter(name=name, values=values, when=when))
        above[name] = values
    return tuple(found)


def output_warnings(parameters: Sequence[Parameter]) -> Iterator[str]:
    for parameter in parameters:
        if parameter.name in OUTPUT_PROPERTIES:
            yield (
                f"{parameter.name} is in the space: its values change what the model answers, not only how fast;"
                " nothing here checks the answers"
            )


def _values(problems: ProblemList, name: str, block: ParameterBlock) -> tuple[Value, ...]:
    path: NodePath = (*_SECTION, name)
    given = [key for key in ("low", "high", "step", "log") if key in block.model_fields_set]
    if block.choices is not None:
        for key in given:
            problems.at_key((*path, key), f"{key} does not go with choices; a parameter is a list or a range")
        return _choices(problems, name, block.choices)
    missing = [key for key in ("low", "high") if key not in given]
    if missing and not problems.has_unknown(path):
        what = "`choices`, or `low` and `high`" if len(missing) == 2 else f"`{missing[0]}`"
        problems.at_key(path, f"{name} needs {what}")
    if missing or block.low is None or block.high is None:
        return ()
    if name == "affinity":
        problems.at_key(path, f"affinity has no range; write `choices: [{listed(AFFINITIES)}]`")
        return ()
    for key, number in (("low", block.low), ("high", block.high), ("step", block.step)):
        if name in OWN_PARAMETERS and number is not None and (not isinstance(number, int) or number < 1):
            problems.at_value((*path, key), f"{name} is a whole number from 1, got {shown(number)}")
            return ()
    return _range(problems, path, block, low=block.low, high=block.high)


def _choices(problems: ProblemList, name: str, choices: Sequence[Value]) -> tuple[Value, ...]:
    # Keyed by type, as `is_same` does; compared in pairs, 10000 choices would take half a minute.
    seen: set[tuple[type, Value]] = set()
    for i, value in enumerate(choices):
        path = (*_SECTION, name, "choices", i)
        is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        if name == "affinity":
            if value not in AFFINITIES:
                problems.at_value(path, unknown("affinity", str(value), AFFINITIES))
        elif name in OWN_PARAMETERS and not is_count and not (value is None and name == "infer_requests"):
            also = " or null" if name == "infer_requests" else ""
            problems.at_value(path, f"{name} is a whole number from 1{also}, got {shown(value)}")
        elif (type(value), value) in seen:
            problems.at_value(path, f"{listed([value])} is already one of the choices")
        seen.add((type(value), value))
    return tuple(choices)


def _range(
    problems: ProblemList, path: NodePath, block: ParameterBlock, *, low: int | float, high: int | float
) -> tuple[Value, ...]:
    ends = f"low {shown(low)}, high {shown(high)}"
    is_whole = all(isinstance(number, int) for number in (low, high, block.step or 1))
    if low > high:
        problems.at_value((*path, "low"), f"low is above high: {ends}")
    elif block.step is not None and block.step <= 0:
        problems.at_value((*path, "step"), f"step must be greater than 0, got {shown(block.step)}")
    elif block.log and block.step is not None:
        problems.at_key((*path, "step"), "step does not go with log; take one of them out")
    elif block.log and not is_whole:
        problems.at_key((*path, "log"), f"log is for whole numbers, got {ends}; spell the values out in choices")
    elif block.log and low < 1:
        problems.at_value((*path, "low"), f"a logarithmic range begins at 1 or above, got {shown(low)}")
    elif not is_whole and block.step is None:
        problems.at_key(path, f"a range of numbers that are not whole needs a step: {ends}")
    elif block.log and high - low >= MAX_SPELLED_OUT:
        return _powers_of_two(int(low), int(high))
    else:
        start, step = Decimal(str(low)), Decimal(str(block.step or 1))
        count = int((Decimal(str(high)) - start) / step) + 1
        if count <= MAX_VALUES:
            # Decimals, because 3 * 0.1 is 0.30000000000000004 in binary.
            steps = (start + i * step for i in range(count))
            return tuple(int(number) if is_whole else float(number) for number in steps)
        remedy = "a larger step or `log: true`" if is_whole else "a larger step"
        problems.at_key(path, f"{count} values, at most {MAX_VALUES} are allowed; take {remedy}")
    return ()


def _powers_of_two(low: int, high: int) -> tuple[int, ...]:
    between = [1 << n for n in range(low.bit_length(), high.bit_length()) if low < 1 << n < high]
    return (low, *between, high)


def _check_conditions(
    problems: ProblemList,
    name: str,
    block: ParameterBlock,
    *,
    above: Mapping[str, tuple[Value, ...] | None],
    names: Sequence[str],
) -> None:
    for target, wanted in block.when.items():
        path: NodePath = (*_SECTION, name, "when", target)
        allowed = f"above {name}: {listed(list(above)) or 'nothing'}"
        if target == name:
            problems.at_key(path, f"{name} cannot depend on itself; {allowed}")
        elif target in names and target not in above:
            message = f"{listed([target])} stands below {name}, `when` may refer only to parameters above; {allowed}"
            problems.at_key(path, message)
        elif target not in above:
            close = closest(target, above)
            question = f"did you mean {close}? " if close else ""
            problems.at_key(path, f"there is no parameter {shown(target)} in this file; {question}{allowed}")
        elif (values := above[target]) is not None:
            for i, value in enumerate(wanted):
                if not any(is_same(value, v) for v in values):
                    message = f"{target} never has the value {listed([value])}; it takes {listed(values)}"
                    problems.at_value((*path, i), message)
