"""Replicas: several processes that serve at the same time, asked together and measured as one member.

Responsible for CPU slots and for one window of all replicas. Must not decide which processes stay resident.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tuner.bench import histogram
from tuner.bench.configuration import Conditions, DeploymentConfig, Effective, FailureKind
from tuner.bench.host.background import Background
from tuner.bench.session.member import CommandFailed, WorkerLost
from tuner.bench.turn import TurnPlan, TurnResult
from tuner.bench.worker.process import WorkerProcess
from tuner.errors import TunerError
from tuner.model.host import cpu_list, cpu_share

BEGIN_AFTER_S = 0.005
"""Seconds from the first command sent to the common beginning of a turn.

Sending takes 0.1 ms a process, collecting garbage up to some milliseconds.
"""

TAIL_S = 0.1
"""Seconds for which a replica continues after the shared window, so that every window ends on a busy host.

The clocks of the replicas begin within some milliseconds of each other.
"""

LONGER = 2.0
"""Factor on a shared window in which a replica did not complete four cycles of its requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuSlot:
    """CPUs of one process: all of them (`parts` 1) or one of `parts` equal parts; `number` tells processes apart."""

    number: int
    parts: int = 1

    def cpus(self, allowed: Sequence[int]) -> Sequence[int]:
        """Returns the slot's part of `allowed`; empty if there are more parts than CPUs."""
        return allowed if self.parts == 1 else cpu_share(allowed, self.number, self.parts)


def cpu_slots(config: DeploymentConfig) -> list[CpuSlot]:
    """Returns one slot for each replica; configurations with equal slots can share processes."""
    parts = config.replicas if config.affinity == "split" else 1
    return [CpuSlot(number=i, parts=parts) for i in range(config.replicas)]


def allowed_cpus(conditions: Conditions) -> Sequence[int]:
    """Returns the CPUs of the deployment, ascending."""
    return cpu_list() if conditions.cpuset is None else conditions.cpuset


def call_all(
    workers: Sequence[WorkerProcess], command: str, *, limit_s: float, each: Sequence[Mapping[str, Any]]
) -> list[Any]:
    """Returns the answers of all workers, which work at the same time; `each` holds the fields of each command.

    Every answer is read before the worst error is raised: TunerError before WorkerLost before CommandFailed. An
    interrupt ends all workers, because a late answer must not be taken for that of another command.
    """
    answers: list[Any] = []
    wrong: list[TunerError | WorkerLost | CommandFailed] = []
    sent: list[WorkerProcess] = []
    try:
        for worker, fields in zip(workers, each, strict=True):
            try:
                worker.send(command, limit_s=limit_s, **fields)
                sent.append(worker)
            except WorkerLost as error:
                wrong.append(error)
        for worker in sent:
            try:
                answers.append(worker.receive())
            except (TunerError, WorkerLost, CommandFailed) as error:
                wrong.append(error)
    except BaseException:
        for worker in workers:
            worker.kill()
        raise
    if wrong:
        raise min(wrong, key=_badness)
    return answers


def _badness(error: TunerError | WorkerLost | CommandFailed) -> int:
    """Returns the rank of an error; the smallest is the worst."""
    return next(i for i, kind in enumerate((TunerError, WorkerLost, CommandFailed)) if isinstance(error, kind))


@dataclass(slots=True)
class ReplicaGroup:
    """A member compiled in one process or several; `numbers[i]` is its number in `workers[i]`."""

    workers: Sequence[WorkerProcess]
    numbers: Sequence[int]
    effective: Effective
    start_s: float = 0.0
    compile_s: float = 0.0
    settle_s: float = 0.0
    """Seconds that the device may need to settle."""
    background: Background | None = None
    shared_window_s: float = 0.0
    """Shortest shared window in which every replica completed enough."""

    @property
    def process(self) -> str:
        """Names of the processes, separated by commas."""
        return ",".join(worker.name for worker in self.workers)

    def settle(self, limit_s: float) -> None:
        """Lets every replica settle."""
        each = [{"member": number} for number in self.numbers]
        call_all(self.workers, "settle", limit_s=limit_s + self.settle_s, each=each)

    def turn(self, plan: TurnPlan, limit_s: float) -> TurnResult:
        """Measures one turn of all replicas.

        Arrivals are dealt out to the replicas in turn. A closed loop has a shared window, which grows until every
        replica completes enough in it.
        """
        if len(self.workers) == 1 or plan.arrivals is not None:
            return self._turn(plan, limit_s)
        while True:
            window_s = min(plan.max_s, max(plan.window_s, self.shared_window_s))
            try:
                return self._turn(replace(plan, window_s=window_s, max_s=window_s, tail_s=TAIL_S), limit_s)
            except CommandFailed as error:
                if error.failure.kind is not FailureKind.TIMEOUT or window_s >= plan.max_s:
                    raise
                self.shared_window_s = LONGER * window_s

    def _turn(self, plan: TurnPlan, limit_s: float) -> TurnResult:
        n = len(self.workers)
        before_s, begin_s = self._background_s(), time.monotonic()
        if n > 1:
            plan = replace(plan, begin_at_s=begin_s + BEGIN_AFTER_S)
        plans = [plan] * n
        if plan.arrivals is not None:
            plans = [replace(plan, arrivals=replace(plan.arrivals, part=i, parts=n)) for i in range(n)]
        each = [{"member": i, "plan": p.to_json()} for i, p in zip(self.numbers, plans, strict=True)]
        answers = call_all(self.workers, "turn", limit_s=limit_s, each=each)
        end_s, background_s = time.monotonic(), self._background_s() - before_s
        results = [TurnResult.from_json(answer) for answer in answers]
        result = results[0] if n == 1 else combine(results, is_split=self.effective.affinity == "split")
        if self.background is None:
            return result
        return replace(result, other_cpu_pct=without(result.other_cpu_pct, background_s, end_s - begin_s))

    def _background_s(self) -> float:
        """Returns the CPU seconds of the deployment's own background load, which is no disturbance."""
        return 0.0 if self.background is None else self.background.cpu_s()


def without(other_cpu_pct: float, background_s: float, wall_s: float) -> float:
    """Returns the other load in per cent without `background_s` CPU seconds in `wall_s`.

    The background load has inherited the CPUs of this process and is taken to lie evenly on them.
    """
    return round(max(0.0, other_cpu_pct - 100 * background_s / len(cpu_list()) / wall_s), 2)


def combine(results: Sequence[TurnResult], *, is_split: bool) -> TurnResult:
    """Returns one window of all replicas: the sum of their throughputs, and the latencies of all their requests.

    If the windows differ in length, `duration_s` is the time for all samples at the sum of the rates. On shared CPUs
    each replica counts the others as other load, which is taken off.
    """
    first, n = results[0], len(results)
    samples = sum(r.samples for r in results)
    own = [r.own_cpu_pct for r in results]
    others = [r.other_cpu_pct - (0.0 if is_split else sum(own) - r.own_cpu_pct) for r in results]
    heat = [r.thermal_throttles for r in results]  # replicas on the same CPUs have counted the same
    cpu_s, peaks = [r.cpu_s for r in results], [r.peak_memory_bytes for r in results]
    return replace(
        first,
        samples=samples,
        duration_s=samples / sum(r.rate_per_s for r in results),
        latency_counts=histogram.pool(r.latency_counts for r in results),
        latency_sum_ms=sum(r.latency_sum_ms for r in results),
        cpu_s=None if None in cpu_s else sum(filter(None, cpu_s)),
        peak_memory_bytes=None if None in peaks else sum(filter(None, peaks)),
        energy_j=_mean([r.energy_j for r in results]),
        steal_pct=sum(r.steal_pct for r in results) / n,
        own_cpu_pct=sum(own) / n if is_split else sum(own),
        other_cpu_pct=round(max(0.0, sum(others) / n), 2),
        pressure_pct=_mean([r.pressure_pct for r in results]),
        frequency_mhz=_mean([r.frequency_mhz for r in results]),
        thermal_throttles=sum(heat) if is_split else max(heat),
        quota_throttles=sum(r.quota_throttles for r in results),
        arrivals=sum(r.arrivals for r in results),
        waiting=sum(r.waiting for r in results),
        unserved=sum(r.unserved for r in results),
        lag_p99_ms=max(r.lag_p99_ms for r in results),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    """Returns the mean if every replica reports a value, else the value of the first."""
    found = [value for value in values if value is not None]
    return sum(found) / len(found) if len(found) == len(values) else values[0]
