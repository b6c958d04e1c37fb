"""Result of `tuner measure`: one configuration beside the baselines, or the baselines alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tuner.bench.configuration import DeploymentConfig
from tuner.evidence.candidates import MetricValues
from tuner.statistics.sequential_test import Interval

MEASURED = "measured"
"""Title of the column of the configuration that was asked for, beside the names of the baselines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A configuration, if there is one, and the baselines, each pooled over all sessions."""

    config: DeploymentConfig | None
    """None if the baselines alone were measured."""
    metric: str
    reference: str
    gains: Mapping[str, Interval]
    """Gain of the configuration over each baseline, the reference among them; those that failed are left out.

    Without a configuration, the gain of each other baseline over the reference.
    """
    metrics: MetricValues | None
    """The metrics of the configuration; None if there is none."""
    baselines: Mapping[str, MetricValues]
    """The metrics of each baseline that ran, by name."""
    folder: Path
    at_callers: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    """Number of callers -> the metric of each column of the table; empty unless there are several numbers."""

    @property
    def gain(self) -> Interval | None:
        """Gain of the configuration over the reference, the strongest baseline; None without a configuration."""
        return self.gains.get(self.reference) if self.config is not None else None
