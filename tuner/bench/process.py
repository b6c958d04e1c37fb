"""The parent's handle on one worker process: start it, send a command, wait with a limit, end it.

Knows what a command costs when it goes wrong (hang, crash, garbage), not what the commands mean.
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
from tuner.bench.cgroup import Group
from tuner.bench.protocol import Failure, FailureKind
from tuner.model.openvino_error import is_memory_short

START_LIMIT_S = 60.0
"""Starting Python and importing OpenVINO takes 0.5 s here; a cold disk or a busy host takes longer, never minutes."""
ANSWER_LIMIT_BYTES = 8 << 20
"""Real answers stay below 1 MB; a longer one is garbage that would fill this process's memory."""
MORE_MEMORY = "give deployment.memory more: Python and OpenVINO alone need about 60 MiB, models more"
THRASH_LOOK_S = 5.0
"""How often a worker under a memory limit is looked at while it starts, reads or compiles; never while it is timed."""
THRASH_ROUNDS = 10
"""So many times its limit read again in one command is thrashing: the kernel takes pages of the worker's own libraries
and reads them back, 500 MB/s of them, for minutes or for good. Measured with libraries that were not in memory before:
40 times the limit and more under 36 to 60 MiB; 17 times under 72 MiB, which ends after 3 s and is not looked at."""
TIMED = ("turn", "serve")
LAST_WORDS_BYTES = 4096
_numbers = itertools.count(1)


class WorkerLost(Exception):
    """The process is gone or was ended; `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class CommandFailed(Exception):
    """The command failed, the process lives; `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSetup:
    """What every worker of a bench is opened with; `backend` is `module:function` called with (ModelSpec, seed)."""

    backend: str
    model: Mapping[str, Any]
    seed: int
    memory_limit_bytes: int | None


class WorkerProcess:
    """One child process, started at once, on the CPUs of `cpuset` and in `group` where they are given; the group goes
    with it. Not shared between threads."""

    def __init__(self, setup: WorkerSetup, *, cpuset: Sequence[int] | None = None, group: Group | None = None) -> None:
        self._group = group
        try:
            self._start(setup, cpuset)
        except BaseException:
            if group is not None:
                group.remove()
            raise

    def _start(self, setup: WorkerSetup, cpuset: Sequence[int] | None) -> None:
        self._channel, theirs = socket.socketpair()
        # In memory: a full disk must not keep a worker from starting.
        self._errors = os.fdopen(os.memfd_create("tuner-worker-errors"), "w+b")
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "tuner.bench.worker", str(theirs.fileno()), str(os.getpid())],
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
        self._buffer = b""
        self._command, self._limit_s, self._deadline = "open", START_LIMIT_S, 0.0
        self._reread_before = 0
        self.name = f"{os.getpid()}-{next(_numbers)}"
        try:
            if self._group is not None:
                self._group.add(self._process.pid)
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
            self.kill()
            raise errors.HostError(f"a worker process cannot start: {error.failure.message}") from error
        except WorkerLost as error:
            self.kill()
            if error.failure.kind is FailureKind.MEMORY and self._group is not None and self._group.memory_bytes:
                raise errors.InputError(
                    f"a worker process cannot start: {error.failure.message}",
                    advice=MORE_MEMORY,
                ) from error
            raise errors.HostError(
                f"a worker process did not start: {error.failure.message}",
                advice=f"try: {sys.executable} -c 'import openvino'",
            ) from error
        except errors.TunerError:
            self.kill()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def call(self, command: str, *, limit_s: float, **fields: Any) -> Any:
        """Sends one command and sleeps until its answer. Raises CommandFailed, WorkerLost (the process has been
        ended), or the TunerError that the worker refused with."""
        self.send(command, limit_s=limit_s, **fields)
        return self.receive()

    def send(self, command: str, *, limit_s: float, **fields: Any) -> None:
        """The first half of `call`: several processes work at the same time when all have been sent to before the first
        answer is awaited. Raises WorkerLost."""
        self._command, self._limit_s, self._deadline = command, limit_s, time.monotonic() + limit_s
        self._reread_before = self._reread_bytes()
        message = json.dumps({"do": command, **fields}).encode() + b"\n"
        with self._ends_with_what_goes_wrong():
            self._channel.settimeout(limit_s)
            self._channel.sendall(message)

    def receive(self) -> Any:
        """The second half of `call`; raises as it does."""
        with self._ends_with_what_goes_wrong():
            outcome = outcome_of(self._read_line(self._deadline))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    @contextmanager
    def _ends_with_what_goes_wrong(self) -> Iterator[None]:
        """After anything but an answer the process has ended."""
        command = self._command
        try:
            yield
        except (BrokenPipeError, ConnectionResetError, EOFError):
            raise WorkerLost(self._obituary(command)) from None
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
            # Interrupted while waiting: the answer still to come must not be taken for that of another command.
            self.kill()
            raise

    def kill(self) -> None:
        """Ends the process and everything it may have started; returns when it is gone."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._channel.close()
        self._errors.close()
        if self._group is not None:
            self._group.remove()

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
        look_s = math.inf if self._limit_mib is None or self._command in TIMED else THRASH_LOOK_S
        while (left_s := deadline - time.monotonic()) > 0.0:
            self._channel.settimeout(min(left_s, look_s))
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
        return self._reread_bytes() - self._reread_before >= THRASH_ROUNDS * self._group.memory_bytes

    def _obituary(self, command: str) -> Failure:
        try:
            code = self._process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            self.kill()
            return Failure(kind=FailureKind.CRASH, message=f"the process closed its channel during {command}")
        self._channel.close()
        self._errors.seek(max(0, os.fstat(self._errors.fileno()).st_size - LAST_WORDS_BYTES))
        text = self._errors.read().decode(errors="replace")
        self._errors.close()
        if self._group is not None:
            self._group.remove()
        if code == -signal.SIGKILL:
            limit = self._limit_mib
            why = "the host ran out of memory" if limit is None else f"it passed its limit of {limit} MiB"
            message = f"the process was killed during {command}: probably {why}"
            return Failure(kind=FailureKind.MEMORY, message=message)
        words = text.strip().splitlines()
        ended = f"signal {_signal_name(-code)}" if code < 0 else f"exit code {code}"
        last = f": {words[-1][:200]}" if words else ""
        kind = FailureKind.MEMORY if is_memory_short(text) else FailureKind.CRASH
        return Failure(kind=kind, message=f"the process ended during {command} ({ended}){last}")


class Thrashing(Exception):
    """The process gets nowhere: its memory limit makes it read the same files again and again."""


class Garbage(Exception):
    """What came over the channel is no answer."""


def outcome_of(line: bytes) -> Any:
    """What a line says: the content of an answer, or the exception to raise. Raises Garbage."""
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
