"""The shape of a study file: which keys there are, their types and what they mean, for reading and for editors.

Rules between keys (one of maximize and minimize, parameters above, ...) are with the readers of the sections.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from tuner.bench.metrics import METRICS
from tuner.study.document import NodePath
from tuner.study.study import SamplerName
from tuner.study.value import (
    MAX_SEED,
    PROPERTY,
    SAFE_NAME,
    Choices,
    Command,
    Count,
    CpuSet,
    Device,
    Layout,
    Maybe,
    Memory,
    ModelPath,
    Name,
    Number,
    Positive,
    Range,
    SetValue,
    WhenValues,
    wrong,
)

SCHEMA_VERSION = 1
OWN_PARAMETERS = ("batch_size", "infer_requests", "replicas", "affinity")
"""What a configuration holds beside properties: a closed set."""
AFFINITIES = ("shared", "split")
OBJECTIVES = (2, 4)
"""So many at least and at most: of five nearly every configuration is on the front."""
CLOSED_LOOP = "closed_loop"
RESERVED_BASELINES = ("default", "LATENCY", "THROUGHPUT")
"""The baselines that every study has."""


def _version(given: int) -> int:
    # Not a Literal, to which `true` is 1.
    if given != SCHEMA_VERSION:
        raise wrong(f"this tuner reads schema_version {SCHEMA_VERSION}")
    return given


def _model(given: Any) -> Any:
    return {"path": given} if isinstance(given, str) else given


def _replicas(given: Any) -> Any:
    if isinstance(given, dict | list):
        raise wrong("to search it, make it a parameter of the space: `space: {replicas: {choices: [1, 2, 4]}}`")
    return given


def _space(given: Any) -> Any:
    if isinstance(given, str):
        if given != "auto":
            raise wrong("expected `auto` or a mapping of parameters")
        return {"extends": "auto"}
    return given


def _load(given: Any) -> Any:
    if isinstance(given, str):
        if given != CLOSED_LOOP:
            raise wrong(f"expected `{CLOSED_LOOP}` or a pattern of arrivals, such as {{poisson: {{rate_per_s: 120}}}}")
        return {}
    return given


def _metrics(is_higher_better: bool) -> dict[str, Any]:
    return {"enum": [m.name for m in METRICS.values() if m.is_higher_better == is_higher_better]}


def _only_own_and_properties(schema: dict[str, Any]) -> None:
    schema["patternProperties"] = {f"^{PROPERTY}$": schema.pop("additionalProperties")}
    schema["additionalProperties"] = False


class Block(BaseModel):
    """One mapping of the file: its keys and no others; `"5"` is no number, `true` no integer, nothing no value."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_nothing(cls, value: Any) -> Any:
        if value is None:
            raise wrong("this key has no value; give it one or take the line out")
        return value


class InputBlock(Block):
    """How one input of the model is fed."""

    shape: Maybe[list[Count]] = Field(
        default=None,
        description="One request at batch size 1, such as [1, 3, 224, 224]. Default: the model's own shape.",
    )
    layout: Maybe[Layout] = Field(
        default=None,
        description="One letter a dimension; N is the batch, as in NCHW. Default: what the model says.",
    )
    range: Range = Field(default=[0.0, 1.0], description="The random data: [low, high). Integer inputs take both ends.")


class ModelBlock(Block):
    """What is run."""

    path: ModelPath = Field(
        description="A file, relative to this one; `package:FOLDER/FILE` in an installed package; or `builtin:mlp`.",
    )
    inputs: dict[str, InputBlock] = Field(default={}, description="Input name -> shape, layout and range of its data.")
    assume_batch_legal: bool = Field(
        default=False,
        description="Batch although no output proves it right, for models whose outputs do not depend on their input.",
    )


class LimitBlock(Block):
    """The bounds of one metric; at least one."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    min: Maybe[Positive] = Field(default=None, description="At least this, in the metric's unit.")
    max: Maybe[Positive] = Field(default=None, description="At most this, in the metric's unit.")
    min_ratio: Maybe[Positive] = Field(default=None, description="At least this times the best baseline.")
    max_ratio: Maybe[Positive] = Field(default=None, description="At most this times the best baseline.")


class DirectionBlock(Block):
    """One of several objectives: one of maximize and minimize."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["maximize"]}, {"required": ["minimize"]}]},
    )

    maximize: Maybe[str] = Field(
        default=None, description="A metric that is better when higher.", json_schema_extra=_metrics(True)
    )
    minimize: Maybe[str] = Field(
        default=None, description="A metric that is better when lower.", json_schema_extra=_metrics(False)
    )


class ObjectiveBlock(DirectionBlock):
    """What is better: one of maximize and minimize."""

    subject_to: dict[str, LimitBlock] = Field(
        default={},
        description="Metric -> bounds that the chosen configuration must keep.",
        json_schema_extra={"propertyNames": {"enum": list(METRICS)}},
    )


class ArrivalsBlock(Block):
    """How fast requests arrive: one of rate_per_s and find_max."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["rate_per_s"]}, {"required": ["find_max"]}]},
    )

    rate_per_s: Maybe[Positive] = Field(default=None, description="Requests per second, one sample each.")
    find_max: Maybe[Literal[True]] = Field(
        default=None, description="Look for the largest rate that keeps the limits: `maximize: max_rate_per_s`."
    )


class LoadBlock(Block):
    """Requests that arrive whether or not others have been answered; latency counts from the arrival."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["poisson"]}, {"required": ["constant"]}]},
    )

    poisson: Maybe[ArrivalsBlock] = Field(default=None, description="Independent of each other, as many users are.")
    constant: Maybe[ArrivalsBlock] = Field(default=None, description="Evenly spaced, as a camera's frames are.")


class BaselineBlock(Block):
    """A configuration as it runs today: OpenVINO properties in UPPER_CASE, batch_size and infer_requests."""

    model_config = ConfigDict(extra="allow", json_schema_extra=_only_own_and_properties)
    __pydantic_extra__: dict[str, SetValue] = Field(init=False)

    batch_size: Count = Field(default=1, description="Samples in one request.")
    infer_requests: Maybe[Count] = Field(
        default=None, description="Requests in flight. Default: as many as the compiled model suggests."
    )
    replicas: Maybe[Count] = Field(default=None, description="Identical processes. Default: those of the deployment.")
    affinity: Maybe[Literal["shared", "split"]] = Field(
        default=None, description="Whether replicas share the CPUs, the default, or split them among them."
    )


class DeploymentBlock(Block):
    """The conditions of the deployment, under which everything is measured. Default: those of this process."""

    cpus: Maybe[Positive] = Field(
        default=None, description="CPU quota of each replica, in CPUs, as `docker run --cpus` or a pod's limit."
    )
    cpuset: Maybe[CpuSet] = Field(
        default=None, description="The CPUs that all replicas share or split: `0-3`, `0,2` or [0, 2]."
    )
    memory: Maybe[Memory] = Field(default=None, description="Memory limit of each replica: `512M`, `1GiB`, or bytes.")
    replicas: Annotated[Count, BeforeValidator(_replicas)] = Field(
        default=1, description="Identical processes that serve on this host at the same time."
    )
    background: Maybe[Command] = Field(
        default=None, description="A shell command that loads the host while everything is measured."
    )


class ParameterBlock(Block):
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


class SpaceBlock(Block):
    """What is tried: parameters in the order they are asked. UPPER_CASE is an OpenVINO property, passed on verbatim."""

    model_config = ConfigDict(extra="allow", json_schema_extra=_only_own_and_properties)
    __pydantic_extra__: dict[str, ParameterBlock] = Field(init=False)

    extends: Maybe[Literal["auto"]] = Field(
        default=None, description="Start from the automatic space; the parameters given here replace or join its own."
    )
    batch_size: Maybe[ParameterBlock] = Field(default=None, description="Samples in one request.")
    infer_requests: Maybe[ParameterBlock] = Field(
        default=None, description="Requests in flight; null is as many as the compiled model suggests."
    )
    replicas: Maybe[ParameterBlock] = Field(
        default=None, description="Identical processes that serve at the same time."
    )
    affinity: Maybe[ParameterBlock] = Field(
        default=None, description="shared: every replica uses all CPUs; split: each a part of its own."
    )


class BudgetBlock(Block):
    """When to stop, in total over all resumes; whichever ends first. At least one."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    minutes: Maybe[Positive] = Field(default=None, description="Wall time.")
    trials: Maybe[Count] = Field(default=None, description="Candidates measured.")


class SearchBlock(Block):
    """How candidates are proposed."""

    seed: int = Field(default=0, ge=0, le=MAX_SEED, description="Seed of the sampler and of the random inputs.")
    sampler: SamplerName = Field(default="auto", description="auto races small spaces and samples large ones.")


class DecisionBlock(Block):
    """When a gain counts."""

    min_gain_pct: float = Field(
        default=1.0, ge=0, description="A smaller gain than this is not worth a change, in percent."
    )


class StudyBlock(Block):
    """A study of `tuner run`: one model, one device, one objective or several."""

    model_config = ConfigDict(
        title="tuner study file",
        json_schema_extra={
            "oneOf": [
                {"required": ["objective"], "not": {"required": ["subject_to"]}},
                {"required": ["objectives"]},
            ]
        },
    )

    schema_version: Annotated[int, AfterValidator(_version)] = Field(
        description="The version of this file format.", json_schema_extra={"const": SCHEMA_VERSION}
    )
    name: Maybe[Name] = Field(
        default=None,
        description="The folder under results/. Default: the name of this file.",
    )
    model: Annotated[ModelBlock, BeforeValidator(_model, json_schema_input_type=str | ModelBlock)] = Field(
        description="The model: its path, or a mapping of path and inputs."
    )
    device: Device = Field(
        description="The device as OpenVINO names it: CPU, GPU, GPU.0, NPU, AUTO:GPU,CPU.",
    )
    objective: Maybe[ObjectiveBlock] = Field(default=None, description="What is better, and what must be kept.")
    objectives: Maybe[list[DirectionBlock]] = Field(
        default=None,
        description="Instead of `objective`, two to four: the study ends with a front. The first one chooses the "
        "baseline that everything is compared with.",
        json_schema_extra={"minItems": OBJECTIVES[0], "maxItems": OBJECTIVES[1]},
    )
    subject_to: dict[str, LimitBlock] = Field(
        default={},
        description="Beside `objectives`: metric -> bounds that every point of the front must keep.",
        json_schema_extra={"propertyNames": {"enum": list(METRICS)}},
    )
    baselines: dict[str, BaselineBlock] = Field(
        default={},
        description="Your own configurations by name, measured beside default, LATENCY and THROUGHPUT.",
        json_schema_extra={"propertyNames": {"pattern": f"^{SAFE_NAME}$", "not": {"enum": list(RESERVED_BASELINES)}}},
    )
    space: Annotated[SpaceBlock, BeforeValidator(_space, json_schema_input_type=Literal["auto"] | SpaceBlock)] = Field(
        default_factory=lambda: SpaceBlock.model_validate({"extends": "auto"}),
        description="`auto`, or a mapping of parameters.",
        json_schema_extra={"default": "auto"},
    )
    deployment: Maybe[DeploymentBlock] = Field(
        default=None, description="The conditions of the deployment. Default: those of this process."
    )
    budget: BudgetBlock = Field(description="When to stop: minutes, trials or both.")
    load: Annotated[LoadBlock, BeforeValidator(_load, json_schema_input_type=Literal["closed_loop"] | LoadBlock)] = (
        Field(
            default_factory=LoadBlock,
            description="`closed_loop`: a request starts when another has ended; or how requests arrive by themselves.",
            json_schema_extra={"default": "closed_loop"},
        )
    )
    search: SearchBlock = Field(default_factory=SearchBlock, description="How candidates are proposed.")
    decision: DecisionBlock = Field(default_factory=DecisionBlock, description="When a gain counts.")


_ANY_NAME = "*"
_BLOCKS: dict[NodePath, type[Block]] = {
    (): StudyBlock,
    ("model",): ModelBlock,
    ("model", "inputs", _ANY_NAME): InputBlock,
    ("objective",): ObjectiveBlock,
    ("objective", "subject_to", _ANY_NAME): LimitBlock,
    ("objectives", _ANY_NAME): DirectionBlock,
    ("subject_to", _ANY_NAME): LimitBlock,
    ("space", _ANY_NAME): ParameterBlock,
    ("deployment",): DeploymentBlock,
    ("budget",): BudgetBlock,
    ("load",): LoadBlock,
    ("load", _ANY_NAME): ArrivalsBlock,
    ("search",): SearchBlock,
    ("decision",): DecisionBlock,
}


def keys_at(path: NodePath) -> tuple[str, ...]:
    """The keys that the mapping at `path` may have."""
    for pattern, block in _BLOCKS.items():
        if len(pattern) == len(path) and all(p in (_ANY_NAME, step) for p, step in zip(pattern, path, strict=True)):
            return tuple(block.model_fields)
    return ()


def json_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of study files, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_without_null(StudyBlock.model_json_schema())}


def _without_null(schema: Any) -> Any:
    """A key that is left out has no value, where pydantic writes `default: null`."""
    if isinstance(schema, list):
        return [_without_null(part) for part in schema]
    if isinstance(schema, dict):
        return {key: _without_null(part) for key, part in schema.items() if (key, part) != ("default", None)}
    return schema
