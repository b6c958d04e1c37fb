"""The Bench on real processes: workers with limits, a resident reference, and a failed member for every failure.

Responsible for processes and sessions. Must not import anything that decides what is measured.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from tuner.bench.backends.protocol import CompiledMember
from tuner.bench.configuration import Conditions, DeploymentConfig, Effective, Failure, FailureKind
from tuner.bench.host.activity import HostReader
from tuner.bench.host.background import Background
from tuner.bench.host.cgroup import sweep
from tuner.bench.host.memory import read_peak_memory_bytes
from tuner.bench.measurement import HostActivity, Session
from tuner.bench.model_behaviour import StateKept, TimeDependsOnData
from tuner.bench.protocol import ModelFacts, Progress, SessionPlan, SessionRequest
from tuner.bench.session.member import CommandFailed, ProcessContaminated, SystemUnderTest, WorkerLost
from tuner.bench.session.session import run_session
from tuner.bench.worker.cache_folder import make_cache_folder, sweep_cache_folders
from tuner.bench.worker.cold_start import ColdStart
from tuner.bench.worker.contamination import contaminates_process, contamination
from tuner.bench.worker.pool import MEMORY_SHARE, ProcessMode, WorkerPool
from tuner.bench.worker.process import DOUBTFUL_DATA, MORE_MEMORY, WorkerSetup
from tuner.bench.worker.replicas import CpuSlot, ReplicaGroup, allowed_cpus, call_all, cpu_slots, without
from tuner.errors import HostError, ModelError
from tuner.model.spec import ModelSpec

OPENVINO = "tuner.bench.backends.openvino.backend:OpenVinoBackend"

RENEW_AFTER = 20
"""Number of sessions after which a process is renewed: a process start has an effect of its own (tuner/README.md)."""

COMPILE_LIMIT_S = 120.0
"""Seconds after which a compile outside a session counts as hung, as `SessionPlan.compile_limit_s` within one."""

INSPECT_LIMIT_S = 300.0
"""Seconds for reading a model, running it and proving its batches, which compiles several times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidentState:
    """State of the resident processes; it ends with them."""

    reference: tuple[DeploymentConfig, ReplicaGroup] | None = None
    """Configuration and processes of the reference that stays compiled."""
    compiled: tuple[DeploymentConfig, ...] = ()
    """Configurations that the processes have compiled, oldest first."""
    sessions: int = 0
    """Number of sessions that the processes have run."""


class WorkerBench:
    """Bench on child processes; a context manager whose end terminates every worker."""

    def __init__(
        self,
        model: ModelSpec,
        *,
        seed: int = 0,
        backend: str = OPENVINO,
        memory_limit_bytes: int | None = None,
        conditions: Conditions | None = None,
        mode: ProcessMode = ProcessMode.SHARED,
    ) -> None:
        limit = memory_limit_bytes or int(MEMORY_SHARE * psutil.virtual_memory().available)
        spec = {**asdict(model), "folder": str(model.folder)}
        setup = WorkerSetup(backend=backend, model=spec, seed=seed, memory_limit_bytes=limit)
        self._conditions = conditions or Conditions()
        needs_own = mode is ProcessMode.SHARED and self._conditions.memory_bytes is not None
        self._mode = ProcessMode.OWN if needs_own else mode
        self._pool = WorkerPool(setup, self._conditions)
        self._resident = ResidentState()
        self._background: Background | None = None
        self._host = HostReader()
        self._caches = make_cache_folder() if mode is ProcessMode.COLD_START_CACHED else None
        self._effective: dict[tuple[str, CpuSlot], Effective | Failure] = {}
        self._seen: set[DeploymentConfig] = set()

    def __enter__(self) -> Self:
        sweep()
        sweep_cache_folders()
        if self._conditions.background is not None:
            self._background = Background(self._conditions.background)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._reset()
        if self._background is not None:
            self._background.stop()
        if self._caches is not None:
            self._caches.cleanup()

    def inspect(self, device: str, batch_sizes: Sequence[int]) -> ModelFacts:
        """Reads the model, runs one inference and proves or refutes batching. Raises ModelError or DeviceError.

        A batch that ends the process is no legal one; the model is then inspected without.
        """
        self._discard_dead()
        try:
            return self._inspect(device, batch_sizes)
        except WorkerLost as error:
            self._reset()
            if batch_sizes:
                facts = self.inspect(device, [])
                sizes = ", ".join(map(str, batch_sizes))
                return replace(facts, batch_reason=f"at batch size {sizes} {error.failure.message}")
            is_short = self._conditions.memory_bytes is not None and error.failure.kind is FailureKind.MEMORY
            message = f"the model cannot be run on {device}: {error.failure.message}"
            advice = DOUBTFUL_DATA if error.failure.kind is FailureKind.CRASH else ""
            raise ModelError(message, advice=MORE_MEMORY if is_short else advice) from error
        except CommandFailed as error:
            raise ModelError(f"the model does not run on {device}: {error.failure.message}") from error

    def _inspect(self, device: str, batch_sizes: Sequence[int]) -> ModelFacts:
        worker = self._pool.resident()
        answer = worker.call("inspect", limit_s=INSPECT_LIMIT_S, device=device, batch_sizes=list(batch_sizes))
        self._pool.model_bytes = read_peak_memory_bytes(Path(f"/proc/{worker.pid}/status")) or 0
        state, data = answer.pop("state"), answer.pop("data")
        return ModelFacts(
            **answer,
            state=state and StateKept.from_json(state),
            data=data and TimeDependsOnData(**data),
        )

    def unknown_properties(self, device: str, names: Sequence[str]) -> list[str]:
        """Returns those of `names` that the device does not support. Raises HostError if the device does not answer."""
        return list(self._ask("unknown_properties", device, names=list(names)))

    def refused_values(self, device: str, settings: Sequence[tuple[str, Any]]) -> list[str]:
        """Returns the device's objection to each property and value; "" for an accepted value.

        Raises HostError if the device does not answer.
        """
        return list(self._ask("refused_values", device, settings=list(settings)))

    def _ask(self, command: str, device: str, **fields: Any) -> Any:
        self._discard_dead()
        try:
            return self._pool.resident().call(command, limit_s=INSPECT_LIMIT_S, device=device, **fields)
        except (WorkerLost, CommandFailed) as error:
            self._reset()
            raise HostError(f"device {device} does not answer: {error.failure.message}") from error

    def resolve(self, config: DeploymentConfig) -> Effective | Failure:
        """Returns the effective configuration; compiles once for each set of properties and CPU slot.

        Batch size and number of requests never change what the device reports.
        """
        if (failure := self._cannot_split(config)) is not None:
            return failure
        key = (config.properties_key, cpu_slots(config)[0])
        if key not in self._effective:
            plain = replace(config, batch_size=1, infer_requests=None, api="async")
            self._effective[key] = self._resolve(plain)
        known = self._effective[key]
        if isinstance(known, Failure):
            return known
        return Effective.of(config, known.properties, suggested=known.infer_requests)

    def load_over(self, seconds: float) -> HostActivity:
        """Returns the activity of the host in the next `seconds`, without the deployment's own background load."""
        if self._background is None:
            return self._host.load_over(seconds)
        before_s = self._background.cpu_s()
        load = self._host.load_over(seconds)
        background_s = self._background.cpu_s() - before_s
        return replace(load, other_cpu_pct=without(load.other_cpu_pct, background_s, seconds))

    def measure(self, request: SessionRequest, progress: Progress | None = None) -> Session:
        """Runs one session, see `Bench.measure`."""
        begin, started_unix_s = time.perf_counter(), time.time()
        plan, reference = request.plan, request.members[0].config
        self._check_background()
        if plan.is_fresh or self._resident.sessions >= RENEW_AFTER:
            self._reset()
        self._discard_dead()
        crashed: set[int] = set()

        def reset(indices: Collection[int]) -> None:
            crashed.update(indices)
            self._reset()

        session = run_session(
            request,
            open_member=lambda config: self._open_member(config, reference, plan),
            reset=reset,
            is_seen=lambda config: config in self._seen,
            clock=time.perf_counter,
            unix_clock=time.time,
            progress=progress,
        )
        self._check_background()
        self._resident = replace(self._resident, sessions=self._resident.sessions + 1)
        self._seen.update(config for config, member in session.ran() if member.windows and member.is_steady)
        # The processes of crashed members are gone; the resident ones are in doubt only if a member failed in them.
        if plan.is_fresh or any(isinstance(m, Failure) and i not in crashed for i, m in enumerate(session.members)):
            self._reset()
        else:
            self._release_candidates()
        return replace(session, started_unix_s=started_unix_s, wall_s=time.perf_counter() - begin)

    def _check_background(self) -> None:
        if self._background is not None:
            self._background.check()

    def _resolve(self, config: DeploymentConfig) -> Effective | Failure:
        if contaminates_process(config):
            return self._resolve_alone(config)
        self._discard_dead()
        try:
            worker = self._pool.resident(cpu_slots(config)[0])
            answer = worker.call("resolve", limit_s=COMPILE_LIMIT_S, config=asdict(config))
        except WorkerLost as error:
            self._reset()
            return error.failure
        except CommandFailed as error:
            if error.failure.kind is not FailureKind.COMPILE or not self._resident.compiled:
                return error.failure
            alone = self._resolve_alone(config)
            if isinstance(alone, Effective):
                self._reset()  # an earlier member had contaminated the process
            return alone
        self._note_compiled(config)
        return Effective(**answer)

    def _resolve_alone(self, config: DeploymentConfig) -> Effective | Failure:
        slot = cpu_slots(config)[0]
        try:
            return Effective(**self._pool.call_once(slot, "resolve", limit_s=COMPILE_LIMIT_S, config=asdict(config)))
        except (CommandFailed, WorkerLost) as error:
            return error.failure

    def _open_member(self, config: DeploymentConfig, reference: DeploymentConfig, plan: SessionPlan) -> SystemUnderTest:
        if self._resident.reference is not None and self._resident.reference[0] == config:
            return self._resident.reference[1]
        known = self._cannot_split(config) or self._effective.get((config.properties_key, cpu_slots(config)[0]))
        if isinstance(known, Failure):
            raise CommandFailed(known)
        if self._mode in (ProcessMode.COLD_START, ProcessMode.COLD_START_CACHED):
            return self._open_cold_start(config, plan)
        # Pinned threads of one process get other CPUs if other members of the process have theirs: 204 samples/s beside
        # six members, 96 alone, with two replicas of one thread each. In a deployment, replicas do not share a process.
        is_exclusive = self._mode is ProcessMode.OWN or contaminates_process(config) or config.replicas > 1
        group = self._compile(config, reference, plan, is_exclusive=is_exclusive)
        if not is_exclusive:
            self._note_compiled(config)
        if config == reference and not (plan.is_fresh or self._mode is ProcessMode.OWN or contaminates_process(config)):
            self._resident = replace(self._resident, reference=(config, replace(group, start_s=0.0, compile_s=0.0)))
        return group

    def _compile(
        self, config: DeploymentConfig, reference: DeploymentConfig, plan: SessionPlan, *, is_exclusive: bool
    ) -> ReplicaGroup:
        """Compiles a configuration in a process for each replica.

        Raises ProcessContaminated if a new process compiles what the resident process refused.
        """
        begin, slots = time.perf_counter(), cpu_slots(config)
        is_new = is_exclusive or not self._pool.are_resident(slots)
        workers = self._pool.acquire(slots, is_exclusive=is_exclusive)
        started = time.perf_counter()
        each = [{"config": asdict(config)}] * len(workers)
        try:
            answers = call_all(workers, "compile", limit_s=plan.compile_limit_s, each=each)
        except CommandFailed as error:
            # If memory is short, the other members take it, but none of them is at fault.
            is_doubtful = not is_exclusive and error.failure.kind is FailureKind.COMPILE
            suspects = [c for c in self._resident.compiled if c != reference] if is_doubtful else []
            if suspects and self._compiles_alone(config, plan):
                raise ProcessContaminated(suspects[-1], contamination(error.failure)) from error
            raise
        members = [CompiledMember.from_json(answer) for answer in answers]
        return ReplicaGroup(
            workers=workers,
            numbers=[member.number for member in members],
            effective=members[0].effective,
            start_s=started - begin if is_new else 0.0,
            compile_s=time.perf_counter() - started,
            settle_s=members[0].settle_s,
            background=self._background,
        )

    def _cannot_split(self, config: DeploymentConfig) -> Failure | None:
        cpus = len(allowed_cpus(self._conditions))
        if config.affinity != "split" or config.replicas <= cpus:
            return None
        text = f"{config.replicas} replicas cannot split {cpus} CPU{'s' if cpus > 1 else ''} among them"
        return Failure(kind=FailureKind.COMPILE, message=text)

    def _open_cold_start(self, config: DeploymentConfig, plan: SessionPlan) -> ColdStart:
        slots = cpu_slots(config)
        if len(slots) > 1:
            message = "a start is measured of one process, not of replicas"
            raise CommandFailed(Failure(kind=FailureKind.RUNTIME, message=message))
        folder = None
        if self._caches is not None:
            folder = Path(self._caches.name) / hashlib.sha256(config.key.encode()).hexdigest()[:16]
        return ColdStart(
            config,
            lambda: self._pool.start(slots[0]),
            start_limit_s=plan.compile_limit_s,
            clock=time.perf_counter,
            background=self._background,
            cache=folder,
        )

    def _compiles_alone(self, config: DeploymentConfig, plan: SessionPlan) -> bool:
        """Returns True if a new process compiles the configuration."""
        slot = cpu_slots(config)[0]
        try:
            self._pool.call_once(slot, "compile", limit_s=plan.compile_limit_s, config=asdict(config))
        except (CommandFailed, WorkerLost):
            return False
        return True

    def _note_compiled(self, config: DeploymentConfig) -> None:
        self._resident = replace(self._resident, compiled=(*self._resident.compiled, config))

    def _discard_dead(self) -> None:
        """Resets the bench if a worker died between two commands, which is no member's failure."""
        if self._pool.has_dead:
            self._reset()

    def _reset(self) -> None:
        """Ends every process and forgets their state."""
        self._resident = ResidentState()
        self._pool.end()

    def _release_candidates(self) -> None:
        """Releases every member but the reference, which stays compiled for the next session."""
        group = self._resident.reference[1] if self._resident.reference else None
        self._pool.end_exclusive(kept=group.workers if group else ())
        kept = dict(zip(map(id, group.workers), group.numbers, strict=True)) if group else {}
        residents = self._pool.residents
        each = [{"keep": kept.get(id(worker))} for worker in residents]
        try:
            call_all(residents, "release_others", limit_s=COMPILE_LIMIT_S, each=each)
        except (CommandFailed, WorkerLost):
            self._reset()
