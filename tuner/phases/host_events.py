"""Events about the host, which disturbs windows and holds sessions back.

Responsible for values. Must not hold sentences.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from tuner.bench.measurement import HostActivity, Window
from tuner.statistics.disturbance import count_disturbed, mean_load


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReading:
    """Disturbance of some windows by the host."""

    windows: int
    """Number of windows."""
    disturbed: int
    """Number of windows that other processes, steal or heat disturbed."""
    load: HostActivity
    """Means of percentages and sums of counts over the windows."""
    open_windows: int = 0
    """Number of windows with requests that arrive by themselves."""
    late_windows: int = 0
    """Number of windows in which the load generator started requests late."""
    lag_ms: float = 0.0
    """Largest 99th percentile of the lag (ms) of the load generator."""

    @classmethod
    def of(cls, windows: Sequence[Window]) -> HostReading:
        """Returns the reading of these windows."""
        served = [w.served for w in windows if w.served is not None]
        late = [one.lag_p99_ms for one in served if one.is_late]
        return cls(
            windows=len(windows),
            disturbed=count_disturbed(windows),
            load=mean_load(windows),
            open_windows=len(served),
            late_windows=len(late),
            lag_ms=max(late, default=0.0),
        )


class PauseCause(enum.Enum):
    """Reason for which a session waits for the host."""

    OTHER = "other"
    """Other processes use the CPUs."""
    STEAL = "steal"
    """The hypervisor gives the CPUs to other guests."""
    HEAT = "heat"
    """The CPUs are slowed down by heat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPaused:
    """The study waits for the host to calm."""

    cause: PauseCause
    load: HostActivity
    limit_s: float
    """Seconds that the pause takes at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostResumed:
    """A pause is over."""

    cause: PauseCause
    waited_s: float
    """Seconds that the pause took."""
    is_calm: bool
    """True if other processes were seen to have calmed; for other causes the next windows tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostBusy:
    """The host is bad, and there is no time left to wait."""

    load: HostActivity


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseGoesOn:
    """A pause is not over yet; a display shows that time passes, and run.log has nothing of it."""

    waited_s: float
    """Seconds since the pause began."""
    limit_s: float
    """Seconds that the pause takes at most."""


HostEvent = HostPaused | PauseGoesOn | HostResumed | HostBusy
