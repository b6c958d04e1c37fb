"""Encodes the values of a parameter for a sampler, as indices or as choices. Must not know any sampler."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tuner.bench.value import Value, is_same
from tuner.study.space import Parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A parameter with one choice for each of its values: `choices[i]` stands for `parameter.values[i]`.

    The choices of ordinal values are their indices: 1, 2, 4, 8 are equally far apart. Other values are their own
    choices. They are JSON text where `==`, with which samplers compare, would take `1` for `true`.
    """

    parameter: Parameter
    choices: tuple[Value, ...]

    @classmethod
    def of(cls, parameter: Parameter) -> Axis:
        """Returns the parameter with its choices."""
        values = parameter.values
        if parameter.is_ordinal:
            return cls(parameter=parameter, choices=tuple(range(len(values))))
        if len(set(values)) == len(values):
            return cls(parameter=parameter, choices=values)
        return cls(parameter=parameter, choices=tuple(json.dumps(value) for value in values))

    def encode(self, value: Value) -> Value:
        """Returns the choice of a value; raises `ValueError` if the parameter does not have the value."""
        values = self.parameter.values
        alike = [i for i, known in enumerate(values) if is_same(known, value)]
        exact = [i for i in alike if type(values[i]) is type(value)]
        if not alike:
            raise ValueError(f"{self.parameter.name} has no value {value!r}")
        return self.choices[(exact or alike)[0]]

    def decode(self, choice: Value) -> Value:
        """Returns the value of a choice; raises `ValueError` if there is no such choice."""
        return self.parameter.values[self.choices.index(choice)]
