"""The worker processes of a bench: on which CPUs each runs, which stay resident and which end.

Responsible for processes under the deployment's conditions. Must not know sessions or what a worker is asked.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from typing import Any

import psutil

from tuner.bench.configuration import Conditions, Failure, FailureKind
from tuner.bench.host.cgroup import open_group
from tuner.bench.metrics import Metric, Requirement
from tuner.bench.session.member import CommandFailed
from tuner.bench.worker.process import WorkerProcess, WorkerSetup
from tuner.bench.worker.replicas import CpuSlot, allowed_cpus

ALL_CPUS = CpuSlot(number=0)

MEMORY_SHARE = 0.8
"""Share of the available memory that workers may use; the host and this process keep the rest."""


class ProcessMode(enum.Enum):
    """Processes in which the members of a session run."""

    SHARED = enum.auto()
    """Members share a process, and the reference stays compiled in it."""
    OWN = enum.auto()
    """Every member has a new process, for what a process has once for all members, such as its memory."""
    COLD_START = enum.auto()
    """Every turn has a new process, which times its start."""
    COLD_START_CACHED = enum.auto()
    """Every turn also times a start with a filled model cache."""

    @classmethod
    def for_metrics(cls, metrics: Iterable[Metric]) -> ProcessMode:
        """Returns the mode in which all of `metrics` can be measured."""
        required = {requirement for metric in metrics for requirement in metric.requires}
        if Requirement.MODEL_CACHE in required:
            return cls.COLD_START_CACHED
        if Requirement.COLD_START in required:
            return cls.COLD_START
        return cls.OWN if Requirement.OWN_PROCESS in required else cls.SHARED


class WorkerPool:
    """One resident process for each CPU slot, and exclusive processes for single members."""

    def __init__(self, setup: WorkerSetup, conditions: Conditions) -> None:
        self._setup = setup
        self._conditions = conditions
        self._residents: dict[CpuSlot, WorkerProcess] = {}
        self._exclusive: list[WorkerProcess] = []
        self.model_bytes = 0
        """Peak memory of a process that compiled and ran the model once; 0 before one has."""

    @property
    def residents(self) -> list[WorkerProcess]:
        """All resident processes."""
        return list(self._residents.values())

    @property
    def has_dead(self) -> bool:
        """True if a process of the pool has ended by itself."""
        return any(worker.has_ended for worker in (*self._residents.values(), *self._exclusive))

    def start(self, slot: CpuSlot) -> WorkerProcess:
        """Starts a process under the deployment's conditions, in its own control group if they have limits.

        The process does not belong to the pool; the caller ends it.
        """
        given = self._conditions
        is_bound = given.cpuset is not None or slot.parts > 1
        group = open_group(cpus=given.cpus, memory_bytes=given.memory_bytes) if given.has_limits else None
        return WorkerProcess(self._setup, cpuset=slot.cpus(allowed_cpus(given)) if is_bound else None, group=group)

    def call_once(self, slot: CpuSlot, command: str, *, limit_s: float, **fields: Any) -> Any:
        """Returns the answer of a new process, which ends. Raises CommandFailed or WorkerLost."""
        worker = self.start(slot)
        try:
            return worker.call(command, limit_s=limit_s, **fields)
        finally:
            worker.kill()

    def resident(self, slot: CpuSlot = ALL_CPUS) -> WorkerProcess:
        """Returns the resident process of a slot and starts it if necessary."""
        if slot not in self._residents:
            self._residents[slot] = self.start(slot)
        return self._residents[slot]

    def are_resident(self, slots: Sequence[CpuSlot]) -> bool:
        """Returns True if every slot has a resident process."""
        return all(slot in self._residents for slot in slots)

    def acquire(self, slots: Sequence[CpuSlot], *, is_exclusive: bool) -> list[WorkerProcess]:
        """Returns a process for each slot: new exclusive ones, or resident ones.

        Raises CommandFailed if the host's memory does not hold all of them.
        """
        workers: list[WorkerProcess] = []
        for i, slot in enumerate(slots):
            missing = len(slots) - i if is_exclusive else sum(1 for other in slots[i:] if other not in self._residents)
            if workers and missing:
                _refuse_to_fill_the_memory(workers, missing, self.model_bytes)
            workers.append(self._new_exclusive(slot) if is_exclusive else self.resident(slot))
        return workers

    def _new_exclusive(self, slot: CpuSlot) -> WorkerProcess:
        self._exclusive.append(self.start(slot))
        return self._exclusive[-1]

    def end_exclusive(self, kept: Collection[WorkerProcess] = ()) -> None:
        """Ends every exclusive process except `kept`."""
        for worker in self._exclusive:
            if worker not in kept:
                worker.kill()
        self._exclusive = [worker for worker in self._exclusive if worker in kept]

    def end(self) -> None:
        """Ends every process of the pool."""
        while self._residents:
            self._residents.popitem()[1].kill()
        self.end_exclusive()


def _refuse_to_fill_the_memory(started: Sequence[WorkerProcess], more: int, model_bytes: int) -> None:
    """Raises CommandFailed if `started`, before they read the model, and `more` processes exceed the free memory.

    Libraries that the processes share count in each of them: 30 MiB.
    """
    with suppress(psutil.Error):
        resident = [psutil.Process(worker.pid).memory_info().rss for worker in started]
        each = max(model_bytes, *resident)
        needed = more * each + sum(each - has for has in resident)
        free = psutil.virtual_memory().available
        if needed > MEMORY_SHARE * free:
            text = (
                f"{len(started) + more} replicas need about {each >> 20} MiB of memory each, {free >> 20} MiB are free"
            )
            raise CommandFailed(Failure(kind=FailureKind.MEMORY, message=f"{text}: give fewer replicas"))
