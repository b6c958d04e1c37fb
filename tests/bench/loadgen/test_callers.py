from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tuner.bench.loadgen.callers import run_callers
from tuner.bench.loadgen.closed_loop import SyncRequest, count
from tuner.bench.turn import TurnPlan

PLAN = TurnPlan(window_s=0.05, max_s=30.0)


class Rendezvous:
    """A request whose first runs end only when all of them run at once."""

    def __init__(self, together: threading.Barrier) -> None:
        self.together = together
        self.threads: set[int] = set()
        self.runs = 0

    def infer(self) -> object:
        self.threads.add(threading.get_ident())
        if self.runs == 0:
            self.together.wait(timeout=60.0)
        self.runs += 1
        time.sleep(0.001)
        return None


class OneStream:
    """A request that waits for the only stream, which serves in the order of the calls."""

    def __init__(self, stream: threading.Lock, turns: list[int]) -> None:
        self.stream = stream
        self.turns = turns

    def infer(self) -> object:
        ticket = self.turns[0]
        self.turns[0] += 1
        while self.turns[1] != ticket:
            time.sleep(0.0002)
        with self.stream:
            time.sleep(0.002)
            self.turns[1] += 1
        return None


class Broken:
    def infer(self) -> object:
        raise RuntimeError("no such layer")


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=8) as found:
        yield found


@pytest.mark.parametrize("callers", [2, 5])
def test_all_callers_are_in_flight_at_once_each_on_its_own_thread(pool: ThreadPoolExecutor, callers: int) -> None:
    together = threading.Barrier(callers)
    requests = [Rendezvous(together) for _ in range(callers)]
    turn = run_callers(requests, PLAN, clock=time.perf_counter, pool=pool)
    assert [len(request.threads) for request in requests] == [1] * callers
    assert len(set.union(*(request.threads for request in requests))) == callers
    assert turn.requests == callers
    assert turn.times_s == sorted(turn.times_s)
    assert turn.completed == sum(request.runs for request in requests), "no run is lost and none counts twice"
    assert turn.drained < callers
    counted = count(turn)
    assert counted is not None
    assert counted.completions % callers == 0


def test_one_caller_runs_on_the_calling_thread(pool: ThreadPoolExecutor) -> None:
    request = Rendezvous(threading.Barrier(1))
    turn = run_callers([request], PLAN, clock=time.perf_counter, pool=pool)
    assert request.threads == {threading.get_ident()}
    assert (turn.requests, turn.drained) == (1, 0)


def test_the_wait_for_a_stream_is_part_of_a_callers_latency(pool: ThreadPoolExecutor) -> None:
    """By Little's law the mean latency is the callers over the rate, on a host of any load."""
    stream, turns = threading.Lock(), [0, 0]
    requests = [OneStream(stream, turns) for _ in range(4)]
    counted = count(run_callers(requests, TurnPlan(window_s=0.3, max_s=30.0), clock=time.perf_counter, pool=pool))
    assert counted is not None
    in_flight = sum(counted.latencies_ms) / 1e3 / counted.duration_s
    assert 2.0 < in_flight < 6.0, "one that is served at a time would count 1 if the wait were left out"


def test_a_window_grows_until_every_caller_has_four_answers(pool: ThreadPoolExecutor) -> None:
    requests = [Rendezvous(threading.Barrier(1)) for _ in range(3)]
    turn = run_callers(requests, TurnPlan(window_s=0.0, max_s=30.0), clock=time.perf_counter, pool=pool)
    assert len(turn.times_s) >= 12
    assert count(turn) is not None


def test_replicas_share_a_window_of_exactly_its_length(pool: ThreadPoolExecutor) -> None:
    requests = [Rendezvous(threading.Barrier(1)) for _ in range(2)]
    plan = TurnPlan(window_s=0.05, max_s=0.05, tail_s=0.02)
    turn = run_callers(requests, plan, clock=time.perf_counter, pool=pool)
    assert turn.end_s - turn.begin_s == pytest.approx(plan.window_s)
    assert turn.times_s[-1] >= turn.end_s


def test_the_failure_of_one_caller_ends_the_turn_of_all(pool: ThreadPoolExecutor) -> None:
    requests: list[SyncRequest] = [Rendezvous(threading.Barrier(1)), Broken(), Rendezvous(threading.Barrier(1))]
    with pytest.raises(RuntimeError, match="no such layer"):
        run_callers(requests, TurnPlan(window_s=600.0, max_s=600.0), clock=time.perf_counter, pool=pool)
