"""A study as values: what `load_study` returns and every phase reads. Every field is right once it exists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tuner.bench.configuration import Affinity, Calls, Conditions, PropertyValue
from tuner.bench.measurement import ArrivalProcess
from tuner.bench.metrics import METRICS, Metric
from tuner.model.spec import ModelSpec
from tuner.study.space import Parameter

SamplerName = Literal["auto", "race", "tpe", "gp", "random", "grid"]


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
        return METRICS[self.metric]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    metric: str
    """What the reference is chosen for; of several the one named first."""
    limits: tuple[Limit, ...] = ()
    others: tuple[str, ...] = ()
    """The metrics of a study with several objectives that are named after the first: it ends with a front."""

    @property
    def row(self) -> Metric:
        return METRICS[self.metric]

    @property
    def metrics(self) -> tuple[str, ...]:
        return (self.metric, *self.others)

    @property
    def rows(self) -> tuple[Metric, ...]:
        return tuple(METRICS[name] for name in self.metrics)

    @property
    def has_several(self) -> bool:
        return bool(self.others)

    @property
    def is_latency(self) -> bool:
        """Whether it is about the time that an answer takes, to a request or to the first of a start, and about nothing
        else."""
        return all(row.name.startswith("latency_") or row.needs_start_up for row in self.rows)

    @property
    def is_single(self) -> bool:
        """Whether one caller waits for each answer. A latency that must not cost throughput, as a limit or beside it as
        an objective, is that of a server, which keeps as many requests in flight as its configuration says."""
        return self.is_latency and all(limit.metric != "throughput" for limit in self.limits)

    @property
    def decided_by(self) -> tuple[Metric, ...]:
        """The rows of the objectives and of the limits."""
        return (*self.rows, *(limit.row for limit in self.limits))

    @property
    def needs_own_process(self) -> bool:
        return any(row.needs_own_process for row in self.decided_by)

    @property
    def needs_energy(self) -> bool:
        return any(row.needs_energy for row in self.decided_by)

    @property
    def needs_start_up(self) -> bool:
        return any(row.needs_start_up for row in self.decided_by)

    @property
    def needs_cache(self) -> bool:
        return any(row.needs_cache for row in self.decided_by)


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineSpec:
    """A baseline named by the study file: properties as they run today, with batch and requests where it says so."""

    properties: Mapping[str, PropertyValue]
    batch_size: int = 1
    infer_requests: int | None = None
    replicas: int | None = None
    """None: those of the deployment."""
    affinity: Affinity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Totals over all resumes; whichever ends first. At least one is set."""

    minutes: float | None = None
    trials: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceSpec:
    """`auto` extended by `parameters`, or `parameters` alone. A later parameter of the same name replaces."""

    is_auto: bool
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    name: str
    path: Path
    text: str
    """The file as it was read."""
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
    warnings: tuple[str, ...] = ()
    load: ArrivalProcess | None = None
    """How requests arrive; None: the closed loop."""

    @property
    def is_single(self) -> bool:
        """One request at a time, called synchronously: a latency objective of a caller who waits for each answer. Where
        requests arrive by themselves several are in flight."""
        return self.objective.is_single and self.load is None

    @property
    def has_own_processes(self) -> bool:
        """Whether every member of a session has processes of its own, and shares none with the others."""
        given = self.conditions
        return given.replicas > 1 or given.memory_bytes is not None or self.objective.needs_own_process

    def calls_of(self, requests: int | None) -> Calls:
        """How a configuration with so many requests in flight is called; None: as many as its compiled model suggests.

        Where latency alone is wanted, one request has a caller who waits for it. Sent asynchronously, the loop that
        sends and the inference run at the same time and exceed a CPU quota together (squeezenet under 1.0: throttled
        in one period of four, p99 13 ms instead of 10)."""
        if self.load is not None or not self.objective.is_latency:
            return "async"
        if requests is None:
            return "by_requests"
        return "sync" if requests == 1 else "async"
