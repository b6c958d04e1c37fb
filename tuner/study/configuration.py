"""Turns a point of the space into a configuration that can be measured.

Responsible for names and defaults. Must not import the search, a bench or OpenVINO.
"""

from __future__ import annotations

from collections.abc import Mapping

from tuner.bench.configuration import Calls, DeploymentConfig, PropertyValue
from tuner.bench.own_parameters import OWN_PARAMETERS, own_values
from tuner.study.space import Assignment


def to_configuration(
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
    properties = {**(fixed or {}), **{n: value for n, value in assignment.items() if n not in OWN_PARAMETERS}}
    given = {name: value for name, value in properties.items() if value is not None}
    own = own_values({"replicas": replicas}, assignment)
    return DeploymentConfig(device=device, properties=given, api=api, **own)
