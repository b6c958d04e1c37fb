"""One parameter as a sampler sees it: a number in a row, or one of several choices. Knows no sampler."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tuner.study.space import Parameter, Value, is_same


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """`choices[i]` stands for `parameter.values[i]`.

    Values in order are their indices: 1, 2, 4, 8 are equally far apart. Others are themselves, but JSON text where
    `==`, with which samplers compare, would take `1` for `true`.
    """

    parameter: Parameter
    choices: tuple[Value, ...]

    @classmethod
    def of(cls, parameter: Parameter) -> Axis:
        values = parameter.values
        if parameter.is_ordinal:
            return cls(parameter=parameter, choices=tuple(range(len(values))))
        if len(set(values)) == len(values):
            return cls(parameter=parameter, choices=values)
        return cls(parameter=parameter, choices=tuple(json.dumps(value) for value in values))

    def encode(self, value: Value) -> Value:
        """Raises `ValueError` where the parameter does not have the value."""
        values = self.parameter.values
        alike = [i for i, known in enumerate(values) if is_same(known, value)]
        exact = [i for i in alike if type(values[i]) is type(value)]
        if not alike:
            raise ValueError(f"{self.parameter.name} has no value {value!r}")
        return self.choices[(exact or alike)[0]]

    def decode(self, choice: Value) -> Value:
        """Raises `ValueError` where there is no such choice."""
        return self.parameter.values[self.choices.index(choice)]
