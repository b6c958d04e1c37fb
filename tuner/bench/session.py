"""One session: the members of a lineup are compiled, warmed up and take turns of one window each.

Knows the order and the limits; not which process a member lives in, nor what anybody does with the windows.
"""

from __future__ import annotations

import math
import random
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from tuner.bench.open_loop import DRAIN_S, is_late
from tuner.bench.process import CommandFailed, WorkerLost
from tuner.bench.protocol import (
    SETTLE_CAP_S,
    Arrivals,
    Clock,
    Costs,
    DeploymentConfig,
    Effective,
    Failure,
    FailureKind,
    Load,
    Phase,
    Served,
    Session,
    SessionPlan,
    Window,
    Windows,
)
from tuner.bench.rate_search import RateSearch

WARM_UP_CAP_S = 5.0
"""After this a member that is still not steady is measured as it is, and marked (measurement.md)."""

CAPACITY_S = 1.0
"""Of the closed loop once a member is warm, where requests are to arrive by themselves: shorter stretches differ by
10 % and more on a busy host, and a largest rate is looked for between shares of what was found."""


class Seat(Protocol):
    """A member's place in a process. Every call raises CommandFailed or WorkerLost."""

    @property
    def effective(self) -> Effective: ...

    @property
    def start_s(self) -> float:
        """What starting the process cost this session, 0 where it was running."""

    @property
    def compile_s(self) -> float: ...

    @property
    def process(self) -> str: ...

    def settle(self, limit_s: float) -> None: ...

    def turn(self, window_s: float, drop_s: float, max_s: float, limit_s: float) -> Mapping[str, Any]:
        """The fields of a Window that are measured."""

    def serve(
        self, arrivals: Arrivals, window_s: float, drop_s: float, drain_s: float, limit_s: float
    ) -> Mapping[str, Any]:
        """The same under arriving requests, with the counts of `Served`."""


class MemberLost(Exception):
    """The member at `index` took its process down, or spoiled it: the session has to begin again without it."""

    def __init__(self, index: int, failure: Failure) -> None:
        super().__init__(f"member {index}: {failure}")
        self.index = index
        self.failure = failure


def run_session(
    lineup: Sequence[DeploymentConfig],
    plan: SessionPlan,
    *,
    open_seat: Callable[[DeploymentConfig], Seat],
    is_seen: Callable[[DeploymentConfig], bool],
    clock: Clock,
    unix_clock: Clock,
    lost: Mapping[int, Failure] | None = None,
) -> Session:
    """Measures the lineup as planned. A member that fails politely has its Failure in its place; one that takes the
    process down raises MemberLost. `lost` are those that did so before: they keep their failures and are left out."""
    return _Run(lineup, plan, open_seat, is_seen, clock, lost or {}).session(unix_clock())


def is_pointless(phase: Phase, members: int, failed: Collection[int]) -> bool:
    """Nothing is left to compare: the reference failed, or everybody else did. Baselines have no reference."""
    if phase == "baselines":
        return len(failed) == members
    return 0 in failed or (members > 1 and len(failed) == members - 1)


class _Run:
    """The state of one session while it runs."""

    def __init__(
        self,
        lineup: Sequence[DeploymentConfig],
        plan: SessionPlan,
        open_seat: Callable[[DeploymentConfig], Seat],
        is_seen: Callable[[DeploymentConfig], bool],
        clock: Clock,
        lost: Mapping[int, Failure],
    ) -> None:
        self.lineup = lineup
        self.plan = plan
        self.open_seat = open_seat
        self.is_seen = is_seen
        self.clock = clock
        self.rng = random.Random(plan.seed)
        self.begin = clock()
        self.seats: dict[int, Seat] = {}
        self.failures: dict[int, Failure] = dict(lost)
        self.unsteady: set[int] = set()
        self.windows: list[list[Window]] = [[] for _ in lineup]
        self.turns = 0
        self.capacity_per_s: dict[int, float] = {}
        self.rates: dict[int, RateSearch] = {}
        self.start_s = self.open_s = self.warm_up_s = self.timed_s = 0.0

    def session(self, started_unix_s: float) -> Session:
        for i in self.compile_order():
            self.guarded(i, self.compile)
        for i in sorted(self.seats):
            if not self.is_pointless():
                self.guarded(i, self.warm_up)
        for block in range(self.plan.blocks):
            if self.is_pointless():
                break
            for i in self.block_order(block):
                self.guarded(i, partial(self.take_turn, block=block))
            if self.plan.enough is not None and not self.is_pointless() and self.plan.enough(self.members()):
                break
        self.refuse_without_rate()
        return Session(
            lineup=tuple(self.lineup),
            members=self.members(),
            started_unix_s=started_unix_s,
            wall_s=self.clock() - self.begin,
            costs=Costs(
                start_s=self.start_s,
                compile_s=self.open_s - self.start_s,
                warm_up_s=self.warm_up_s,
                timed_s=self.timed_s,
            ),
            process=",".join(sorted({seat.process for seat in self.seats.values()})),
        )

    def members(self) -> tuple[Windows | Failure, ...]:
        """What each member has delivered so far."""
        return tuple(
            self.failures.get(i)
            or Windows(
                effective=self.seats[i].effective,
                windows=tuple(self.windows[i]),
                compile_s=self.seats[i].compile_s,
                is_steady=i not in self.unsteady,
            )
            for i in range(len(self.lineup))
        )

    def guarded(self, i: int, step: Callable[[int], None]) -> None:
        if i in self.failures:
            return
        try:
            step(i)
        except CommandFailed as error:
            self.failures[i] = error.failure
        except WorkerLost as error:
            raise MemberLost(i, error.failure) from error

    def compile_order(self) -> list[int]:
        """Random where all is fresh: the order of compiling is a bias of its own. Else the reference comes first."""
        others = list(range(0 if self.plan.is_fresh else 1, len(self.lineup)))
        self.rng.shuffle(others)
        return others if self.plan.is_fresh else [0, *others]

    def block_order(self, block: int) -> list[int]:
        """Two members alternate ABBA from a random start; more are shuffled anew in each block."""
        order = [i for i in range(len(self.lineup)) if i not in self.failures]
        if len(order) == 2:
            first = random.Random(self.plan.seed).random() < 0.5
            return order if (block % 2 == 0) == first else order[::-1]
        self.rng.shuffle(order)
        return order

    def compile(self, i: int) -> None:
        begin = self.clock()
        try:
            self.seats[i] = self.open_seat(self.lineup[i])
            self.start_s += self.seats[i].start_s
        finally:
            self.open_s += self.clock() - begin

    def warm_up(self, i: int) -> None:
        """Thirds of the warm-up until three in a row agree; a configuration seen before needs no proof."""
        begin = self.clock()
        seat, plan = self.seats[i], self.plan
        limit_s = plan.max_window_s + plan.hang_limit_s
        levels: list[float] = []
        try:
            seat.settle(limit_s + (SETTLE_CAP_S if self.lineup[i].device.startswith("AUTO") else 0.0))
            while plan.warm_up_s > 0.0:
                raw = seat.turn(plan.warm_up_s / 3, 0.0, plan.max_window_s, limit_s)
                levels.append(math.log(raw["samples"] / raw["duration_s"]))
                if len(levels) >= 3 and (
                    self.is_seen(self.lineup[i]) or max(levels[-3:]) - min(levels[-3:]) <= plan.steady_tolerance
                ):
                    break
                if self.clock() - begin >= WARM_UP_CAP_S:
                    if len(levels) >= 3:
                        self.unsteady.add(i)
                    break
            if plan.load is not None:
                raw = seat.turn(min(CAPACITY_S, plan.window_s), 0.0, plan.max_window_s, limit_s)
                self.capacity_per_s[i] = raw["samples"] / raw["duration_s"] / self.lineup[i].batch_size
        finally:
            self.warm_up_s += self.clock() - begin

    def serve(self, i: int, block: int, load: Load) -> None:
        """A window of requests that arrive by themselves: one trace for all members of a block."""
        begin, plan = self.clock(), self.plan
        search = None
        if load.rate_per_s is None:
            search = self.rates.setdefault(i, RateSearch(load, self.capacity_per_s[i]))
        rate_per_s = load.rate_per_s or self.rates[i].rate_per_s
        window_s = search.window_s(plan.window_s) if search else plan.window_s
        seed = zlib.crc32(f"{plan.seed}/{block}".encode())
        arrivals = Arrivals(pattern=load.pattern, rate_per_s=rate_per_s, seed=seed)
        limit_s = plan.drop_s + window_s + DRAIN_S + plan.hang_limit_s
        try:
            raw = dict(self.seats[i].serve(arrivals, window_s, plan.drop_s, DRAIN_S, limit_s))
        finally:
            self.timed_s += self.clock() - begin
        counts = {name: raw.pop(name) for name in ("arrivals", "waiting", "unserved", "lag_p99_ms")}
        served = Served(
            rate_per_s=rate_per_s,
            capacity_per_s=self.capacity_per_s[i],
            is_late=is_late(counts["lag_p99_ms"], raw["latency_counts"], load.lag_limit_ms),
            **counts,
        )
        window = Window(block=block, turn=self.turns, started_s=begin - self.begin, served=served, **raw)
        if search is not None:
            is_kept = search.keeps(window)
            search.tell(rate_per_s, is_kept)
            found = replace(
                served,
                capacity_per_s=search.capacity_per_s,
                low_per_s=search.low,
                high_per_s=search.high,
                is_kept=is_kept,
            )
            window = replace(window, served=found)
        self.windows[i].append(window)
        self.turns += 1

    def refuse_without_rate(self) -> None:
        """Who kept the limits at no rate that was tried has no largest one."""
        for i, search in self.rates.items():
            if i not in self.failures and not search.has_kept:
                limits = ", ".join(f"{name} <= {most:g}" for name, most in search.load.keep)
                message = f"no rate from {search.low:.3g}/s on keeps {limits}"
                self.failures[i] = Failure(kind=FailureKind.TIMEOUT, message=message)

    def take_turn(self, i: int, block: int) -> None:
        begin, plan = self.clock(), self.plan
        if plan.load is not None:
            return self.serve(i, block, plan.load)
        limit = plan.drop_s + plan.max_window_s + plan.hang_limit_s
        try:
            raw = self.seats[i].turn(plan.window_s, plan.drop_s, plan.max_window_s, limit)
        finally:
            self.timed_s += self.clock() - begin
        self.windows[i].append(Window(block=block, turn=self.turns, started_s=begin - self.begin, **raw))
        self.turns += 1

    def is_pointless(self) -> bool:
        return is_pointless(self.plan.phase, len(self.lineup), self.failures.keys())
