"""The production Bench: worker processes with limits, a resident reference, and a guilty member for every failure.

Knows processes and sessions; what to measure and why is search's affair.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import TracebackType
from typing import Any, Self

import psutil

from tuner.bench.process import CommandFailed, WorkerLost, WorkerProcess, WorkerSetup
from tuner.bench.protocol import (
    DeploymentConfig,
    Effective,
    Failure,
    FailureKind,
    ModelFacts,
    Session,
    SessionPlan,
    Windows,
)
from tuner.bench.session import MemberLost, Seat, run_session
from tuner.errors import HostError, ModelError
from tuner.model.spec import ModelSpec

OPENVINO = "tuner.bench.openvino_backend:OpenVinoBackend"
RENEW_AFTER = 20
"""Sessions in one process before it is renewed (measurement.md): a process start has an effect of its own."""
SPOILING = ("ENABLE_CPU_RESERVATION",)
"""Properties after which later compiles in the same process fail (openvino.md): such a member gets its own process."""
MEMORY_SHARE = 0.8
"""Of the memory that is available at the start: the rest is left to the host and to this process."""
COMPILE_LIMIT_S = 120.0
INSPECT_LIMIT_S = 300.0


@dataclass(frozen=True, slots=True)
class _ProcessSeat:
    """A compiled member in a worker process."""

    worker: WorkerProcess
    number: int
    effective: Effective
    start_s: float
    compile_s: float

    @property
    def process(self) -> str:
        return self.worker.name

    def settle(self, limit_s: float) -> None:
        self.worker.call("settle", limit_s=limit_s, member=self.number)

    def turn(self, window_s: float, drop_s: float, max_s: float, limit_s: float) -> Mapping[str, Any]:
        answer = self.worker.call(
            "turn", limit_s=limit_s, member=self.number, window_s=window_s, drop_s=drop_s, max_s=max_s
        )
        return {**answer, "latency_counts": {int(b): n for b, n in answer["latency_counts"].items()}}


class WorkerBench:
    """`resolve` and `measure` in child processes. A context manager: leaving it ends every worker."""

    def __init__(
        self,
        model: ModelSpec,
        *,
        seed: int = 0,
        backend: str = OPENVINO,
        memory_limit_bytes: int | None = None,
    ) -> None:
        limit = memory_limit_bytes or int(MEMORY_SHARE * psutil.virtual_memory().available)
        spec = {**asdict(model), "folder": str(model.folder)}
        self._setup = WorkerSetup(backend=backend, model=spec, seed=seed, memory_limit_bytes=limit)
        self._resident: WorkerProcess | None = None
        self._reference: tuple[DeploymentConfig, Seat] | None = None
        self._extra: list[WorkerProcess] = []
        self._compiled: list[DeploymentConfig] = []
        self._sessions = 0
        self._effective: dict[str, Effective | Failure] = {}
        self._seen: set[DeploymentConfig] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._retire()

    def inspect(self, device: str, batch_sizes: Sequence[int]) -> ModelFacts:
        """Reads the model, runs one inference, proves or refutes batching. Raises ModelError or DeviceError."""
        self._bury()
        try:
            answer = self._worker().call(
                "inspect", limit_s=INSPECT_LIMIT_S, device=device, batch_sizes=list(batch_sizes)
            )
        except WorkerLost as error:
            self._retire()
            raise ModelError(f"the model cannot be run on {device}: {error.failure.message}") from error
        except CommandFailed as error:
            raise ModelError(f"the model does not run on {device}: {error.failure.message}") from error
        return ModelFacts(**answer)

    def unknown_properties(self, device: str, names: Sequence[str]) -> list[str]:
        """Which of `names` the device refuses as unsupported. Raises HostError where the device does not answer."""
        self._bury()
        try:
            unknown = self._worker().call(
                "unknown_properties", limit_s=INSPECT_LIMIT_S, device=device, names=list(names)
            )
        except (WorkerLost, CommandFailed) as error:
            self._retire()
            raise HostError(f"device {device} does not answer: {error.failure.message}") from error
        return list(unknown)

    def resolve(self, config: DeploymentConfig) -> Effective | Failure:
        """Compiled once for each set of properties: requests never change what comes back, nor does batch."""
        if config.properties_key not in self._effective:
            plain = replace(config, batch_size=1, infer_requests=None, api="async")
            self._effective[config.properties_key] = self._resolve(plain)
        known = self._effective[config.properties_key]
        if isinstance(known, Failure):
            return known
        return replace(
            known,
            batch_size=config.batch_size,
            infer_requests=1 if config.api == "sync" else config.infer_requests or known.infer_requests,
            api=config.api,
        )

    def measure(self, lineup: Sequence[DeploymentConfig], plan: SessionPlan) -> Session:
        begin, started_unix_s = time.perf_counter(), time.time()
        if plan.is_fresh or self._sessions >= RENEW_AFTER:
            self._retire()
        self._bury()
        lost: dict[int, Failure] = {}
        lost_s = 0.0
        while True:
            attempted = time.perf_counter()
            try:
                session = run_session(
                    lineup,
                    plan,
                    open_seat=lambda config: self._open_seat(config, lineup[0], plan),
                    is_seen=lambda config: config in self._seen,
                    clock=time.perf_counter,
                    unix_clock=time.time,
                    lost=lost,
                )
                break
            except MemberLost as error:
                lost[error.index] = error.failure
            except _Spoiled as error:
                lost.update({i: error.failure for i, config in enumerate(lineup) if config == error.by})
            self._retire()
            lost_s += time.perf_counter() - attempted
        self._sessions += 1
        for config, member in zip(lineup, session.members, strict=True):
            if isinstance(member, Windows) and member.windows and member.is_steady:
                self._seen.add(config)
        # The processes of lost members are gone; this one is doubtful only where a member failed in it.
        if plan.is_fresh or any(isinstance(m, Failure) and i not in lost for i, m in enumerate(session.members)):
            self._retire()
        else:
            self._release_candidates()
        return replace(
            session,
            started_unix_s=started_unix_s,
            wall_s=time.perf_counter() - begin,
            costs=replace(session.costs, lost_s=lost_s),
        )

    def _resolve(self, config: DeploymentConfig) -> Effective | Failure:
        if _spoils(config):
            return self._resolve_alone(config)
        self._bury()
        try:
            answer = self._worker().call("resolve", limit_s=COMPILE_LIMIT_S, config=asdict(config))
        except WorkerLost as error:
            self._retire()
            return error.failure
        except CommandFailed as error:
            if error.failure.kind is not FailureKind.COMPILE or not self._compiled:
                return error.failure
            alone = self._resolve_alone(config)
            if isinstance(alone, Effective):
                self._retire()  # somebody had spoiled it
            return alone
        self._compiled.append(config)
        return Effective(**answer)

    def _resolve_alone(self, config: DeploymentConfig) -> Effective | Failure:
        """In a process of its own, which ends."""
        worker = WorkerProcess(self._setup)
        try:
            return Effective(**worker.call("resolve", limit_s=COMPILE_LIMIT_S, config=asdict(config)))
        except (CommandFailed, WorkerLost) as error:
            return error.failure
        finally:
            worker.kill()

    def _open_seat(self, config: DeploymentConfig, reference: DeploymentConfig, plan: SessionPlan) -> Seat:
        if self._reference is not None and self._reference[0] == config:
            return self._reference[1]
        begin = time.perf_counter()
        is_new = self._resident is None or _spoils(config)
        worker = self._new_extra() if _spoils(config) else self._worker()
        started = time.perf_counter()
        try:
            answer = worker.call("compile", limit_s=plan.compile_limit_s, config=asdict(config))
        except CommandFailed as error:
            # Not where memory is short: then the others are in the way, but none of them is to blame.
            is_doubtful = worker is self._resident and error.failure.kind is FailureKind.COMPILE
            suspects = [c for c in self._compiled if c != reference] if is_doubtful else []
            if suspects and self._compiles_alone(config, plan):
                raise _Spoiled(suspects[-1], error.failure) from error
            raise
        compile_s = time.perf_counter() - started
        start_s = started - begin if is_new else 0.0
        seat = _ProcessSeat(worker, answer["member"], Effective(**answer["effective"]), start_s, compile_s)
        if worker is self._resident:
            self._compiled.append(config)
            if config == reference and not plan.is_fresh:
                resident_seat = _ProcessSeat(worker, seat.number, seat.effective, 0.0, 0.0)
                self._reference = (config, resident_seat)
        return seat

    def _compiles_alone(self, config: DeploymentConfig, plan: SessionPlan) -> bool:
        """Whether a new process compiles what a used one refused: then the used one was spoiled by somebody else."""
        worker = WorkerProcess(self._setup)
        try:
            worker.call("compile", limit_s=plan.compile_limit_s, config=asdict(config))
        except (CommandFailed, WorkerLost):
            return False
        finally:
            worker.kill()
        return True

    def _bury(self) -> None:
        """A worker that was killed while nobody asked anything of it is no member's failure."""
        if self._resident is not None and self._resident.has_ended:
            self._retire()

    def _worker(self) -> WorkerProcess:
        if self._resident is None:
            self._resident = WorkerProcess(self._setup)
            self._sessions = 0
        return self._resident

    def _new_extra(self) -> WorkerProcess:
        self._extra.append(WorkerProcess(self._setup))
        return self._extra[-1]

    def _end_extra(self) -> None:
        while self._extra:
            self._extra.pop().kill()

    def _retire(self) -> None:
        if self._resident is not None:
            self._resident.kill()
        self._resident, self._reference, self._compiled = None, None, []
        self._end_extra()

    def _release_candidates(self) -> None:
        """Only the reference stays compiled between the sessions of one process."""
        self._end_extra()
        keep = self._reference[1] if self._reference else None
        if self._resident is not None:
            number = keep.number if isinstance(keep, _ProcessSeat) else None
            try:
                self._resident.call("release_others", limit_s=COMPILE_LIMIT_S, keep=number)
            except (CommandFailed, WorkerLost):
                self._retire()


class _Spoiled(Exception):
    """A compile failed only because of what its process had compiled before: `by` gets the failure."""

    def __init__(self, by: DeploymentConfig, failure: Failure) -> None:
        super().__init__(str(failure))
        self.by = by
        message = f"spoils its process: a later compile there fails with: {failure.message}"
        self.failure = Failure(kind=FailureKind.CRASH, message=message)


def _spoils(config: DeploymentConfig) -> bool:
    return any(str(config.properties.get(name, "")).upper() in ("TRUE", "YES", "1") for name in SPOILING)
