"""Seconds that a session takes: starts, compiles, warm-ups and turns.

Responsible for the usual cost and for the cost that a measured session shows. Must not know budgets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tuner.bench.measurement import Costs

PAIRS, WINDOW_S = 8, 0.4
"""Number of pairs of a confirmation session, and length of a window (s): the usual ones (tuner/README.md)."""

PROCESS_S = 0.6
"""Seconds that a further process takes to start and compile: 0.5 to 0.7 s for squeezenet, two busy CPUs."""

JOINT_TURN_S = 0.1
"""Seconds by which a turn of several replicas is longer: each replica runs on for a little after the turn."""

WARM_UP_TURNS = 3
"""Number of turns in which a member warms up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCost:
    """Seconds of a session of two members; the defaults make the usual session 10 s long."""

    fixed_s: float = 2.0
    """Seconds to start, compile and warm up both members."""
    turn_s: float = 0.1
    """Seconds of a turn beyond its window: the dropped ramp and the drain."""
    windows: int = 1
    """Number of windows that a member has in each block: one for each number of callers."""

    def block_s(self, window_s: float) -> float:
        """Returns the seconds that a member takes in a block."""
        return self.windows * (window_s + self.turn_s)

    def of(self, pairs: int, window_s: float, members: int = 2) -> float:
        """Returns the seconds of a session in which each member has a window for every pair."""
        return members / 2 * self.fixed_s + members * pairs * self.block_s(window_s)


def usual_cost(*, replicas: int = 1, has_own_processes: bool = False, windows: int = 1) -> SessionCost:
    """Returns the cost before anything is measured; each member has `windows` in a block.

    With `has_own_processes` each member has a process for each of its `replicas`.
    """
    usual = SessionCost(windows=windows)
    if not has_own_processes:
        return usual
    more = 2 * replicas - 1
    joint_s = JOINT_TURN_S if replicas > 1 else 0.0
    fixed_s = usual.fixed_s + more * PROCESS_S + 2 * WARM_UP_TURNS * joint_s
    return replace(usual, fixed_s=fixed_s, turn_s=usual.turn_s + joint_s)


def measured_cost(
    costs: Costs,
    *,
    wall_s: float,
    members: int,
    turns: int,
    window_s: float,
    has_own_processes: bool = False,
    windows: int = 1,
) -> SessionCost:
    """Returns the cost that a session of `members` shows, which had `turns` windows of `window_s` in all.

    In each block a member had `windows` of them.

    Its process started once for all members, or once for each with `has_own_processes`. Raises ValueError for no
    members or no turns.
    """
    if members < 1 or turns < 1:
        raise ValueError(f"a cost needs a member and a turn, got {members} and {turns}")
    own_s = max(0.0, wall_s - costs.total_s)
    once_s, each_s = (0.0, costs.start_s) if has_own_processes else (costs.start_s, 0.0)
    return SessionCost(
        fixed_s=own_s + once_s + (each_s + costs.compile_s + costs.warm_up_s) * 2.0 / members,
        turn_s=max(0.0, costs.timed_s / turns - window_s),
        windows=windows,
    )
