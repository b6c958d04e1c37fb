"""The `load` section of a study file: its rules, its demands on other sections, and the values it becomes.

Responsible for what a file says of arriving requests and of callers. Must not know how they are served.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from pydantic import ConfigDict, Field

from tuner.bench.loadgen.arrivals import LOADS
from tuner.bench.measurement import ArrivalProcess
from tuner.bench.metrics import BACKLOG_AT_MOST_PCT, LOAD_AT_MOST_PCT, METRICS, Requirement
from tuner.study.file.objective_section import DIRECTIONS, LimitSection, ObjectiveSection
from tuner.study.file.problems import ProblemList, listed
from tuner.study.file.scalars import Callers, Count, Maybe, Positive, wrong
from tuner.study.file.sections import BaselineSection, Faults, Section, absent, at_key, one_of
from tuner.study.file.space_section import SpaceSection
from tuner.study.study import Limit, Objective
from tuner.yaml_text import NodePath

CLOSED_LOOP = "closed_loop"
"""Short form of the load without arrivals."""

CALLERS = "callers"
"""Key of the number of callers."""

MAX_RATE = "max_rate_per_s"
"""Metric of a study that looks for the largest rate."""

OF_ARRIVALS = ("backlog_pct", "load_pct")
"""Metrics that only arriving requests have."""

STABLE = (Limit(metric="backlog_pct", max=BACKLOG_AT_MOST_PCT), Limit(metric="load_pct", max=LOAD_AT_MOST_PCT))
"""Limits of every study under a given rate.

A configuration that cannot keep up is no answer, whatever its latency was during the few seconds of a window.
"""

ONE_SAMPLE = "a request that arrives is one sample: under this load batch_size is 1"
"""Message about a batch under arriving requests."""

ONE_SAMPLE_A_CALLER = "a caller sends one sample and waits for its answer: under `callers` batch_size is 1"
"""Message about a batch under a number of callers."""

OWN_REQUEST = "each caller has a request of its own, called synchronously: under `callers` leave infer_requests out"
"""Message about a number of requests under a number of callers."""


class ArrivalsSection(Section):
    """The rate at which requests arrive: one of rate_per_s and find_max."""

    model_config = ConfigDict(json_schema_extra=one_of("rate_per_s", "find_max"))

    rate_per_s: Maybe[Positive] = Field(default=None, description="Requests per second, one sample each.")
    find_max: Maybe[Literal[True]] = Field(
        default=None, description="Look for the largest rate that keeps the limits: `maximize: max_rate_per_s`."
    )

    def _faults(self) -> Faults:
        if len(self.model_fields_set) == 2:
            yield at_key("arrivals have one of rate_per_s and find_max", "find_max")
        if not self.model_fields_set:
            yield absent("arrivals need one of rate_per_s and find_max, such as `rate_per_s: 120`")


class LoadSection(Section):
    """The callers or the arrivals of requests, and the steps of a conversation with a model that keeps a state."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [{"required": [key]} for key in ("callers", "poisson", "constant", "steps")],
            "not": {
                "anyOf": [
                    {"required": list(pair)} for pair in itertools.combinations(("callers", "poisson", "constant"), 2)
                ]
            },
        }
    )

    poisson: Maybe[ArrivalsSection] = Field(default=None, description="Independent of each other, as many users are.")
    constant: Maybe[ArrivalsSection] = Field(default=None, description="Evenly spaced, as a camera's frames are.")
    callers: Maybe[Callers] = Field(
        default=None,
        description="Synchronous callers, each waiting for its answer; of several numbers the answer holds for the "
        "worst.",
    )
    steps: Maybe[Count] = Field(
        default=None,
        description="Inferences of a conversation: each request of a model with a state empties it after so many.",
    )

    @property
    def arrivals(self) -> ArrivalsSection | None:
        """The section of the pattern that is given, None for the closed loop."""
        return self.poisson or self.constant

    @classmethod
    def expanded(cls, given: Any) -> Any:
        """Returns the closed loop, a section without a pattern, for its name. Raises the error of another text."""
        if not isinstance(given, str):
            return given
        if given != CLOSED_LOOP:
            raise wrong(f"expected `{CLOSED_LOOP}` or a pattern of arrivals, such as {{poisson: {{rate_per_s: 120}}}}")
        return cls.model_construct()

    def _faults(self) -> Faults:
        names = [name for name in self._context.keys if name in (*LOADS, CALLERS)]
        if len(names) > 1 and CALLERS in names:
            yield at_key(f"callers wait for their answers, arrivals do not; {names[0]} is already given", names[1])
        elif len(names) > 1:
            yield at_key(f"a load has one pattern; {names[0]} is already given", names[1])
        if not names and self.steps is None:
            patterns = listed(list(LOADS))
            yield absent(f"the load needs callers or a pattern: {patterns}; or write `load: {CLOSED_LOOP}`")


def check_load(
    problems: ProblemList,
    load: LoadSection,
    objective: ObjectiveSection | None,
    *,
    space: SpaceSection,
    baselines: Mapping[str, BaselineSection],
) -> None:
    """Reports what the load demands of objective, space and baselines; nothing for a load that is wrong itself."""
    if "load" in problems.document.value and not problems.is_right(("load",)):
        return
    arrivals = load.arrivals
    if objective is not None:
        _check_metrics(problems, arrivals, objective)
    if load.callers is not None:
        _refuse_starts(problems)
        _check_batches(problems, space, baselines, ONE_SAMPLE_A_CALLER)
        for path in _named("infer_requests", space, baselines):
            problems.at_key(path, OWN_REQUEST)
    if arrivals is None:
        return
    if problems.find(("objectives",)) is not None:
        problems.at_key(("load",), "several objectives go with the closed loop alone; give one `objective`")
    _check_batches(problems, space, baselines, ONE_SAMPLE)


def _refuse_starts(problems: ProblemList) -> None:
    """Reports metrics of a start under callers, wherever they stand: nothing calls while a process starts."""
    several = problems.find(("objectives",))
    places: list[NodePath] = [("objective",)]
    places += [("objectives", i) for i in range(len(several) if isinstance(several, list) else 0)]
    names = {(*place, key): problems.find((*place, key)) for place in places for key in DIRECTIONS}
    for place in (("objective", "subject_to"), ("subject_to",)):
        limits = problems.find(place)
        names |= {(*place, name): name for name in (limits if isinstance(limits, Mapping) else ())}
    for path, name in names.items():
        row = METRICS.get(name) if isinstance(name, str) else None
        if row is not None and Requirement.COLD_START in row.requires and problems.is_right(path):
            problems.at_key(path, f"{name} is about the start of a process, before any call; leave the callers out")


def _named(name: str, space: SpaceSection, baselines: Mapping[str, BaselineSection]) -> list[NodePath]:
    """Returns the paths at which space and baselines name a parameter of our own."""
    paths: list[NodePath] = [("space", name)] if name in space.parameters else []
    given = (baseline for baseline, one in baselines.items() if one.own(name) is not None)
    return [*paths, *(("baselines", baseline, name) for baseline in given)]


def _check_metrics(problems: ProblemList, arrivals: ArrivalsSection | None, objective: ObjectiveSection) -> None:
    for key, name in objective.metrics.items():
        path: NodePath = ("objective", key)
        if problems.is_right(path) and (message := _refused_metric(name, arrivals, None)):
            problems.at_value(path, message)
    limits = {("objective", "subject_to", name): (name, limit) for name, limit in objective.subject_to.items()}
    right = {path: limit for path, limit in limits.items() if problems.is_right(path)}
    for path, (name, limit) in right.items():
        if message := _refused_metric(name, arrivals, limit):
            problems.at_key(path, message)
    if arrivals is not None and arrivals.find_max and not right and problems.is_right(("objective",)):
        message = "find_max needs a latency limit, such as `subject_to: {latency_p95_ms: {max: 50}}`"
        problems.at_key(("objective",), message)


def _refused_metric(name: str, arrivals: ArrivalsSection | None, limit: LimitSection | None) -> str:
    """Returns why a metric cannot be a limit; an empty text if it can.

    `limit` is None for a metric that is the objective.
    """
    finds_max = arrivals is not None and arrivals.find_max is True
    if name == MAX_RATE and not finds_max:
        return f"{MAX_RATE} is what `load: {{poisson: {{find_max: true}}}}` looks for; this load does not"
    if name == MAX_RATE and limit is not None:
        return f"{MAX_RATE} is the objective here and no limit"
    if name in OF_ARRIVALS and arrivals is None:
        return f"{name} needs requests that arrive by themselves, such as `load: {{poisson: {{rate_per_s: 120}}}}`"
    if Requirement.COLD_START in METRICS[name].requires and arrivals is not None:
        return f"{name} is about the start of a process, before any request arrives; leave the load out"
    if name == "throughput" and limit is None and arrivals is not None:
        return "under arriving requests the throughput is the rate they arrive at; minimize a latency instead"
    if finds_max and limit is None and name != MAX_RATE:
        return f"with find_max the objective is `maximize: {MAX_RATE}`"
    is_latency_maximum = limit is not None and name.startswith("latency_") and limit.model_fields_set == {"max"}
    if finds_max and limit is not None and not is_latency_maximum:
        return "with find_max the limits are `max` of latencies, which every rate is tried against"
    return ""


def _check_batches(
    problems: ProblemList, space: SpaceSection, baselines: Mapping[str, BaselineSection], message: str
) -> None:
    """Reports batches: each request is one sample, and a server that waits to fill a batch is another system."""
    given: dict[NodePath, list[Any]] = {}
    if (parameter := space.parameters.get("batch_size")) is not None:
        path: NodePath = ("space", "batch_size")
        given = {(*path, "choices"): parameter.choices or [], (*path, "low"): [parameter.low]}
        given[*path, "high"] = [parameter.high]
    given |= {("baselines", name, "batch_size"): [one.own("batch_size")] for name, one in baselines.items()}
    for path, sizes in given.items():
        if any(isinstance(size, int) and size > 1 for size in sizes) and problems.is_right(path):
            problems.at_value(path, message)


def callers_of(section: LoadSection) -> tuple[int, ...]:
    """Returns the numbers of callers, ascending; empty if the file states none."""
    return section.callers or ()


def load_of(section: LoadSection, objective: ObjectiveSection | None) -> ArrivalProcess | None:
    """Returns how requests arrive, None for the closed loop; the largest rate is looked for within the limits."""
    for pattern in LOADS:
        arrivals: ArrivalsSection | None = getattr(section, pattern)
        if arrivals is not None:
            limits = objective.subject_to.items() if arrivals.find_max and objective is not None else ()
            keep = tuple((name, limit.max) for name, limit in limits if limit.max is not None)
            return ArrivalProcess(pattern=pattern, rate_per_s=arrivals.rate_per_s, keep=keep)
    return None


def objective_under(objective: Objective, load: LoadSection) -> Objective:
    """Returns the objective with the limits of a stable queue.

    A search for the largest rate keeps its limits by itself.
    """
    if load.arrivals is None:
        return objective
    if load.arrivals.find_max:
        return replace(objective, limits=())
    named = {limit.metric for limit in objective.limits}
    return replace(objective, limits=(*objective.limits, *(limit for limit in STABLE if limit.metric not in named)))
