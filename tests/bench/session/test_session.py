from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import pytest

from tests.bench.conftest import blocks_of, config, failed, request_of, whole
from tuner.bench.configuration import DeploymentConfig, Effective, Failure, FailureKind
from tuner.bench.measurement import Session, Windows
from tuner.bench.protocol import Progress, Pruning, Role, SessionPlan, StopRule
from tuner.bench.session.member import CommandFailed, ProcessContaminated, WorkerLost
from tuner.bench.session.session import run_session
from tuner.bench.simulated.synthetic import FakeClock
from tuner.bench.turn import TurnPlan, TurnResult

STEPS = ("compile", "settle", "warm_up", "turn")
BAD = Failure(kind=FailureKind.RUNTIME, message="no such layer")
START_S, COMPILE_S, SETTLE_S, DRAIN_S = 2.0, 0.5, 0.25, 0.125
Levels = Callable[[int], float]
"""Samples/s of the n-th turn of a member."""


@dataclass(slots=True)
class Host:
    """Fake members on a fake clock, and what happened to them: (step, name) in order."""

    clock: FakeClock = field(default_factory=lambda: FakeClock(1000.0))
    events: list[tuple[str, str]] = field(default_factory=list)
    limits: list[tuple[str, float]] = field(default_factory=list)
    errors: dict[tuple[str, str], Exception] = field(default_factory=dict)
    """(name, step) -> what is raised there."""
    levels: dict[str, Levels] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    is_cured_by_reset: bool = False
    resets: list[set[int]] = field(default_factory=list)
    """The members that had crashed at each reset."""

    def open_member(self, member_config: DeploymentConfig) -> FakeMember:
        name = name_of(member_config)
        start_s = START_S if not self.events else 0.0
        self.clock.advance(start_s)
        self.happen("compile", name, COMPILE_S)
        return FakeMember(self, name, start_s)

    def happen(self, step: str, name: str, seconds: float) -> None:
        self.events.append((step, name))
        self.clock.advance(seconds)
        if error := self.errors.get((name, step)):
            raise error

    def reset(self, crashed: Collection[int]) -> None:
        self.events.append(("reset", ""))
        if self.is_cured_by_reset:
            self.errors.clear()
        self.resets.append(set(crashed))

    def run(
        self, names: str, plan: SessionPlan, *, first: Role = Role.REFERENCE, progress: Progress | None = None
    ) -> Session:
        return run_session(
            request_of([config({"NAME": name}) for name in names], plan, first=first),
            open_member=self.open_member,
            reset=self.reset,
            is_seen=lambda one: name_of(one) in self.seen,
            clock=self.clock,
            unix_clock=lambda: 1e9,
            progress=progress,
        )

    def names(self, step: str) -> str:
        """Whose turn each `step` was, in order."""
        return "".join(name for happened, name in self.events if happened == step)


@dataclass(slots=True)
class FakeMember:
    host: Host
    name: str
    start_s: float
    compile_s: float = COMPILE_S
    turns: int = 0

    @property
    def effective(self) -> Effective:
        return Effective(properties={"NAME": self.name}, batch_size=1, infer_requests=1)

    @property
    def process(self) -> str:
        return f"process of {self.name}"

    def settle(self, limit_s: float) -> None:
        self.host.limits.append(("settle", limit_s))
        self.host.happen("settle", self.name, SETTLE_S)

    def turn(self, plan: TurnPlan, limit_s: float) -> TurnResult:
        step = "warm_up" if plan.drop_s == 0.0 else "turn"
        self.host.limits.append((step, limit_s))
        self.host.happen(step, self.name, plan.drop_s + plan.window_s + DRAIN_S)
        level = self.host.levels.get(self.name, lambda n: 100.0)(self.turns)
        self.turns += 1
        samples = round(level * plan.window_s)
        return TurnResult(duration_s=plan.window_s, samples=samples, latency_counts={0: 1}, latency_sum_ms=1.0)


def name_of(member_config: DeploymentConfig) -> str:
    return str(member_config.properties["NAME"])


def a_plan(*, seed: int = 0, blocks: int = 4, **fields: Any) -> SessionPlan:
    return SessionPlan(phase="search", seed=seed, blocks=blocks, **{"window_s": 0.5, "warm_up_s": 1.5, **fields})


def in_blocks(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


@pytest.mark.parametrize("seed", range(6))
def test_two_members_take_turns_as_abba(seed: int) -> None:
    host = Host()
    host.run("ab", a_plan(seed=seed, blocks=6))
    first = in_blocks(host.names("turn"), 2)
    assert set(first[0]) == {"a", "b"}
    assert first == [first[0], first[0][::-1]] * 3


def test_the_first_member_is_drawn_from_the_seed() -> None:
    def turns(seed: int) -> str:
        host = Host()
        host.run("ab", a_plan(seed=seed))
        return host.names("turn")

    assert {turns(seed)[0] for seed in range(10)} == {"a", "b"}
    assert [turns(seed) for seed in range(10)] == [turns(seed) for seed in range(10)]


def test_the_compile_order_does_not_tell_which_member_begins() -> None:
    """Else the two biases would add up instead of cancelling over sessions."""
    seen = set()
    for seed in range(40):
        host = Host()
        host.run("ab", a_plan(seed=seed, is_fresh=True))
        seen.add((host.names("compile")[0], host.names("turn")[0]))
    assert seen == {("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")}


def test_more_members_are_shuffled_anew_in_every_block() -> None:
    host = Host()
    host.run("abcd", a_plan(blocks=12))
    blocks = in_blocks(host.names("turn"), 4)
    assert all(set(block) == set("abcd") for block in blocks)
    assert len(set(blocks)) > 6


@pytest.mark.parametrize(("is_fresh", "first"), [(True, set("abcd")), (False, {"a"})])
def test_the_compile_order_is_random_where_nothing_is_resident_else_the_reference_comes_first(
    is_fresh: bool, first: set[str]
) -> None:
    orders = set()
    for seed in range(30):
        host = Host()
        host.run("abcd", a_plan(seed=seed, is_fresh=is_fresh))
        orders.add(host.names("compile"))
    assert {order[0] for order in orders} == first
    assert len(orders) > 4


def test_every_member_is_compiled_and_warm_before_the_first_window() -> None:
    host = Host()
    host.run("abc", a_plan())
    steps = [step for step, _ in groupby(host.events, key=lambda event: event[0])]
    last_settle = len(steps) - steps[::-1].index("settle")
    assert steps[0] == "compile"
    assert "turn" not in steps[:last_settle]
    assert "compile" not in steps[1:]


def test_every_window_says_its_block_its_turn_and_when_it_began() -> None:
    host = Host()
    session = host.run("abc", a_plan(blocks=3))
    windows = [w for member in session.members for w in whole(member).windows]
    assert blocks_of(session) == [[0, 1, 2]] * 3
    assert sorted(w.turn for w in windows) == list(range(9))
    by_turn = sorted(windows, key=lambda w: w.turn)
    assert [w.block for w in by_turn] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    starts = [w.started_s for w in by_turn]
    assert starts == sorted(starts)
    assert starts[0] > START_S + 3 * COMPILE_S
    assert starts[-1] < session.wall_s


def test_a_steady_member_warms_up_in_three_windows_without_a_ramp() -> None:
    host = Host()
    session = host.run("ab", a_plan(warm_up_s=1.5))
    assert host.names("warm_up") == "aaabbb"
    assert session.costs.warm_up_s == pytest.approx(2 * (SETTLE_S + 3 * (0.5 + DRAIN_S)))


def test_a_member_warms_up_until_three_windows_in_a_row_are_alike() -> None:
    host = Host(levels={"a": lambda n: [50, 80, 100, 130, 100, 102, 104, 99][min(n, 7)]})
    session = host.run("ab", a_plan(warm_up_s=0.9))
    assert host.names("warm_up") == "a" * 7 + "bbb"
    assert whole(session.members[0]).is_steady


def test_how_alike_the_windows_must_be_is_the_plan_s_tolerance() -> None:
    host = Host(levels={"a": lambda n: 130.0 if n % 2 else 100.0})
    host.run("ab", a_plan(warm_up_s=0.9, steady_tolerance=0.3))
    assert host.names("warm_up") == "aaabbb"


def test_a_member_that_never_becomes_steady_is_measured_all_the_same_and_marked() -> None:
    host = Host(levels={"a": lambda n: 200.0 if n % 2 else 100.0})
    session = host.run("ab", a_plan(warm_up_s=1.5))
    assert not whole(session.members[0]).is_steady
    assert whole(session.members[1]).is_steady
    assert len(whole(session.members[0]).windows) == 4
    assert SETTLE_S + host.names("warm_up").count("a") * (0.5 + DRAIN_S) == pytest.approx(5.0, abs=0.625)


def test_a_member_too_slow_for_three_warm_up_windows_ends_at_the_cap_too() -> None:
    host = Host()
    session = host.run("ab", a_plan(warm_up_s=9.0, window_s=3.0))
    assert host.names("warm_up") == "aabb"
    assert len(whole(session.members[0]).windows) == 4


def test_a_configuration_seen_before_needs_no_proof_of_steadiness() -> None:
    host = Host(levels={"a": lambda n: 200.0 if n % 2 else 100.0}, seen={"a"})
    session = host.run("ab", a_plan())
    assert host.names("warm_up") == "aaabbb"
    assert whole(session.members[0]).is_steady


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("place", [1, 2, 3])
def test_a_polite_failure_has_its_place_and_the_rest_goes_on(step: str, place: int) -> None:
    host = Host(errors={("abcd"[place], step): CommandFailed(BAD)})
    session = host.run("abcd", a_plan())
    assert session.members[place] is BAD
    rest = [blocks for i, blocks in enumerate(blocks_of(session)) if i != place]
    assert rest == [[0, 1, 2, 3]] * 3


def test_a_member_that_fails_late_has_no_windows_but_its_failure() -> None:
    turns = {"b": 0}

    def level(n: int) -> float:
        turns["b"] = n
        if n == 5:
            raise CommandFailed(BAD)
        return 100.0

    host = Host(levels={"b": level})
    session = host.run("abc", a_plan(blocks=6))
    assert turns["b"] == 5
    assert blocks_of(session) == [[0, 1, 2, 3, 4, 5], "runtime", [0, 1, 2, 3, 4, 5]]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("is_fresh", [True, False])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_session_begins_again_without_a_member_that_takes_its_process_down(
    step: str, is_fresh: bool, place: int
) -> None:
    host = Host(errors={("abc"[place], step): WorkerLost(BAD)})
    session = host.run("abc", a_plan(seed=3, is_fresh=is_fresh), first=Role.BASELINE)
    assert host.resets == [{place}]
    assert session.members[place] is BAD
    assert [blocks for i, blocks in enumerate(blocks_of(session)) if i != place] == [[0, 1, 2, 3]] * 2
    again = host.events[host.events.index(("reset", "")) :]
    assert not any(name == "abc"[place] for _, name in again)


def test_a_second_crashed_member_is_named_by_its_index_in_the_whole_session() -> None:
    host = Host(errors={(name, "turn"): WorkerLost(BAD) for name in "bd"})
    session = host.run("abcd", a_plan())
    assert host.resets[-1] == {1, 3}
    assert blocks_of(session) == [[0, 1, 2, 3], "runtime", [0, 1, 2, 3], "runtime"]


def test_the_time_before_a_crash_is_wasted_and_belongs_to_the_session() -> None:
    host = Host(errors={("c", "turn"): WorkerLost(BAD)})
    session = host.run("abc", a_plan())
    assert session.costs.wasted_s > 0.0
    assert session.costs.total_s == pytest.approx(session.wall_s) == pytest.approx(host.clock() - 1000.0)


def test_a_member_that_contaminates_its_process_gets_the_failure_of_the_later_compile() -> None:
    host = Host(errors={("c", "compile"): ProcessContaminated(config({"NAME": "b"}), BAD)}, is_cured_by_reset=True)
    session = host.run("abc", a_plan(seed=3))
    assert host.resets == [{1}]
    assert blocks_of(session) == [[0, 1, 2, 3], "runtime", [0, 1, 2, 3]]


def watched(host: Host) -> tuple[Progress, list[tuple[Windows | Failure, ...]]]:
    """A progress that leaves an event and keeps what it was shown."""
    shown: list[tuple[Windows | Failure, ...]] = []

    def progress(members: Sequence[Windows | Failure]) -> None:
        host.events.append(("progress", ""))
        shown.append(tuple(members))

    return progress, shown


def test_progress_is_told_after_every_step_and_sees_what_there_is() -> None:
    host = Host()
    progress, shown = watched(host)
    host.run("abc", a_plan(blocks=3), progress=progress)
    turns = [step for step, _ in host.events if step in ("turn", "progress")][-18:]
    assert turns == ["turn", "progress"] * 9
    assert shown[:2] == [(), ()], "before every member has been compiled there is nothing"
    counts = [[len(whole(m).windows) for m in members] for members in shown[2:]]
    assert [sum(count) for count in counts] == [0] * 4 + list(range(1, 10))
    assert all(max(count) - min(count) <= 1 for count in counts)


def test_progress_sees_every_member_with_failures_in_their_places() -> None:
    host = Host(errors={("b", "turn"): CommandFailed(BAD), ("d", "compile"): WorkerLost(BAD)})
    progress, shown = watched(host)
    host.run("abcd", a_plan(), progress=progress)
    assert len(shown[-1]) == 4
    assert shown[-1][1] is shown[-1][3] is BAD


def test_the_stop_rule_ends_the_session() -> None:
    assert blocks_of(Host().run("ab", a_plan(blocks=9, stop=StopRule(min_windows=2)))) == [[0, 1], [0, 1]]


def test_members_end_one_by_one_and_the_reference_goes_on_with_the_last() -> None:
    host = Host(levels={"b": lambda n: 10.0})
    looks = Pruning(metric="throughput", incumbent_gain=0.0, incumbent_sd=0.0, window_sd=0.01)
    session = host.run("abc", a_plan(blocks=9, window_s=0.5, stop=StopRule(min_windows=5, pruning=looks)))
    assert blocks_of(session) == [[0, 1, 2, 3, 4], [0], [0, 1, 2, 3, 4]]
    turns = [name for step, name in host.events if step == "turn"]
    assert turns[3:] in (list("acca") + turns[7:], list("caac") + turns[7:]), "two that are left turn as ABBA"


def test_without_its_reference_a_session_is_pointless() -> None:
    host = Host(errors={("a", "settle"): CommandFailed(BAD)})
    progress, shown = watched(host)
    session = host.run("abc", a_plan(), progress=progress)
    assert blocks_of(session) == ["runtime", [], []]
    assert host.names("turn") == ""
    assert not any(isinstance(m, Windows) and m.windows for members in shown for m in members)


def test_a_reference_alone_is_pointless() -> None:
    host = Host(errors={(name, "compile"): CommandFailed(BAD) for name in "bc"})
    assert blocks_of(host.run("abc", a_plan())) == [[], "runtime", "runtime"]
    assert host.names("turn") == host.names("settle") == ""


def test_a_session_ends_after_the_block_that_made_it_pointless() -> None:
    host = Host(errors={("b", "turn"): CommandFailed(BAD)})
    progress, shown = watched(host)
    session = host.run("ab", a_plan(blocks=9), progress=progress)
    assert len(whole(session.members[0]).windows) <= 1
    assert failed(session.members[1]) is BAD
    assert not any(isinstance(members[1], Windows) and members[1].windows for members in shown if members)


def test_a_session_of_one_is_not_pointless() -> None:
    assert blocks_of(Host().run("a", a_plan())) == [[0, 1, 2, 3]]


def test_a_session_without_a_reference_goes_on_with_the_members_that_are_left() -> None:
    host = Host(errors={(name, "compile"): CommandFailed(BAD) for name in "ab"})
    session = host.run("abc", a_plan(), first=Role.BASELINE)
    assert blocks_of(session) == ["runtime", "runtime", [0, 1, 2, 3]]


@pytest.mark.parametrize("first", [Role.REFERENCE, Role.BASELINE])
def test_a_session_that_fails_as_a_whole_ends_without_an_error(first: Role) -> None:
    host = Host(errors={(name, "compile"): CommandFailed(BAD) for name in "ab"})
    assert blocks_of(host.run("ab", a_plan(), first=first)) == ["runtime", "runtime"]
    host = Host(errors={(name, "compile"): WorkerLost(BAD) for name in "ab"})
    assert blocks_of(host.run("ab", a_plan(), first=first)) == ["runtime", "runtime"]


@pytest.mark.parametrize("bad", [None, *STEPS])
def test_the_costs_add_up_to_the_wall_time_with_nothing_unexplained(bad: str | None) -> None:
    host = Host(errors={("b", bad): CommandFailed(BAD)} if bad else {})
    session = host.run("abc", a_plan())
    assert session.costs.total_s == pytest.approx(session.wall_s)
    assert session.wall_s == pytest.approx(host.clock() - 1000.0)
    assert session.costs.start_s == START_S
    assert session.costs.compile_s == pytest.approx(3 * COMPILE_S)


def test_the_costs_say_where_the_time_went() -> None:
    session = Host().run("ab", a_plan(blocks=4, window_s=0.5, drop_s=0.1, warm_up_s=1.5))
    assert session.costs.timed_s == pytest.approx(2 * 4 * (0.1 + 0.5 + DRAIN_S))
    assert session.costs.warm_up_s == pytest.approx(2 * (SETTLE_S + 3 * (0.5 + DRAIN_S)))
    assert session.costs.wasted_s == 0.0


def test_a_hang_is_waited_for_as_long_as_the_plan_says() -> None:
    host = Host()
    host.run("ab", a_plan(max_window_s=3.0, hang_limit_s=4.0, drop_s=0.1))
    assert set(host.limits) == {("settle", 7.0), ("warm_up", 7.0), ("turn", 7.1)}


def test_the_session_names_its_processes_and_keeps_what_was_asked() -> None:
    session = Host().run("ba", a_plan())
    assert session.process == "process of a,process of b"
    assert [name_of(one) for one in session.configurations] == ["b", "a"]
    assert session.started_unix_s == 1e9
    assert [whole(m).effective.properties["NAME"] for m in session.members] == ["b", "a"]
    assert [whole(m).compile_s for m in session.members] == [COMPILE_S, COMPILE_S]
