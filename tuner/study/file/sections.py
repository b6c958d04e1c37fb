"""Defines the base of every section of a study file, and the sections that need no module of their own.

Responsible for the keys of one mapping each: types, rules, messages and descriptions. Must not know where in a file a
section stands, nor what other sections hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetPydanticSchema,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)
from pydantic.functional_validators import ModelWrapValidatorHandler
from pydantic_core import InitErrorDetails, PydanticCustomError

from tuner.bench.own_parameters import OWN_PARAMETERS, OwnParameter
from tuner.study.file.former_names import COMMON_PROPERTIES, name_of_today
from tuner.study.file.problems import listed, shown, unknown
from tuner.study.file.scalars import (
    MAX_SEED,
    PROPERTY,
    Count,
    FeedValue,
    Layout,
    Length,
    Maybe,
    ModelPath,
    Range,
    SetValue,
    wrong,
)
from tuner.study.study import SamplerName, ServerName

REFUSED_PROPERTIES = {
    "PERF_COUNT": "profiling slows inference down",
    "LOG_LEVEL": "logging slows inference down",
}
"""Properties that no study may set, with the reason."""

Faults = Iterator[InitErrorDetails]
"""Type of the broken rules of a section, made by `at_value`, `at_key` and `absent`."""


def rule(message: str, *, at: Literal["value", "key"] = "value", is_absence: bool = False) -> PydanticCustomError:
    """Returns the error of a broken rule, whose message is complete; `ProblemList.add_errors` reads it."""
    return PydanticCustomError("rule", "{message}", {"message": message, "at": at, "is_absence": is_absence})


def at_value(message: str, *path: str | int) -> InitErrorDetails:
    """Returns a broken rule that is reported at the value of `path` below the section."""
    return InitErrorDetails(type=rule(message), loc=path, input=None)


def at_key(message: str, *path: str | int) -> InitErrorDetails:
    """Returns a broken rule that is reported at the key of `path` below the section."""
    return InitErrorDetails(type=rule(message, at="key"), loc=path, input=None)


def absent(message: str) -> InitErrorDetails:
    """Returns a rule broken by what is missing; it is not reported beside an unknown key, which may be meant."""
    return InitErrorDetails(type=rule(message, at="key", is_absence=True), input=None)


def one_of(*keys: str) -> dict[str, Any]:
    """Returns the JSON schema of a section that holds exactly one of these keys."""
    return {"oneOf": [{"required": [key]} for key in keys]}


def refuse(faults: Faults) -> None:
    """Raises ValidationError with every fault, if there is one."""
    if details := list(faults):
        raise ValidationError.from_exception_data("rules", details)


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionContext:
    """The context in which a section is validated."""

    name: str = ""
    """Key of the section itself."""
    keys: tuple[str, ...] = ()
    """Keys of the section in the order of the file."""
    is_partial: bool = False
    """True if wrong keys were taken out, so that rules between keys do not apply."""


class Section(BaseModel):
    """One mapping of the file with its keys and no others.

    `"5"` is no number, `true` is no integer, and a key without a value is an error.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    _context: SectionContext = PrivateAttr(SectionContext())

    @property
    def is_partial(self) -> bool:
        """True if the section holds only what is right in it."""
        return self._context.is_partial

    @classmethod
    def expanded(cls, given: Any) -> Any:
        """Returns the mapping, or the section, that a short form stands for; everything else unchanged."""
        return given

    @classmethod
    def refusal(cls, key: str) -> str:
        """Returns why the section may not hold this key, an empty text where it may."""
        return "" if key in cls.model_fields else unknown("key", key, cls.model_fields)

    def _faults(self) -> Faults:
        """Yields every broken rule between the keys, whose values are right each by itself."""
        yield from ()

    @model_validator(mode="wrap")
    @classmethod
    def _check_rules(cls, given: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        if isinstance(given, cls):
            return given  # It was checked where it stands.
        section = handler(given)
        section._context = info.context or SectionContext(keys=tuple(given))
        if not section.is_partial:
            refuse(section._faults())
        return section

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_nothing(cls, value: Any) -> Any:
        if value is None:
            raise wrong("this key has no value; give it one or take the line out")
        return value


class InputSection(Section):
    """The data of one input of the model."""

    model_config = ConfigDict(json_schema_extra={"not": {"required": ["range", "value"]}})

    shape: Maybe[list[Length]] = Field(
        default=None,
        description="One request at batch size 1, such as [1, 3, 224, 224]. Default: the model's own shape.",
    )
    layout: Maybe[Layout] = Field(
        default=None,
        description="One letter a dimension; N is the batch, as in NCHW. Default: what the model says.",
    )
    range: Range = Field(default=[0.0, 1.0], description="The random data: [low, high). Integer inputs take both ends.")

    value: Maybe[FeedValue] = Field(
        default=None, description="One value for all elements in place of random data, such as a sampling rate."
    )

    @property
    def ends(self) -> tuple[float, float]:
        """The range of the data; that of one value begins and ends with it."""
        low, high = self.range if self.value is None else (self.value, self.value)
        return float(low), float(high)

    def _faults(self) -> Faults:
        if {"range", "value"} <= self.model_fields_set:
            yield at_key("value is the data itself; give one of range and value", "value")
        if self.shape is not None and self.layout is not None and len(self.shape) != len(self.layout):
            counts = f"{len(self.layout)} letters, the shape {len(self.shape)} dimensions"
            yield at_value(f"the layout {self.layout} has {counts}", "layout")


class ModelSection(Section):
    """The model and its inputs."""

    path: ModelPath = Field(
        description="A file, relative to this one; `package:FOLDER/FILE` in an installed package; or `builtin:mlp`.",
    )
    inputs: dict[str, InputSection] = Field(
        default={}, description="Input name -> shape, layout and range of its data."
    )
    assume_batch_legal: bool = Field(
        default=False,
        description="Batch although no output proves it right, for models whose outputs do not depend on their input.",
    )
    batch_tolerance: Maybe[Annotated[float, Field(gt=0, le=1)]] = Field(
        default=None,
        description="A batched result is equal if it differs from the single one by at most this part of its scale.",
    )

    @classmethod
    def expanded(cls, given: Any) -> Any:
        """Returns {path: text} for a text."""
        return {"path": given} if isinstance(given, str) else given


class BudgetSection(Section):
    """The limits of time and trials over all resumes, at least one; the first that is reached ends the search."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    minutes: Maybe[Annotated[float, Field(ge=0.1)]] = Field(default=None, description="Wall time; as `--minutes`.")
    trials: Maybe[Count] = Field(default=None, description="Candidates measured.")

    def _faults(self) -> Faults:
        if not self.model_fields_set:
            yield absent("the budget needs minutes, trials or both, such as `minutes: 5`")


class SearchSection(Section):
    """The way in which candidates are proposed."""

    seed: int = Field(default=0, ge=0, le=MAX_SEED, description="Seed of the sampler and of the random inputs.")
    sampler: SamplerName = Field(default="auto", description="auto races small spaces and samples large ones.")


class DecisionSection(Section):
    """The gain that counts."""

    min_gain_pct: float = Field(
        default=1.0, ge=0, description="A smaller gain than this is not worth a change, in percent."
    )


def is_settable(name: str) -> bool:
    """Returns True if a key names an OpenVINO property that a study may set."""
    return re.fullmatch(PROPERTY, name) is not None and name not in REFUSED_PROPERTIES


class PropertiesSection(Section):
    """A mapping of OpenVINO properties in UPPER_CASE beside the declared keys and the project's own parameters."""

    kind: ClassVar[str] = "key"
    """Word for one of the keys in a message."""

    @classmethod
    def refusal(cls, key: str) -> str:
        """Returns why a key is neither declared, nor an own parameter, nor a property that may be set."""
        declared = list(dict.fromkeys([*cls.model_fields, *OWN_PARAMETERS]))
        if key in REFUSED_PROPERTIES:
            return f"{key} is refused while measuring: {REFUSED_PROPERTIES[key]}"
        if key in declared or is_settable(key):
            return ""
        if key.isidentifier() and key == key.lower():
            known = unknown(cls.kind, key, declared)
            if today := name_of_today(key) or (key.upper() if key.upper() in COMMON_PROPERTIES else ""):
                known = f"unknown {cls.kind} {shown(key)}; today it is {today}; allowed: {listed(declared)}"
            return f"{known} and OpenVINO properties in UPPER_CASE"
        return f"{shown(key)} is neither a property in UPPER_CASE nor one of {listed(OWN_PARAMETERS)}"


def only_properties_beside(schema: dict[str, Any]) -> None:
    """Changes the JSON schema of a PropertiesSection: its undeclared keys are properties in UPPER_CASE."""
    schema["patternProperties"] = {f"^{PROPERTY}$": schema.pop("additionalProperties")}
    schema["additionalProperties"] = False


class BaselineSection(PropertiesSection):
    """A configuration as it runs today: OpenVINO properties in UPPER_CASE, batch_size and infer_requests."""

    model_config = ConfigDict(extra="allow", json_schema_extra=only_properties_beside)
    __pydantic_extra__: dict[str, SetValue] = Field(init=False)

    @property
    def properties(self) -> dict[str, Any]:
        """The OpenVINO properties by name."""
        return dict(self.model_extra or {})

    def own(self, name: str) -> Any:
        """Returns the value of an own parameter, its default where the section does not give it."""
        return getattr(self, name, OWN_PARAMETERS[name].default)


def _own_key(row: OwnParameter) -> tuple[Any, Any]:
    kind: Any = Annotated[int, Field(ge=row.lowest)] if row.is_count else Literal.__getitem__(row.words)
    maybe: Any = Maybe
    key = maybe[kind] if row.default is None else kind
    return key, Field(default=row.default, description=row.description)


_maybe: Any = Maybe
_own_keys: Mapping[str, Any] = {
    **{name: _own_key(row) for name, row in OWN_PARAMETERS.items()},
    "server": (
        _maybe[ServerName],
        Field(
            default=None,
            description="`ovms`: what is left out is set as OpenVINO Model Server sets it under this quota.",
        ),
    ),
}

BASELINE = create_model("BaselineSection", __base__=BaselineSection, __doc__=BaselineSection.__doc__, **_own_keys)
"""BaselineSection with a key for each own parameter, and one for a server."""

Baseline = Annotated[BaselineSection, GetPydanticSchema(lambda source, handler: handler.generate_schema(BASELINE))]
"""Type of a baseline in a file."""
