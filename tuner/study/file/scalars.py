"""Types of single values of a study file: names, devices, layouts, amounts and numbers, with their messages.

Responsible for one scalar or list at a time. Must not know which keys hold the values, nor their positions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, get_args

from pydantic import AfterValidator, BeforeValidator, Field, GetCoreSchemaHandler, PlainValidator, WithJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError

from tuner.bench.configuration import PropertyValue
from tuner.bench.value import Value

PROPERTY = r"[A-Z][A-Z0-9_]*"
"""Pattern of an OpenVINO property, which is passed on verbatim."""

SAFE_NAME = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}"
"""Pattern of a folder name that is legal on every system; 100 characters leave room for suffixes in 255 bytes."""

DEVICE = r"[A-Z][A-Z0-9_]*(\.[A-Za-z0-9]+)*(:[A-Za-z0-9_.,()+-]+)?"
"""Pattern of a device as OpenVINO names it."""

LAYOUT = r"[A-Z?]*"
"""Pattern of a layout: one letter a dimension."""

MAX_VALUES = 10_000
"""Largest number of values of one parameter; a parameter with more is a typing error, not a search space."""

MIN_MEMORY_BYTES = 16 << 20
"""Smallest memory limit. Python alone takes 10 MB; with less a worker cannot even report why it fails."""

MIN_CPUS = 0.01
"""Smallest CPU quota: the kernel's smallest is 1 ms of every 100 ms."""

MOST_CALLERS = 256
"""Largest number of callers: so many threads of Python take turns, and no service of one process has more."""

MOST_NUMBERS_OF_CALLERS = 4
"""Largest number of different numbers of callers: each makes every measurement that much longer."""

MAX_SEED = 2**32 - 1
"""Largest seed that numpy's generators, and therefore the samplers, accept."""


def wrong(message: str) -> PydanticCustomError:
    """Returns the error of a value; its report ends with what was given."""
    return PydanticCustomError("wrong", "{message}", {"message": message})


def is_safe_name(text: str) -> bool:
    """Returns True if a text may name a folder on every system."""
    return re.fullmatch(SAFE_NAME, text) is not None


T = TypeVar("T")


def must(is_right: Callable[[T], object], message: str) -> AfterValidator:
    """Returns the validator that accepts a value for which `is_right` holds, and reports `message` for another."""

    def check(given: T) -> T:
        if not is_right(given):
            raise wrong(message)
        return given

    return AfterValidator(check)


def read_cpuset(text: str) -> set[int]:
    """Returns the CPUs of a text such as `0-3,6`. Raises ValueError."""
    cpus: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        numbers = range(int(first), int(last if dash else first) + 1)
        if not numbers or len(numbers) > MAX_VALUES:
            raise ValueError(part)
        cpus.update(numbers)
    return cpus


def _cpuset(given: Any) -> tuple[int, ...]:
    try:
        cpus = read_cpuset(given) if isinstance(given, str) else set(_as_list(given))
    except (ValueError, TypeError):
        cpus = set()
    if cpus and all(isinstance(cpu, int) and not isinstance(cpu, bool) and cpu >= 0 for cpu in cpus):
        return tuple(sorted(cpus))
    raise wrong("expected the numbers of CPUs, at least one, as in `0-3`, `0,2` or [0, 2]")


def read_memory(text: str) -> int:
    """Returns the bytes of a text such as `512M`.

    M, Mi and MiB are 2**20 as in Docker, MB is 10**6. Raises ValueError.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kKmMgGtT]?)([iI]?)([bB]?)", text.strip())
    if match is None:
        raise ValueError(text)
    number, letter, binary, byte = match.groups()
    step = 1000 if byte and not binary else 1024
    return int(float(number) * step ** " kmgt".index(letter.lower() or " "))


def _memory(given: Any) -> int:
    try:
        amount = read_memory(given) if isinstance(given, str) else given
    except ValueError:
        amount = None
    if isinstance(amount, int) and not isinstance(amount, bool) and amount >= MIN_MEMORY_BYTES:
        return amount
    raise wrong(f"expected an amount of memory from {MIN_MEMORY_BYTES >> 20} MiB, as in `512M`, `1.5GiB` or bytes")


def _is_layout(text: str) -> bool:
    return re.fullmatch(LAYOUT, text) is not None and all(text.count(letter) == 1 for letter in set(text) - {"?"})


def _ordered(ends: list[float]) -> list[float]:
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


def _callers(given: Any) -> tuple[int, ...]:
    """Returns the numbers of callers, ascending. Raises the error of another value."""
    numbers = _as_list(given)
    is_right = all(isinstance(n, int) and not isinstance(n, bool) and 1 <= n <= MOST_CALLERS for n in numbers)
    if is_right and 1 <= len(numbers) <= MOST_NUMBERS_OF_CALLERS and len(set(numbers)) == len(numbers):
        return tuple(sorted(numbers))
    raise wrong(
        f"expected a whole number of callers from 1 to {MOST_CALLERS}, "
        f"or up to {MOST_NUMBERS_OF_CALLERS} different ones as in [1, 4]"
    )


def _feed_value(given: Any) -> int | float:
    if isinstance(given, int | float) and math.isfinite(given):
        return given
    raise wrong("expected a number, true or false")


class _NotNull:
    """A value that may be left out of the file but is never null in it.

    The type stays optional for the reader of the value; pydantic's own union would report both of its branches.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return handler.generate_schema(next(part for part in get_args(source) if part is not type(None)))


Maybe = Annotated[T | None, _NotNull()]
"""Type of a key that may be left out."""

_SCALAR = ["string", "number", "boolean"]

AnyValue = Annotated[Value, PlainValidator(_value), WithJsonSchema({"type": [*_SCALAR, "null"]})]

SetValue = Annotated[PropertyValue, PlainValidator(_property_value), WithJsonSchema({"type": _SCALAR})]

Number = Annotated[int | float, PlainValidator(_number), WithJsonSchema({"type": "number"})]

Positive = Annotated[float, Field(gt=0)]

Quota = Annotated[float, Field(gt=0), must(lambda cpus: cpus >= MIN_CPUS, f"a quota is at least {MIN_CPUS:g} CPUs")]

_CALLERS = {"type": "integer", "minimum": 1, "maximum": MOST_CALLERS}
_SEVERAL_CALLERS = {
    "type": "array",
    "items": _CALLERS,
    "minItems": 1,
    "maxItems": MOST_NUMBERS_OF_CALLERS,
    "uniqueItems": True,
}

Callers = Annotated[tuple[int, ...], PlainValidator(_callers), WithJsonSchema({"anyOf": [_CALLERS, _SEVERAL_CALLERS]})]
"""Type of the numbers of callers: one, or several for the worst of which an answer holds."""

Count = Annotated[int, Field(ge=1)]
Length = Annotated[int, Field(ge=0)]
FeedValue = Annotated[int | float, PlainValidator(_feed_value), WithJsonSchema({"type": ["number", "boolean"]})]
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

Name = Annotated[
    str,
    must(
        is_safe_name, "must be one plain folder name (letters, digits, `.`, `_` and `-`, at most 100, no `.` in front)"
    ),
    Field(json_schema_extra={"pattern": f"^{SAFE_NAME}$"}),
]

Device = Annotated[
    str,
    must(
        re.compile(DEVICE).fullmatch,
        "expected a device as OpenVINO names it, such as CPU, GPU, GPU.0, NPU or AUTO:GPU,CPU",
    ),
    Field(json_schema_extra={"pattern": f"^{DEVICE}$"}),
]

ModelPath = Annotated[
    str,
    must(str.strip, "expected a file, `package:FOLDER/FILE` or `builtin:mlp`"),
    Field(json_schema_extra={"minLength": 1}),
]

Command = Annotated[
    str,
    must(str.strip, "expected a shell command that runs until it is stopped"),
    Field(json_schema_extra={"minLength": 1}),
]

Layout = Annotated[
    str,
    must(_is_layout, "a layout has one capital letter a dimension, each once, `?` for any, such as NCHW"),
    Field(json_schema_extra={"pattern": f"^{LAYOUT}$"}),
]

CpuSet = Annotated[
    tuple[int, ...],
    PlainValidator(_cpuset),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^\s*\d+(-\d+)?(\s*,\s*\d+(-\d+)?)*\s*$"},
                {"type": "integer", "minimum": 0},
                {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0}},
            ]
        }
    ),
]

Memory = Annotated[
    int,
    PlainValidator(_memory),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*[kKmMgGtT]?[iI]?[bB]?\s*$"},
                {"type": "integer", "minimum": MIN_MEMORY_BYTES},
            ]
        }
    ),
]

Range = Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(_ordered)]
