"""Baselines of a study by name: the configurations that a user has without tuning.

Must not know measurements or the search.
"""

from __future__ import annotations

from tuner.bench.configuration import DeploymentConfig
from tuner.bench.own_parameters import OWN_PARAMETERS, own_values
from tuner.study.study import BaselineSpec, Study

HINTS = {"default": None, "LATENCY": "LATENCY", "THROUGHPUT": "THROUGHPUT"}
"""Name -> performance hint of the baselines that every study has; None sets no hint."""


TODAY = "today"
"""Name of the baseline in a study file that runs in production today."""


def today_name(study: Study) -> str:
    """Returns the name of the baseline that runs today: the one named so, else an application that sets nothing."""
    return TODAY if TODAY in study.baselines else "default"


def baseline_configs(study: Study) -> dict[str, DeploymentConfig]:
    """Returns name -> configuration. For one caller every baseline runs one request, unless it names more."""
    usual = 1 if study.is_single else None
    hints = {name: BaselineSpec(properties={"PERFORMANCE_HINT": hint} if hint else {}) for name, hint in HINTS.items()}
    configs = {}
    usually = {"infer_requests": usual, "replicas": study.conditions.replicas}
    for name, own in {**hints, **study.baselines}.items():
        values = own_values(usually, {parameter: getattr(own, parameter) for parameter in OWN_PARAMETERS})
        api = study.calls_of(values["infer_requests"])
        configs[name] = DeploymentConfig(device=study.device, properties=own.properties, api=api, **values)
    return configs
