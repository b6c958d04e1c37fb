"""What else runs on the deployment's host: a shell command, started before anything is measured and ended after it.

Run as a module it is the command's keeper, which ends it when the tuner is gone, however it went, with all that it
started: the keeper adopts what leaves the command's session.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress

import psutil

from tuner.errors import HostError

PR_SET_CHILD_SUBREAPER = 36
"""linux/prctl.h: what loses its parent below this process becomes its child, `setsid` or not."""
END_TRIES, END_WAIT_S = 100, 0.1
"""What is found is killed at once, what it starts meanwhile in the next try."""


class Background:
    """Starts the command at once."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._keeper = subprocess.Popen(
            [sys.executable, "-P", "-m", "tuner.bench.background", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def check(self) -> None:
        """Raises HostError where the command has ended: what is measured now is another deployment."""
        code = self._keeper.poll()
        if code is not None:
            raise HostError(
                f"deployment.background has ended (exit code {code}): {self._command}",
                advice="give a command that runs until it is stopped, such as `while true; do ...; done`",
            )

    def cpu_s(self) -> float:
        """CPU time used so far by what runs in the background."""
        with suppress(psutil.Error):
            children = psutil.Process(self._keeper.pid).children(recursive=True)
            return sum(_cpu_s(child) for child in children)
        return 0.0

    def stop(self) -> None:
        """Ends it and everything it started."""
        if self._keeper.stdin is not None:
            self._keeper.stdin.close()
        self._keeper.wait()


def _cpu_s(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0


def keep(command: str) -> int:
    """Runs the command until it ends or standard input closes; returns its exit code. Nothing of it is left."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    process = subprocess.Popen(command, shell=True, stdin=subprocess.DEVNULL, start_new_session=True)
    ended = os.pidfd_open(process.pid)
    try:
        select.select([sys.stdin, ended], [], [])
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        _end_descendants()
    return code & 0xFF


def _end_descendants() -> None:
    for _ in range(END_TRIES):
        family = psutil.Process().children(recursive=True)
        if not family:
            return
        for one in family:
            with suppress(psutil.Error):
                one.kill()
        psutil.wait_procs(family, timeout=END_WAIT_S)


def main() -> None:
    """Of the keeper's own process, which ends with the command's exit code."""
    os._exit(keep(sys.argv[1]))


if __name__ == "__main__":
    main()
