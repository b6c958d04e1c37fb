"""The objectives of a study file and their limits: sections, the rules between them, and the values they become.

Responsible for `objective`, `objectives` and `subject_to`. Must not know how requests arrive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from tuner.bench.metrics import METRICS
from tuner.study.file.problems import ProblemList, listed, unknown
from tuner.study.file.scalars import Maybe, Positive
from tuner.study.file.sections import Faults, Section, absent, at_key, at_value, one_of, refuse, rule
from tuner.study.study import Limit, Objective
from tuner.yaml_text import NodePath

FEWEST_OBJECTIVES, MOST_OBJECTIVES = 2, 4
"""Number of entries of `objectives`. With five objectives nearly every configuration is on the front."""

DIRECTIONS = ("maximize", "minimize")


def known_metric(name: str) -> str:
    """Returns the name of a metric. Raises the error of a name that METRICS does not hold."""
    if name not in METRICS:
        raise rule(unknown("metric", name, list(METRICS)))
    return name


MetricName = Annotated[str, AfterValidator(known_metric)]


def _metrics(is_higher_better: bool) -> dict[str, Any]:
    return {"enum": [m.name for m in METRICS.values() if m.is_higher_better == is_higher_better]}


class LimitSection(Section):
    """The bounds of one metric; at least one."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    min: Maybe[Positive] = Field(default=None, description="At least this, in the metric's unit.")
    max: Maybe[Positive] = Field(default=None, description="At most this, in the metric's unit.")
    min_ratio: Maybe[Positive] = Field(default=None, description="At least this times the best baseline.")
    max_ratio: Maybe[Positive] = Field(default=None, description="At most this times the best baseline.")

    def _faults(self) -> Faults:
        if not self.model_fields_set:
            yield absent(f"{self._context.name} needs a bound: {listed(list(type(self).model_fields))}")
        for low_key, high_key in (("min", "max"), ("min_ratio", "max_ratio")):
            low, high = getattr(self, low_key), getattr(self, high_key)
            if low is not None and high is not None and low > high:
                yield at_value(f"no value keeps both bounds: {low_key} {low:g}, {high_key} {high:g}", low_key)


class DirectionSection(Section):
    """One of several objectives: one of maximize and minimize."""

    model_config = ConfigDict(json_schema_extra=one_of("maximize", "minimize"))

    maximize: Maybe[MetricName] = Field(
        default=None, description="A metric that is better when higher.", json_schema_extra=_metrics(True)
    )
    minimize: Maybe[MetricName] = Field(
        default=None, description="A metric that is better when lower.", json_schema_extra=_metrics(False)
    )

    @property
    def metrics(self) -> dict[str, str]:
        """The metric of each direction that is given: one in a section that is right."""
        return {key: name for key in DIRECTIONS if (name := getattr(self, key)) is not None}

    def _faults(self) -> Faults:
        given = [key for key in self._context.keys if key in DIRECTIONS]
        if len(given) == 2:
            message = "an objective has one of maximize and minimize; what must be kept goes under subject_to"
            yield at_key(message, given[1])
        if not given:
            yield absent("the objective needs one of maximize and minimize, such as `maximize: throughput`")
        for key, name in self.metrics.items():
            better, right = ("higher", "maximize") if METRICS[name].is_higher_better else ("lower", "minimize")
            if key != right:
                yield at_key(f"{name} is better when {better}; write `{right}: {name}`", key)


class ObjectiveSection(DirectionSection):
    """The objective: one of maximize and minimize."""

    subject_to: dict[MetricName, LimitSection] = Field(
        default={},
        description="Metric -> bounds that the chosen configuration must keep.",
        json_schema_extra={"propertyNames": {"enum": list(METRICS)}},
    )


def _several(sections: list[DirectionSection]) -> list[DirectionSection]:
    refuse(_faults_of_several(sections))
    return sections


def _faults_of_several(sections: Sequence[DirectionSection]) -> Faults:
    few, most = FEWEST_OBJECTIVES, MOST_OBJECTIVES
    if len(sections) < few:
        yield at_value(f"several objectives are {few} to {most}; one stands under `objective:`")
    elif len(sections) > most:
        yield at_value(f"at most {most} objectives, got {len(sections)}; others may be limits")
    seen: set[str] = set()
    for i, section in enumerate(sections):
        for key, name in section.metrics.items():
            if name in seen:
                yield at_value(f"{name} is one of the objectives already", i, key)
            seen.add(name)


Objectives = Annotated[list[DirectionSection], AfterValidator(_several)]
"""Type of the objectives of a study that ends with a front."""


def check_objectives(problems: ProblemList) -> None:
    """Reports the rules between `objective`, `objectives` and the limits beside several."""
    keys = [key for key in ("objective", "objectives") if key in problems.document.value]
    if not keys and not problems.is_misspelt(("objective",)):
        problems.at_key((), "key `objective` is missing")
    if len(keys) == 2:
        problems.at_key(("objectives",), "a study has either one `objective` or several `objectives`; take one out")
    if "subject_to" in problems.document.value and "objectives" not in keys:
        problems.at_key(("subject_to",), "the limits beside one objective stand inside it, under `objective:`")
    _refuse_contradictions(problems, ("objective", "subject_to"), _named(problems, "objective"))
    _refuse_contradictions(problems, ("subject_to",), _named(problems, "objectives"))


def _named(problems: ProblemList, key: str) -> list[str]:
    """Returns the metrics of the objective or the objectives under a key of the file, whatever is wrong with it."""
    found = problems.find((key,))
    sections = [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, Mapping)]
    names = [one.get(direction) for one in sections for direction in DIRECTIONS]
    return [name for name in names if isinstance(name, str) and name in METRICS]


def _refuse_contradictions(problems: ProblemList, path: NodePath, metrics: Sequence[str]) -> None:
    """Reports limits on an objective itself that keep it from getting better."""
    limits = problems.find(path)
    for name in metrics:
        bounds = limits.get(name) if isinstance(limits, Mapping) else None
        wrong, better = ("max", "higher") if METRICS[name].is_higher_better else ("min", "lower")
        for key in (wrong, f"{wrong}_ratio"):
            if isinstance(bounds, Mapping) and key in bounds and problems.is_right((*path, name)):
                message = f"{key} contradicts the objective, which wants {name} {better}; take this bound out"
                problems.at_key((*path, name, key), message)


def objective_of(sections: Sequence[DirectionSection], limits: Mapping[str, LimitSection]) -> Objective:
    """Returns the objective of sections that are right, with its limits; the first one chooses the reference."""
    metric, *others = [name for section in sections for name in section.metrics.values()]
    bounds = tuple(Limit(metric=name, **limit.model_dump()) for name, limit in limits.items())
    return Objective(metric=metric, limits=bounds, others=tuple(others))
