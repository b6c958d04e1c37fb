"""The lines that tell a user what the host did to a study, and what helps.

Responsible for words and for the thresholds of a warning.
"""

from __future__ import annotations

from tuner.bench.measurement import HostActivity
from tuner.phases.host_events import HostReading
from tuner.statistics.disturbance import MUCH_WORSE

NOISY_OTHER_PCT, NOISY_STEAL_PCT = 10.0, 2.0
"""Means over a phase (% of the CPUs) above which a user is warned.

Five of the seven studies that `disturbance.DISTURBED_OTHER_PCT` cites began below both.
"""


def disturbed_words(disturbed: int, windows: int) -> str:
    """Returns what became of the disturbed windows, in one line; empty if there were none."""
    if not disturbed:
        return ""
    said = f"disturbed by the host: {disturbed} of {windows} windows"
    if 2 * disturbed > windows:
        return f"{said}; where they are most of a session they count, for want of others: a calmer hour tells more"
    return f"{said}; their pairs do not count, unless they are most of a session"


def late_words(host: HostReading) -> str:
    """Returns how late the load generator ran, in one line; empty if it was on time.

    Late windows count. Their latencies hold the lag, and leaving out those of members that keep every CPU busy would
    flatter just these members.
    """
    if not host.late_windows:
        return ""
    return (
        f"the load generator started requests late in {host.late_windows} of {host.open_windows} windows (by up to "
        f"{host.lag_ms:.1f} ms at p99), for want of a free CPU or because of the host; the latencies hold it"
    )


def host_words(host: HostReading) -> list[str]:
    """Returns what the host did to some windows, in lines."""
    return [words for words in (disturbed_words(host.disturbed, host.windows), late_words(host)) if words]


def warning(load: HostActivity, *, when: str, beyond: HostActivity | None = None) -> str:
    """Returns what the host did to a study and what helps, in one line; empty for an ordinary load.

    If `beyond` is given, a load that is known already, only a much larger load is told.
    """
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
