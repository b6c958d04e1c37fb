"""The kernel's timers of this thread, made exact for as long as a load generator sleeps on them.

Knows prctl; elsewhere than on Linux it does nothing.
"""

from __future__ import annotations

import ctypes
import sys
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
