"""Several processes that serve at the same time: where they live, how they are asked together, what one window of all
of them is.

Knows places and windows; which processes stay resident is `crew.py`'s affair.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from tuner.bench import histogram
from tuner.bench.background import Background
from tuner.bench.process import CommandFailed, WorkerLost, WorkerProcess
from tuner.bench.protocol import Arrivals, Conditions, DeploymentConfig, Effective, FailureKind
from tuner.errors import TunerError
from tuner.model.host import cpu_list

BEGIN_AFTER_S = 0.005
"""Between the first command sent and the common start of a turn: sending takes 0.1 ms a process, collecting garbage up
to some milliseconds."""
TAIL_S = 0.1
"""How long a replica goes on after the common window, so that none is timed on a host that the others have left: their
clocks begin within some milliseconds of each other."""
LONGER = 2.0
"""By so much a common window grows where a replica did not complete four rounds of its requests in it."""
COSTS = ("cpu_s", "peak_memory_bytes")
"""Summed too, where every replica tells."""
COUNTED = ("arrivals", "waiting", "unserved")
"""Only under a load."""
SUMMED = ("latency_sum_ms", "own_cpu_pct", "quota_throttles")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a process lives: on all CPUs (`parts` 1), or on its share of so many; `number` tells processes apart."""

    number: int
    parts: int = 1

    def cpus(self, allowed: Sequence[int]) -> Sequence[int]:
        """Its share of `allowed`, which may be empty where there are more parts than CPUs."""
        if self.parts == 1:
            return allowed
        n = len(allowed)
        return allowed[self.number * n // self.parts : (self.number + 1) * n // self.parts]


def places(config: DeploymentConfig) -> list[Place]:
    """One for each replica; configurations with the same places can share processes."""
    parts = config.replicas if config.affinity == "split" else 1
    return [Place(number=i, parts=parts) for i in range(config.replicas)]


def allowed_cpus(conditions: Conditions) -> Sequence[int]:
    """The CPUs of the deployment, ascending."""
    return cpu_list() if conditions.cpuset is None else conditions.cpuset


def call_all(
    workers: Sequence[WorkerProcess], command: str, *, limit_s: float, each: Sequence[Mapping[str, Any]]
) -> list[Any]:
    """The answers of all, who work at the same time; `each` holds the fields of each one's command. Every answer is
    read before the worst of what went wrong is raised: TunerError before WorkerLost before CommandFailed. Interrupted,
    it ends them all: an answer still to come must not be taken for that of another command."""
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
    """The smaller, the worse; of equals the first is raised."""
    return next(i for i, kind in enumerate((TunerError, WorkerLost, CommandFailed)) if isinstance(error, kind))


@dataclass(slots=True)
class ReplicaSeat:
    """A member compiled in one process or several; `numbers[i]` is what `workers[i]` calls it. `joint_window_s`: the
    shortest common window in which every replica has been seen to complete enough."""

    workers: Sequence[WorkerProcess]
    numbers: Sequence[int]
    effective: Effective
    start_s: float
    compile_s: float
    background: Background | None = None
    joint_window_s: float = 0.0

    @property
    def process(self) -> str:
        return ",".join(worker.name for worker in self.workers)

    def settle(self, limit_s: float) -> None:
        call_all(self.workers, "settle", limit_s=limit_s, each=[{"member": number} for number in self.numbers])

    def turn(self, window_s: float, drop_s: float, max_s: float, limit_s: float) -> Mapping[str, Any]:
        if len(self.workers) == 1:
            return self._turn({"window_s": window_s, "drop_s": drop_s, "max_s": max_s}, limit_s)
        while True:
            joint_s = min(max_s, max(window_s, self.joint_window_s))
            try:
                return self._turn(
                    {"window_s": joint_s, "drop_s": drop_s, "max_s": joint_s, "tail_s": TAIL_S},
                    limit_s,
                    begin_after_s=BEGIN_AFTER_S,
                )
            except CommandFailed as error:
                if error.failure.kind is not FailureKind.TIMEOUT or joint_s >= max_s:
                    raise
                self.joint_window_s = LONGER * joint_s

    def _turn(self, plan: Mapping[str, Any], limit_s: float, begin_after_s: float | None = None) -> Mapping[str, Any]:
        background_s, begin_s = self._background_s(), time.monotonic()
        begin = {} if begin_after_s is None else {"begin_at_s": begin_s + begin_after_s}
        each = [{"member": number, **plan, **begin} for number in self.numbers]
        return self._window("turn", limit_s, each, begin_s=begin_s, background_s=background_s)

    def serve(
        self, arrivals: Arrivals, window_s: float, drop_s: float, drain_s: float, limit_s: float
    ) -> Mapping[str, Any]:
        """The arrivals are dealt out to the replicas in turn; the clock of all begins together."""
        n = len(self.workers)
        plan: dict[str, Any] = {"window_s": window_s, "drop_s": drop_s, "drain_s": drain_s}
        background_s, begin_s = self._background_s(), time.monotonic()
        if n > 1:
            plan["begin_at_s"] = begin_s + BEGIN_AFTER_S
        shares = [asdict(replace(arrivals, part=i, parts=n)) for i in range(n)]
        each = [{"member": number, "arrivals": s, **plan} for number, s in zip(self.numbers, shares, strict=True)]
        return self._window("serve", limit_s, each, begin_s=begin_s, background_s=background_s)

    def _window(
        self, command: str, limit_s: float, each: Sequence[Mapping[str, Any]], *, begin_s: float, background_s: float
    ) -> dict[str, Any]:
        """What all of them answer; `background_s` is what the background had used at `begin_s`."""
        answers = call_all(self.workers, command, limit_s=limit_s, each=each)
        end_s, background_s = time.monotonic(), self._background_s() - background_s
        windows = [{**a, "latency_counts": {int(b): n for b, n in a["latency_counts"].items()}} for a in answers]
        window = windows[0] if len(windows) == 1 else together(windows, is_split=self.effective.affinity == "split")
        if self.background is not None:
            window["other_cpu_pct"] = without(window["other_cpu_pct"], background_s, end_s - begin_s)
        return window

    def _background_s(self) -> float:
        """What runs in the background by the deployment's own word is no disturbance."""
        return 0.0 if self.background is None else self.background.cpu_s()


def without(other_cpu_pct: float, background_s: float, wall_s: float) -> float:
    """What is left of the other load in per cent without `background_s` of CPU time in `wall_s`, which is taken to lie
    evenly on the CPUs of this process: those are what the background has inherited."""
    return round(max(0.0, other_cpu_pct - 100 * background_s / len(cpu_list()) / wall_s), 2)


def together(windows: Sequence[Mapping[str, Any]], *, is_split: bool) -> dict[str, Any]:
    """One window of all replicas: throughput is their sum, latency over all their requests (fields as in `Window`).

    Where the windows differ in length `duration_s` is the one in which all samples at the sum of the rates were made.
    Each replica counts the others as other load, which they are not.
    """
    first, n = windows[0], len(windows)
    samples = sum(w["samples"] for w in windows)
    rate = sum(w["samples"] / w["duration_s"] for w in windows)
    own = [w["own_cpu_pct"] for w in windows]
    others = [w["other_cpu_pct"] - (0.0 if is_split else sum(own) - mine) for w, mine in zip(windows, own, strict=True)]
    shares = {
        name: sum(w[name] for w in windows) / n for name in first if all(_is_number(w.get(name)) for w in windows)
    }
    sums = {name: sum(w[name] for w in windows) for name in (*SUMMED, *COUNTED) if name in first}
    for name in COSTS:
        told = [w.get(name) for w in windows]
        sums[name] = None if None in told else sum(told)
    if "lag_p99_ms" in first:
        sums["lag_p99_ms"] = max(w["lag_p99_ms"] for w in windows)
    if is_split:
        sums["own_cpu_pct"] /= n
    heat = [w["thermal_throttles"] for w in windows]  # on the same CPUs all have counted the same
    return {
        **first,
        **shares,
        **sums,
        "samples": samples,
        "duration_s": samples / rate,
        "latency_counts": histogram.pool(w["latency_counts"] for w in windows),
        "other_cpu_pct": round(max(0.0, sum(others) / n), 2),
        "thermal_throttles": sum(heat) if is_split else max(heat),
    }


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
