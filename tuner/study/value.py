"""Single values of a study file: which text is a name, a device, a layout, a number, and what to say where it is not.

Knows pydantic's error form; neither the keys that hold the values nor positions.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, TypeVar, get_args

from pydantic import AfterValidator, BeforeValidator, Field, GetCoreSchemaHandler, PlainValidator, WithJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError

from tuner.bench.protocol import PropertyValue
from tuner.study.space import Value

PROPERTY = r"[A-Z][A-Z0-9_]*"
"""An OpenVINO property, passed on verbatim."""
SAFE_NAME = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}"
"""One folder name on every system, with room for suffixes in 255 bytes."""
DEVICE = r"[A-Z][A-Z0-9_]*(\.[A-Za-z0-9]+)*(:[A-Za-z0-9_.,()+-]+)?"
LAYOUT = r"[A-Z?]*"
MAX_VALUES = 10_000
"""Values of one parameter: more are a typing error, not a search space."""
MAX_SEED = 2**32 - 1
"""What numpy's generators, and so the samplers, take."""


def wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("wrong", "{message}", {"message": message})


def check_name(text: str) -> str:
    if not re.fullmatch(SAFE_NAME, text):
        raise wrong("must be one plain folder name (letters, digits, `.`, `_` and `-`, at most 100, no `.` in front)")
    return text


def check_device(text: str) -> str:
    if not re.fullmatch(DEVICE, text):
        raise wrong("expected a device as OpenVINO names it, such as CPU, GPU, GPU.0, NPU or AUTO:GPU,CPU")
    return text


def check_model_path(text: str) -> str:
    if not text.strip():
        raise wrong("expected a file, `package:FOLDER/FILE` or `builtin:mlp`")
    return text


def check_layout(text: str) -> str:
    if not re.fullmatch(LAYOUT, text) or any(text.count(letter) > 1 for letter in set(text) - {"?"}):
        raise wrong("a layout has one capital letter a dimension, each once, `?` for any, such as NCHW")
    return text


def check_value_range(ends: list[float]) -> list[float]:
    if ends[0] > ends[1]:
        raise wrong(f"the low end comes first: {ends[1]:g}, {ends[0]:g}")
    return ends


def _value(given: Any) -> Value:
    if not isinstance(given, str | int | float | bool | None):
        raise wrong("expected text, a number, true, false or null")
    if isinstance(given, float) and not math.isfinite(given):
        raise wrong("expected a finite number")
    return given


def _property_value(given: Any) -> PropertyValue:
    value = _value(given)
    if value is None:
        raise wrong("expected text, a number, true or false; leave the line out to leave the property unset")
    return value


def _number(given: Any) -> int | float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
        raise wrong("expected a number")
    return given


def _as_list(given: Any) -> Any:
    return given if isinstance(given, list) else [given]


class _NotNull:
    """Optional for the reader of the value, never null in the file: pydantic's own union would report both branches."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return handler.generate_schema(next(part for part in get_args(source) if part is not type(None)))


T = TypeVar("T")
Maybe = Annotated[T | None, _NotNull()]
"""A key that may be left out."""

_SCALAR = ["string", "number", "boolean"]
AnyValue = Annotated[Value, PlainValidator(_value), WithJsonSchema({"type": [*_SCALAR, "null"]})]
SetValue = Annotated[PropertyValue, PlainValidator(_property_value), WithJsonSchema({"type": _SCALAR})]
Number = Annotated[int | float, PlainValidator(_number), WithJsonSchema({"type": "number"})]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Choices = Annotated[list[AnyValue], Field(min_length=1, max_length=MAX_VALUES)]
WhenValues = Annotated[
    list[AnyValue],
    BeforeValidator(_as_list),
    Field(min_length=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": [*_SCALAR, "null"]},
                {"type": "array", "minItems": 1, "items": {"type": [*_SCALAR, "null"]}},
            ]
        }
    ),
]
Name = Annotated[str, AfterValidator(check_name), Field(json_schema_extra={"pattern": f"^{SAFE_NAME}$"})]
Device = Annotated[str, AfterValidator(check_device), Field(json_schema_extra={"pattern": f"^{DEVICE}$"})]
ModelPath = Annotated[str, AfterValidator(check_model_path), Field(json_schema_extra={"minLength": 1})]
Layout = Annotated[str, AfterValidator(check_layout), Field(json_schema_extra={"pattern": f"^{LAYOUT}$"})]
Range = Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(check_value_range)]
