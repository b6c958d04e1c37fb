"""Start-ups as turns: each is a new process that reads and compiles the model, makes its first request, and then serves
one steady window. With this seat a session interleaves, pairs and confirms start-ups as it does everything else.

Knows processes and commands; not which configurations are compared nor what is made of their times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tuner.bench.background import Background
from tuner.bench.process import CommandFailed, WorkerProcess
from tuner.bench.protocol import Arrivals, Clock, DeploymentConfig, Effective, Failure, FailureKind
from tuner.bench.replica import ReplicaSeat


class StartUpSeat:
    """A member that has no process of its own but one for each turn. `compile_s` is that of the first, untimed start,
    which leaves the files in the host's memory: what is timed is a cold process, not a cold disk.

    `cache`: a folder for a model cache, filled once; then every turn also loads from it, in one more process.
    Raises CommandFailed and WorkerLost, as every seat.
    """

    def __init__(
        self,
        config: DeploymentConfig,
        open_worker: Callable[[], WorkerProcess],
        *,
        start_limit_s: float,
        clock: Clock,
        background: Background | None = None,
        cache: Path | None = None,
    ) -> None:
        self._config = config
        self._open_worker = open_worker
        self._start_limit_s = start_limit_s
        self._background = background
        self._cache = cache
        begin = clock()
        worker = open_worker()
        self.start_s = clock() - begin
        self.process = worker.name
        try:
            found = self._start(worker)
        finally:
            worker.kill()
        self.effective = Effective(**found["effective"])
        self.compile_s: float = found["compile_s"]
        if cache is not None and not cache.exists():
            cache.mkdir(parents=True)
            self._load_from(cache)

    def settle(self, limit_s: float) -> None:
        """Every turn settles in its own process."""

    def serve(
        self, arrivals: Arrivals, window_s: float, drop_s: float, drain_s: float, limit_s: float
    ) -> Mapping[str, Any]:
        """Refused: nothing arrives while a process starts. Study files cannot ask for it."""
        message = "a start is measured without requests that arrive by themselves"
        raise CommandFailed(Failure(kind=FailureKind.RUNTIME, message=message))

    def turn(self, window_s: float, drop_s: float, max_s: float, limit_s: float) -> Mapping[str, Any]:
        """One start, and a steady window in the same process."""
        worker = self._open_worker()
        try:
            found = self._start(worker)
            seat = ReplicaSeat(
                workers=[worker],
                numbers=[found["member"]],
                effective=self.effective,
                start_s=0.0,
                compile_s=0.0,
                background=self._background,
            )
            seat.settle(limit_s)
            answer = seat.turn(window_s, drop_s, max_s, limit_s)
        finally:
            worker.kill()
        times = {name: found[name] for name in ("compile_s", "load_s", "first_inference_s")}
        if self._cache is not None:
            cached = self._load_from(self._cache)
            if not cached["is_from_cache"]:
                message = "the device did not load the model from its cache"
                raise CommandFailed(Failure(kind=FailureKind.RUNTIME, message=message))
            times["load_cached_s"] = cached["load_s"]
        return {**answer, **times}

    def _load_from(self, cache: Path) -> Mapping[str, Any]:
        worker = self._open_worker()
        try:
            return self._start(worker, cache)
        finally:
            worker.kill()

    def _start(self, worker: WorkerProcess, cache: Path | None = None) -> Mapping[str, Any]:
        found: Mapping[str, Any] = worker.call(
            "start_up",
            limit_s=self._start_limit_s,
            config=asdict(self._config),
            cache=None if cache is None else str(cache),
        )
        return found
