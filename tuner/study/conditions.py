"""The `deployment` block: what a study file may state, checked against this host, and the host as it leaves it.

Knows the block and the host's facts; not how limits are set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import psutil

from tuner.bench.protocol import Conditions
from tuner.model.host import HostFacts, cpu_ranges
from tuner.study.block import DeploymentBlock
from tuner.study.document import NodePath
from tuner.study.problem import ProblemList, listed
from tuner.study.space import Parameter
from tuner.study.value import read_cpuset

MIN_CPUS = 0.01
"""The kernel's smallest quota: 1 ms of every 100 ms."""
_SECTION: NodePath = ("deployment",)


def check_deployment(
    problems: ProblemList,
    parameters: tuple[Parameter, ...],
    host: HostFacts | None,
    worker_bytes: Callable[[], int] | None = None,
) -> None:
    """The rules between the block's keys, the space and, where they are given, the host and what a worker takes that
    has no model yet."""
    searched = next((p for p in parameters if p.name == "replicas"), None)
    block = _right_keys(problems)
    counts = [block.replicas, *(v for v in (searched.values if searched else ()) if isinstance(v, int))]
    if max(counts) == 1:
        _refuse_affinity(problems)
    cpuset = block.cpuset
    if searched and block.cpus is not None:
        message = "each replica has this quota, so that more replicas would simply be given more"
        advice = "leave it out and start the tuner in a container with the quota that all replicas share"
        problems.at_key((*_SECTION, "cpus"), f"cpus does not go with replicas in the space: {message}; {advice}")
    elif block.cpus is not None:
        _refuse_more_replicas(problems, block.replicas)
    if block.cpus is not None and block.cpus < MIN_CPUS:
        problems.at_value((*_SECTION, "cpus"), f"a quota is at least {MIN_CPUS:g} CPUs, got {block.cpus:g}")
    if block.memory is not None and worker_bytes is not None and (needed := worker_bytes()) > block.memory:
        message = f"a limit of {_mib(block.memory)} MiB does not hold a process that measures: Python and OpenVINO take"
        advice = f"give it that and what the model needs, such as `memory: {_ample_mib(needed)}M`"
        problems.at_value((*_SECTION, "memory"), f"{message} {_mib(needed)} MiB without any model; {advice}")
    if host is None:
        return
    if block.memory is not None and block.memory > (here := psutil.virtual_memory().total):
        message = f"a limit of {_mib(block.memory)} MiB is no limit: there are {_mib(here)} MiB here"
        problems.at_value((*_SECTION, "memory"), message)
    strange = sorted(set(cpuset) - read_cpuset(host.cpu_list)) if cpuset else []
    if strange:
        message = f"{_cpus(strange)} not there for this process; it may use {host.cpu_list}"
        problems.at_value((*_SECTION, "cpuset"), message)
    most = float(len(cpuset) if cpuset and not strange else host.cpus_allowed)
    if block.cpus is not None and block.cpus > most:
        problems.at_value((*_SECTION, "cpus"), f"a quota of {block.cpus:g} CPUs is no limit: there are {most:g} here")
    elif block.cpus is not None and host.cpu_quota is not None and block.cpus > host.cpu_quota:
        message = f"this process itself lives under a quota of {host.cpu_quota:g} CPUs, less than {block.cpus:g}"
        problems.at_value((*_SECTION, "cpus"), message)


def _right_keys(problems: ProblemList) -> DeploymentBlock:
    """What the block says where it is right: a wrong key hides no other."""
    given = problems.find(_SECTION)
    found = given.items() if isinstance(given, Mapping) and not problems.is_spoilt(_SECTION) else ()
    return DeploymentBlock.model_validate({k: v for k, v in found if problems.is_right((*_SECTION, k))})


def _mib(size_bytes: int) -> int:
    return size_bytes >> 20


def _ample_mib(size_bytes: int) -> int:
    """Four times as much, as a power of two: what a small model runs in without reading its libraries again."""
    return 4 << max(0, _mib(size_bytes) - 1).bit_length()


def _cpus(numbers: list[int]) -> str:
    return f"CPU {numbers[0]} is" if len(numbers) == 1 else f"CPUs {listed(numbers)} are"


def _refuse_more_replicas(problems: ProblemList, replicas: int) -> None:
    """A baseline whose processes are more or fewer than the deployment's would have another quota than they have."""
    baselines = problems.find(("baselines",))
    for name, given in baselines.items() if isinstance(baselines, Mapping) else ():
        path: NodePath = ("baselines", name, "replicas")
        own = given.get("replicas") if isinstance(given, Mapping) else None
        if isinstance(own, int) and own != replicas and problems.is_right(path):
            message = (
                f"deployment.cpus is the quota of each replica, of which there are {replicas}: {own} would be given"
            )
            advice = "take it out, or leave deployment.cpus out and start the tuner under the quota that all share"
            problems.at_value(
                path, f"{message} {'more' if own > replicas else 'less'} than what they are compared with; {advice}"
            )


def _refuse_affinity(problems: ProblemList) -> None:
    """Where there is but one process there is nothing to split."""
    baselines = problems.find(("baselines",))
    sections: list[NodePath] = [("space",)]
    for name, given in baselines.items() if isinstance(baselines, Mapping) else ():
        if not isinstance(given, Mapping) or given.get("replicas", 1) == 1:
            sections.append(("baselines", name))
    for section in sections:
        content = problems.find(section)
        if isinstance(content, Mapping) and "affinity" in content:
            message = "affinity is about several replicas; give `deployment: {replicas: 2}` or a parameter `replicas`"
            problems.at_key((*section, "affinity"), message)


def read_conditions(block: DeploymentBlock | None) -> Conditions:
    if block is None:
        return Conditions()
    return Conditions(
        cpus=block.cpus,
        cpuset=block.cpuset,
        memory_bytes=block.memory,
        replicas=block.replicas,
        background=block.background,
    )


def under(host: HostFacts, conditions: Conditions) -> HostFacts:
    """The host as one replica finds it."""
    quotas = [quota for quota in (host.cpu_quota, conditions.cpus) if quota is not None]
    quota = min(quotas, default=None)
    if conditions.cpuset is None:
        return replace(host, cpu_quota=quota)
    cpus = conditions.cpuset
    return replace(host, cpus_allowed=len(cpus), cpu_list=cpu_ranges(cpus), cpu_quota=quota)


def as_written(conditions: Conditions) -> dict[str, object]:
    """What was stated, as a file shows it; empty where nothing was."""
    content = {
        "cpus": conditions.cpus,
        "cpuset": None if conditions.cpuset is None else cpu_ranges(conditions.cpuset),
        "memory_bytes": conditions.memory_bytes,
        "replicas": conditions.replicas if conditions.replicas > 1 else None,
        "background": conditions.background,
    }
    return {name: value for name, value in content.items() if value is not None}
