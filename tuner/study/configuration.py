"""Turns a point of the space into a configuration that can be measured.

Responsible for names and defaults. Must not import the search, a bench or OpenVINO.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuner.bench.configuration import Calls, DeploymentConfig, PropertyValue
from tuner.bench.own_parameters import OWN_PARAMETERS
from tuner.study.space import Assignment


def to_config(
    assignment: Assignment,
    *,
    device: str,
    api: Calls,
    fixed: Mapping[str, PropertyValue] | None = None,
    replicas: int = 1,
) -> DeploymentConfig:
    """Returns the configuration of an assignment: UPPER_CASE names are properties, None leaves one unset.

    `fixed` are properties of every candidate, over which the assignment has precedence, also with None. `replicas` is
    the deployment's number, used unless the assignment gives its own.
    Raises ValueError for a lower_case name that is no row of OWN_PARAMETERS.
    """
    if unknown := sorted(name for name in assignment if name != name.upper() and name not in OWN_PARAMETERS):
        raise ValueError(f"no parameter of ours: {', '.join(unknown)}")
    own: dict[str, Any] = {name: row.default for name, row in OWN_PARAMETERS.items()} | {"replicas": replicas}
    own |= {name: value for name, value in assignment.items() if name in own and value is not None}
    if own["affinity"] is None or own["replicas"] == 1:
        own["affinity"] = "shared"
    properties = {**(fixed or {}), **{name: value for name, value in assignment.items() if name not in own}}
    given = {name: value for name, value in properties.items() if value is not None}
    return DeploymentConfig(device=device, properties=given, api=api, **own)
