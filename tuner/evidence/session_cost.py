"""Seconds that a session takes: starts, compiles, warm-ups and turns.

Responsible for the usual cost and for the cost that a measured session shows. Must not know budgets.
"""

from __future__ import annotations

from dataclasses import dataclass

from tuner.bench.measurement import Costs

PAIRS, WINDOW_S = 8, 0.4

PROCESS_S = 0.6
"""What one more process takes to start and compile in: 0.5 to 0.7 s for squeezenet on two busy CPUs, one after the
other."""

JOINT_TURN_S, WARM_UP_TURNS = 0.1, 3
"""How much longer a turn is that several replicas take together, each going on a little after it; and in how many turns
a member warms up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCost:
    """What a session of two members takes, in seconds: `fixed_s` for start, compiling and warming up both, and `turn_s`
    beyond the window itself for each turn (the dropped ramp, the drain). The defaults make the usual session 10 s."""

    fixed_s: float = 2.0
    turn_s: float = 0.1

    def of(self, pairs: int, window_s: float, members: int = 2) -> float:
        """Seconds of a session of so many members in which each has a window for every pair."""
        return members / 2 * self.fixed_s + members * pairs * (window_s + self.turn_s)


def usual_cost(*, replicas: int = 1, has_own_processes: bool = False) -> SessionCost:
    """Returns the cost before anything is measured.

    `has_own_processes`: each member has processes of its own, one for each of its `replicas`.
    """
    usual = SessionCost()
    if not has_own_processes:
        return usual
    more = 2 * replicas - 1
    joint_s = JOINT_TURN_S if replicas > 1 else 0.0
    fixed_s = usual.fixed_s + more * PROCESS_S + 2 * WARM_UP_TURNS * joint_s
    return SessionCost(fixed_s=fixed_s, turn_s=usual.turn_s + joint_s)


def measured_cost(
    costs: Costs, *, wall_s: float, members: int, turns: int, window_s: float, has_own_processes: bool = False
) -> SessionCost:
    """The cost of a session of two, from one session of `members` that had `turns` windows of `window_s` in all. Its
    process started once for all of them, but where they are `apart`.

    Raises ValueError where nobody had a turn."""
    if members < 1 or turns < 1:
        raise ValueError(f"a cost needs a member and a turn, got {members} and {turns}")
    own_s = max(0.0, wall_s - costs.total_s)
    once_s, each_s = (0.0, costs.start_s) if has_own_processes else (costs.start_s, 0.0)
    return SessionCost(
        fixed_s=own_s + once_s + (each_s + costs.compile_s + costs.warm_up_s) * 2.0 / members,
        turn_s=max(0.0, costs.timed_s / turns - window_s),
    )
