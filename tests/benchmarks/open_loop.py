"""Compares the p99 of the open loop with queueing theory, in virtual time and on the real clock.

    python tests/benchmarks/open_loop.py [arrivals] [seconds] [--window S]

Virtual time, `arrivals` of each load (default a million), 50, 70 and 90 % load: M/M/1 against the formula; one and two
servers with equal and with exponential services against simulations that share no code with the loop. Real clock,
`seconds` of each load (default 120), 50 and 70 %: two servers of 10 ms made of a thread, against the simulation of the
same arrivals and of the services as long as they really took. Then the stall: two servers that stand still for 250 ms
of every 10 s, at 70 % load, in the open loop and in the closed one. Percentiles are read off the tool's own histograms.
Targets: 3 % in virtual time, 10 % on the real clock; the exit code says.
"""

from __future__ import annotations

import argparse
import heapq
import sys
import threading
import time
from collections import deque
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.loadgen.queueing import exponential_p99_s, lindley_s, nearest_rank, sojourns_s
from tuner.bench import histogram
from tuner.bench.loadgen.arrivals import arrival_times_s
from tuner.bench.loadgen.closed_loop import count, run_async
from tuner.bench.loadgen.open_loop import count_open, is_late, run_open
from tuner.bench.loadgen.timer import exact_timers, sleep_until
from tuner.bench.measurement import Arrivals
from tuner.bench.simulated.synthetic import FakeClock
from tuner.bench.simulated.virtual_queue import Service, VirtualQueue, VirtualRequest
from tuner.bench.turn import TurnPlan

SERVICE_S = 0.010
STALL_S, EVERY_S = 0.250, 10.0
WINDOW_S = 10.0
VIRTUAL_TARGET, REAL_TARGET = 0.03, 0.10


def equal(start: int, now_s: float) -> float:
    return SERVICE_S


def stalled(start: int, now_s: float) -> float:
    into = now_s % EVERY_S
    if into < STALL_S:
        return STALL_S - into + SERVICE_S
    return SERVICE_S + (STALL_S if into + SERVICE_S > EVERY_S else 0.0)


def percentile_ms(latencies_ms: object) -> float:
    return histogram.percentile(histogram.count(latencies_ms), 0.99)  # type: ignore[arg-type]


def virtual_p99_ms(arrivals_s: list[float], servers: int, service: Service) -> float:
    return histogram.percentile(virtual_counts(arrivals_s, servers, service), 0.99)


def virtual_counts(arrivals_s: list[float], servers: int, service: Service) -> dict[int, int]:
    clock, end_s = FakeClock(), arrivals_s[-1] + 1e-9
    queue = VirtualQueue(clock, servers, service)
    turn = run_open(
        queue,
        queue.requests,
        arrivals_s=arrivals_s,
        end_s=end_s,
        drain_s=1e9,
        clock=clock,
        sleep_until=clock.sleep_until,
    )
    found = count_open(turn, drop_s=0.0, end_s=end_s)
    assert found is not None
    assert len(found.latencies_ms) == len(arrivals_s)
    return histogram.count(found.latencies_ms)


def trace(rate_per_s: float, seconds: float, seed: int) -> list[float]:
    return arrival_times_s(Arrivals(pattern="poisson", rate_per_s=rate_per_s, seed=seed), seconds)


def in_virtual_time(load: float, arrivals: int) -> list[tuple[str, float, float]]:
    """(what, p99 of the loop, p99 expected), in ms."""
    found = []
    for servers in (1, 2):
        rate = servers * load / SERVICE_S
        arrivals_s = trace(rate, 1.02 * arrivals / rate, seed=int(100 * load) + servers)
        n = len(arrivals_s)
        fixed = virtual_p99_ms(arrivals_s, servers, equal)
        if servers == 1:
            simulated = lindley_s(arrivals_s, SERVICE_S)
        else:
            simulated = sojourns_s(arrivals_s, np.full(n, SERVICE_S), 2)
        found.append((f"M/D/{servers}, simulation, {n} arrivals", fixed, 1e3 * nearest_rank(simulated, 0.99)))
        services_s = np.random.default_rng(servers).exponential(SERVICE_S, n)
        random = virtual_p99_ms(arrivals_s, servers, drawn(services_s))
        simulated = sojourns_s(arrivals_s, services_s, servers)
        found.append((f"M/M/{servers}, simulation, {n} arrivals", random, 1e3 * nearest_rank(simulated, 0.99)))
    return [*found, against_the_formula(load, arrivals)]


def against_the_formula(load: float, arrivals: int) -> tuple[str, float, float]:
    """Returns name, p99 of the loop and p99 of the formula (ms) of one server.

    Few requests of a long queue are independent: at 90 % load the sampling error of a million is 3 %.
    """
    rate = load / SERVICE_S
    parts = []
    for seed in range(4 if load > 0.8 else 1):
        arrivals_s = trace(rate, 1.02 * arrivals / rate, seed=1000 + seed)
        services_s = np.random.default_rng(seed).exponential(SERVICE_S, len(arrivals_s))
        parts.append(virtual_counts(arrivals_s, 1, drawn(services_s)))
    counts = histogram.pool(parts)
    found = histogram.percentile(counts, 0.99)
    return f"M/M/1, formula, {sum(counts.values())} arrivals", found, 1e3 * exponential_p99_s(1 / SERVICE_S, rate)


def drawn(services_s: npt.NDArray[np.float64]) -> Service:
    draws = iter(services_s.tolist())
    return lambda start, now_s: next(draws)


class TimedQueue:
    """As AsyncInferQueue; a thread ends each request when its service time is over on the real clock."""

    def __init__(self, requests: int, service_s: float) -> None:
        self.requests = [VirtualRequest() for _ in range(requests)]
        self.service_s = service_s
        self.idle = deque(range(requests))
        self.busy: list[tuple[float, int, float, int]] = []
        self.services_s: list[float] = []
        """Seconds that each service really took, in the order of the starts: a thread wakes late on a busy host."""
        self.changed = threading.Condition()
        self.is_open = True
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self) -> None:
        with exact_timers(), self.changed:
            while self.is_open:
                now = time.perf_counter()
                if self.busy and self.busy[0][0] <= now:
                    _, index, started, number = heapq.heappop(self.busy)
                    self.services_s[number] = now - started
                    self.requests[index].latency = (now - started) * 1e3
                    self.idle.append(index)
                    self.changed.notify_all()
                else:
                    self.changed.wait(self.busy[0][0] - now if self.busy else None)

    def get_idle_request_id(self) -> int:
        with self.changed:
            self.changed.wait_for(lambda: self.idle)
            return self.idle[0]

    def start_async(self) -> None:
        with self.changed:
            now = time.perf_counter()
            heapq.heappush(self.busy, (now + self.service_s, self.idle.popleft(), now, len(self.services_s)))
            self.services_s.append(self.service_s)
            self.changed.notify_all()

    def wait_all(self) -> None:
        with self.changed:
            self.changed.wait_for(lambda: not self.busy)

    def close(self) -> None:
        with self.changed:
            self.is_open = False
            self.changed.notify_all()
        self.thread.join()


def on_the_real_clock(load: float, seconds: float, window_s: float) -> tuple[float, float, float, str]:
    """Returns p99 of the loop, expected p99 and worst p99 of the generator's lag (ms), and the data in words.

    Windows in which the generator ran late (`is_late`) are left out.
    """
    parts, simulated, nominal, lags = [], [], [], []
    windows = max(1, round(seconds / window_s))
    for seed in range(windows):
        arrivals_s = trace(2 * load / SERVICE_S, window_s, seed=seed)
        queue = TimedQueue(2, SERVICE_S)
        try:
            with exact_timers():
                turn = run_open(
                    queue,
                    queue.requests,
                    arrivals_s=arrivals_s,
                    end_s=window_s,
                    drain_s=5.0,
                    clock=time.perf_counter,
                    sleep_until=sleep_until,
                )
        finally:
            queue.close()
        found = count_open(turn, drop_s=0.0, end_s=window_s)
        assert found is not None
        counts = histogram.count(found.latencies_ms)
        if is_late(found.lag_p99_ms, counts, None):
            continue
        parts.append(counts)
        lags.append(found.lag_p99_ms)
        simulated.append(sojourns_s(arrivals_s, np.asarray(queue.services_s), 2))
        nominal.append(sojourns_s(arrivals_s, np.full(len(arrivals_s), SERVICE_S), 2))
    if not parts:
        return float("nan"), float("nan"), float("nan"), f"all {windows} windows refused: the host is not calm enough"
    counts = histogram.pool(parts)
    expected = 1e3 * nearest_rank(np.concatenate(simulated), 0.99)
    exact = 1e3 * nearest_rank(np.concatenate(nominal), 0.99)
    rest = "" if len(parts) == windows else ", the others refused"
    what = (
        f"{sum(counts.values())} arrivals in {len(parts)} of {windows} windows{rest} (10 ms to the dot: {exact:.2f} ms)"
    )
    return histogram.percentile(counts, 0.99), expected, max(lags), what


def closed_p99_ms(seconds: float) -> float:
    clock = FakeClock()
    queue = VirtualQueue(clock, 2, stalled)
    turn = run_async(queue, queue.requests, TurnPlan(window_s=seconds, max_s=2 * seconds), clock=clock)
    found = count(turn)
    assert found is not None
    return percentile_ms(found.latencies_ms)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arrivals", type=int, nargs="?", default=1_000_000, help="of each load in virtual time (1e6)")
    parser.add_argument("seconds", type=float, nargs="?", default=120.0, help="of each load on the real clock (120)")
    parser.add_argument(
        "--window", type=float, default=WINDOW_S, metavar="S", help=f"length of a window ({WINDOW_S:g})"
    )
    given = parser.parse_args()
    arrivals, seconds = given.arrivals, given.seconds
    is_good = True

    def report(what: str, found: float, expected: float, target: float, more: str = "") -> None:
        nonlocal is_good
        error = found / expected - 1.0
        is_good &= abs(error) <= target  # not a number is not good
        print(
            f"{what}: p99 {found:.2f} ms, expected {expected:.2f} ms, {100 * error:+.2f} % "
            f"(target {100 * target:g}){more}",
            flush=True,
        )

    for load in (0.5, 0.7, 0.9):
        for what, found, expected in in_virtual_time(load, arrivals):
            report(f"virtual time, {100 * load:.0f} % load, {what}", found, expected, VIRTUAL_TARGET)
    for load in (0.5, 0.7):
        found, expected, lag_ms, rests_on = on_the_real_clock(load, seconds, given.window)
        what = f"real clock, {100 * load:.0f} % load, 2 servers of 10 ms, {rests_on}"
        report(what, found, expected, REAL_TARGET, f", lag p99 {lag_ms:.2f} ms")
    found = virtual_p99_ms(trace(140.0, 1000.0, seed=5), 2, stalled)
    hidden = closed_p99_ms(1000.0)
    print(f"a stall of 250 ms every 10 s, 70 % load: open loop p99 {found:.0f} ms, closed loop {hidden:.1f} ms")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
