"""Says under which conditions of the host a configuration was measured, as containers and services can state them.

Responsible for the keys of `deployment` and for the quota and the CPUs of `environment`. Must not know any container.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from tuner.deploy.best import Best
from tuner.deploy.fields import is_number
from tuner.errors import BestFileError

CPU_LIST = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")
"""Numbers of CPUs as Linux writes them: `0-3,6`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConditions:
    """Holds what each process has of the host."""

    quota: float | None
    """CPU time per second of wall time that one process may use, in CPUs; None without a limit."""
    is_quota_shared: bool
    """True if all replicas together had the quota of `environment`; `quota` is then an equal part of it."""
    cpuset: str | None
    """Numbers of the CPUs of all processes, `0-3,6`; None if the study named none."""
    cpus: int
    """Number of CPUs that the processes could use together; 1 if the file does not say."""
    memory_bytes: int | None
    replicas: int
    is_split: bool
    """True if each replica has its own part of the CPUs."""
    background: str | None
    """Command of the load that ran beside; no export starts it."""

    @property
    def whole_cpus(self) -> int:
        """Returns the number of whole CPUs that hold one process: its quota rounded up, its part, or all of them."""
        mine = max(1, self.cpus // self.replicas) if self.is_split else self.cpus
        return mine if self.quota is None else max(1, min(math.ceil(self.quota), mine))


def host_conditions(best: Best) -> HostConditions:
    """Returns the conditions of a best.yaml. Raises BestFileError with everything wrong with `deployment`."""
    wrong: list[str] = []
    cpus, cpuset, memory = _quota(best, wrong), _cpuset(best, wrong), _memory(best, wrong)
    background = best.deployment.get("background")
    if background is not None and not isinstance(background, str):
        wrong.append(f"deployment.background: expected text, got {background!r}")
    if wrong:
        name = best.source or "best.yaml"
        raise BestFileError("\n".join(f"{name}: {line}" for line in wrong), advice="Correct the file.")
    of_all: float | None = best.environment.get("cpu_quota")
    is_shared = cpus is None and of_all is not None and best.replicas > 1
    return HostConditions(
        quota=of_all / best.replicas if cpus is None and of_all is not None else cpus,
        is_quota_shared=is_shared,
        cpuset=cpuset,
        cpus=_count(cpuset) if cpuset is not None else best.environment.get("cpus_allowed") or 1,
        memory_bytes=memory,
        replicas=best.replicas,
        is_split=best.affinity == "split",
        background=background,
    )


def _quota(best: Best, wrong: list[str]) -> float | None:
    cpus = best.deployment.get("cpus")
    if cpus is None or (is_number(cpus) and cpus > 0):
        return cpus
    wrong.append(f"deployment.cpus: expected a number above 0, got {cpus!r}")
    return None


def _cpuset(best: Best, wrong: list[str]) -> str | None:
    cpuset = best.deployment.get("cpuset")
    text = cpuset if cpuset is None or isinstance(cpuset, bool) else str(cpuset)
    if text is None or (isinstance(text, str) and _count(text)):
        return text
    wrong.append(f"deployment.cpuset: expected numbers of CPUs such as '0-3,6', got {cpuset!r}")
    return None


def _memory(best: Best, wrong: list[str]) -> int | None:
    memory = best.deployment.get("memory_bytes")
    if memory is None or (isinstance(memory, int) and not isinstance(memory, bool) and memory > 0):
        return memory
    wrong.append(f"deployment.memory_bytes: expected a whole number above 0, got {memory!r}")
    return None


def _count(cpuset: str) -> int:
    """Returns the number of CPUs of a list such as `0-3,6`; 0 if it is none."""
    if not CPU_LIST.fullmatch(cpuset) or not cpuset.isascii() or len(cpuset) > 1000:
        return 0
    ends = [[int(number) for number in part.split("-")] for part in cpuset.split(",")]
    return sum(end[-1] - end[0] + 1 for end in ends) if all(end[0] <= end[-1] for end in ends) else 0


def decimal(number: float) -> str:
    """Returns a number with at most four decimals, without an exponent, never 0."""
    return f"{max(number, 0.0001):.4f}".rstrip("0").rstrip(".")
