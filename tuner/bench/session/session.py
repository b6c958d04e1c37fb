"""One session: members are compiled, warmed up and take turns of one window each.

Responsible for the order, the time limits and the retry after a crash. Must not import processes or backends.
"""

from __future__ import annotations

import math
import random
import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial

from tuner.bench.configuration import DeploymentConfig, Failure, FailureKind
from tuner.bench.loadgen.open_loop import DRAIN_S, is_late
from tuner.bench.measurement import ArrivalProcess, Arrivals, Costs, OpenLoopStats, Session, Window, Windows
from tuner.bench.protocol import Clock, Progress, SessionRequest
from tuner.bench.session.capacity_search import RateSearch
from tuner.bench.session.member import CommandFailed, ProcessContaminated, SystemUnderTest, WorkerLost
from tuner.bench.session.stopping import active
from tuner.bench.turn import TurnPlan, TurnResult

WARM_UP_CAP_S = 5.0
"""Longest warm-up of one member; a member that is still unsteady is measured and marked (tuner/README.md)."""

CAPACITY_S = 1.0
"""Seconds of closed loop that measure the capacity of a warm member before an open loop.

Shorter stretches differ by 10 % and more on a busy host, and the search for the largest rate starts from this capacity.
"""


class _MemberCrashed(Exception):
    """Raised when the session has to begin again without the members at `indices`."""

    def __init__(self, indices: Collection[int], failure: Failure) -> None:
        super().__init__(f"members {indices}: {failure}")
        self.indices = indices
        self.failure = failure


def run_session(
    request: SessionRequest,
    *,
    open_member: Callable[[DeploymentConfig], SystemUnderTest],
    reset: Callable[[Collection[int]], None],
    is_seen: Callable[[DeploymentConfig], bool],
    clock: Clock,
    unix_clock: Clock,
    progress: Progress | None = None,
) -> Session:
    """Measures the members as planned and returns every member's windows or its failure.

    After a member that takes its process down, `reset` is called with the indices of all members that did so, and the
    session begins again without them. `is_seen` tells configurations that were steady before. After each step
    of a member (compile, warm-up, window) `progress` takes what the members have delivered.
    """
    begin, started_unix_s = clock(), unix_clock()
    crashed: dict[int, Failure] = {}
    wasted_s = 0.0
    while True:
        attempted = clock()
        try:
            session = _Run(request, open_member, is_seen, clock, crashed, progress).session(started_unix_s)
        except _MemberCrashed as error:
            crashed.update(dict.fromkeys(error.indices, error.failure))
            reset(crashed.keys())
            wasted_s += clock() - attempted
        else:
            return replace(session, wall_s=clock() - begin, costs=replace(session.costs, wasted_s=wasted_s))


def is_pointless(request: SessionRequest, failed: Collection[int]) -> bool:
    """Returns True if nothing is left to compare: the reference failed, or every other member did."""
    members = len(request.members)
    if not request.has_reference:
        return len(failed) == members
    return 0 in failed or (members > 1 and len(failed) == members - 1)


class _Run:
    """State of one attempt at a session."""

    def __init__(
        self,
        request: SessionRequest,
        open_member: Callable[[DeploymentConfig], SystemUnderTest],
        is_seen: Callable[[DeploymentConfig], bool],
        clock: Clock,
        crashed: Mapping[int, Failure],
        progress: Progress | None,
    ) -> None:
        self.request = request
        self.configurations = request.configurations
        self.plan = request.plan
        self.progress = progress
        self.open_member = open_member
        self.is_seen = is_seen
        self.clock = clock
        self.rng = random.Random(self.plan.seed)
        self.begin = clock()
        self.systems: dict[int, SystemUnderTest] = {}
        self.failures: dict[int, Failure] = dict(crashed)
        self.unsteady: set[int] = set()
        self.active = frozenset(range(len(self.configurations)))
        self.windows: list[list[Window]] = [[] for _ in self.configurations]
        self.turns = 0
        self.capacity_per_s: dict[int, float] = {}
        self.rates: dict[int, RateSearch] = {}
        self.start_s = self.open_s = self.warm_up_s = self.timed_s = 0.0

    def session(self, started_unix_s: float) -> Session:
        """Runs the session. Raises _MemberCrashed."""
        for i in self.compile_order():
            self.guarded(i, self.compile)
        for i in sorted(self.systems):
            if not self.is_pointless():
                self.guarded(i, self.warm_up)
        for block in range(self.plan.blocks):
            if self.is_pointless():
                break
            for i in self.block_order(block):
                self.guarded(i, partial(self.take_turn, block=block))
            if self.is_over():
                break
        self.refuse_without_rate()
        return Session(
            configurations=self.configurations,
            members=self.members(),
            started_unix_s=started_unix_s,
            wall_s=self.clock() - self.begin,
            costs=Costs(
                start_s=self.start_s,
                compile_s=self.open_s - self.start_s,
                warm_up_s=self.warm_up_s,
                timed_s=self.timed_s,
            ),
            process=",".join(sorted({system.process for system in self.systems.values()})),
        )

    def is_over(self) -> bool:
        """Applies the stop rule; returns True if no other block follows."""
        if self.is_pointless():
            return True
        members = self.members()
        if self.plan.stop is not None:
            self.active = active(self.plan.stop, members)
        return not self.active

    def members(self) -> tuple[Windows | Failure, ...]:
        """Returns what each member has delivered so far."""
        return tuple(
            self.failures.get(i)
            or Windows(
                effective=self.systems[i].effective,
                windows=tuple(self.windows[i]),
                compile_s=self.systems[i].compile_s,
                is_steady=i not in self.unsteady,
            )
            for i in range(len(self.configurations))
        )

    def guarded(self, i: int, step: Callable[[int], None]) -> None:
        """Does one step of a member unless the member has failed; a failed command is kept as its failure."""
        if i in self.failures:
            return
        try:
            step(i)
        except CommandFailed as error:
            self.failures[i] = error.failure
        except WorkerLost as error:
            raise _MemberCrashed([i], error.failure) from error
        except ProcessContaminated as error:
            indices = [j for j, config in enumerate(self.configurations) if config == error.by]
            raise _MemberCrashed(indices, error.failure) from error
        if self.progress is not None:
            is_compiled = len(self.systems.keys() | self.failures.keys()) == len(self.configurations)
            self.progress(self.members() if is_compiled else ())

    def compile_order(self) -> list[int]:
        """Returns a random order for new processes, because the order is a bias; else the reference comes first."""
        others = list(range(0 if self.plan.is_fresh else 1, len(self.configurations)))
        self.rng.shuffle(others)
        return others if self.plan.is_fresh else [0, *others]

    def block_order(self, block: int) -> list[int]:
        """Returns the order of turns: ABBA from a random start for two members, else shuffled in each block."""
        order = [i for i in sorted(self.active) if i not in self.failures]
        if len(order) == 2:
            first = random.Random(self.plan.seed).random() < 0.5
            return order if (block % 2 == 0) == first else order[::-1]
        self.rng.shuffle(order)
        return order

    def compile(self, i: int) -> None:
        """Opens a member and counts the seconds."""
        begin = self.clock()
        try:
            self.systems[i] = self.open_member(self.configurations[i])
            self.start_s += self.systems[i].start_s
        finally:
            self.open_s += self.clock() - begin

    def warm_up(self, i: int) -> None:
        """Settles a member, runs it until it is steady, and measures its capacity for an open loop."""
        begin, plan, system = self.clock(), self.plan, self.systems[i]
        limit_s = plan.max_window_s + plan.hang_limit_s
        try:
            system.settle(limit_s)
            if plan.warm_up_s > 0.0:
                self.run_until_steady(i, begin, limit_s)
            if plan.load is not None:
                window_s = min(CAPACITY_S, plan.window_s)
                result = system.turn(TurnPlan(window_s=window_s, max_s=plan.max_window_s), limit_s)
                self.capacity_per_s[i] = result.rate_per_s / self.configurations[i].batch_size
        finally:
            self.warm_up_s += self.clock() - begin

    def run_until_steady(self, i: int, begin: float, limit_s: float) -> None:
        """Runs stretches of the warm-up until three in a row agree; one seen before needs only its first three."""
        plan, turns = self.plan, self.plan.warm_up_turns
        throughput_logs: list[float] = []
        turn = TurnPlan(window_s=plan.warm_up_s / turns, max_s=plan.max_window_s)
        while True:
            throughput_logs.append(math.log(self.systems[i].turn(turn, limit_s).rate_per_s))
            last = throughput_logs[-turns:]
            if len(last) == turns and (
                self.is_seen(self.configurations[i]) or max(last) - min(last) <= plan.steady_tolerance
            ):
                return
            if self.clock() - begin >= WARM_UP_CAP_S:
                if len(last) == turns:
                    self.unsteady.add(i)
                return

    def take_turn(self, i: int, block: int) -> None:
        """Adds one window of a member, or one for each number of callers."""
        plan = self.plan
        for callers in plan.callers or (None,):
            begin = self.clock()
            if plan.load is not None:
                window = self.open_window(i, block, plan.load)
            else:
                turn = TurnPlan(window_s=plan.window_s, drop_s=plan.drop_s, max_s=plan.max_window_s, callers=callers)
                result = self.timed_turn(i, turn, plan.drop_s + plan.max_window_s + plan.hang_limit_s)
                started_s = begin - self.begin
                window = result.window(block=block, turn=self.turns, started_s=started_s, callers=callers)
            self.windows[i].append(window)
            self.turns += 1

    def timed_turn(self, i: int, turn: TurnPlan, limit_s: float) -> TurnResult:
        """Measures one turn and counts its seconds."""
        begin = self.clock()
        try:
            return self.systems[i].turn(turn, limit_s)
        finally:
            self.timed_s += self.clock() - begin

    def open_window(self, i: int, block: int, load: ArrivalProcess) -> Window:
        """Measures one window of an open loop; all members of a block see the same arrivals."""
        begin, plan = self.clock(), self.plan
        search = None
        if load.rate_per_s is None:
            search = self.rates.setdefault(i, RateSearch(load, self.capacity_per_s[i]))
        rate_per_s = load.rate_per_s or self.rates[i].rate_per_s
        window_s = search.window_s(plan.window_s) if search else plan.window_s
        seed = zlib.crc32(f"{plan.seed}/{block}".encode())
        arrivals = Arrivals(pattern=load.pattern, rate_per_s=rate_per_s, seed=seed)
        turn = TurnPlan(window_s=window_s, drop_s=plan.drop_s, arrivals=arrivals, drain_s=DRAIN_S)
        result = self.timed_turn(i, turn, plan.drop_s + window_s + DRAIN_S + plan.hang_limit_s)
        served = OpenLoopStats(
            rate_per_s=rate_per_s,
            arrivals=result.arrivals,
            waiting=result.waiting,
            unserved=result.unserved,
            lag_p99_ms=result.lag_p99_ms,
            is_late=is_late(result.lag_p99_ms, result.latency_counts, load.lag_limit_ms),
            capacity_per_s=self.capacity_per_s[i],
        )
        window = result.window(block=block, turn=self.turns, started_s=begin - self.begin, served=served)
        return window if search is None else search.tell_window(window, served)

    def refuse_without_rate(self) -> None:
        """Fails every member that kept its limits at none of the tested rates: it has no largest rate."""
        for i, search in self.rates.items():
            if i not in self.failures and not search.has_kept:
                limits = ", ".join(f"{name} <= {most:g}" for name, most in search.load.keep)
                message = f"no rate from {search.low:.3g}/s on keeps {limits}"
                self.failures[i] = Failure(kind=FailureKind.TIMEOUT, message=message)

    def is_pointless(self) -> bool:
        """Returns True if nothing is left to compare."""
        return is_pointless(self.request, self.failures.keys())
