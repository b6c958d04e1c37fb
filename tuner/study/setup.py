"""The setup of a study, which does not change while the study runs.

Responsible for turning points of the space into configurations. Must not know records or benches.
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
    """Noise that an earlier study of today found on this host."""

    session_sd: float
    """Standard deviation between sessions (log-ratio)."""
    df: int
    """Number of session values that `session_sd` rests on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySetup:
    """The study with its space, and facts about the host.

    Space and seeds are empty if only a record is read.
    """

    study: Study
    space: Space = field(default_factory=lambda: Space(parameters=()))
    seeds: Sequence[Assignment] = ()
    fixed: Mapping[str, PropertyValue] = field(default_factory=dict)
    """Properties of every candidate, such as the pinned precision."""
    cpu_quota: float | None = None
    """CPU quota of this process, in CPUs; None without a quota."""
    known_noise: KnownNoise | None = None
    """Noise that an earlier study of today found; None if there is none."""

    @property
    def baselines(self) -> dict[str, DeploymentConfig]:
        """Name -> configuration of every baseline."""
        return baseline_configs(self.study)

    def configuration(self, assignment: Assignment) -> DeploymentConfig:
        """Returns the configuration of a point of the space.

        Each of the callers that a study states has a request of its own; one caller that is not stated has one request
        in flight unless the space says otherwise. The study says how a configuration is called.
        """
        study = self.study
        config = to_configuration(
            assignment, device=study.device, api="async", fixed=self.fixed, replicas=study.conditions.replicas
        )
        requests = max(study.callers) if study.callers else config.infer_requests or study.most_callers
        return replace(config, infer_requests=requests, api=study.calls_of(requests))
