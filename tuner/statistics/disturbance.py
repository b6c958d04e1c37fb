"""Windows that the host disturbed, and pairs that therefore do not count.

Responsible for covariates alone: steal, other processes, heat. Must not import the estimates of a session, and never
reads the result of a window: leaving out windows by their result would bias every result.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tuner.bench.measurement import HostActivity, Session, Window, Windows
from tuner.bench.metrics import block_count

DISTURBED_OTHER_PCT = 10.0

DISTURBED_STEAL_PCT = 8.0
"""Load of other processes and steal (% of the CPUs) above which a window is disturbed.

Seven studies on a 2-core cloud VM that did little else: windows with more than 10 % of other load ran 24 to 30 % slower
than their member's median, with 8 to 10 % of steal 13 %, with more steal 21 to 29 %; with less of either at most 8 %,
near the spread of all windows (MAD 6 %). 41 of 1171 windows were above, 7 % in the worst study: 0 to 10 % of the pairs.
On 2 CPUs one scheduler tick in 0.5 s is 1 %.
"""

MUCH_WORSE = 2.0
"""Factor of the load seen in the calibration above which the host is another than the plan was made for."""


def is_disturbed(load: HostActivity) -> bool:
    """Returns True if the host took so much of a stretch of time that its result means little.

    The pressure does not count, because a member with many threads causes it; nor the frequency, which a member's
    instructions lower; nor a quota's throttling, which belongs to the deployment.
    """
    return (
        load.other_cpu_pct > DISTURBED_OTHER_PCT or load.steal_pct > DISTURBED_STEAL_PCT or load.thermal_throttles > 0
    )


def calm_sides(candidate: Sequence[Window], reference: Sequence[Window]) -> tuple[Sequence[Window], Sequence[Window]]:
    """Returns both sides without the blocks in which a window of either side was disturbed.

    Nothing is left out if these are more than half of the blocks that both sides have: the session as a whole is noisy
    then, and its spread shows the noise.
    """
    shared = {w.block for w in candidate} & {w.block for w in reference}
    disturbed = {w.block for side in (candidate, reference) for w in side if is_disturbed(w)}
    if not disturbed or 2 * len(disturbed & shared) > len(shared):
        return candidate, reference
    return [w for w in candidate if w.block not in disturbed], [w for w in reference if w.block not in disturbed]


def calm_pairs(candidate: Windows, reference: Windows) -> int:
    """Returns the number of pairs of a session that count, at each number of callers."""
    return min(map(block_count, calm_sides(candidate.windows, reference.windows)))


def windows_of(sessions: Iterable[Session]) -> list[Window]:
    """Returns the windows of all members of all sessions."""
    return [w for session in sessions for m in session.members if isinstance(m, Windows) for w in m.windows]


def mean_load(loads: Sequence[HostActivity]) -> HostActivity:
    """Returns the load over several stretches of time: means of percentages and sums of counts, zero for none."""
    n = max(1, len(loads))
    return HostActivity(
        steal_pct=sum(load.steal_pct for load in loads) / n,
        other_cpu_pct=sum(load.other_cpu_pct for load in loads) / n,
        thermal_throttles=sum(load.thermal_throttles for load in loads),
        quota_throttles=sum(load.quota_throttles for load in loads),
    )


def count_disturbed(windows: Iterable[HostActivity]) -> int:
    """Returns the number of windows that steal, other processes or heat disturbed (`is_disturbed`)."""
    return sum(is_disturbed(window) for window in windows)
