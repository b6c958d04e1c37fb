"""The conditions of a deployment as values: the host that a replica finds, and their form in files."""

from __future__ import annotations

from dataclasses import replace

from tuner.bench.configuration import Conditions
from tuner.model.host import HostFacts, cpu_ranges


def under(host: HostFacts, conditions: Conditions) -> HostFacts:
    """Returns the host as one replica finds it: its CPUs and the tightest quota."""
    quotas = [quota for quota in (host.cpu_quota, conditions.cpus) if quota is not None]
    quota = min(quotas, default=None)
    if conditions.cpuset is None:
        return replace(host, cpu_quota=quota)
    cpus = conditions.cpuset
    return replace(host, cpus_allowed=len(cpus), cpu_list=cpu_ranges(cpus), cpu_quota=quota)


def as_written(conditions: Conditions) -> dict[str, object]:
    """Returns the conditions that were stated, as a file shows them; empty if none were."""
    content = {
        "cpus": conditions.cpus,
        "cpuset": None if conditions.cpuset is None else cpu_ranges(conditions.cpuset),
        "memory_bytes": conditions.memory_bytes,
        "replicas": conditions.replicas if conditions.replicas > 1 else None,
        "background": conditions.background,
    }
    return {name: value for name, value in content.items() if value is not None}
