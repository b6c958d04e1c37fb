"""The kernel's timers of this thread: waiting for a point of time as exactly as a load generator needs.

Responsible for prctl; on other systems than Linux timers keep their precision.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

PR_SET_TIMERSLACK = 29
"""Option of linux/prctl.h for how late the kernel may wake this thread, in ns; 50 us by default."""


@contextmanager
def exact_timers() -> Iterator[None]:
    """Makes this thread's timers exact while the context lasts; threads started in it inherit them."""
    if sys.platform != "linux":
        yield
        return
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(PR_SET_TIMERSLACK, 0, 0, 0, 0)  # 0: the default again


def sleep_until(at_s: float) -> None:
    """Returns when the system's monotonic clock shows `at_s` or later; at once if it already does.

    On Linux perf_counter and time.sleep use this clock too, and it is the same in every process.
    """
    left_s = at_s - time.monotonic()
    if left_s > 0.0:
        time.sleep(left_s)
