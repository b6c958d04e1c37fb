"""The open loop in virtual time: against queueing theory, with stalls, overload, a late generator and a cap."""

from __future__ import annotations

import numpy as np
import pytest

from tests.bench.loadgen.queueing import exponential_p99_s, lindley_s, nearest_rank, sojourns_s
from tuner.bench import histogram
from tuner.bench.loadgen.arrivals import LOADS, arrival_times_s
from tuner.bench.loadgen.closed_loop import count, run_async
from tuner.bench.loadgen.open_loop import OpenTurn, count_open, is_late, run_open, serve_window
from tuner.bench.measurement import Arrivals
from tuner.bench.simulated.synthetic import FakeClock
from tuner.bench.simulated.virtual_queue import Service, VirtualQueue
from tuner.bench.turn import TooSlow, TurnPlan, TurnResult
from tuner.bench.worker.replicas import combine

SERVICE_S = 0.010


def steady(start: int, now_s: float) -> float:
    return SERVICE_S


def exponential(seed: int = 3) -> Service:
    draws = iter(np.random.default_rng(seed).exponential(SERVICE_S, 1_000_000).tolist())
    return lambda start, now_s: float(next(draws))


def stalled(start: int, now_s: float) -> float:
    """10 ms, and every server stands still for 250 ms of every 10 s."""
    into = now_s % 10.0
    if into < 0.25:
        return 0.25 - into + SERVICE_S
    return SERVICE_S + (0.25 if into + SERVICE_S > 10.0 else 0.0)


def served(
    arrivals_s: list[float],
    *,
    servers: int = 1,
    service: Service = steady,
    end_s: float,
    drain_s: float = 1e9,
    clock: FakeClock | None = None,
) -> OpenTurn:
    clock = clock or FakeClock()
    queue = VirtualQueue(clock, servers, service)
    return run_open(
        queue,
        queue.requests,
        arrivals_s=arrivals_s,
        end_s=end_s,
        drain_s=drain_s,
        clock=clock,
        sleep_until=clock.sleep_until,
    )


def p99_ms(turn: OpenTurn, *, end_s: float) -> float:
    found = count_open(turn, drop_s=0.0, end_s=end_s)
    assert found is not None
    return histogram.percentile(histogram.count(found.latencies_ms), 0.99)


def trace(rate_per_s: float, until_s: float, *, pattern: str = "poisson", seed: int = 1) -> list[float]:
    return arrival_times_s(Arrivals(pattern=pattern, rate_per_s=rate_per_s, seed=seed), until_s)


@pytest.mark.parametrize("load", [0.5, 0.7, 0.9])
def test_one_server_has_the_p99_of_an_independent_simulation(load: float) -> None:
    arrivals_s = trace(load / SERVICE_S, 500.0)
    found = p99_ms(served(arrivals_s, end_s=500.0), end_s=500.0)
    assert found == pytest.approx(1e3 * nearest_rank(lindley_s(arrivals_s, SERVICE_S), 0.99), rel=0.003)


@pytest.mark.parametrize("load", [0.5, 0.7, 0.9])
def test_two_servers_have_the_p99_of_an_independent_simulation(load: float) -> None:
    arrivals_s = trace(2 * load / SERVICE_S, 150.0)
    expected = sojourns_s(arrivals_s, np.full(len(arrivals_s), SERVICE_S), 2)
    found = p99_ms(served(arrivals_s, servers=2, end_s=150.0), end_s=150.0)
    assert found == pytest.approx(1e3 * nearest_rank(expected, 0.99), rel=0.003)


def test_random_services_have_the_p99_of_the_formula() -> None:
    """40 000 requests at half load: the formula's 92.1 ms but for the sampling error; a benchmark takes a million."""
    found = p99_ms(served(trace(50.0, 800.0), service=exponential(), end_s=800.0), end_s=800.0)
    assert found == pytest.approx(1e3 * exponential_p99_s(100.0, 50.0), rel=0.08)


def test_a_stall_shows_in_the_open_loop_and_hides_in_the_closed_one() -> None:
    """Two servers of 10 ms with a 250 ms stall every 10 s have a p99 of 238 ms at 70 % load, not 12 ms."""
    open_p99_ms = p99_ms(served(trace(140.0, 200.0), servers=2, service=stalled, end_s=200.0), end_s=200.0)
    assert open_p99_ms > 150.0
    clock = FakeClock()
    queue = VirtualQueue(clock, 2, stalled)
    turn = run_async(queue, queue.requests, TurnPlan(window_s=200.0, max_s=300.0), clock=clock)
    counted = count(turn)
    assert counted is not None
    assert histogram.percentile(histogram.count(counted.latencies_ms), 0.99) < 12.0


def test_latency_counts_from_the_intended_arrival() -> None:
    turn = served([0.0, 0.001, 0.002, 0.5], end_s=1.0)
    assert turn.done_s == pytest.approx([0.010, 0.020, 0.030, 0.510])
    counted = count_open(turn, drop_s=0.0, end_s=1.0)
    assert counted is not None
    assert counted.latencies_ms == pytest.approx([10.0, 19.0, 28.0, 10.0])
    assert (counted.completions, counted.duration_s, counted.waiting, counted.unserved) == (4, 1.0, 0, 0)


def test_arrivals_of_the_ramp_do_not_count_but_their_backlog_does() -> None:
    turn = served([0.0, 0.01, 0.02, 0.03], service=lambda start, now_s: 0.05, end_s=0.1)
    counted = count_open(turn, drop_s=0.015, end_s=0.1)
    assert counted is not None
    assert counted.latencies_ms == pytest.approx([130.0, 170.0])
    assert counted.completions == 1, "at 50 ms; the one at 100 ms is beyond the end"
    assert counted.waiting == 2


def test_what_never_ran_counts_with_its_age_at_the_end() -> None:
    """Ten a second arrive for one server that takes a second each; the drain ends one second after the window."""
    turn = served([0.1 * i for i in range(20)], service=lambda start, now_s: 1.0, end_s=2.0, drain_s=1.0)
    counted = count_open(turn, drop_s=0.0, end_s=2.0)
    assert counted is not None
    assert counted.unserved == 17, "three have started before 3.0 s"
    assert counted.waiting == 19, "only the first was done before the window ended at 2.0 s"
    assert turn.ended_s == pytest.approx(3.0)
    assert counted.latencies_ms[-1] == pytest.approx(1100.0)
    assert len(counted.latencies_ms) == 20


def test_the_longer_the_overload_the_larger_the_latencies() -> None:
    def p99_after(end_s: float) -> float:
        return p99_ms(served(trace(150.0, end_s), end_s=end_s), end_s=end_s)

    assert p99_after(4.0) > 1.7 * p99_after(2.0) > 2.5 * p99_after(1.0)


def test_waiting_for_a_server_is_no_lag_of_the_generator() -> None:
    turn = served([0.0, 0.001, 0.002], end_s=0.1)
    assert list(turn.lags_s) == [0.0, 0.0, 0.0]


def test_a_generator_that_wakes_late_is_told_by_its_lag_and_its_latencies_hold_it() -> None:
    clock = FakeClock()
    queue = VirtualQueue(clock, 2, steady)
    arrivals_s = [0.1 * i for i in range(1, 10)]
    turn = run_open(
        queue,
        queue.requests,
        arrivals_s=arrivals_s,
        end_s=1.0,
        drain_s=1.0,
        clock=clock,
        sleep_until=lambda at_s: clock.sleep_until(at_s + 0.004),
    )
    assert list(turn.lags_s) == pytest.approx([0.004] * 9)
    counted = count_open(turn, drop_s=0.0, end_s=1.0)
    assert counted is not None
    assert counted.lag_p99_ms == pytest.approx(4.0)
    assert counted.latencies_ms == pytest.approx([14.0] * 9)


def test_the_lag_is_judged_by_the_limit_or_by_what_was_measured() -> None:
    counts = histogram.count([20.0] * 100)
    assert [is_late(lag, counts, None) for lag in (1.9, 2.1)] == [False, True]
    assert [is_late(lag, counts, 5.0) for lag in (4.9, 5.1)] == [False, True]


def test_it_sleeps_to_absolute_deadlines_and_only_where_it_is_early() -> None:
    clock = FakeClock(now_s=5.0)
    asked: list[float] = []

    def sleep_until(at_s: float) -> None:
        asked.append(at_s)
        clock.sleep_until(at_s)

    queue = VirtualQueue(clock, 1, steady)
    run_open(
        queue,
        queue.requests,
        arrivals_s=[0.1, 0.101, 0.102, 0.3],
        end_s=1.0,
        drain_s=1.0,
        clock=clock,
        sleep_until=sleep_until,
    )
    assert asked == pytest.approx([5.1, 5.101, 5.3]), "the third had arrived while the second waited for its request"


@pytest.mark.parametrize("arrivals_s", [[], [0.5]])
def test_a_window_without_arrivals_or_completions_is_no_measurement(arrivals_s: list[float]) -> None:
    turn = served(arrivals_s, service=lambda start, now_s: 9.0, end_s=1.0)
    assert count_open(turn, drop_s=0.0, end_s=1.0) is None


def test_a_member_that_completes_nothing_is_too_slow_and_says_so() -> None:
    clock = FakeClock()
    queue = VirtualQueue(clock, 1, lambda start, now_s: 9.0)
    arrivals = Arrivals(pattern="poisson", rate_per_s=50.0, seed=1)
    plan = TurnPlan(window_s=1.0, drop_s=0.1, arrivals=arrivals, drain_s=1.0)
    with pytest.raises(TooSlow, match=r"too slow for this load: of .* requests at 50/s none completed"):
        serve_window(queue, queue.requests, plan, clock=clock, sleep_until=clock.sleep_until)


@pytest.mark.parametrize("pattern", LOADS)
def test_a_pattern_has_the_rate_it_is_asked_for(pattern: str) -> None:
    times_s = trace(200.0, 100.0, pattern=pattern)
    assert len(times_s) == pytest.approx(20_000, rel=0.03)
    assert times_s == sorted(times_s)
    assert times_s[0] >= 0.0
    assert times_s[-1] < 100.0


@pytest.mark.parametrize("pattern", LOADS)
def test_a_seed_is_one_trace_that_a_rate_only_stretches(pattern: str) -> None:
    slow, fast = trace(10.0, 20.0, pattern=pattern, seed=7), trace(40.0, 20.0, pattern=pattern, seed=7)
    assert slow == trace(10.0, 20.0, pattern=pattern, seed=7)
    assert [t / 4 for t in slow] == pytest.approx(fast[: len(slow)])
    assert slow[0] != trace(10.0, 20.0, pattern=pattern, seed=8)[0]


def test_replicas_are_dealt_the_arrivals_in_turn() -> None:
    whole = trace(50.0, 4.0)
    parts = [
        arrival_times_s(Arrivals(pattern="poisson", rate_per_s=50.0, seed=1, part=part, parts=3), 4.0)
        for part in range(3)
    ]
    assert parts == [whole[0::3], whole[1::3], whole[2::3]]


def test_a_window_of_several_replicas_has_all_their_arrivals_and_the_latest_generator() -> None:
    def replica(arrivals: int, lag_p99_ms: float) -> TurnResult:
        return TurnResult(
            duration_s=2.0,
            samples=arrivals - 1,
            latency_counts={5: arrivals},
            latency_sum_ms=9.0,
            arrivals=arrivals,
            waiting=1,
            lag_p99_ms=lag_p99_ms,
        )

    window = combine([replica(40, 0.1), replica(39, 0.7)], is_split=False)
    assert (window.arrivals, window.waiting, window.unserved) == (79, 2, 0)
    assert (window.samples, window.duration_s) == (77, pytest.approx(2.0))
    assert window.latency_counts == {5: 79}
    assert window.lag_p99_ms == 0.7


def test_a_longer_window_only_adds_arrivals() -> None:
    assert trace(50.0, 10.0)[:100] == trace(50.0, 4.0)[:100]


def test_poisson_gaps_vary_as_they_should_and_constant_ones_not_at_all() -> None:
    def gaps(pattern: str) -> np.ndarray:
        return np.diff(trace(100.0, 200.0, pattern=pattern))

    assert gaps("poisson").std() == pytest.approx(gaps("poisson").mean(), rel=0.03)
    assert gaps("constant") == pytest.approx(np.full(len(gaps("constant")), 0.01))
