"""The simulated Bench: an analytic surface with a known optimum in virtual time, with noise, drift and failures.

Responsible for simulated members; sessions run through the same code as real ones. Tests, demos and simulations of the
decision use it. Must not import OpenVINO or a real clock.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from tuner.bench import histogram
from tuner.bench.configuration import DeploymentConfig, Effective, Failure, FailureKind
from tuner.bench.loadgen.open_loop import serve_window
from tuner.bench.measurement import Session
from tuner.bench.protocol import Progress, SessionRequest
from tuner.bench.session.member import CommandFailed, WorkerLost
from tuner.bench.session.session import run_session
from tuner.bench.simulated.virtual_queue import VirtualQueue
from tuner.bench.turn import TooSlow, TurnPlan, TurnResult

START_S, COMPILE_S = 0.35, 0.5
"""Virtual seconds of a process start and of a compile, in the order of a small model on a CPU."""

LATENCY_SPREAD = (0.9, 1.0, 1.0, 1.1)
"""Latencies of four requests in turn, relative to the mean: enough for percentiles to differ."""


@dataclass(slots=True)
class FakeClock:
    """Clock of virtual seconds, which pass only when it is told."""

    now_s: float = 0.0

    def __call__(self) -> float:
        """Returns the time."""
        return self.now_s

    def advance(self, seconds: float) -> None:
        """Lets `seconds` pass."""
        self.now_s += seconds

    def sleep_until(self, at_s: float) -> None:
        """Lets time pass until `at_s`."""
        self.now_s = max(self.now_s, at_s)


class Effect(Protocol):
    """One disturbance: returns the log-factor on the speed of a window.

    `process` names the worker process and, within it, each of several compiles of one configuration.
    """

    def __call__(self, config: DeploymentConfig, *, now_s: float, window_s: float, process: str) -> float:
        """Returns the log-factor."""


class Noise:
    """Independent noise of each window: standard deviation `sd` for one second, scaled by 1 / sqrt(seconds).

    One window in twenty has three times the deviation: the heavy tails of a host with neighbours.
    """

    def __init__(self, sd: float, *, seed: int = 0) -> None:
        self.sd = sd
        self.rng = random.Random(seed)

    def __call__(self, config: DeploymentConfig, *, now_s: float, window_s: float, process: str) -> float:
        """Returns the log-factor."""
        width = 3.0 if self.rng.random() < 0.05 else 1.0
        return self.rng.gauss(0.0, width * self.sd / math.sqrt(window_s))


class Drift:
    """Drift of the host: an Ornstein-Uhlenbeck process shared by all members, with `sd` and a time constant."""

    def __init__(self, sd: float, *, time_constant_s: float = 60.0, seed: int = 0) -> None:
        self.sd = sd
        self.time_constant_s = time_constant_s
        self.rng = random.Random(seed)
        self.drift_log = self.rng.gauss(0.0, sd)
        self.at_s = 0.0

    def __call__(self, config: DeploymentConfig, *, now_s: float, window_s: float, process: str) -> float:
        """Returns the log-factor."""
        keep = math.exp(-max(0.0, now_s - self.at_s) / self.time_constant_s)
        self.drift_log = keep * self.drift_log + self.rng.gauss(0.0, self.sd * math.sqrt(1 - keep * keep))
        self.at_s = now_s
        return self.drift_log


class CompileEffect:
    """Difference between two compiles of one configuration, fixed within a process."""

    def __init__(self, sd: float, *, seed: int = 0) -> None:
        self.sd = sd
        self.seed = seed

    def __call__(self, config: DeploymentConfig, *, now_s: float, window_s: float, process: str) -> float:
        """Returns the log-factor."""
        return random.Random(f"{self.seed}/{process}/{config.key}").gauss(0.0, self.sd)


Surface = Callable[[DeploymentConfig], float]
"""Returns the true samples/s of a configuration."""


def hill(config: DeploymentConfig, *, cpus: int = 8) -> float:
    """Returns samples/s with one optimum: `cpus` streams, batch 8, two requests a stream, unpinned. Made up."""
    resolved = effective_of(config, cpus=cpus)
    streams = int(resolved.properties["NUM_STREAMS"])
    threads = int(resolved.properties["INFERENCE_NUM_THREADS"])
    busy = min(1.0, resolved.infer_requests / streams)
    speed = 100.0 * threads**0.9 * (streams / cpus) ** 0.15 * busy
    speed *= 1.0 + 0.1 * min(3.0, math.log2(resolved.batch_size)) - 0.05 * max(0.0, math.log2(resolved.batch_size) - 3)
    speed *= 1.0 + 0.06 * min(1.0, math.log2(max(1.0, resolved.infer_requests / streams)))
    return float(speed * (1.03 if resolved.properties["ENABLE_CPU_PINNING"] == "False" else 1.0))


def cpu_ms_of(effective: Effective) -> float:
    """Returns made-up CPU milliseconds of one sample.

    They are 10 ms of work, 5 % more for each further thread of a stream, and 2 ms for each request.
    """
    threads, streams = _whole(effective, "INFERENCE_NUM_THREADS"), _whole(effective, "NUM_STREAMS")
    return 10.0 * (1.0 + 0.05 * (max(1.0, threads / streams) - 1.0)) + 2.0 / effective.batch_size


def memory_mb_of(effective: Effective) -> float:
    """Returns a made-up peak in MB: 100, 20 for each stream and 1 for each sample in flight."""
    return 100.0 + 20.0 * _whole(effective, "NUM_STREAMS") + effective.batch_size * effective.infer_requests


def load_s_of(effective: Effective) -> float:
    """Returns made-up seconds from the model's file to a request: 50 ms, and 20 ms for each stream."""
    return 0.05 + 0.02 * _whole(effective, "NUM_STREAMS")


def _whole(effective: Effective, name: str) -> int:
    text = effective.properties.get(name, "")
    return max(1, int(text)) if text.isdecimal() else 1


def effective_of(config: DeploymentConfig, *, cpus: int = 8) -> Effective:
    """Returns what a made-up device of `cpus` CPUs reports: hints are resolved, too large values are clamped."""
    asked = config.properties
    is_throughput = asked.get("PERFORMANCE_HINT") == "THROUGHPUT"
    threads = min(cpus, int(asked.get("INFERENCE_NUM_THREADS") or cpus))
    streams = min(threads, int(asked.get("NUM_STREAMS") or (max(1, cpus // 2) if is_throughput else 1)))
    properties = {
        "NUM_STREAMS": str(streams),
        "INFERENCE_NUM_THREADS": str(threads),
        "ENABLE_CPU_PINNING": str(asked.get("ENABLE_CPU_PINNING", True)),
        **{name: str(v) for name, v in asked.items() if name.startswith("CPU_RUNTIME")},
    }
    return Effective.of(config, properties, suggested=streams)


@dataclass(slots=True, kw_only=True)
class SyntheticBench:
    """Bench over `surface` in virtual time.

    `failure_of` returns the failure of a configuration, whose process crashes if `is_fatal` returns True.
    """

    surface: Surface = hill
    resolver: Callable[[DeploymentConfig], Effective] = effective_of
    effects: Sequence[Effect] = ()
    failure_of: Callable[[DeploymentConfig], Failure | None] = lambda config: None
    is_fatal: Callable[[DeploymentConfig], bool] = lambda config: False
    start_up: bool = False
    """True if every turn is a cold start."""
    clock: FakeClock = field(default_factory=FakeClock)
    process: int = 0
    """Number of processes started so far."""
    is_running: bool = False
    resident: str = ""
    """Key of the reference that stays compiled between sessions."""
    sessions: list[Session] = field(default_factory=list)
    """Sessions measured so far."""
    copies: Counter[str] = field(default_factory=Counter)
    """Number of times that each configuration was compiled in the current attempt."""

    def resolve(self, config: DeploymentConfig) -> Effective | Failure:
        """Returns what the made-up device reports."""
        failure = self.failure_of(config)
        if failure is not None and failure.kind is FailureKind.COMPILE:
            return failure
        return self.resolver(config)

    def measure(self, request: SessionRequest, progress: Progress | None = None) -> Session:
        """Runs one session, see `Bench.measure`."""
        is_fresh = request.plan.is_fresh
        self.is_running &= not is_fresh
        self.resident = self.resident if self.is_running else ""
        self.copies.clear()
        session = run_session(
            request,
            open_member=self._open_member,
            reset=self._reset,
            is_seen=lambda config: True,
            clock=self.clock,
            unix_clock=self.clock,
            progress=progress,
        )
        self.is_running &= not is_fresh
        self.resident = request.members[0].config.key if self.is_running else ""
        self.sessions.append(session)
        return session

    def _reset(self, crashed: Collection[int]) -> None:
        self.is_running, self.resident = False, ""
        self.copies.clear()

    def _open_member(self, config: DeploymentConfig) -> SyntheticMember:
        begin_s = self.clock()
        if not self.is_running:
            self.is_running = True
            self.process += 1
            self.clock.advance(START_S)
        start_s = self.clock() - begin_s
        failure = self.failure_of(config)
        if failure is not None and failure.kind is FailureKind.COMPILE:
            raise WorkerLost(failure) if self.is_fatal(config) else CommandFailed(failure)
        if config.key != self.resident:
            self.clock.advance(COMPILE_S)
        self.copies[config.key] += 1
        return SyntheticMember(
            self, config, self.resolver(config), start_s, f"{self.process}/{self.copies[config.key]}"
        )


class SyntheticMember:
    """Member of a session in a made-up process."""

    compile_s = COMPILE_S

    def __init__(
        self, bench: SyntheticBench, config: DeploymentConfig, effective: Effective, start_s: float, compiled: str
    ) -> None:
        self.bench = bench
        self.config = config
        self.effective = effective
        self.start_s = start_s
        self.compiled = compiled
        self.process = f"synthetic-{bench.process}"

    def settle(self, limit_s: float) -> None:
        """Fails if the configuration does."""
        failure = self.bench.failure_of(self.config)
        if failure is not None:
            raise WorkerLost(failure) if self.bench.is_fatal(self.config) else CommandFailed(failure)

    def turn(self, plan: TurnPlan, limit_s: float) -> TurnResult:
        """Measures one made-up window."""
        try:
            return self._closed(plan) if plan.arrivals is None else self._open(plan)
        except TooSlow as error:
            raise CommandFailed(Failure(kind=FailureKind.TIMEOUT, message=str(error))) from error

    def _open(self, plan: TurnPlan) -> TurnResult:
        """Serves arrivals: every request is a server, and together the servers have the speed of the surface."""
        clock, requests = self.bench.clock, self.effective.infer_requests
        service_s = requests / self._speed(plan.window_s)

        def service(start: int, now_s: float) -> float:
            return service_s * LATENCY_SPREAD[start % len(LATENCY_SPREAD)]

        queue = VirtualQueue(clock, requests, service)
        result, _ = serve_window(queue, queue.requests, plan, clock=clock, sleep_until=clock.sleep_until)
        return replace(
            result,
            cpu_s=result.samples * cpu_ms_of(self.effective) / 1e3,
            peak_memory_bytes=round(memory_mb_of(self.effective) * 1e6),
        )

    def _speed(self, window_s: float) -> float:
        """Returns samples/s of one window with every disturbance."""
        effects, now_s = self.bench.effects, self.bench.clock()
        found = (effect(self.config, now_s=now_s, window_s=window_s, process=self.compiled) for effect in effects)
        return self.bench.surface(self.config) * math.exp(sum(found))

    def _closed(self, plan: TurnPlan) -> TurnResult:
        bench, effective = self.bench, self.effective
        speed = self._speed(plan.window_s)
        slowness = bench.surface(self.config) / speed
        callers = effective.infer_requests if plan.callers is None else plan.callers
        if plan.callers is not None:
            # A stream without a caller idles.
            speed *= min(1.0, callers / max(1.0, _whole(effective, "NUM_STREAMS")))
        cycle_s = callers * effective.batch_size / speed
        cycles = max(4, math.ceil(plan.window_s / cycle_s))
        duration_s = cycles * cycle_s
        if duration_s > plan.max_s:
            bench.clock.advance(plan.drop_s + plan.max_s)
            raise TooSlow(f"too slow for this budget: four rounds did not complete in {plan.max_s:.1f} s")
        bench.clock.advance(plan.drop_s + duration_s)
        requests = cycles * callers
        counts, latency_sum_ms = _spread(requests, cycle_s)
        samples = requests * effective.batch_size
        result = TurnResult(
            duration_s=duration_s,
            samples=samples,
            latency_counts=counts,
            latency_sum_ms=latency_sum_ms,
            cpu_s=samples * cpu_ms_of(effective) / 1e3 * slowness,
            energy_j=samples * 5.0 * cpu_ms_of(effective) / 1e3,
            peak_memory_bytes=round(memory_mb_of(effective) * 1e6),
        )
        return self._cold_start(result, slowness) if bench.start_up else result

    def _cold_start(self, result: TurnResult, slowness: float) -> TurnResult:
        """Adds a start; compiling takes 4/5 of it, loading from a cache 1/3, the first inference 1/10. Made up."""
        load_s = load_s_of(self.effective) * slowness
        self.bench.clock.advance(START_S + 1.1 * load_s)
        return replace(
            result,
            compile_s=0.8 * load_s,
            load_s=load_s,
            first_inference_s=0.1 * load_s,
            load_cached_s=load_s / 3.0,
        )


def _spread(requests: int, cycle_s: float) -> tuple[dict[int, int], float]:
    """Returns a histogram of `requests` latencies around `cycle_s`, and their sum in ms."""
    counts: dict[int, int] = {}
    latency_sum_ms = 0.0
    for i, factor in enumerate(LATENCY_SPREAD):
        latency = 1e3 * cycle_s * factor
        n = requests // len(LATENCY_SPREAD) + (1 if i < requests % len(LATENCY_SPREAD) else 0)
        latency_sum_ms += n * latency
        bucket = histogram.bucket_of(latency)
        counts[bucket] = counts.get(bucket, 0) + n
    return {bucket: n for bucket, n in counts.items() if n}, latency_sum_ms
