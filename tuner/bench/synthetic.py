"""SyntheticBench: an analytic surface with a known optimum, in virtual time, with noise, drift and failures to compose.

Ships with the package: tests, demos and simulations of the decision use it. Sessions run through the same code as real
ones; only the seats are made up. Knows no OpenVINO and no real clock.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from tuner.bench import histogram
from tuner.bench.open_loop import NothingServed, serve_window
from tuner.bench.process import CommandFailed, WorkerLost
from tuner.bench.protocol import Arrivals, DeploymentConfig, Effective, Failure, FailureKind, Session, SessionPlan
from tuner.bench.session import MemberLost, run_session
from tuner.bench.virtual_queue import VirtualQueue

START_S, COMPILE_S = 0.35, 0.5
LATENCY_SPREAD = (0.9, 1.0, 1.0, 1.1)
"""A request's latency in quarters, relative to the mean: enough for percentiles to differ."""


@dataclass(slots=True)
class FakeClock:
    """Virtual seconds; time passes only when somebody says so."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s

    def advance(self, seconds: float) -> None:
        self.now_s += seconds

    def sleep_until(self, at_s: float) -> None:
        self.now_s = max(self.now_s, at_s)


class Effect(Protocol):
    """One disturbance: the log-factor on the speed of a window. `process` names the worker process, and within it each
    of several compiles of one configuration."""

    def __call__(self, config: DeploymentConfig, *, now_s: float, window_s: float, process: str) -> float: ...


class Noise:
    """Independent noise of each window, `sd` for one second, scaled by 1 / sqrt(seconds); one in twenty is three times
    as wide (shared/landscapes: heavy tails, as neighbours make them)."""

    def __init__(self, sd: float, *, seed: int = 0) -> None:
        self.sd = sd
        self.rng = random.Random(seed)

    def __call__(self, config: DeploymentConfig, *, now_s: float, window_s: float, process: str) -> float:
        width = 3.0 if self.rng.random() < 0.05 else 1.0
        return self.rng.gauss(0.0, width * self.sd / math.sqrt(window_s))


class Drift:
    """The host's moods: an Ornstein-Uhlenbeck process shared by everybody, with `sd` and a time constant in seconds."""

    def __init__(self, sd: float, *, time_constant_s: float = 60.0, seed: int = 0) -> None:
        self.sd = sd
        self.time_constant_s = time_constant_s
        self.rng = random.Random(seed)
        self.level = self.rng.gauss(0.0, sd)
        self.at_s = 0.0

    def __call__(self, config: DeploymentConfig, *, now_s: float, window_s: float, process: str) -> float:
        keep = math.exp(-max(0.0, now_s - self.at_s) / self.time_constant_s)
        self.level = keep * self.level + self.rng.gauss(0.0, self.sd * math.sqrt(1 - keep * keep))
        self.at_s = now_s
        return self.level


class CompileEffect:
    """What differs between two compiles of one configuration, fixed within a process."""

    def __init__(self, sd: float, *, seed: int = 0) -> None:
        self.sd = sd
        self.seed = seed

    def __call__(self, config: DeploymentConfig, *, now_s: float, window_s: float, process: str) -> float:
        return random.Random(f"{self.seed}/{process}/{config.key}").gauss(0.0, self.sd)


Surface = Callable[[DeploymentConfig], float]
"""The true samples/s of a configuration."""


def hill(config: DeploymentConfig, *, cpus: int = 8) -> float:
    """A surface with one optimum: `cpus` streams, batch 8, two requests a stream, unpinned. Made up, not measured."""
    resolved = effective_of(config, cpus=cpus)
    streams = int(resolved.properties["NUM_STREAMS"])
    threads = int(resolved.properties["INFERENCE_NUM_THREADS"])
    busy = min(1.0, resolved.infer_requests / streams)
    speed = 100.0 * threads**0.9 * (streams / cpus) ** 0.15 * busy
    speed *= 1.0 + 0.1 * min(3.0, math.log2(resolved.batch_size)) - 0.05 * max(0.0, math.log2(resolved.batch_size) - 3)
    speed *= 1.0 + 0.06 * min(1.0, math.log2(max(1.0, resolved.infer_requests / streams)))
    return float(speed * (1.03 if resolved.properties["ENABLE_CPU_PINNING"] == "False" else 1.0))


def cpu_ms_of(effective: Effective) -> float:
    """CPU time of one sample: 10 ms of work, a twentieth more for each thread that a stream has to keep in step, and 2
    ms for handing out a request. Made up, not measured."""
    threads, streams = _whole(effective, "INFERENCE_NUM_THREADS"), _whole(effective, "NUM_STREAMS")
    return 10.0 * (1.0 + 0.05 * (max(1.0, threads / streams) - 1.0)) + 2.0 / effective.batch_size


def memory_mb_of(effective: Effective) -> float:
    """The peak of a process of its own: 100 MB, 20 for each stream and one for each sample in flight. Made up."""
    return 100.0 + 20.0 * _whole(effective, "NUM_STREAMS") + effective.batch_size * effective.infer_requests


def load_s_of(effective: Effective) -> float:
    """From file to request: 50 ms, and 20 for each stream that is set up. Compiling takes four fifths of it, loading
    from a cache a third, the first inference a tenth. Made up."""
    return 0.05 + 0.02 * _whole(effective, "NUM_STREAMS")


def _whole(effective: Effective, name: str) -> int:
    text = effective.properties.get(name, "")
    return max(1, int(text)) if text.isdecimal() else 1


def effective_of(config: DeploymentConfig, *, cpus: int = 8) -> Effective:
    """What a made-up device of `cpus` CPUs makes of a configuration: hints are spelled out, too much is clamped."""
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
    """A Bench over `surface`. `failure_of` names the members that fail: politely at compile, or, where `is_fatal` says
    so, with their process."""

    surface: Surface = hill
    resolver: Callable[[DeploymentConfig], Effective] = effective_of
    effects: Sequence[Effect] = ()
    failure_of: Callable[[DeploymentConfig], Failure | None] = lambda config: None
    is_fatal: Callable[[DeploymentConfig], bool] = lambda config: False
    start_up: bool = False
    """Whether every turn is a start, as a bench for start-up metrics has it."""
    clock: FakeClock = field(default_factory=FakeClock)
    process: int = 0
    is_running: bool = False
    resident: str = ""
    """The key of the reference that stays compiled from session to session, as a worker keeps it."""
    sessions: list[Session] = field(default_factory=list)
    copies: Counter[str] = field(default_factory=Counter)
    """How often each configuration is in the lineup that is being measured."""

    def resolve(self, config: DeploymentConfig) -> Effective | Failure:
        failure = self.failure_of(config)
        if failure is not None and failure.kind is FailureKind.COMPILE:
            return failure
        return self.resolver(config)

    def measure(self, lineup: Sequence[DeploymentConfig], plan: SessionPlan) -> Session:
        begin_s = self.clock()
        lost: dict[int, Failure] = {}
        lost_s = 0.0
        self.is_running &= not plan.is_fresh
        self.resident = self.resident if self.is_running else ""
        while True:
            attempted_s = self.clock()
            self.copies.clear()
            try:
                session = run_session(
                    lineup,
                    plan,
                    open_seat=self._open_seat,
                    is_seen=lambda config: True,
                    clock=self.clock,
                    unix_clock=self.clock,
                    lost=lost,
                )
                break
            except MemberLost as error:
                lost[error.index] = error.failure
                lost_s += self.clock() - attempted_s
                self.is_running, self.resident = False, ""
        done = replace(
            session,
            started_unix_s=begin_s,
            wall_s=self.clock() - begin_s,
            costs=replace(session.costs, lost_s=lost_s),
        )
        self.is_running &= not plan.is_fresh
        self.resident = lineup[0].key if self.is_running else ""
        self.sessions.append(done)
        return done

    def _open_seat(self, config: DeploymentConfig) -> SyntheticSeat:
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
        return SyntheticSeat(self, config, self.resolver(config), start_s, f"{self.process}/{self.copies[config.key]}")


class SyntheticSeat:
    """A member in a made-up process."""

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
        failure = self.bench.failure_of(self.config)
        if failure is not None:
            raise WorkerLost(failure) if self.bench.is_fatal(self.config) else CommandFailed(failure)

    def serve(
        self, arrivals: Arrivals, window_s: float, drop_s: float, drain_s: float, limit_s: float
    ) -> Mapping[str, Any]:
        """Every request is a server of its own; together they have the speed of the surface."""
        clock, requests = self.bench.clock, self.effective.infer_requests
        service_s = requests / self._speed(window_s)

        def service(start: int, now_s: float) -> float:
            return service_s * LATENCY_SPREAD[start % len(LATENCY_SPREAD)]

        queue = VirtualQueue(clock, requests, service)
        try:
            found, _ = serve_window(
                queue,
                queue.requests,
                arrivals,
                window_s=window_s,
                drop_s=drop_s,
                drain_s=drain_s,
                clock=clock,
                sleep_until=clock.sleep_until,
            )
        except NothingServed as error:
            raise CommandFailed(Failure(kind=FailureKind.TIMEOUT, message=str(error))) from error
        return {
            **found,
            "cpu_s": found["samples"] * cpu_ms_of(self.effective) / 1e3,
            "peak_memory_bytes": round(memory_mb_of(self.effective) * 1e6),
        }

    def _speed(self, window_s: float) -> float:
        """Samples/s of one window, with every disturbance."""
        effects, now_s = self.bench.effects, self.bench.clock()
        found = (effect(self.config, now_s=now_s, window_s=window_s, process=self.compiled) for effect in effects)
        return self.bench.surface(self.config) * math.exp(sum(found))

    def turn(self, window_s: float, drop_s: float, max_s: float, limit_s: float) -> Mapping[str, Any]:
        bench, effective = self.bench, self.effective
        speed = self._speed(window_s)
        slowness = bench.surface(self.config) / speed
        round_s = effective.infer_requests * effective.batch_size / speed
        rounds = max(4, math.ceil(window_s / round_s))
        duration_s = rounds * round_s
        if duration_s > max_s:
            bench.clock.advance(drop_s + max_s)
            message = f"too slow for this budget: four rounds did not complete in {max_s:.1f} s"
            raise CommandFailed(Failure(kind=FailureKind.TIMEOUT, message=message))
        bench.clock.advance(drop_s + duration_s)
        requests = rounds * effective.infer_requests
        latencies = [1e3 * round_s * factor for factor in LATENCY_SPREAD]
        counts: dict[int, int] = {}
        latency_sum_ms = 0.0
        for i, latency in enumerate(latencies):
            share = requests // len(latencies) + (1 if i < requests % len(latencies) else 0)
            latency_sum_ms += share * latency
            bucket = math.floor(math.log(max(latency, histogram.FLOOR_MS)) / histogram.WIDTH)
            counts[bucket] = counts.get(bucket, 0) + share
        samples = requests * effective.batch_size
        return {
            "duration_s": duration_s,
            "samples": samples,
            "latency_counts": {b: n for b, n in counts.items() if n},
            "latency_sum_ms": latency_sum_ms,
            "cpu_s": samples * cpu_ms_of(effective) / 1e3 * slowness,
            "energy_j": samples * 5.0 * cpu_ms_of(effective) / 1e3,
            "peak_memory_bytes": round(memory_mb_of(effective) * 1e6),
            **(self._start(slowness) if bench.start_up else {}),
        }

    def _start(self, slowness: float) -> Mapping[str, float]:
        load_s = load_s_of(self.effective) * slowness
        self.bench.clock.advance(START_S + 1.1 * load_s)
        return {
            "compile_s": 0.8 * load_s,
            "load_s": load_s,
            "first_inference_s": 0.1 * load_s,
            "load_cached_s": load_s / 3.0,
        }
