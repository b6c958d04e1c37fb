"""From a point of the space to a configuration that can be measured. Knows neither the search nor OpenVINO."""

from __future__ import annotations

from collections.abc import Mapping

from tuner.bench.protocol import Calls, DeploymentConfig, PropertyValue
from tuner.study.space import Assignment, Value


def to_config(
    assignment: Assignment,
    *,
    device: str,
    api: Calls,
    fixed: Mapping[str, PropertyValue] | None = None,
    replicas: int = 1,
) -> DeploymentConfig:
    """UPPER_CASE names are properties, None leaves one unset; lower_case names are ours.

    `fixed` are properties of every candidate; what the assignment says of one, None too, goes first. `replicas` are
    those of a deployment that the assignment says nothing of.
    Raises `ValueError` for a lower_case name that is not ours.
    """
    properties = dict(fixed or {})
    own: dict[str, Value] = {}
    for name, value in assignment.items():
        if name != name.upper():
            own[name] = value
        elif value is None:
            properties.pop(name, None)
        else:
            properties[name] = value
    batch_size, infer_requests = own.pop("batch_size", None), own.pop("infer_requests", None)
    variant = own.pop("model_variant", None)
    replicas = int(own.pop("replicas", None) or replicas)
    is_split = own.pop("affinity", None) == "split" and replicas > 1
    if own:
        raise ValueError(f"no parameter of ours: {', '.join(sorted(own))}")
    return DeploymentConfig(
        device=device,
        properties=properties,
        batch_size=1 if batch_size is None else int(batch_size),
        infer_requests=None if infer_requests is None else int(infer_requests),
        api=api,
        variant="default" if variant is None else str(variant),
        replicas=replicas,
        affinity="split" if is_split else "shared",
    )
