"""Cold starts as turns: each turn starts a process, reads and compiles the model, and serves one steady window.

Responsible for the processes of one member. Sessions compare cold starts as they compare any other turns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from tuner.bench.backends.protocol import CompiledMember, StartTimes
from tuner.bench.configuration import DeploymentConfig, Failure, FailureKind
from tuner.bench.host.background import Background
from tuner.bench.protocol import Clock
from tuner.bench.session.member import CommandFailed
from tuner.bench.turn import TurnPlan, TurnResult
from tuner.bench.worker.process import WorkerProcess
from tuner.bench.worker.replicas import ReplicaGroup


class ColdStart:
    """A member with a new process for each turn.

    `compile_s` is that of the first, untimed start, which leaves the files in the host's memory: a turn times a cold
    process, not a cold disk. `cache` is the folder of a model cache, which is filled once; then every turn also loads
    from the cache in one more process.
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
            first, times = self._start(worker)
        finally:
            worker.kill()
        self.effective, self.compile_s = first.effective, times.compile_s
        if cache is not None and not cache.exists():
            cache.mkdir(parents=True)
            self._load_from(cache)

    def settle(self, limit_s: float) -> None:
        """Does nothing: every turn settles in its own process."""

    def turn(self, plan: TurnPlan, limit_s: float) -> TurnResult:
        """Measures one start and a steady window in the same process."""
        if plan.arrivals is not None:
            # Study files cannot ask for an open loop here: nothing arrives while a process starts.
            raise _failed("a start is measured without requests that arrive by themselves")
        worker = self._open_worker()
        try:
            member, times = self._start(worker)
            group = ReplicaGroup(
                workers=[worker],
                numbers=[member.number],
                effective=self.effective,
                settle_s=member.settle_s,
                background=self._background,
            )
            group.settle(limit_s)
            result = group.turn(plan, limit_s)
        finally:
            worker.kill()
        load_cached_s = None
        if self._cache is not None:
            cached = self._load_from(self._cache)
            if not cached.is_from_cache:
                raise _failed("the device did not load the model from its cache")
            load_cached_s = cached.load_s
        return replace(
            result,
            compile_s=times.compile_s,
            load_s=times.load_s,
            first_inference_s=times.first_inference_s,
            load_cached_s=load_cached_s,
        )

    def _load_from(self, cache: Path) -> StartTimes:
        worker = self._open_worker()
        try:
            return self._start(worker, cache)[1]
        finally:
            worker.kill()

    def _start(self, worker: WorkerProcess, cache: Path | None = None) -> tuple[CompiledMember, StartTimes]:
        answer = worker.call(
            "start_up",
            limit_s=self._start_limit_s,
            config=asdict(self._config),
            cache=None if cache is None else str(cache),
        )
        member = CompiledMember.from_json(answer)
        assert member.start is not None
        return member, member.start


def _failed(message: str) -> CommandFailed:
    return CommandFailed(Failure(kind=FailureKind.RUNTIME, message=message))
