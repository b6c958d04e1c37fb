"""The blocks of a study file: the keys of each mapping, their types and what they mean.

Knows one mapping at a time; what needs two keys to be judged is with the readers of the sections.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from tuner.bench.metrics import METRICS
from tuner.study.study import SamplerName
from tuner.study.value import (
    MAX_SEED,
    PROPERTY,
    Choices,
    Command,
    Count,
    CpuSet,
    Layout,
    Maybe,
    Memory,
    ModelPath,
    Number,
    Positive,
    Range,
    SetValue,
    WhenValues,
    wrong,
)


def _replicas(given: Any) -> Any:
    if isinstance(given, dict | list):
        raise wrong("to search it, make it a parameter of the space: `space: {replicas: {choices: [1, 2, 4]}}`")
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

    minutes: Maybe[Annotated[float, Field(ge=0.1)]] = Field(default=None, description="Wall time; as `--minutes`.")
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
