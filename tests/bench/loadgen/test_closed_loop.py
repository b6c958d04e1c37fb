from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.bench.loadgen.closed_loop import EmptyingQueue, EmptyingRequest, Turn, count, run_async, run_sync
from tuner.bench.simulated.synthetic import FakeClock
from tuner.bench.turn import TurnPlan

Service = Callable[[int], float]
"""The seconds that the n-th request started, counted from 0, takes."""


class FakeRequest:
    """Its latency says which run it was: the n-th start of the queue took n + 1 ms, whatever the clock says."""

    def __init__(self, clock: FakeClock, service: Service) -> None:
        self.clock = clock
        self.service = service
        self.done_s = 0.0
        self.run: int | None = None
        self.reads: Counter[int] = Counter()
        self.infers = 0

    @property
    def latency(self) -> float:
        assert self.run is not None, "read before anything was run"
        assert self.done_s <= self.clock(), "read before it was done"
        self.reads[self.run] += 1
        return self.run + 1.0

    def infer(self) -> object:
        self.clock.advance(self.service(self.infers))
        self.infers += 1
        return None


class FakeQueue:
    """As AsyncInferQueue: requests that run at once, the one that is idle longest is next; waiting takes fake time."""

    def __init__(self, clock: FakeClock, requests: int, service: Service) -> None:
        self.clock = clock
        self.service = service
        self.requests = [FakeRequest(clock, service) for _ in range(requests)]
        self.idle = deque(range(requests))
        self.busy: list[int] = []
        self.starts = 0
        self.most_busy = 0

    def get_idle_request_id(self) -> int:
        if not self.idle:
            self.finish_next()
        return self.idle[0]

    def start_async(self) -> None:
        number = self.idle.popleft()
        request = self.requests[number]
        request.done_s, request.run = self.clock() + self.service(self.starts), self.starts
        self.starts += 1
        self.busy.append(number)
        self.most_busy = max(self.most_busy, len(self.busy))

    def wait_all(self) -> None:
        while self.busy:
            self.finish_next()

    def finish_next(self) -> None:
        number = min(self.busy, key=lambda n: (self.requests[n].done_s, n))
        self.busy.remove(number)
        self.clock.advance(max(0.0, self.requests[number].done_s - self.clock()))
        self.idle.append(number)

    def turn(self, *, window_s: float = 1.0, drop_s: float = 0.0, max_s: float = 10.0, tail_s: float = 0.0) -> Turn:
        plan = TurnPlan(window_s=window_s, drop_s=drop_s, max_s=max_s, tail_s=tail_s)
        return run_async(self, self.requests, plan, clock=self.clock)


def made_turn(times_s: list[float], *, requests: int, begin_s: float = 0.0) -> Turn:
    """The latencies are the places: 0, 1, 2 ... ms."""
    return Turn(begin_s=begin_s, times_s=times_s, latencies_ms=list(map(float, range(len(times_s)))), requests=requests)


def test_it_counts_from_the_nth_completion_to_the_last_multiple_of_n() -> None:
    counted = count(made_turn([0.1 * i for i in range(1, 15)], requests=3))
    assert counted is not None
    assert counted.completions == 9  # the 4th to the 12th
    assert counted.duration_s == pytest.approx(1.2 - 0.3)
    assert counted.latencies_ms == [3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0]


def test_completions_of_the_ramp_are_dropped_before_counting() -> None:
    counted = count(made_turn([0.1 * i for i in range(1, 15)], requests=2, begin_s=0.45))
    assert counted is not None
    assert counted.latencies_ms[0] == 6.0  # 0.5 s is the first that counts, 0.6 s the n-th
    assert counted.completions == 8
    assert counted.duration_s == pytest.approx(1.4 - 0.6)


def test_a_turn_knows_all_that_it_did_the_drain_included() -> None:
    queue = FakeQueue(FakeClock(), 3, lambda _: 0.1)
    turn = queue.turn()
    assert turn.completed == queue.starts == len(turn.times_s) + 3
    assert made_turn([0.1, 0.2], requests=1).completed == 2, "one after the other leaves nothing to drain"


@pytest.mark.parametrize(("completions", "is_enough"), [(0, False), (1, False), (15, False), (16, True)])
def test_fewer_than_four_rounds_are_too_slow_for_the_window(completions: int, is_enough: bool) -> None:
    turn = made_turn([float(i) for i in range(completions)], requests=4)
    assert (count(turn) is not None) == is_enough


def test_four_rounds_with_the_ramp_are_not_four_rounds() -> None:
    assert count(made_turn([float(i) for i in range(16)], requests=4, begin_s=1.0)) is None


def test_completions_without_any_time_between_them_are_no_measurement() -> None:
    assert count(made_turn([1.0] * 8, requests=2)) is None


@given(
    st.lists(st.floats(min_value=1e-6, max_value=1.0), min_size=1, max_size=60),
    st.integers(min_value=1, max_value=8),
    st.floats(min_value=0.0, max_value=10.0),
)
def test_whole_rounds_are_counted_and_every_latency_belongs_to_one(
    gaps: list[float], requests: int, begin_s: float
) -> None:
    times = [sum(gaps[: i + 1]) for i in range(len(gaps))]
    turn = made_turn(times, requests=requests, begin_s=begin_s)
    counted = count(turn)
    after = [i for i, t in enumerate(times) if t >= begin_s]
    assert (counted is None) == (len(after) < 4 * requests)
    if counted is not None:
        assert counted.completions % requests == 0
        assert len(after) - 2 * requests < counted.completions <= len(after) - requests
        places = [int(latency) for latency in counted.latencies_ms]
        assert places == after[requests:][: counted.completions]
        assert counted.duration_s == pytest.approx(times[places[-1]] - times[after[requests - 1]])


def test_counting_from_the_first_completion_would_overstate_a_device_that_answers_in_bunches() -> None:
    """Eight streams that finish together once a second do eight a second."""
    queue = FakeQueue(FakeClock(), 8, lambda n: 1.0)
    turn = queue.turn(window_s=4.0)
    counted = count(turn)
    assert counted is not None
    assert counted.completions / counted.duration_s == pytest.approx(8.0)
    naive = (len(turn.times_s) - 1) / (turn.times_s[-1] - turn.times_s[0])
    assert naive > 1.05 * 8.0


@pytest.mark.parametrize("requests", [1, 2, 5])
def test_every_completion_is_read_once_and_none_before_it_is_done(requests: int) -> None:
    queue = FakeQueue(FakeClock(), requests, lambda n: 0.01 + 0.003 * (n * 7 % 5))
    turn = queue.turn()
    reads = sum((request.reads for request in queue.requests), Counter())
    assert set(reads.values()) == {1}
    assert len(turn.latencies_ms) == len(turn.times_s) == reads.total() == queue.starts - requests
    assert sorted(turn.latencies_ms) == sorted(run + 1.0 for run in reads)


def test_every_request_is_kept_busy() -> None:
    queue = FakeQueue(FakeClock(), 4, lambda n: 0.05)
    queue.turn()
    assert queue.most_busy == 4


def test_the_turn_ends_drained_with_what_was_still_running_uncounted() -> None:
    queue = FakeQueue(FakeClock(), 3, lambda n: 0.1)
    turn = queue.turn()
    assert queue.busy == []
    assert queue.starts == len(turn.times_s) + 3
    assert turn.times_s[-1] < queue.clock()


def test_a_second_turn_reads_nothing_of_the_first() -> None:
    queue = FakeQueue(FakeClock(), 2, lambda n: 0.1)
    queue.turn()
    before = queue.starts
    assert min(queue.turn().latencies_ms) >= before + 1.0


def test_the_window_begins_after_the_ramp_and_lasts_as_long_as_asked() -> None:
    queue = FakeQueue(FakeClock(100.0), 2, lambda n: 0.01)
    turn = queue.turn(window_s=1.0, drop_s=0.5)
    assert turn.begin_s == pytest.approx(100.5)
    assert turn.times_s[0] < turn.begin_s
    assert turn.times_s[-1] == pytest.approx(101.5)


def test_a_slow_member_gets_the_time_for_four_rounds() -> None:
    queue = FakeQueue(FakeClock(), 2, lambda n: 0.6)
    turn = queue.turn(window_s=0.4, max_s=3.0)
    assert turn.times_s[-1] == pytest.approx(2.4)
    assert count(turn) is not None


def test_a_joint_window_ends_on_time_and_counts_what_completed_in_it() -> None:
    queue = FakeQueue(FakeClock(100.0), 2, lambda n: 0.0101)
    turn = queue.turn(window_s=1.0, drop_s=0.5, tail_s=0.2)
    assert turn.times_s[-1] >= 101.7, "the host is kept busy to the end of the tail"
    found = count(turn)
    assert found is not None
    assert found.duration_s == pytest.approx(1.0)
    assert found.completions == len(found.latencies_ms) == pytest.approx(2 * 1.0 / 0.0101, abs=2)


def test_a_joint_window_in_which_too_little_completed_is_not_lengthened() -> None:
    turn = FakeQueue(FakeClock(), 2, lambda n: 0.7).turn(window_s=0.4, max_s=3.0, tail_s=0.2)
    assert turn.times_s[-1] < 1.0
    assert count(turn) is None


def test_a_synchronous_joint_window_ends_on_time_too() -> None:
    clock = FakeClock()
    request = FakeRequest(clock, lambda n: 0.01)
    turn = run_sync(request, TurnPlan(window_s=0.5, drop_s=0.1, max_s=3.0, tail_s=0.1), clock=clock)
    found = count(turn)
    assert found is not None
    assert (found.duration_s, found.completions) == (pytest.approx(0.5), pytest.approx(50, abs=1))


def test_rounds_in_the_ramp_do_not_shorten_the_window() -> None:
    queue = FakeQueue(FakeClock(), 2, lambda n: 0.3)
    turn = queue.turn(window_s=0.1, drop_s=1.0, max_s=3.0)
    assert len([t for t in turn.times_s if t >= turn.begin_s]) == 8


def test_a_member_too_slow_for_four_rounds_ends_at_the_limit() -> None:
    queue = FakeQueue(FakeClock(), 2, lambda n: 1.0)
    turn = queue.turn(window_s=0.4, drop_s=0.1, max_s=2.5)
    assert turn.times_s[-1] == pytest.approx(3.0)  # the first completion after 0.1 + 2.5 s
    assert queue.busy == []
    assert count(turn) is None


def test_a_turn_of_no_length_runs_every_request_once() -> None:
    queue = FakeQueue(FakeClock(), 4, lambda n: 0.1)
    queue.turn(window_s=0.0, max_s=0.0)
    assert all(request.run is not None for request in queue.requests)
    assert queue.busy == []


def sync_turn(service: Service, *, window_s: float = 1.0, drop_s: float = 0.0, max_s: float = 10.0) -> Turn:
    clock = FakeClock(50.0)
    request = FakeRequest(clock, service)
    return run_sync(request, TurnPlan(window_s=window_s, drop_s=drop_s, max_s=max_s), clock=clock)


def test_a_synchronous_latency_is_the_time_that_infer_took() -> None:
    turn = sync_turn(lambda n: 0.01 * (n % 3 + 1))
    assert turn.latencies_ms[:6] == pytest.approx([10.0, 20.0, 30.0, 10.0, 20.0, 30.0])
    assert turn.requests == 1
    assert turn.times_s[-1] >= 51.0


def test_a_synchronous_turn_drops_its_ramp() -> None:
    turn = sync_turn(lambda n: 0.1, drop_s=0.35, window_s=0.6)
    counted = count(turn)
    assert turn.begin_s == pytest.approx(50.35)
    assert counted is not None
    assert counted.completions == len([t for t in turn.times_s if t >= turn.begin_s]) - 1
    assert counted.completions / counted.duration_s == pytest.approx(10.0)


def test_a_synchronous_member_gets_four_rounds_up_to_the_limit() -> None:
    assert len(sync_turn(lambda n: 1.0, window_s=0.1, max_s=5.0).times_s) == 4
    assert len(sync_turn(lambda n: 1.0, window_s=0.1, max_s=2.5).times_s) == 3
    assert len(sync_turn(lambda n: 1.0, window_s=0.0, max_s=0.0).times_s) == 1


# A model that keeps a state: a step takes longer the more came before.


class Conversation(FakeRequest):
    """Its n-th inference since the state was emptied takes n times 10 ms, as a fake latency too."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock, lambda _: 0.0)
        self.step = 0
        self.emptied = 0

    @property
    def latency(self) -> float:
        return self.step * 10.0

    def advance(self) -> float:
        self.step += 1
        return self.step * 0.01

    def infer(self) -> object:
        self.clock.advance(self.advance())
        return None

    def reset_state(self) -> None:
        self.step, self.emptied = 0, self.emptied + 1


class ConversationQueue(FakeQueue):
    """Requests that are conversations of their own."""

    def __init__(self, clock: FakeClock, requests: int) -> None:
        super().__init__(clock, requests, lambda _: 0.0)
        self.conversations = [Conversation(clock) for _ in range(requests)]

    def start_async(self) -> None:
        self.service = lambda _: conversation.advance()
        conversation = self.conversations[self.idle[0]]
        super().start_async()


@pytest.mark.parametrize("window_s", [0.0, 0.07, 0.3, 1.0])
@pytest.mark.parametrize("drop_s", [0.0, 0.05])
def test_one_caller_counts_whole_conversations_wherever_a_window_begins(window_s: float, drop_s: float) -> None:
    clock = FakeClock()
    caller = EmptyingRequest(Conversation(clock), 4)
    plan = TurnPlan(window_s=window_s, drop_s=drop_s, max_s=10.0)
    for _ in range(3):  # the state lives on from turn to turn
        counted = count(run_sync(caller, plan, clock=clock, cycle=4))
        assert counted is not None
        assert counted.completions % 4 == 0
        assert Counter(map(round, counted.latencies_ms)) == dict.fromkeys([10, 20, 30, 40], counted.completions // 4)
        assert counted.duration_s / counted.completions == pytest.approx(0.025)


@pytest.mark.parametrize("requests", [1, 2, 3])
def test_each_request_of_a_queue_is_emptied_by_its_own_count(requests: int) -> None:
    clock = FakeClock()
    bare = ConversationQueue(clock, requests)
    queue = EmptyingQueue(bare, bare.conversations, 4)
    for window_s in (0.3, 0.0, 1.0):
        plan = TurnPlan(window_s=window_s, max_s=10.0)
        counted = count(run_async(queue, bare.conversations, plan, clock=clock, cycle=4))
        assert counted is not None
        assert counted.completions % (4 * requests) == 0
        assert Counter(counted.latencies_ms) == dict.fromkeys([10.0, 20.0, 30.0, 40.0], counted.completions // 4)
    assert all(1 <= conversation.step <= 4 for conversation in bare.conversations)
    assert len({conversation.emptied for conversation in bare.conversations}) <= 2


def test_a_window_without_one_whole_conversation_is_too_short() -> None:
    clock = FakeClock()
    caller = EmptyingRequest(Conversation(clock), 64)
    assert count(run_sync(caller, TurnPlan(window_s=0.1, max_s=1.0), clock=clock, cycle=64)) is None
