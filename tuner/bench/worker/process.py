"""The parent's handle on one worker process: it starts the process, sends commands, waits with a limit and ends it.

Responsible for hangs, crashes and garbage. Must not know what the commands mean.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from tuner import errors
from tuner.bench.backends.step import last_step
from tuner.bench.configuration import Failure, FailureKind
from tuner.bench.host.cgroup import Group
from tuner.bench.session.member import CommandFailed, WorkerLost
from tuner.model.files.openvino_error import is_memory_short

START_LIMIT_S = 60.0
"""Seconds in which a worker must start.

Starting Python and importing OpenVINO takes 0.5 s; a cold disk or a busy host takes longer, never minutes.
"""

ANSWER_LIMIT_BYTES = 8 << 20
"""Longest answer; real ones stay below 1 MB, and a longer one would fill this process's memory with garbage."""

MORE_MEMORY = "give deployment.memory more: Python and OpenVINO alone need about 60 MiB, models more"
DOUBTFUL_DATA = (
    "Random data may be why: give inputs the `range` that the model takes (ids within their table), "
    "or the `value` that the application feeds."
)
"""Advice for a model whose first inference ends the process."""
THRASH_CHECK_S = 5.0
"""Seconds between two checks of a worker under a memory limit while it starts, reads or compiles.

A worker is never checked while it is timed.
"""

THRASH_LIMITS = 10
"""Multiple of its memory limit that a thrashing worker reads again within one command.

The kernel takes pages of the worker's own libraries and reads them back at 500 MB/s, for minutes or for ever. With
libraries that were not in memory, the multiple was 40 and more under 36 to 60 MiB. It was 17 under 72 MiB, where the
command ended after 3 s and was never checked.
"""

STDERR_TAIL_BYTES = 4096
"""Length of the end of a worker's standard error that is searched for its last line."""
STEPPED = "inspect"
"""Command whose steps are announced."""
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSetup:
    """Parameters of every worker of a bench; `backend` is `module:function`, called with (ModelSpec, seed)."""

    backend: str
    model: Mapping[str, Any]
    seed: int
    memory_limit_bytes: int | None


class WorkerProcess:
    """One child process, started at once, on the CPUs of `cpuset` and in the control group `group`.

    The group is removed with the process. Instances are not shared between threads.
    """

    def __init__(self, setup: WorkerSetup, *, cpuset: Sequence[int] | None = None, group: Group | None = None) -> None:
        self._group = group
        try:
            self._start(setup, cpuset)
        except BaseException:
            if group is not None:
                group.remove()
            raise

    def _start(self, setup: WorkerSetup, cpuset: Sequence[int] | None) -> None:
        self._spawn()
        self._buffer = b""
        self._command, self._limit_s, self._deadline = "open", START_LIMIT_S, 0.0
        self._reread_before = 0
        self.name = f"{os.getpid()}-{next(_numbers)}"
        try:
            if self._group is not None:
                self._group.add(self._process.pid)
            self._open(setup, cpuset)
        except errors.TunerError:
            self.kill()
            raise

    def _spawn(self) -> None:
        self._channel, theirs = socket.socketpair()
        # In memory: a full disk must not keep a worker from starting.
        self._errors = os.fdopen(os.memfd_create("tuner-worker-errors"), "w+b")
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "tuner.bench.worker.main", str(theirs.fileno()), str(os.getpid())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=self._errors,
                    start_new_session=True,  # Ctrl-C reaches the parent alone, which decides
                )
        except OSError as error:
            self._channel.close()
            self._errors.close()
            raise errors.HostError(f"a worker process cannot start: {error.strerror or error}") from error

    def _open(self, setup: WorkerSetup, cpuset: Sequence[int] | None) -> None:
        """Lets the process open its backend. Raises HostError, or InputError if the memory limit is too small."""
        try:
            self.call(
                "open",
                limit_s=START_LIMIT_S,
                backend=setup.backend,
                model=setup.model,
                seed=setup.seed,
                memory_limit_bytes=setup.memory_limit_bytes,
                cpuset=None if cpuset is None else list(cpuset),
            )
        except CommandFailed as error:
            raise errors.HostError(f"a worker process cannot start: {error.failure.message}") from error
        except WorkerLost as error:
            if error.failure.kind is FailureKind.MEMORY and self._group is not None and self._group.memory_bytes:
                raise errors.InputError(
                    f"a worker process cannot start: {error.failure.message}",
                    advice=MORE_MEMORY,
                ) from error
            raise errors.HostError(
                f"a worker process did not start: {error.failure.message}",
                advice=f"try: {sys.executable} -c 'import openvino'",
            ) from error

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """True if the process has ended by itself or was ended."""
        return self._process.poll() is not None

    def call(self, command: str, *, limit_s: float, **fields: Any) -> Any:
        """Sends one command and sleeps until its answer.

        Raises CommandFailed, WorkerLost after which the process has ended, or the TunerError that the worker raised.
        """
        self.send(command, limit_s=limit_s, **fields)
        return self.receive()

    def send(self, command: str, *, limit_s: float, **fields: Any) -> None:
        """Sends one command: the first half of `call`, so that several processes can work at the same time.

        Raises WorkerLost.
        """
        self._command, self._limit_s, self._deadline = command, limit_s, time.monotonic() + limit_s
        self._reread_before = self._reread_bytes()
        message = json.dumps({"do": command, **fields}).encode() + b"\n"
        with self._ending_on_error():
            self._channel.settimeout(limit_s)
            self._channel.sendall(message)

    def receive(self) -> Any:
        """Returns the answer: the second half of `call`, with the same exceptions."""
        with self._ending_on_error():
            outcome = outcome_of(self._read_line(self._deadline))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    @contextmanager
    def _ending_on_error(self) -> Iterator[None]:
        """Ends the process after anything but an answer."""
        command = self._command
        try:
            yield
        except (BrokenPipeError, ConnectionResetError, EOFError):
            raise WorkerLost(self._describe_exit(command)) from None
        except TimeoutError:
            self.kill()
            text = f"{command} did not end within {self._limit_s:.0f} s; the process was ended"
            raise WorkerLost(Failure(kind=FailureKind.TIMEOUT, message=text)) from None
        except Thrashing:
            self.kill()
            text = f"{command}: {self._limit_mib} MiB are too little, it read its own files again and again"
            raise WorkerLost(Failure(kind=FailureKind.MEMORY, message=text)) from None
        except Garbage:
            self.kill()
            text = f"{command}: the process answered with garbage"
            raise WorkerLost(Failure(kind=FailureKind.CRASH, message=text)) from None
        except BaseException:
            # After an interrupt, the late answer must not be taken for that of another command.
            self.kill()
            raise

    def kill(self) -> None:
        """Ends the process and everything it may have started, and returns when it is gone."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._reap()
        self._channel.close()
        self._errors.close()
        if self._group is not None:
            self._group.remove()

    def _reap(self) -> None:
        """Waits for the killed process without the lock of Popen.

        A signal whose handler raises may have ended `poll` or `wait` between taking that lock and giving it back; a
        `wait` after that would never return.
        """
        if self._process.returncode is None:
            with suppress(ChildProcessError):
                self._process.returncode = os.waitstatus_to_exitcode(os.waitpid(self._process.pid, 0)[1])

    def _read_line(self, deadline: float) -> bytes:
        while b"\n" not in self._buffer:
            piece = self._read_piece(deadline)
            if not piece:
                raise EOFError
            self._buffer += piece
            if len(self._buffer) > ANSWER_LIMIT_BYTES:
                raise Garbage
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _read_piece(self, deadline: float) -> bytes:
        check_s = math.inf if self._limit_mib is None or self._command == "turn" else THRASH_CHECK_S
        while (remaining_s := deadline - time.monotonic()) > 0.0:
            self._channel.settimeout(min(remaining_s, check_s))
            try:
                return self._channel.recv(1 << 20)
            except TimeoutError:
                if self._is_thrashing():
                    raise Thrashing from None
        raise TimeoutError

    @property
    def _limit_mib(self) -> int | None:
        limit = None if self._group is None else self._group.memory_bytes
        return None if limit is None else limit >> 20

    def _reread_bytes(self) -> int:
        return 0 if self._group is None or self._group.memory_bytes is None else self._group.reread_bytes()

    def _is_thrashing(self) -> bool:
        if self._group is None or self._group.memory_bytes is None:
            return False
        return self._reread_bytes() - self._reread_before >= THRASH_LIMITS * self._group.memory_bytes

    def _describe_exit(self, command: str) -> Failure:
        """Returns the reason why the process ended during a command, from its exit code and its standard error."""
        try:
            code = self._process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            self.kill()
            return Failure(kind=FailureKind.CRASH, message=f"the process closed its channel during {command}")
        self._channel.close()
        stderr_tail = self._read_stderr_tail()
        if self._group is not None:
            self._group.remove()
        if code == -signal.SIGKILL:
            limit = self._limit_mib
            why = "the host ran out of memory" if limit is None else f"it passed its limit of {limit} MiB"
            message = f"the process was killed during {command}: probably {why}"
            return Failure(kind=FailureKind.MEMORY, message=message)
        step, said = last_step(stderr_tail)
        lines = said.strip().splitlines()
        ended = f"killed by {_signal_name(-code)} (signal {-code})" if code < 0 else f"exit code {code}"
        last = f": {lines[-1][:200]}" if lines else ""
        at = f"{command}, at {step}" if step and command == STEPPED else command
        kind = FailureKind.MEMORY if is_memory_short(stderr_tail) else FailureKind.CRASH
        return Failure(kind=kind, message=f"the process ended during {at}, {ended}{last}")

    def _read_stderr_tail(self) -> str:
        self._errors.seek(max(0, os.fstat(self._errors.fileno()).st_size - STDERR_TAIL_BYTES))
        text = self._errors.read().decode(errors="replace")
        self._errors.close()
        return text


class Thrashing(Exception):
    """Raised for a process whose memory limit makes it read the same files again and again."""


class Garbage(Exception):
    """Raised for bytes on the channel that are no answer."""


def outcome_of(line: bytes) -> Any:
    """Returns the content of an answer, or the exception that the caller raises. Raises Garbage."""
    try:
        ((verb, content),) = json.loads(line).items()
        if verb == "failed":
            return CommandFailed(Failure(kind=FailureKind(content["kind"]), message=content["message"]))
        if verb == "refused":
            return getattr(errors, content["error"])(content["message"], advice=content["advice"])
        if verb == "ok":
            return content
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        pass
    raise Garbage


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
