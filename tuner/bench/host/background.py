"""The background load of a deployment: a shell command that runs during every measurement.

Responsible for the command's processes. Run as a module it is the command's keeper. The keeper ends the command and all
its descendants when the tuner has ended for any reason, and adopts descendants that leave the command's session.
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
"""Option of linux/prctl.h that makes orphaned descendants, in any session, children of this process."""

END_TRIES, END_WAIT_S = 100, 0.1
"""Number of tries to end all descendants, and seconds between them: a process may start another one meanwhile."""


class Background:
    """A background command, started at once."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._keeper = subprocess.Popen(
            [sys.executable, "-P", "-m", "tuner.bench.host.background", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def check(self) -> None:
        """Raises HostError if the command has ended: without it another deployment is measured."""
        code = self._keeper.poll()
        if code is not None:
            raise HostError(
                f"deployment.background has ended (exit code {code}): {self._command}",
                advice="give a command that runs until it is stopped, such as `while true; do ...; done`",
            )

    def cpu_s(self) -> float:
        """Returns the CPU seconds that the command's processes have used so far."""
        with suppress(psutil.Error):
            children = psutil.Process(self._keeper.pid).children(recursive=True)
            return sum(_cpu_s(child) for child in children)
        return 0.0

    def stop(self) -> None:
        """Ends the command and everything it started."""
        if self._keeper.stdin is not None:
            self._keeper.stdin.close()
        self._keeper.wait()


def _cpu_s(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0


def keep(command: str) -> int:
    """Runs the command until it ends or standard input closes, ends its descendants and returns its exit code."""
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
        descendants = psutil.Process().children(recursive=True)
        if not descendants:
            return
        for process in descendants:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(descendants, timeout=END_WAIT_S)


def main() -> None:
    """Runs the keeper, which ends with the command's exit code."""
    os._exit(keep(sys.argv[1]))


if __name__ == "__main__":
    main()
