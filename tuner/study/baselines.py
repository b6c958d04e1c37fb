"""Baselines of a study by name: the configurations that a user has without tuning.

Must not know measurements or the search.
"""

from __future__ import annotations

from tuner.bench.configuration import DeploymentConfig
from tuner.study.study import BaselineSpec, Study

HINTS = {"default": None, "LATENCY": "LATENCY", "THROUGHPUT": "THROUGHPUT"}
"""Name -> performance hint of the baselines that every study has; None sets no hint."""


def baseline_configs(study: Study) -> dict[str, DeploymentConfig]:
    """Returns name -> configuration. For one caller every baseline runs one request, unless it names more."""
    usual = 1 if study.is_single else None
    hints = {name: BaselineSpec(properties={"PERFORMANCE_HINT": hint} if hint else {}) for name, hint in HINTS.items()}
    configs = {}
    for name, own in {**hints, **study.baselines}.items():
        requests, replicas = own.infer_requests or usual, own.replicas or study.conditions.replicas
        configs[name] = DeploymentConfig(
            device=study.device,
            properties=own.properties,
            batch_size=own.batch_size,
            infer_requests=requests,
            api=study.calls_of(requests),
            replicas=replicas,
            affinity=own.affinity if own.affinity and replicas > 1 else "shared",
        )
    return configs
