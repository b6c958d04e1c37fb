"""The kernel's timers of this thread: waiting for a point of time, exactly for as long as a load generator needs it.

Knows prctl; elsewhere than on Linux it does nothing.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

PR_SET_TIMERSLACK = 29
"""linux/prctl.h: how late the kernel may wake this thread, in ns, to do several wake-ups in one: 50 us by default."""


@contextmanager
def exact_timers() -> Iterator[None]:
    """Threads that are started meanwhile would inherit it, which is why it does not last."""
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
    """Returns when the system's monotonic clock shows `at_s` or later: on Linux that of perf_counter too, the same in
    every process, and what time.sleep counts on. A deadline that has passed costs nothing."""
    left_s = at_s - time.monotonic()
    if left_s > 0.0:
        time.sleep(left_s)
