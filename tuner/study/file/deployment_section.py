"""The `deployment` section of a study file: its keys, its demands on other sections, and what this host can give.

Responsible for what a file states of the deployment. Must not know how limits are set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import psutil
from pydantic import BeforeValidator, Field

from tuner.bench.configuration import Conditions
from tuner.bench.own_parameters import OWN_PARAMETERS
from tuner.model.host import HostFacts
from tuner.study.file.problems import ProblemList, listed
from tuner.study.file.scalars import Command, Count, CpuSet, Maybe, Memory, Quota, read_cpuset, wrong
from tuner.study.file.sections import BaselineSection, Section
from tuner.study.file.space_section import SpaceSection
from tuner.yaml_text import NodePath

_SECTION: NodePath = ("deployment",)


def _replicas(given: Any) -> Any:
    if isinstance(given, dict | list):
        raise wrong("to search it, make it a parameter of the space: `space: {replicas: {choices: [1, 2, 4]}}`")
    return given


class DeploymentSection(Section):
    """The conditions of the deployment, under which everything is measured. Default: those of this process."""

    cpus: Maybe[Quota] = Field(
        default=None, description="CPU quota of each replica, in CPUs, as `docker run --cpus` or a pod's limit."
    )
    cpuset: Maybe[CpuSet] = Field(
        default=None, description="The CPUs that all replicas share or split: `0-3`, `0,2` or [0, 2]."
    )
    memory: Maybe[Memory] = Field(default=None, description="Memory limit of each replica: `512M`, `1GiB`, or bytes.")
    replicas: Annotated[Count, BeforeValidator(_replicas)] = Field(
        default=1, description="Identical processes that serve on this host at the same time."
    )
    background: Maybe[Command] = Field(
        default=None, description="A shell command that loads the host while everything is measured."
    )

    @property
    def conditions(self) -> Conditions:
        """The conditions that the section states."""
        return Conditions(memory_bytes=self.memory, **self.model_dump(exclude={"memory"}))


def check_replicas(
    problems: ProblemList, section: DeploymentSection, *, space: SpaceSection, baselines: Mapping[str, BaselineSection]
) -> None:
    """Reports what the numbers of replicas in deployment, space and baselines forbid."""
    searched = space.parameters.get("replicas")
    if searched is not None and not problems.is_right(("space", "replicas")):
        searched = None
    counts = [section.replicas, *(v for v in (searched.values if searched else ()) if isinstance(v, int))]
    if max(counts) == 1:
        _refuse_parameters_of_replicas(problems, space, baselines)
    if searched and section.cpus is not None:
        message = "each replica has this quota, so that more replicas would simply be given more"
        advice = "leave it out and start the tuner in a container with the quota that all replicas share"
        problems.at_key((*_SECTION, "cpus"), f"cpus does not go with replicas in the space: {message}; {advice}")
    elif section.cpus is not None:
        _refuse_more_replicas(problems, section.replicas, baselines)


def _refuse_parameters_of_replicas(
    problems: ProblemList, space: SpaceSection, baselines: Mapping[str, BaselineSection]
) -> None:
    """Reports the parameters of several replicas that are given to a single process."""
    for parameter in (row.name for row in OWN_PARAMETERS.values() if row.is_for_replicas):
        paths: list[NodePath] = [("space", parameter)] if parameter in space.parameters else []
        for name, baseline in baselines.items():
            is_alone = (baseline.own("replicas") or 1) == 1 and problems.is_right(("baselines", name, "replicas"))
            if is_alone and baseline.own(parameter) is not None:
                paths.append(("baselines", name, parameter))
        message = f"{parameter} is about several replicas; give `deployment: {{replicas: 2}}` or a parameter `replicas`"
        for path in paths:
            problems.at_key(path, message)


def _refuse_more_replicas(problems: ProblemList, replicas: int, baselines: Mapping[str, BaselineSection]) -> None:
    """Reports baselines with more or fewer processes than the deployment, whose quota would differ from its own."""
    for name, baseline in baselines.items():
        own = baseline.own("replicas")
        if own is not None and own != replicas:
            quota = f"deployment.cpus is the quota of each replica, of which there are {replicas}"
            given = f"{own} would be given {'more' if own > replicas else 'less'} than what they are compared with"
            advice = "take it out, or leave deployment.cpus out and start the tuner under the quota that all share"
            problems.at_value(("baselines", name, "replicas"), f"{quota}: {given}; {advice}")


def check_host(problems: ProblemList, section: DeploymentSection, host: HostFacts) -> None:
    """Reports limits that this host cannot give, or that would not limit anything on it."""
    if section.memory is not None and section.memory > (here := psutil.virtual_memory().total):
        message = f"a limit of {_mib(section.memory)} MiB is no limit: there are {_mib(here)} MiB here"
        problems.at_value((*_SECTION, "memory"), message)
    absent = sorted(set(section.cpuset) - read_cpuset(host.cpu_list)) if section.cpuset else []
    if absent:
        message = f"{_cpus(absent)} not there for this process; it may use {host.cpu_list}"
        problems.at_value((*_SECTION, "cpuset"), message)
    if section.cpus is None:
        return
    most = float(len(section.cpuset) if section.cpuset and not absent else host.cpus_allowed)
    if section.cpus > most:
        problems.at_value((*_SECTION, "cpus"), f"a quota of {section.cpus:g} CPUs is no limit: there are {most:g} here")
    elif host.cpu_quota is not None and section.cpus > host.cpu_quota:
        message = f"this process itself lives under a quota of {host.cpu_quota:g} CPUs, less than {section.cpus:g}"
        problems.at_value((*_SECTION, "cpus"), message)


def check_worker(problems: ProblemList, section: DeploymentSection, worker_bytes: int) -> None:
    """Reports a memory limit below `worker_bytes`, what a worker process takes before it reads a model."""
    if section.memory is not None and worker_bytes > section.memory:
        message = f"a limit of {_mib(section.memory)} MiB does not hold a process that measures"
        taken = f"Python and OpenVINO take {_mib(worker_bytes)} MiB without any model"
        advice = f"give it that and what the model needs, such as `memory: {_ample_mib(worker_bytes)}M`"
        problems.at_value((*_SECTION, "memory"), f"{message}: {taken}; {advice}")


def _mib(size_bytes: int) -> int:
    return size_bytes >> 20


def _ample_mib(size_bytes: int) -> int:
    """Returns a power of two of at least four times as much.

    A small model runs in that amount without reading its libraries again and again.
    """
    return 4 << max(0, _mib(size_bytes) - 1).bit_length()


def _cpus(numbers: list[int]) -> str:
    return f"CPU {numbers[0]} is" if len(numbers) == 1 else f"CPUs {listed(numbers)} are"
