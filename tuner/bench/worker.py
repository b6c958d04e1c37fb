"""The worker process: reads one command a line, does it on a backend, answers one line. Started by `process.py`.

Knows nothing of lineups, phases or studies. It ends when its parent does, however that dies.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tuner.bench.loop import TooSlow
from tuner.bench.protocol import Arrivals, DeploymentConfig, Failure, FailureKind
from tuner.bench.timer import sleep_until
from tuner.errors import TunerError
from tuner.model.openvino_error import first_line, is_memory_short
from tuner.model.spec import InputSpec, ModelSpec

PR_SET_PDEATHSIG = 1
"""linux/prctl.h: the signal that the kernel sends when the parent ends; nothing in the process can miss it."""


def die_with_parent(parent_pid: int) -> None:
    """Linux only: asks the kernel for SIGKILL at the parent's death, and notices if that has already happened."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(0)


def limit_memory(limit_bytes: int | None) -> None:
    """An allocation past the limit fails here, before the host is short of memory: heap and private maps count, files
    mapped read-only do not (RLIMIT_DATA). If the kernel must end a process after all, it is to be this one."""
    if limit_bytes is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limit = limit_bytes if hard == resource.RLIM_INFINITY else min(limit_bytes, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    if sys.platform == "linux":
        with suppress(OSError):  # a sandbox may show /proc read-only
            Path("/proc/self/oom_score_adj").write_text("1000")


def as_config(message: Mapping[str, Any]) -> DeploymentConfig:
    """As `asdict` has made it a message."""
    return DeploymentConfig(**message)


def as_model_spec(message: Mapping[str, Any]) -> ModelSpec:
    """As `asdict` has made it a message, with the folder as text."""
    inputs = {
        name: InputSpec(
            shape=tuple(one["shape"]) if one["shape"] is not None else None,
            layout=one["layout"],
            range=(one["range"][0], one["range"][1]),
        )
        for name, one in message["inputs"].items()
    }
    return ModelSpec(
        path=message["path"],
        folder=Path(message["folder"]),
        inputs=inputs,
        assume_batch_legal=message["assume_batch_legal"],
    )


class Commands:
    """One method a command; each takes the message's fields and returns what goes back."""

    def __init__(self, backend: Any, sleep_until: Callable[[float], None] = sleep_until) -> None:
        self.backend = backend
        self.sleep_until = sleep_until

    def inspect(self, device: str, batch_sizes: list[int]) -> Any:
        return self.backend.inspect(device, batch_sizes)

    def find_faults(self, device: str) -> Any:
        return self.backend.find_faults(device)

    def unknown_properties(self, device: str, names: list[str]) -> Any:
        return self.backend.unknown_properties(device, names)

    def refused_values(self, device: str, settings: list[tuple[str, Any]]) -> Any:
        return self.backend.refused_values(device, settings)

    def resolve(self, config: dict[str, Any]) -> Any:
        return asdict(self.backend.resolve(as_config(config)))

    def compile(self, config: dict[str, Any]) -> Any:
        number, effective = self.backend.compile(as_config(config))
        return {"member": number, "effective": asdict(effective)}

    def start_up(self, config: dict[str, Any], cache: str | None) -> Any:
        number, effective, times = self.backend.start_up(as_config(config), cache)
        return {"member": number, "effective": asdict(effective), **times}

    def settle(self, member: int) -> Any:
        self.backend.settle(member)

    def turn(
        self,
        member: int,
        window_s: float,
        drop_s: float,
        max_s: float,
        begin_at_s: float | None = None,
        tail_s: float = 0.0,
    ) -> Any:
        """`begin_at_s`: on the system's monotonic clock, so that several processes begin together."""
        if begin_at_s is not None:
            self.sleep_until(begin_at_s)
        return self.backend.turn(member, window_s=window_s, drop_s=drop_s, max_s=max_s, tail_s=tail_s)

    def serve(
        self,
        member: int,
        arrivals: dict[str, Any],
        window_s: float,
        drop_s: float,
        drain_s: float,
        begin_at_s: float | None = None,
    ) -> Any:
        """`begin_at_s` as in `turn`."""
        offered = Arrivals(**arrivals)
        if begin_at_s is not None:
            self.sleep_until(begin_at_s)
        return self.backend.serve(member, arrivals=offered, window_s=window_s, drop_s=drop_s, drain_s=drain_s)

    def release_others(self, keep: int | None) -> Any:
        self.backend.release_others(keep)


FAILED_AS = dict.fromkeys(("compile", "resolve", "start_up"), FailureKind.COMPILE)
"""What a plain error during a command means; every other command runs inferences."""


def failure_of(command: str, error: BaseException) -> Failure:
    """What an error during a command says of the member; the message is its first line."""
    text = first_line(error)
    if isinstance(error, MemoryError) or is_memory_short(str(error)):
        return Failure(kind=FailureKind.MEMORY, message=text)
    if isinstance(error, TooSlow):
        return Failure(kind=FailureKind.TIMEOUT, message=text)
    return Failure(kind=FAILED_AS.get(command, FailureKind.RUNTIME), message=text)


def serve(channel: socket.socket) -> None:
    """Answers commands until the parent closes the channel."""
    lines = channel.makefile("r", encoding="utf-8")
    commands: Commands | None = None
    for line in lines:
        message = json.loads(line)
        command = message.pop("do")
        try:
            if commands is None:
                limit_memory(message["memory_limit_bytes"])
                if message["cpuset"] is not None:
                    os.sched_setaffinity(0, message["cpuset"])
                module, _, name = message["backend"].partition(":")
                open_backend = getattr(importlib.import_module(module), name)
                commands = Commands(open_backend(as_model_spec(message["model"]), message["seed"]))
                answer: dict[str, Any] = {"ok": None}
            else:
                answer = {"ok": getattr(commands, command)(**message)}
        except TunerError as error:
            answer = {"refused": {"error": type(error).__name__, "message": str(error), "advice": error.advice}}
        except Exception as error:
            failure = failure_of(command, error)
            answer = {"failed": {"kind": failure.kind, "message": failure.message}}
        channel.sendall(json.dumps(answer).encode() + b"\n")


def main() -> None:
    channel_fd, parent_pid = int(sys.argv[1]), int(sys.argv[2])
    die_with_parent(parent_pid)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is data here, not a file in the user's folder
    with socket.socket(fileno=channel_fd) as channel:
        serve(channel)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
