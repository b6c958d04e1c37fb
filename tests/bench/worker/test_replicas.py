"""Several processes as one member: their CPUs, their answers together, their windows as one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.conftest import config
from tuner.bench.configuration import Conditions, Failure, FailureKind
from tuner.bench.measurement import Arrivals
from tuner.bench.session.member import CommandFailed, WorkerLost
from tuner.bench.turn import TurnPlan, TurnResult
from tuner.bench.worker.replicas import CpuSlot, ReplicaGroup, allowed_cpus, call_all, combine, cpu_slots, without
from tuner.errors import ModelError
from tuner.model.host import cpu_list


def result(**fields: Any) -> TurnResult:
    usual: dict[str, Any] = {"duration_s": 1.0, "samples": 100, "latency_counts": {10: 100}, "latency_sum_ms": 105.0}
    return TurnResult(**{**usual, **fields})


# CPU slots


@pytest.mark.parametrize(
    ("cpus", "parts", "shares"),
    [
        ([4], 1, [[4]]),
        ([0, 1], 2, [[0], [1]]),
        ([0, 2, 3], 2, [[0], [2, 3]]),
        ([0, 1, 2, 3, 4], 3, [[0], [1, 2], [3, 4]]),
        ([0, 1], 3, [[], [0], [1]]),
    ],
)
def test_the_cpus_are_split_evenly_in_their_order(cpus: list[int], parts: int, shares: list[list[int]]) -> None:
    assert [list(CpuSlot(number=i, parts=parts).cpus(cpus)) for i in range(parts)] == shares


@given(st.lists(st.integers(0, 500), unique=True).map(sorted), st.integers(1, 20))
def test_every_cpu_belongs_to_one_part_and_parts_differ_by_one_at_most(cpus: list[int], parts: int) -> None:
    shares = [list(CpuSlot(number=i, parts=parts).cpus(cpus)) for i in range(parts)]
    assert [cpu for share in shares for cpu in share] == cpus
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_replicas_that_share_the_cpus_can_share_processes_and_those_that_split_them_cannot() -> None:
    one, two = cpu_slots(config()), cpu_slots(config(replicas=2))
    apart, in_three = cpu_slots(config(replicas=2, affinity="split")), cpu_slots(config(replicas=3, affinity="split"))
    assert two[:1] == one
    assert len(two) == 2
    assert not {*apart} & {*two, *in_three}


def test_the_cpus_of_the_deployment_are_its_cpuset_or_those_of_this_process() -> None:
    assert allowed_cpus(Conditions(cpuset=(1, 3))) == (1, 3)
    assert allowed_cpus(Conditions()) == cpu_list()


# Windows


def test_throughput_is_the_sum_and_latency_is_over_all_requests() -> None:
    first = result(duration_s=2.0, samples=100, latency_counts={10: 60, 11: 40}, latency_sum_ms=110.0)
    second = result(duration_s=1.0, samples=200, latency_counts={11: 150, 30: 50}, latency_sum_ms=240.0)
    both = combine([first, second], is_split=False)
    assert both.samples == 300
    assert both.samples / both.duration_s == 100 / 2.0 + 200 / 1.0
    assert both.latency_counts == {10: 60, 11: 190, 30: 50}
    assert both.latency_sum_ms == 350.0


@given(st.lists(st.tuples(st.integers(1, 10**6), st.floats(0.1, 10.0)), min_size=1, max_size=8))
def test_throughput_is_the_sum_of_the_rates_however_long_each_window_was(counts: list[tuple[int, float]]) -> None:
    both = combine([result(samples=n, duration_s=s) for n, s in counts], is_split=False)
    assert both.samples / both.duration_s == pytest.approx(sum(n / s for n, s in counts))


def test_the_other_replicas_on_the_same_cpus_are_no_other_load() -> None:
    windows = [result(own_cpu_pct=40.0, other_cpu_pct=55.0), result(own_cpu_pct=50.0, other_cpu_pct=43.0)]
    both = combine(windows, is_split=False)
    assert both.own_cpu_pct == 90.0
    assert both.other_cpu_pct == 4.0  # 55 - 50 and 43 - 40


def test_replicas_with_cpus_of_their_own_do_not_see_each_other() -> None:
    windows = [result(own_cpu_pct=90.0, other_cpu_pct=6.0), result(own_cpu_pct=80.0, other_cpu_pct=2.0)]
    apart = combine(windows, is_split=True)
    assert (apart.own_cpu_pct, apart.other_cpu_pct) == (85.0, 4.0)


def test_other_load_is_never_negative() -> None:
    assert combine([result(own_cpu_pct=50.0, other_cpu_pct=1.0)] * 2, is_split=False).other_cpu_pct == 0.0


def test_heat_is_counted_once_where_the_cpus_are_the_same_and_a_quota_for_each() -> None:
    windows = [result(thermal_throttles=3, quota_throttles=2), result(thermal_throttles=2, quota_throttles=5)]
    both, apart = combine(windows, is_split=False), combine(windows, is_split=True)
    assert (both.thermal_throttles, apart.thermal_throttles) == (3, 5)
    assert both.quota_throttles == apart.quota_throttles == 7


def test_what_only_some_can_tell_is_what_the_first_tells() -> None:
    some = [result(frequency_mhz=2000.0, pressure_pct=4.0), result(frequency_mhz=None, pressure_pct=8.0)]
    both = combine(some, is_split=True)
    assert (both.frequency_mhz, both.pressure_pct) == (2000.0, 6.0)


def test_the_background_s_share_is_of_the_cpus_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuner.bench.worker.replicas.cpu_list", lambda: (0, 1, 4, 5))
    assert without(30.0, background_s=1.0, wall_s=1.0) == 5.0
    assert without(10.0, background_s=1.0, wall_s=1.0) == 0.0


# Answers together


@dataclass
class FakeWorker:
    """Answers from a script; an exception is raised when its answer is read."""

    answer: Any
    name: str = "fake"
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    limits: list[float] = field(default_factory=list)
    refuses: Exception | None = None
    is_read: bool = False
    is_killed: bool = False

    def send(self, command: str, *, limit_s: float, **fields: Any) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.sent.append((command, fields))
        self.limits.append(limit_s)

    def receive(self) -> Any:
        self.is_read = True
        if callable(self.answer):
            return self.answer(self.sent[-1][1]["plan"])
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def kill(self) -> None:
        self.is_killed = True


def lost(message: str = "gone") -> WorkerLost:
    return WorkerLost(Failure(kind=FailureKind.CRASH, message=message))


def failed(message: str = "no") -> CommandFailed:
    return CommandFailed(Failure(kind=FailureKind.RUNTIME, message=message))


def ask(*workers: FakeWorker) -> list[Any]:
    return call_all(workers, "turn", limit_s=1.0, each=[{"member": i} for i in range(len(workers))])  # type: ignore[arg-type]


def test_each_is_asked_with_its_own_fields_and_the_answers_keep_their_order() -> None:
    workers = FakeWorker("a"), FakeWorker("b")
    assert ask(*workers) == ["a", "b"]
    assert [worker.sent for worker in workers] == [[("turn", {"member": 0})], [("turn", {"member": 1})]]


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([failed("first"), "fine", failed("second")], "first"),
        ([failed(), lost("gone"), "fine"], "gone"),
        ([lost(), failed(), ModelError("damaged")], "damaged"),
    ],
)
def test_every_answer_is_read_before_the_worst_is_raised(answers: list[Any], words: str) -> None:
    workers = [FakeWorker(answer) for answer in answers]
    with pytest.raises((CommandFailed, WorkerLost, ModelError), match=words):
        ask(*workers)
    assert all(worker.is_read for worker in workers)
    assert not any(worker.is_killed for worker in workers)


def test_one_that_cannot_be_asked_is_lost_and_the_others_are_still_read() -> None:
    workers = [FakeWorker("a"), FakeWorker("b", refuses=lost("died before")), FakeWorker(failed())]
    with pytest.raises(WorkerLost, match="died before"):
        ask(*workers)
    assert [worker.is_read for worker in workers] == [True, False, True]


def test_an_interrupt_ends_all_of_them() -> None:
    workers = [FakeWorker("a"), FakeWorker(KeyboardInterrupt()), FakeWorker("never read")]
    with pytest.raises(KeyboardInterrupt):
        ask(*workers)
    assert all(worker.is_killed for worker in workers)


# A group


PLAN = TurnPlan(window_s=0.4, drop_s=0.1, max_s=3.0)


def group_of(*workers: FakeWorker, **fields: Any) -> ReplicaGroup:
    effective = type("Effective", (), {"affinity": "shared"})()
    return ReplicaGroup(workers, range(len(workers)), effective, **fields)  # type: ignore[arg-type]


def plans_of(worker: FakeWorker) -> list[dict[str, Any]]:
    return [fields["plan"] for _, fields in worker.sent]


def test_a_device_that_settles_slowly_gets_its_time() -> None:
    workers = FakeWorker(None), FakeWorker(None)
    group_of(*workers, settle_s=30.0).settle(7.0)
    assert [worker.limits for worker in workers] == [[37.0], [37.0]]


def test_several_begin_at_one_time_and_go_on_for_a_while_and_one_alone_does_not() -> None:
    alone, first, second = (FakeWorker(result(latency_counts={"10": 100}).to_json()) for _ in range(3))
    assert group_of(alone).turn(PLAN, 15.0).latency_counts == {10: 100}
    assert group_of(first, second).turn(PLAN, 15.0).latency_counts == {10: 200}
    assert alone.sent == [("turn", {"member": 0, "plan": PLAN.to_json()})]
    begins = [worker.sent[0][1]["plan"].pop("begin_at_s") for worker in (first, second)]
    assert begins[0] == begins[1]
    assert begins[0] is not None
    assert [worker.sent[0][1]["plan"].pop("tail_s") > 0.0 for worker in (first, second)] == [True, True]
    shared = {"window_s": 0.4, "drop_s": 0.1, "max_s": 0.4, "arrivals": None, "drain_s": 0.0, "callers": None}
    assert [worker.sent for worker in (first, second)] == [[("turn", {"member": i, "plan": shared})] for i in (0, 1)]


def test_arrivals_are_dealt_out_to_the_replicas() -> None:
    workers = [FakeWorker(result(arrivals=10, waiting=i, lag_p99_ms=float(i)).to_json()) for i in range(2)]
    arrivals = Arrivals(pattern="poisson", rate_per_s=50.0, seed=3)
    found = group_of(*workers).turn(TurnPlan(window_s=0.4, arrivals=arrivals), 15.0)
    assert (found.arrivals, found.waiting, found.lag_p99_ms) == (20, 1, 1.0)
    assert [TurnPlan.from_json(plans_of(worker)[0]).arrivals for worker in workers] == [
        replace(arrivals, part=i, parts=2) for i in range(2)
    ]


def slow(needs_s: float) -> Any:
    """Completes four rounds in a window of `needs_s`, and is too slow for a shorter one."""

    def answer(plan: dict[str, Any]) -> dict[str, Any]:
        if plan["window_s"] < needs_s:
            raise CommandFailed(Failure(kind=FailureKind.TIMEOUT, message="too slow for this budget"))
        return result(duration_s=plan["window_s"]).to_json()

    return answer


def test_a_common_window_is_as_long_as_the_slowest_replica_needs_and_stays_so() -> None:
    workers = FakeWorker(slow(0.1)), FakeWorker(slow(1.0))
    group = group_of(*workers)
    for _ in range(2):
        assert group.turn(PLAN, 15.0).duration_s == pytest.approx(1.6)
    for worker in workers:
        assert [plan["window_s"] for plan in plans_of(worker)] == pytest.approx([0.4, 0.8, 1.6, 1.6])


def test_a_replica_that_needs_more_than_the_longest_window_is_too_slow() -> None:
    workers = FakeWorker(slow(0.1)), FakeWorker(slow(9.0))
    with pytest.raises(CommandFailed, match="too slow"):
        group_of(*workers).turn(PLAN, 15.0)
    assert [plan["window_s"] for plan in plans_of(workers[0])] == pytest.approx([0.4, 0.8, 1.6, 3.0])
