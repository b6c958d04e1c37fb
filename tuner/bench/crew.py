"""The worker processes of a bench: who lives where, who stays, and who ends.

Knows processes, their places and the deployment's conditions; nothing of sessions or of what a worker is asked.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any

import psutil

from tuner.bench.cgroup import open_group
from tuner.bench.process import CommandFailed, WorkerProcess, WorkerSetup
from tuner.bench.protocol import Conditions, Failure, FailureKind
from tuner.bench.replica import Place, allowed_cpus

ANYWHERE = Place(number=0)
MEMORY_SHARE = 0.8
"""Of the memory that is available: the rest is left to the host and to this process."""


class Crew:
    """One resident process at each place, and extra ones that nobody else uses."""

    def __init__(self, setup: WorkerSetup, conditions: Conditions) -> None:
        self._setup = setup
        self._conditions = conditions
        self._residents: dict[Place, WorkerProcess] = {}
        self._extra: list[WorkerProcess] = []
        self.model_bytes = 0
        """The most that a process had in memory which compiled and ran the model once; 0 before one has."""

    @property
    def residents(self) -> list[WorkerProcess]:
        return list(self._residents.values())

    @property
    def has_lost(self) -> bool:
        """Whether a process of it has ended by itself."""
        return any(worker.has_ended for worker in (*self._residents.values(), *self._extra))

    def start(self, place: Place) -> WorkerProcess:
        """A new process under the deployment's conditions, with a control group of its own where they have limits. It
        is no member of the crew: who starts it ends it."""
        given = self._conditions
        is_bound = given.cpuset is not None or place.parts > 1
        group = open_group(cpus=given.cpus, memory_bytes=given.memory_bytes) if given.has_limits else None
        return WorkerProcess(self._setup, cpuset=place.cpus(allowed_cpus(given)) if is_bound else None, group=group)

    def ask_once(self, place: Place, command: str, *, limit_s: float, **fields: Any) -> Any:
        """The answer of a new process, which ends. Raises CommandFailed or WorkerLost."""
        worker = self.start(place)
        try:
            return worker.call(command, limit_s=limit_s, **fields)
        finally:
            worker.kill()

    def resident(self, place: Place = ANYWHERE) -> WorkerProcess:
        """The resident process at a place, started where there is none."""
        if place not in self._residents:
            self._residents[place] = self.start(place)
        return self._residents[place]

    def are_resident(self, where: Sequence[Place]) -> bool:
        return all(place in self._residents for place in where)

    def staff(self, where: Sequence[Place], *, is_alone: bool) -> list[WorkerProcess]:
        """A process at each place, extra ones where `is_alone`. Raises CommandFailed where memory does not hold them
        all."""
        workers: list[WorkerProcess] = []
        for i, place in enumerate(where):
            missing = len(where) - i if is_alone else sum(1 for other in where[i:] if other not in self._residents)
            if workers and missing:
                _refuse_to_fill_the_memory(workers, missing, self.model_bytes)
            workers.append(self._new_extra(place) if is_alone else self.resident(place))
        return workers

    def _new_extra(self, place: Place) -> WorkerProcess:
        self._extra.append(self.start(place))
        return self._extra[-1]

    def end_extra(self, kept: Collection[WorkerProcess] = ()) -> None:
        """Every extra process but those."""
        for worker in self._extra:
            if worker not in kept:
                worker.kill()
        self._extra = [worker for worker in self._extra if worker in kept]

    def end(self) -> None:
        """All of them."""
        while self._residents:
            self._residents.popitem()[1].kill()
        self.end_extra()


def _refuse_to_fill_the_memory(started: Sequence[WorkerProcess], more: int, model_bytes: int) -> None:
    """Raises CommandFailed where these processes, which have still to read the model, and `more` of them need more
    memory than is free. What they share with each other, their libraries, counts in each of them: 30 MiB."""
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
