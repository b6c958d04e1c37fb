"""How long windows are before the noise is known, by what the setup of a study says of host and load."""

from __future__ import annotations

from tuner.bench.measurement import ArrivalProcess
from tuner.study.setup import StudySetup

WINDOW_S = 0.4
"""Length of a window (s) until the noise of the host is known: the middle of the lengths that are chosen from then."""

QUOTA_WINDOW_S = 1.0
"""Length of a window (s) under a CPU quota: it covers ten scheduler periods of 100 ms (tuner/README.md)."""

OPEN_ARRIVALS, OPEN_WINDOW_S, OPEN_WINDOW_AT_MOST_S = 100, 1.0, 3.0
"""Arrivals that a window holds where requests arrive, so that a backlog shows; its least and largest length (s)."""


def first_window_s(setup: StudySetup) -> float:
    """Returns the length of a window (s) until the noise is known."""
    window_s = WINDOW_S if setup.cpu_quota is None else QUOTA_WINDOW_S
    return window_s if setup.study.load is None else max(window_s, open_window_s(setup.study.load))


def is_window_fixed(setup: StudySetup) -> bool:
    """True if windows stay as long as the first ones, however quiet the host: quota or load decide their length."""
    return setup.cpu_quota is not None or setup.study.load is not None


def open_window_s(load: ArrivalProcess) -> float:
    """Returns the length of a window (s) under arriving requests.

    Where the largest rate is looked for every probe lengthens its window by itself.
    """
    wanted = 0.0 if load.rate_per_s is None else OPEN_ARRIVALS / load.rate_per_s
    return min(OPEN_WINDOW_AT_MOST_S, max(OPEN_WINDOW_S, wanted))
