"""A study as values, which `load_study` returns and every phase reads. Every field is valid once it exists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tuner.bench.configuration import Affinity, Calls, Conditions, PropertyValue
from tuner.bench.measurement import ArrivalProcess
from tuner.bench.metrics import METRICS, Metric, Requirement
from tuner.model.spec import ModelSpec
from tuner.study.space import Parameter

SamplerName = Literal["auto", "race", "tpe", "gp", "random", "grid"]

OUTPUT_PROPERTIES = (
    "INFERENCE_PRECISION_HINT",
    "EXECUTION_MODE_HINT",
    "KV_CACHE_PRECISION",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE",
    "CPU_SPARSE_WEIGHTS_DECOMPRESSION_RATE",
)
"""Properties that change the results of the model, not only its speed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One entry of `subject_to`. Bounds that are None do not apply; ratios are to the best baseline."""

    metric: str
    min: float | None = None
    max: float | None = None
    min_ratio: float | None = None
    max_ratio: float | None = None

    @property
    def row(self) -> Metric:
        """The metric that is limited."""
        return METRICS[self.metric]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """One metric, or several, to improve within limits."""

    metric: str
    """Name of the (first) metric, by which the reference is chosen."""
    limits: tuple[Limit, ...] = ()
    others: tuple[str, ...] = ()
    """Names of the metrics after the first; a study that has them ends with a front."""

    @property
    def row(self) -> Metric:
        """The (first) metric."""
        return METRICS[self.metric]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of all metrics to improve."""
        return (self.metric, *self.others)

    @property
    def rows(self) -> tuple[Metric, ...]:
        """All metrics to improve."""
        return tuple(METRICS[name] for name in self.metrics)

    @property
    def has_several(self) -> bool:
        """True if there are several metrics to improve."""
        return bool(self.others)

    @property
    def is_latency(self) -> bool:
        """True if every metric is a duration, of a request or of a cold start."""
        return all(row.kind in ("latency", "start-up") for row in self.rows)

    @property
    def is_single(self) -> bool:
        """True if a single caller sends requests synchronously.

        A study that also limits or maximizes throughput describes a server; a server keeps as many requests in flight
        as its configuration says.
        """
        return self.is_latency and all(limit.metric != "throughput" for limit in self.limits)

    @property
    def decided_by(self) -> tuple[Metric, ...]:
        """The metrics to improve, then those of the limits."""
        return (*self.rows, *(limit.row for limit in self.limits))

    def needs(self, requirement: Requirement) -> bool:
        """Returns True if a metric to improve or to limit needs a condition to be measured."""
        return any(requirement in row.requires for row in self.decided_by)


ServerName = Literal["ovms"]
"""Servers that set properties of a baseline by themselves: OpenVINO Model Server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineSpec:
    """A baseline of the study file: properties as they run today, with batch and requests."""

    properties: Mapping[str, PropertyValue]
    batch_size: int = 1
    infer_requests: int | None = None
    """Number of requests in flight; None for the number that the compiled model suggests."""
    replicas: int | None = None
    """Number of replicas; None for the number that the deployment has."""
    affinity: Affinity | None = None
    server: ServerName | None = None
    """Server that sets the properties that are left out; `with_servers` adds them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Totals over all resumes; the study ends at the first total that is reached. At least one is set."""

    minutes: float | None = None
    trials: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceSpec:
    """`auto` extended by `parameters`, or `parameters` alone. A later parameter of the same name replaces."""

    is_auto: bool
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Everything that a study file says."""

    name: str
    path: Path
    text: str
    """Text of the file, as it was read."""
    model: ModelSpec
    device: str
    objective: Objective
    space: SpaceSpec
    budget: Budget
    baselines: Mapping[str, BaselineSpec] = field(default_factory=dict)
    conditions: Conditions = field(default_factory=Conditions)
    seed: int = 0
    sampler: SamplerName = "auto"
    min_gain_pct: float = 1.0
    load: ArrivalProcess | None = None
    """Arrival process of the requests; None for a closed loop."""
    callers: tuple[int, ...] = ()
    """Numbers of synchronous callers, ascending, for the worst of which the answer holds; empty if none is stated."""

    @property
    def parameters_of_answers(self) -> tuple[str, ...]:
        """Names of the parameters in the space whose values change what the model answers, not only how fast."""
        return tuple(given.name for given in self.space.parameters if given.name in OUTPUT_PROPERTIES)

    @property
    def is_single(self) -> bool:
        """True if each caller sends one request at a time and waits for its answer; arriving requests may overlap."""
        return self.load is None and (self.objective.is_single or bool(self.callers))

    @property
    def means_one_caller(self) -> bool:
        """True if a latency objective means one caller by itself, because no load is stated."""
        return self.is_single and not self.callers and self.objective.row.kind == "latency"

    @property
    def most_callers(self) -> int | None:
        """Number of callers that wait for their answers, the largest of several; None if nothing waits."""
        return max(self.callers, default=1) if self.is_single else None

    @property
    def windows_per_block(self) -> int:
        """Number of windows that a member has in each block: one for each number of callers."""
        return max(1, len(self.callers))

    @property
    def has_own_processes(self) -> bool:
        """True if every member of a session has processes of its own."""
        given = self.conditions
        needs_own = self.objective.needs(Requirement.OWN_PROCESS)
        return given.replicas > 1 or given.memory_bytes is not None or needs_own

    def calls_of(self, requests: int | None) -> Calls:
        """Returns how a configuration is called; `requests` None means as many as its compiled model suggests.

        If latency alone matters, one request has a caller that waits for the answer. An asynchronous call would run the
        sending loop and the inference at the same time. Together they exceed a CPU quota (squeezenet under 1.0 CPUs:
        throttled in one period of four, p99 13 ms instead of 10).
        """
        if self.callers:
            return "sync"
        if self.load is not None or not self.objective.is_latency:
            return "async"
        if requests is None:
            return "by_requests"
        return "sync" if requests == 1 else "async"
