"""Length of windows before the noise is known, by the host and the arrival process of a study."""

from __future__ import annotations

from tuner.bench.measurement import ArrivalProcess
from tuner.study.setup import StudySetup

WINDOW_S = 0.4
"""Length of a window (s) until the noise of the host is known: the middle one of `noise.WINDOWS_S`."""

QUOTA_WINDOW_S = 1.0
"""Length of a window (s) under a CPU quota: it covers ten scheduler periods of 100 ms (tuner/README.md)."""

OPEN_ARRIVALS, OPEN_WINDOW_S, OPEN_WINDOW_AT_MOST_S = 100, 1.0, 3.0
"""Number of arrivals in a window of an open loop; its least and largest length (s).

Fewer arrivals would hide a backlog.
"""


def first_window_s(setup: StudySetup) -> float:
    """Returns the length of a window (s) until the noise is known."""
    window_s = WINDOW_S if setup.cpu_quota is None else QUOTA_WINDOW_S
    return window_s if setup.study.load is None else max(window_s, open_window_s(setup.study.load))


def is_window_fixed(setup: StudySetup) -> bool:
    """Returns True if a quota or the arrivals, not the noise, decide the length of all windows."""
    return setup.cpu_quota is not None or setup.study.load is not None


def open_window_s(load: ArrivalProcess) -> float:
    """Returns the length of a window (s) under arriving requests.

    In a search for the largest rate every probe lengthens its window by itself.
    """
    wanted = 0.0 if load.rate_per_s is None else OPEN_ARRIVALS / load.rate_per_s
    return min(OPEN_WINDOW_AT_MOST_S, max(OPEN_WINDOW_S, wanted))
