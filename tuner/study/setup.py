"""What does not change while a study runs: the study with its space, and what host and device add to it.

Turns points of the space into configurations; knows no record and no bench.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tuner.bench.configuration import DeploymentConfig, PropertyValue
from tuner.study.baselines import baseline_configs
from tuner.study.configuration import to_configuration
from tuner.study.space import Assignment, Space
from tuner.study.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownNoise:
    """What an earlier study of today found on this host.

    `session_sd` is the standard deviation of session values (log-ratio), from `df` of them.
    """

    session_sd: float
    df: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySetup:
    """Holds what does not change while a study runs. Space and seeds are empty where a record is only read."""

    study: Study
    space: Space = field(default_factory=lambda: Space(parameters=()))
    seeds: Sequence[Assignment] = ()
    fixed: Mapping[str, PropertyValue] = field(default_factory=dict)
    """Properties of every candidate: the pinned precision."""
    cpu_quota: float | None = None
    """Quota that the process lives under, in CPUs; None without one."""
    known_noise: KnownNoise | None = None
    """Noise that an earlier study of today found; None without one."""

    @property
    def baselines(self) -> dict[str, DeploymentConfig]:
        """Name -> configuration of every baseline."""
        return baseline_configs(self.study)

    def configuration(self, assignment: Assignment) -> DeploymentConfig:
        """Returns the configuration of a point of the space.

        One caller has one request in flight unless the space says otherwise; the study says how it is called.
        """
        study = self.study
        config = to_configuration(
            assignment, device=study.device, api="async", fixed=self.fixed, replicas=study.conditions.replicas
        )
        requests = config.infer_requests or (1 if study.is_single else None)
        return replace(config, infer_requests=requests, api=study.calls_of(requests))
