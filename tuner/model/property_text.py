"""Turns property values into text, in the same way wherever they are compared or written.

Compiled models answer with enum and type objects, sets and dictionaries. Must not know any property by name.
"""

from __future__ import annotations

from collections.abc import Mapping


def as_text(value: object) -> str:
    """Returns a property's value as OpenVINO accepts it: types and enums by name, containers joined by commas."""
    if isinstance(value, str | bool | int | float):
        return str(value)
    if isinstance(value, Mapping):
        return ",".join(f"{as_text(k)}:{as_text(v)}" for k, v in sorted(value.items(), key=str))
    if isinstance(value, set | frozenset):
        return ",".join(sorted(map(as_text, value)))
    if isinstance(value, list | tuple):
        return ",".join(map(as_text, value))
    # openvino.Type prints itself as <Type: 'float32'>; `f32` is what properties take.
    to_string = getattr(value, "to_string", None)
    if callable(to_string):
        return str(to_string())
    name = getattr(value, "name", None)
    return str(name) if name is not None else str(value)
