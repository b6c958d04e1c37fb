"""Defines the `space` section of a study file: rules of its parameters, values of ranges, conditions.

Responsible for one section by itself. Must not know the automatic space, nor what a device supports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from tuner.bench.own_parameters import OWN_PARAMETERS, OwnParameter
from tuner.bench.value import Value, is_same
from tuner.study.file.problems import closest, listed, shown, unknown
from tuner.study.file.scalars import MAX_VALUES, Choices, Maybe, Number, WhenValues, wrong
from tuner.study.file.sections import (
    Faults,
    PropertiesSection,
    Section,
    absent,
    at_key,
    at_value,
    only_properties_beside,
)
from tuner.study.space import Parameter

MAX_PARAMETERS = 64
"""Largest number of parameters: each costs a question a trial, and OpenVINO has fewer properties worth asking for."""

MAX_SPELLED_OUT = 64
"""Largest number of values of a logarithmic range that are all tried.

A longer range goes in powers of two: its neighbours differ by less than can be measured.
"""

EXCLUSIVE = ("INFERENCE_PRECISION_HINT", "EXECUTION_MODE_HINT")
"""Properties of which OpenVINO accepts one at a time."""


class ParameterSection(Section):
    """The values of one parameter: `choices`, or every number from `low` to `high`."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {
                    "required": ["choices"],
                    "not": {"anyOf": [{"required": [key]} for key in ("low", "high", "log", "step")]},
                },
                {"required": ["low", "high"], "not": {"required": ["choices"]}},
            ]
        }
    )

    choices: Maybe[Choices] = Field(default=None, description="The values; null leaves the property unset.")
    low: Maybe[Number] = Field(default=None, description="The smallest value.")
    high: Maybe[Number] = Field(default=None, description="The largest value.")
    step: Maybe[Number] = Field(
        default=None, description="The distance between values: 1 for whole numbers, required for others."
    )
    log: bool = Field(
        default=False, description="Whole numbers only: ratios count, and ranges over 64 values go in powers of two."
    )
    when: dict[str, WhenValues] = Field(
        default={},
        description="Ask only if each of these parameters, all of them above this one, has (one of) these values.",
    )

    @property
    def values(self) -> tuple[Value, ...]:
        """The values in their order, a range spelled out; empty in a section that is wrong."""
        if self.choices is not None:
            return tuple(self.choices)
        if self.low is None or self.high is None or any(self._faults_of_range(self.low, self.high)):
            return ()
        if self.log and self.high - self.low >= MAX_SPELLED_OUT:
            return _powers_of_two(int(self.low), int(self.high))
        # Decimals, because 3 * 0.1 is 0.30000000000000004 in binary.
        start, step = Decimal(str(self.low)), self._step
        numbers = (start + i * step for i in range(self._count(self.low, self.high)))
        return tuple(int(number) if self._is_whole else float(number) for number in numbers)

    def _faults(self) -> Faults:
        if self.choices is not None:
            yield from self._faults_of_choices(self.choices)
            return
        missing = [key for key in ("low", "high") if getattr(self, key) is None]
        if missing:
            what = "`choices`, or `low` and `high`" if len(missing) == 2 else f"`{missing[0]}`"
            yield absent(f"{self._context.name} needs {what}")
        if self.low is not None and self.high is not None:
            yield from self._faults_of_range(self.low, self.high)

    def _faults_of_choices(self, choices: Sequence[Value]) -> Faults:
        for key in ("low", "high", "step", "log"):
            if key in self.model_fields_set:
                yield at_key(f"{key} does not go with choices; a parameter is a list or a range", key)
        # Keyed by type, as `is_same` does; compared in pairs, 10000 choices would take half a minute.
        seen: set[tuple[type, Value]] = set()
        for i, value in enumerate(choices):
            if (type(value), value) in seen:
                yield at_value(f"{listed([value])} is already one of the choices", "choices", i)
            seen.add((type(value), value))

    def _faults_of_range(self, low: int | float, high: int | float) -> Faults:
        """Yields the first thing that is wrong with a range."""
        ends = f"low {shown(low)}, high {shown(high)}"
        if low > high:
            yield at_value(f"low is above high: {ends}", "low")
        elif self.step is not None and self.step <= 0:
            yield at_value(f"step must be greater than 0, got {shown(self.step)}", "step")
        elif self.log and self.step is not None:
            yield at_key("step does not go with log; take one of them out", "step")
        elif self.log and not self._is_whole:
            yield at_key(f"log is for whole numbers, got {ends}; spell the values out in choices", "log")
        elif self.log and low < 1:
            yield at_value(f"a logarithmic range begins at 1 or above, got {shown(low)}", "low")
        elif not self._is_whole and self.step is None:
            yield at_key(f"a range of numbers that are not whole needs a step: {ends}")
        elif not self.log and (count := self._count(low, high)) > MAX_VALUES:
            remedy = "a larger step or `log: true`" if self._is_whole else "a larger step"
            yield at_key(f"{count} values, at most {MAX_VALUES} are allowed; take {remedy}")

    @property
    def _is_whole(self) -> bool:
        return all(isinstance(number, int) for number in (self.low, self.high, self.step or 1))

    @property
    def _step(self) -> Decimal:
        return Decimal(str(self.step or 1))

    def _count(self, low: int | float, high: int | float) -> int:
        return int((Decimal(str(high)) - Decimal(str(low))) / self._step) + 1


def _powers_of_two(low: int, high: int) -> tuple[int, ...]:
    between = [1 << n for n in range(low.bit_length(), high.bit_length()) if low < 1 << n < high]
    return (low, *between, high)


def _with_own_parameters(schema: dict[str, Any]) -> None:
    only_properties_beside(schema)
    (parameter,) = schema["patternProperties"].values()
    for name, row in OWN_PARAMETERS.items():
        schema["properties"][name] = {**parameter, "description": row.description}


class SpaceSection(PropertiesSection):
    """The parameters in the order they are asked. UPPER_CASE is an OpenVINO property, passed on verbatim."""

    model_config = ConfigDict(extra="allow", json_schema_extra=_with_own_parameters)
    __pydantic_extra__: dict[str, ParameterSection] = Field(init=False)
    kind: ClassVar[str] = "parameter"

    extends: Maybe[Literal["auto"]] = Field(
        default=None, description="Start from the automatic space; the parameters given here replace or join its own."
    )

    @classmethod
    def expanded(cls, given: Any) -> Any:
        """Returns the mapping that `auto` stands for. Raises the error of another text."""
        if isinstance(given, str) and given != "auto":
            raise wrong("expected `auto` or a mapping of parameters")
        return {"extends": "auto"} if isinstance(given, str) else given

    @property
    def parameters(self) -> Mapping[str, ParameterSection]:
        """The sections of the parameters by name, in the order of the file."""
        return self.model_extra or {}

    def _faults(self) -> Faults:
        names = [name for name in self._context.keys if name != "extends"]
        if not self._context.keys:
            yield at_value("the space is empty; write `auto`, or at least one parameter")
        if len(names) > MAX_PARAMETERS:
            yield at_key(f"more than {MAX_PARAMETERS} parameters", names[MAX_PARAMETERS])
            return
        if set(EXCLUSIVE) <= set(names):
            first, second = sorted(EXCLUSIVE, key=names.index)
            yield at_key(f"{second} and {first} exclude each other; keep one of them", second)
        for name, parameter in self.parameters.items():
            if name in OWN_PARAMETERS:
                yield from _faults_of_own(OWN_PARAMETERS[name], parameter)
            # A condition that is wrong itself decides nothing: it was refused before, and may be no list.
            conditions = {t: w for t, w in parameter.when.items() if isinstance(w, Sequence) and not isinstance(w, str)}
            for target, wanted in conditions.items():
                yield from self._faults_of_condition(name, target, wanted, names)

    def _faults_of_condition(self, name: str, target: str, wanted: Sequence[Value], names: Sequence[str]) -> Faults:
        above = names[: names.index(name)]
        allowed = f"above {name}: {listed(above) or 'nothing'}"
        if target in above:
            # A parameter that is wrong itself decides nothing.
            section = self.parameters.get(target)
            values = section.values if section is not None and not section.is_partial else tuple(wanted)
            for i, value in enumerate(wanted):
                if not any(is_same(value, v) for v in values):
                    message = f"{target} never has the value {listed([value])}; it takes {listed(values)}"
                    yield at_value(message, name, "when", target, i)
            return
        if target == name:
            message = f"{name} cannot depend on itself; {allowed}"
        elif target in names:
            message = f"{listed([target])} stands below {name}, `when` may refer only to parameters above; {allowed}"
        else:
            close = closest(target, above)
            question = f"did you mean {close}? " if close else ""
            message = f"there is no parameter {shown(target)} in this file; {question}{allowed}"
        yield at_key(message, name, "when", target)


def _faults_of_own(row: OwnParameter, parameter: ParameterSection) -> Faults:
    """Yields the illegal values of a parameter that is no property."""
    also = " or null" if row.is_nullable else ""
    for i, value in enumerate(parameter.choices or ()):
        if not row.is_legal(value) and not (value is None and row.is_nullable):
            message = f"{row.name} is {row.allowed}{also}, got {shown(value)}"
            message = message if row.is_count else unknown(row.name, str(value), row.words)
            yield at_value(message, row.name, "choices", i)
    if parameter.choices is not None or parameter.low is None or parameter.high is None:
        return
    if not row.is_count:
        yield at_key(f"{row.name} has no range; write `choices: [{listed(row.words)}]`", row.name)
        return
    for key in ("low", "high", "step"):
        number = getattr(parameter, key)
        if number is not None and not row.is_legal(number):
            yield at_value(f"{row.name} is {row.allowed}, got {shown(number)}", row.name, key)
            return


def parameters_of(section: SpaceSection) -> tuple[Parameter, ...]:
    """Returns the parameters of a section that is right."""
    return tuple(
        Parameter(name=name, values=given.values, when={target: tuple(wanted) for target, wanted in given.when.items()})
        for name, given in section.parameters.items()
    )
