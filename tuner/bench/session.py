"""One session: the members of a lineup are compiled, warmed up and take turns of one window each.

Knows the order and the limits; not which process a member lives in, nor what anybody does with the windows.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from tuner.bench.process import CommandFailed, WorkerLost
from tuner.bench.protocol import (
    SETTLE_CAP_S,
    Clock,
    Costs,
    DeploymentConfig,
    Effective,
    Failure,
    Phase,
    Session,
    SessionPlan,
    Window,
    Windows,
)

WARM_UP_CAP_S = 5.0
"""After this a member that is still not steady is measured as it is, and marked (measurement.md)."""


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
        finally:
            self.warm_up_s += self.clock() - begin

    def take_turn(self, i: int, block: int) -> None:
        begin, plan = self.clock(), self.plan
        limit = plan.drop_s + plan.max_window_s + plan.hang_limit_s
        try:
            raw = self.seats[i].turn(plan.window_s, plan.drop_s, plan.max_window_s, limit)
        finally:
            self.timed_s += self.clock() - begin
        self.windows[i].append(Window(block=block, turn=self.turns, started_s=begin - self.begin, **raw))
        self.turns += 1

    def is_pointless(self) -> bool:
        return is_pointless(self.plan.phase, len(self.lineup), self.failures.keys())
