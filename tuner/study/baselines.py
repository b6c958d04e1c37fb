"""Baselines of a study by name: the configurations that a user has without tuning.

Must not know measurements or the search.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from tuner.bench.configuration import DeploymentConfig, PropertyValue
from tuner.bench.own_parameters import OWN_PARAMETERS, own_values
from tuner.model.host import HostFacts
from tuner.study.study import BaselineSpec, ServerName, Study

HINTS = {"default": None, "LATENCY": "LATENCY", "THROUGHPUT": "THROUGHPUT"}
"""Name -> performance hint of the baselines that every study has; None sets no hint."""

Properties = Mapping[str, PropertyValue]


def _model_server(given: Properties, host: HostFacts, physical_cores: int) -> Properties:
    """Returns the properties as OpenVINO Model Server completes them in a container since 2026.2.

    It counts the CPUs by the affinity mask and by the quota, rounded up, and sets what the configuration leaves out.
    """
    cpus = host.cpus_allowed if host.cpu_quota is None else min(host.cpus_allowed, math.ceil(host.cpu_quota))
    hint = given.get("PERFORMANCE_HINT")
    added: dict[str, PropertyValue] = {"ENABLE_CPU_PINNING": host.cpu_quota is None, "INFERENCE_NUM_THREADS": cpus}
    if hint == "THROUGHPUT":
        added["NUM_STREAMS"] = min(cpus, physical_cores)
    elif hint is None and "NUM_STREAMS" not in given:
        added["PERFORMANCE_HINT"] = "LATENCY"
    return {**added, **given}


SERVERS: Mapping[ServerName, Callable[[Properties, HostFacts, int], Properties]] = {"ovms": _model_server}
"""Name of a server -> function of the properties, the host of one replica, and its physical cores."""


def with_servers(study: Study, host: HostFacts, physical_cores: int) -> Study:
    """Returns the study whose baselines have the properties that their servers set on this host."""
    found = {
        name: replace(own, properties=SERVERS[own.server](own.properties, host, physical_cores)) if own.server else own
        for name, own in study.baselines.items()
    }
    return replace(study, baselines=found)


def with_recorded_servers(study: Study, recorded: Mapping[str, Mapping[str, Properties]]) -> Study:
    """Returns the study whose baselines have the properties that their servers set where it was measured.

    `recorded` are the baselines of environment.json.
    """
    found = {
        name: replace(own, properties=recorded[name]["properties"]) if own.server and name in recorded else own
        for name, own in study.baselines.items()
    }
    return replace(study, baselines=found)


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
