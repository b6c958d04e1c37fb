"""Which windows the host spoiled, which pairs therefore do not count, and what a person can do about such a host.

Knows covariates only: steal, other processes, heat. It must never look at what a window measured: leaving out by the
result would make every result come out as hoped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tuner.bench.protocol import HostLoad, Session, Window, Windows

DISTURBED_OTHER_PCT = 10.0
DISTURBED_STEAL_PCT = 8.0
"""From seven studies on a 2-core cloud VM that did little else: windows with more than 10 % of other load ran 24 to
30 % slower than their member's median, with 8 to 10 % of steal 13 %, with more 21 to 29 %; with less of either at most
8 %, near the spread of all (MAD 6 %). 41 of 1171 windows were beyond, 7 % in the worst study: 0 to 10 % of the pairs.
On 2 CPUs one scheduler tick in 0.5 s is 1 %."""
NOISY_OTHER_PCT, NOISY_STEAL_PCT = 10.0, 2.0
"""Means over a phase, above which a person is told: five of those seven began below them."""
MUCH_WORSE = 2.0
"""So many times what the calibration saw is another host than the one the plan was made for."""


def is_disturbed(load: HostLoad) -> bool:
    """Whether the host took so much from a stretch of time that it says little of who ran in it.

    Not by the pressure, which a member with many threads makes itself, nor by the frequency, which its instructions
    lower; nor by a quota's throttling, which belongs to the deployment.
    """
    return (
        load.other_cpu_pct > DISTURBED_OTHER_PCT or load.steal_pct > DISTURBED_STEAL_PCT or load.thermal_throttles > 0
    )


def calm_sides(candidate: Sequence[Window], reference: Sequence[Window]) -> tuple[Sequence[Window], Sequence[Window]]:
    """Both without the blocks in which a window of either was disturbed. Where these are more than half of the blocks
    that both have, nothing is left out: the session as a whole is noisy then, and its spread shows it."""
    shared = {w.block for w in candidate} & {w.block for w in reference}
    spoiled = {w.block for side in (candidate, reference) for w in side if is_disturbed(w)}
    if not spoiled or 2 * len(spoiled & shared) > len(shared):
        return candidate, reference
    return [w for w in candidate if w.block not in spoiled], [w for w in reference if w.block not in spoiled]


def calm_pairs(candidate: Windows, reference: Windows) -> int:
    """How many pairs of a session count."""
    return min(len(side) for side in calm_sides(candidate.windows, reference.windows))


def windows_of(sessions: Iterable[Session]) -> list[Window]:
    """Of all members of all sessions."""
    return [w for session in sessions for m in session.members if isinstance(m, Windows) for w in m.windows]


def mean_load(loads: Sequence[HostLoad]) -> HostLoad:
    """The load over several stretches: the mean of what is a share, the sum of what is counted. Nothing for none."""
    n = max(1, len(loads))
    return HostLoad(
        steal_pct=sum(load.steal_pct for load in loads) / n,
        other_cpu_pct=sum(load.other_cpu_pct for load in loads) / n,
        thermal_throttles=sum(load.thermal_throttles for load in loads),
        quota_throttles=sum(load.quota_throttles for load in loads),
    )


def count_disturbed(windows: Iterable[HostLoad]) -> int:
    """How many of these windows steal, other processes or heat disturbed (`is_disturbed`)."""
    return sum(is_disturbed(window) for window in windows)


def disturbed_words(disturbed: int, windows: int) -> str:
    """What became of disturbed windows, in one line; empty where there were none."""
    if not disturbed:
        return ""
    said = f"disturbed by the host: {disturbed} of {windows} windows"
    if 2 * disturbed > windows:
        return f"{said}; where they are most of a session they count, for want of others: a calmer hour tells more"
    return f"{said}; their pairs do not count, unless they are most of a session"


def late_words(windows: Sequence[Window]) -> str:
    """What is said where the load generator ran late, in one line; empty where it was on time. Such windows count:
    latencies hold the lag, and leaving out those of members that keep every CPU busy would flatter just these."""
    served = [w.served for w in windows if w.served is not None]
    late = [s.lag_p99_ms for s in served if s.is_late]
    if not late:
        return ""
    return (
        f"the load generator started requests late in {len(late)} of {len(served)} windows (by up to {max(late):.1f} "
        "ms at p99), for want of a free CPU or because of the host; the latencies hold it"
    )


def warning(load: HostLoad, *, when: str, beyond: HostLoad | None = None) -> str:
    """What this host did to a study and what helps, in one line; empty where the load is nothing unusual. With
    `beyond`, the load that is known already, only what is much worse."""
    other_pct, steal_pct, throttles = NOISY_OTHER_PCT, NOISY_STEAL_PCT, 0
    if beyond is not None:
        other_pct = max(other_pct, MUCH_WORSE * beyond.other_cpu_pct)
        steal_pct = max(steal_pct, MUCH_WORSE * beyond.steal_pct)
        throttles = int(MUCH_WORSE * beyond.thermal_throttles)
    causes: list[str] = []
    remedies: list[str] = []
    if load.other_cpu_pct > other_pct:
        causes.append(f"other processes used {load.other_cpu_pct:.0f} % of the CPUs")
        remedies.append("stop them, or keep them and this study on different CPUs (taskset -c, a cpuset)")
    if load.steal_pct > steal_pct:
        causes.append(f"the hypervisor gave {load.steal_pct:.0f} % of the CPUs to other guests")
        remedies.append("use a quieter hour or an instance with CPUs of its own")
    if load.thermal_throttles > throttles:
        causes.append(f"heat slowed the CPUs down ({load.thermal_throttles} x)")
        remedies.append("cool the host better or lower its frequency limit")
    if not causes:
        return ""
    cause, remedy = " and ".join(causes), "; ".join(remedies)
    return f"warning: {when} {cause}. What helps: {remedy}; or a longer budget, which averages over more"
