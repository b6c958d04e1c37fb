"""Result of `tuner measure`: one configuration beside the baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tuner.bench.configuration import DeploymentConfig
from tuner.evidence.candidates import MetricValues
from tuner.statistics.sequential_test import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One configuration against the baselines, each pooled over all sessions."""

    config: DeploymentConfig
    metric: str
    reference: str
    gains: Mapping[str, Interval]
    """Over each baseline, the reference among them; those that failed are left out."""
    metrics: MetricValues
    """The metrics of the configuration."""
    baselines: Mapping[str, MetricValues]
    """The metrics of each baseline that ran, by name."""
    folder: Path

    @property
    def gain(self) -> Interval:
        """Over the reference, the strongest baseline."""
        return self.gains[self.reference]
