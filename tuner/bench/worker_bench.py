"""The production Bench: worker processes with limits, a resident reference, and a guilty member for every failure.

Knows processes and sessions; what to measure and why is search's affair.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from tuner.bench.background import Background
from tuner.bench.cache_folder import make_cache_folder, sweep_cache_folders
from tuner.bench.cgroup import sweep
from tuner.bench.cost import read_peak_memory_bytes
from tuner.bench.crew import MEMORY_SHARE, Crew
from tuner.bench.load import HostReader
from tuner.bench.process import MORE_MEMORY, CommandFailed, WorkerLost, WorkerSetup
from tuner.bench.protocol import (
    Conditions,
    DeploymentConfig,
    Effective,
    Failure,
    FailureKind,
    HostLoad,
    ModelFacts,
    Session,
    SessionPlan,
    Windows,
)
from tuner.bench.replica import Place, ReplicaSeat, allowed_cpus, call_all, places, without
from tuner.bench.session import MemberLost, Seat, run_session
from tuner.bench.spoiler import Spoiled, spoils
from tuner.bench.start_up import StartUpSeat
from tuner.errors import HostError, ModelError
from tuner.model.spec import ModelSpec

OPENVINO = "tuner.bench.openvino_backend:OpenVinoBackend"
RENEW_AFTER = 20
"""Sessions in one process before it is renewed (measurement.md): a process start has an effect of its own."""
COMPILE_LIMIT_S = 120.0
INSPECT_LIMIT_S = 300.0


class WorkerBench:
    """`resolve` and `measure` in child processes. A context manager: leaving it ends every worker."""

    def __init__(
        self,
        model: ModelSpec,
        *,
        seed: int = 0,
        backend: str = OPENVINO,
        memory_limit_bytes: int | None = None,
        conditions: Conditions | None = None,
        isolate: bool = False,
        start_up: bool = False,
        is_cached: bool = False,
    ) -> None:
        """`isolate`: every member of every session in a new process of its own, for what a process has once for all
        its members, such as its memory. `start_up`: every turn in one, which times how it starts; `is_cached`: also
        from a model cache."""
        limit = memory_limit_bytes or int(MEMORY_SHARE * psutil.virtual_memory().available)
        spec = {**asdict(model), "folder": str(model.folder)}
        setup = WorkerSetup(backend=backend, model=spec, seed=seed, memory_limit_bytes=limit)
        self._conditions = conditions or Conditions()
        self._crew = Crew(setup, self._conditions)
        self._isolate = isolate or self._conditions.memory_bytes is not None
        self._background: Background | None = None
        self._host = HostReader()
        self._reference: tuple[DeploymentConfig, ReplicaSeat] | None = None
        self._start_up = start_up
        self._caches = make_cache_folder() if is_cached else None
        self._compiled: list[DeploymentConfig] = []
        self._sessions = 0
        self._effective: dict[tuple[str, Place], Effective | Failure] = {}
        self._seen: set[DeploymentConfig] = set()

    def __enter__(self) -> Self:
        sweep()
        sweep_cache_folders()
        if self._conditions.background is not None:
            self._background = Background(self._conditions.background)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._retire()
        if self._background is not None:
            self._background.stop()
        if self._caches is not None:
            self._caches.cleanup()

    def inspect(self, device: str, batch_sizes: Sequence[int]) -> ModelFacts:
        """Reads the model, runs one inference, proves or refutes batching. Raises ModelError or DeviceError."""
        self._bury()
        try:
            worker = self._crew.resident()
            answer = worker.call("inspect", limit_s=INSPECT_LIMIT_S, device=device, batch_sizes=list(batch_sizes))
            self._crew.model_bytes = read_peak_memory_bytes(Path(f"/proc/{worker.pid}/status")) or 0
        except WorkerLost as error:
            self._retire()
            is_short = self._conditions.memory_bytes is not None and error.failure.kind is FailureKind.MEMORY
            message = f"the model cannot be run on {device}: {error.failure.message}"
            raise ModelError(message, advice=MORE_MEMORY if is_short else "") from error
        except CommandFailed as error:
            raise ModelError(f"the model does not run on {device}: {error.failure.message}") from error
        return ModelFacts(**answer)

    def unknown_properties(self, device: str, names: Sequence[str]) -> list[str]:
        """Which of `names` the device refuses as unsupported. Raises HostError where the device does not answer."""
        return list(self._ask("unknown_properties", device, names=list(names)))

    def refused_values(self, device: str, settings: Sequence[tuple[str, Any]]) -> list[str]:
        """What the device says against each property and value, "" where nothing. Raises HostError where the device
        does not answer."""
        return list(self._ask("refused_values", device, settings=list(settings)))

    def _ask(self, command: str, device: str, **fields: Any) -> Any:
        self._bury()
        try:
            return self._crew.resident().call(command, limit_s=INSPECT_LIMIT_S, device=device, **fields)
        except (WorkerLost, CommandFailed) as error:
            self._retire()
            raise HostError(f"device {device} does not answer: {error.failure.message}") from error

    def resolve(self, config: DeploymentConfig) -> Effective | Failure:
        """Compiled once for each set of properties and share of the CPUs: requests never change what comes back, nor
        does batch."""
        if (failure := self._cannot_split(config)) is not None:
            return failure
        key = (config.properties_key, places(config)[0])
        if key not in self._effective:
            plain = replace(config, batch_size=1, infer_requests=None, api="async")
            self._effective[key] = self._resolve(plain)
        known = self._effective[key]
        if isinstance(known, Failure):
            return known
        return Effective.of(config, known.properties, suggested=known.infer_requests)

    def load_over(self, seconds: float) -> HostLoad:
        """What the host does in the next `seconds` beside what the deployment itself runs in the background."""
        if self._background is None:
            return self._host.load_over(seconds)
        before_s = self._background.cpu_s()
        load = self._host.load_over(seconds)
        background_s = self._background.cpu_s() - before_s
        return replace(load, other_cpu_pct=without(load.other_cpu_pct, background_s, seconds))

    def measure(self, lineup: Sequence[DeploymentConfig], plan: SessionPlan) -> Session:
        begin, started_unix_s = time.perf_counter(), time.time()
        if self._background is not None:
            self._background.check()
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
            except Spoiled as error:
                lost.update({i: error.failure for i, config in enumerate(lineup) if config == error.by})
            self._retire()
            lost_s += time.perf_counter() - attempted
        if self._background is not None:
            self._background.check()
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
        if spoils(config):
            return self._resolve_alone(config)
        self._bury()
        try:
            answer = self._crew.resident(places(config)[0]).call(
                "resolve", limit_s=COMPILE_LIMIT_S, config=asdict(config)
            )
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
        place = places(config)[0]
        try:
            return Effective(**self._crew.ask_once(place, "resolve", limit_s=COMPILE_LIMIT_S, config=asdict(config)))
        except (CommandFailed, WorkerLost) as error:
            return error.failure

    def _open_seat(self, config: DeploymentConfig, reference: DeploymentConfig, plan: SessionPlan) -> Seat:
        if self._reference is not None and self._reference[0] == config:
            return self._reference[1]
        known = self._cannot_split(config) or self._effective.get((config.properties_key, places(config)[0]))
        if isinstance(known, Failure):
            raise CommandFailed(known)
        if self._start_up:
            return self._open_start_up(config, plan)
        begin = time.perf_counter()
        # Pinned threads of one process are given other CPUs where others of it have theirs: 204 samples/s beside six
        # members, 96 alone, with two replicas of one thread each. Replicas would share what they do not share outside.
        is_alone = self._isolate or spoils(config) or config.replicas > 1
        is_new = is_alone or not self._crew.are_resident(places(config))
        workers = self._crew.staff(places(config), is_alone=is_alone)
        started = time.perf_counter()
        try:
            answers = call_all(
                workers, "compile", limit_s=plan.compile_limit_s, each=[{"config": asdict(config)}] * len(workers)
            )
        except CommandFailed as error:
            # Not where memory is short: then the others are in the way, but none of them is to blame.
            is_doubtful = not is_alone and error.failure.kind is FailureKind.COMPILE
            suspects = [c for c in self._compiled if c != reference] if is_doubtful else []
            if suspects and self._compiles_alone(config, plan):
                raise Spoiled(suspects[-1], error.failure) from error
            raise
        compile_s = time.perf_counter() - started
        seat = ReplicaSeat(
            workers=workers,
            numbers=[answer["member"] for answer in answers],
            effective=Effective(**answers[0]["effective"]),
            start_s=started - begin if is_new else 0.0,
            compile_s=compile_s,
            background=self._background,
        )
        if not is_alone:
            self._compiled.append(config)
        if config == reference and not (plan.is_fresh or self._isolate or spoils(config)):
            self._reference = (config, replace(seat, start_s=0.0, compile_s=0.0))
        return seat

    def _cannot_split(self, config: DeploymentConfig) -> Failure | None:
        cpus = len(allowed_cpus(self._conditions))
        if config.affinity != "split" or config.replicas <= cpus:
            return None
        text = f"{config.replicas} replicas cannot split {cpus} CPU{'s' if cpus > 1 else ''} among them"
        return Failure(kind=FailureKind.COMPILE, message=text)

    def _open_start_up(self, config: DeploymentConfig, plan: SessionPlan) -> Seat:
        where = places(config)
        if len(where) > 1:
            message = "a start is measured of one process, not of replicas"
            raise CommandFailed(Failure(kind=FailureKind.RUNTIME, message=message))
        folder = None
        if self._caches is not None:
            folder = Path(self._caches.name) / hashlib.sha256(config.key.encode()).hexdigest()[:16]
        return StartUpSeat(
            config,
            lambda: self._crew.start(where[0]),
            start_limit_s=plan.compile_limit_s,
            clock=time.perf_counter,
            background=self._background,
            cache=folder,
        )

    def _compiles_alone(self, config: DeploymentConfig, plan: SessionPlan) -> bool:
        """Whether a new process compiles what a used one refused: then the used one was spoiled by somebody else."""
        place = places(config)[0]
        try:
            self._crew.ask_once(place, "compile", limit_s=plan.compile_limit_s, config=asdict(config))
        except (CommandFailed, WorkerLost):
            return False
        return True

    def _bury(self) -> None:
        """A worker that was killed while nobody asked anything of it is no member's failure."""
        if self._crew.has_lost:
            self._retire()

    def _retire(self) -> None:
        self._reference, self._compiled, self._sessions = None, [], 0
        self._crew.end()

    def _release_candidates(self) -> None:
        """Only the reference stays compiled between the sessions of one process."""
        seat = self._reference[1] if self._reference else None
        self._crew.end_extra(kept=seat.workers if seat else ())
        kept = dict(zip(map(id, seat.workers), seat.numbers, strict=True)) if seat else {}
        residents = self._crew.residents
        try:
            call_all(
                residents,
                "release_others",
                limit_s=COMPILE_LIMIT_S,
                each=[{"keep": kept.get(id(worker))} for worker in residents],
            )
        except (CommandFailed, WorkerLost):
            self._retire()
