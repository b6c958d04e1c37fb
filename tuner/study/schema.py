"""The shape of a study file as a whole: its sections, for reading and for editors; what each holds is in `block.py`.

Rules between keys (one of maximize and minimize, parameters above, ...) are with the readers of the sections.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from tuner.bench.metrics import METRICS
from tuner.study.block import (
    ArrivalsBlock,
    BaselineBlock,
    Block,
    BudgetBlock,
    DecisionBlock,
    DeploymentBlock,
    DirectionBlock,
    InputBlock,
    LimitBlock,
    LoadBlock,
    ModelBlock,
    ObjectiveBlock,
    ParameterBlock,
    SearchBlock,
    SpaceBlock,
)
from tuner.study.document import NodePath
from tuner.study.value import (
    SAFE_NAME,
    Device,
    Maybe,
    Name,
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
