"""Defines the shape of a study file as a whole: its sections by path, for reading and for editors.

Responsible for which section stands where. Must not know the rules inside a section, nor those between sections.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from tuner.bench.metrics import METRICS
from tuner.study.file.arrivals_section import ArrivalsSection, LoadSection
from tuner.study.file.deployment_section import DeploymentSection
from tuner.study.file.objective_section import (
    FEWEST_OBJECTIVES,
    MOST_OBJECTIVES,
    DirectionSection,
    LimitSection,
    MetricName,
    Objectives,
    ObjectiveSection,
)
from tuner.study.file.problems import listed, shown
from tuner.study.file.scalars import SAFE_NAME, Device, Maybe, Name, is_safe_name, wrong
from tuner.study.file.sections import (
    BASELINE,
    Baseline,
    BudgetSection,
    DecisionSection,
    InputSection,
    ModelSection,
    SearchSection,
    Section,
    rule,
)
from tuner.study.file.space_section import ParameterSection, SpaceSection
from tuner.yaml_text import NodePath

SCHEMA_VERSION = 1
"""Version of the file format that this program reads."""

RESERVED_BASELINES = ("default", "LATENCY", "THROUGHPUT")
"""Names of the baselines that every study has."""


def _version(given: int) -> int:
    # Not a Literal, to which `true` is 1.
    if given != SCHEMA_VERSION:
        raise wrong(f"this tuner reads schema_version {SCHEMA_VERSION}")
    return given


def _baseline_name(name: str) -> str:
    if name in RESERVED_BASELINES:
        raise rule(f"every study has the baselines {listed(RESERVED_BASELINES)}; give yours another name")
    if not is_safe_name(name):
        raise rule(f"{shown(name)} is no plain name (letters, digits, `.`, `_` and `-`)")
    return name


def _or_short(form: dict[str, Any], **more: Any) -> Callable[[dict[str, Any]], None]:
    """Returns what makes the JSON schema of a section allow a short form as well.

    The argument `json_schema_input_type` of a validator says the same, but ends in a KeyError with pydantic 2.10 and
    2.11.
    """

    def allow(schema: dict[str, Any]) -> None:
        section = {"$ref": schema.pop("$ref")}
        schema.update({"anyOf": [form, section], **more})

    return allow


class StudySection(Section):
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
    model: Annotated[ModelSection, BeforeValidator(ModelSection.expanded)] = Field(
        description="The model: its path, or a mapping of path and inputs.",
        json_schema_extra=_or_short({"type": "string"}),
    )
    device: Device = Field(
        description="The device as OpenVINO names it: CPU, GPU, GPU.0, NPU, AUTO:GPU,CPU.",
    )
    objective: Maybe[ObjectiveSection] = Field(default=None, description="What is better, and what must be kept.")
    objectives: Maybe[Objectives] = Field(
        default=None,
        description="Instead of `objective`, two to four: the study ends with a front. The first one chooses the "
        "baseline that everything is compared with.",
        json_schema_extra={"minItems": FEWEST_OBJECTIVES, "maxItems": MOST_OBJECTIVES},
    )
    subject_to: dict[MetricName, LimitSection] = Field(
        default={},
        description="Beside `objectives`: metric -> bounds that every point of the front must keep.",
        json_schema_extra={"propertyNames": {"enum": list(METRICS)}},
    )
    baselines: dict[Annotated[str, AfterValidator(_baseline_name)], Baseline] = Field(
        default={},
        description="Your own configurations by name, measured beside default, LATENCY and THROUGHPUT.",
        json_schema_extra={"propertyNames": {"pattern": f"^{SAFE_NAME}$", "not": {"enum": list(RESERVED_BASELINES)}}},
    )
    space: Annotated[SpaceSection, BeforeValidator(SpaceSection.expanded)] = Field(
        default_factory=lambda: SpaceSection.model_validate({"extends": "auto"}),
        description="`auto`, or a mapping of parameters.",
        json_schema_extra=_or_short({"const": "auto", "type": "string"}, default="auto"),
    )
    deployment: DeploymentSection = Field(
        default_factory=DeploymentSection,
        description="The conditions of the deployment. Default: those of this process.",
    )
    budget: BudgetSection = Field(description="When to stop: minutes, trials or both.")
    load: Annotated[LoadSection, BeforeValidator(LoadSection.expanded)] = Field(
        default_factory=LoadSection.model_construct,
        description="`closed_loop`: a request starts when another has ended; or how requests arrive by themselves.",
        json_schema_extra=_or_short({"const": "closed_loop", "type": "string"}, default="closed_loop"),
    )
    search: SearchSection = Field(default_factory=SearchSection, description="How candidates are proposed.")
    decision: DecisionSection = Field(default_factory=DecisionSection, description="When a gain counts.")


_ANY_NAME, _ANY_ITEM = "*", -1

_SECTIONS: dict[NodePath, type[Section] | None] = {
    (): StudySection,
    ("model",): ModelSection,
    ("model", "inputs", _ANY_NAME): InputSection,
    ("objective",): ObjectiveSection,
    ("objective", "subject_to", _ANY_NAME): LimitSection,
    ("objectives", _ANY_ITEM): DirectionSection,
    ("subject_to", _ANY_NAME): LimitSection,
    ("baselines", _ANY_NAME): BASELINE,
    ("space",): SpaceSection,
    ("space", "extends"): None,
    ("space", _ANY_NAME): ParameterSection,
    ("deployment",): DeploymentSection,
    ("budget",): BudgetSection,
    ("load",): LoadSection,
    ("load", "steps"): None,
    ("load", _ANY_NAME): ArrivalsSection,
    ("search",): SearchSection,
    ("decision",): DecisionSection,
}


def section_at(path: NodePath) -> type[Section] | None:
    """Returns the section that stands at `path` of a study file, None where there is none."""
    for pattern, section in _SECTIONS.items():
        if len(pattern) == len(path) and all(map(_is_match, pattern, path)):
            return section
    return None


def _is_match(part: str | int, step: str | int) -> bool:
    return part == step or part == (_ANY_NAME if isinstance(step, str) else _ANY_ITEM)


def json_schema() -> dict[str, Any]:
    """Returns the JSON schema (draft 2020-12) of study files, for editors."""
    schema = _without_null(StudySection.model_json_schema())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _without_null(schema: Any) -> Any:
    """Returns the schema without the `default: null` that pydantic writes for a key that may be left out."""
    if isinstance(schema, list):
        return [_without_null(part) for part in schema]
    if isinstance(schema, dict):
        return {key: _without_null(part) for key, part in schema.items() if (key, part) != ("default", None)}
    return schema
