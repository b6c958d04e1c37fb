"""The worker process: reads one command a line, runs it on a backend and answers one line.

Responsible for the process that `process.py` starts, which ends with its parent. Must not import sessions or studies.
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

from tuner.bench.backends.protocol import Backend
from tuner.bench.configuration import DeploymentConfig, Failure, FailureKind
from tuner.bench.loadgen.timer import sleep_until
from tuner.bench.turn import TooSlow, TurnPlan
from tuner.errors import TunerError
from tuner.model.files.openvino_error import first_line, is_memory_short
from tuner.model.spec import InputSpec, ModelSpec

PR_SET_PDEATHSIG = 1
"""Option of linux/prctl.h for the signal that the kernel sends at the parent's end; no process can miss it."""


def die_with_parent(parent_pid: int) -> None:
    """Asks the kernel for SIGKILL at the parent's end, and exits if the parent has already ended; Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(0)


def limit_memory(limit_bytes: int | None) -> None:
    """Limits the memory of this process, so that an allocation fails here before the host is short of memory.

    RLIMIT_DATA counts heap and private maps, not files mapped read-only. If the kernel must end a process after all, it
    is told to take this one.
    """
    if limit_bytes is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limit = limit_bytes if hard == resource.RLIM_INFINITY else min(limit_bytes, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    if sys.platform == "linux":
        with suppress(OSError):  # a sandbox may show /proc read-only
            Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def as_model_spec(message: Mapping[str, Any]) -> ModelSpec:
    """Returns the specification that `asdict` turned into `message`, with the folder as text."""
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
        batch_tolerance=message["batch_tolerance"],
        steps=message["steps"],
    )


class Commands:
    """Commands of a worker: each method takes the fields of a message and returns the content of the answer."""

    def __init__(self, backend: Backend, sleep_until: Callable[[float], None] = sleep_until) -> None:
        self.backend = backend
        self.sleep_until = sleep_until

    def inspect(self, device: str, batch_sizes: list[int]) -> dict[str, Any]:
        """Returns `Backend.inspect`."""
        return self.backend.inspect(device, batch_sizes)

    def find_faults(self, device: str) -> list[dict[str, Any]]:
        """Returns `Backend.find_faults`."""
        return self.backend.find_faults(device)

    def describe_inputs(self) -> list[dict[str, Any]]:
        """Returns `Backend.describe_inputs`."""
        return self.backend.describe_inputs()

    def unknown_properties(self, device: str, names: list[str]) -> list[str]:
        """Returns `Backend.unknown_properties`."""
        return self.backend.unknown_properties(device, names)

    def refused_values(self, device: str, settings: list[tuple[str, Any]]) -> list[str]:
        """Returns `Backend.refused_values`."""
        return self.backend.refused_values(device, settings)

    def resolve(self, config: dict[str, Any]) -> dict[str, Any]:
        """Returns the effective configuration."""
        return asdict(self.backend.resolve(DeploymentConfig(**config)))

    def compile(self, config: dict[str, Any]) -> dict[str, Any]:
        """Compiles a configuration and returns its member."""
        return self.backend.compile(DeploymentConfig(**config)).to_json()

    def start_up(self, config: dict[str, Any], cache: str | None) -> dict[str, Any]:
        """Compiles a configuration and returns its member with the times of its start."""
        return self.backend.start_up(DeploymentConfig(**config), cache).to_json()

    def settle(self, member: int) -> None:
        """Lets a member settle."""
        self.backend.settle(member)

    def turn(self, member: int, plan: dict[str, Any]) -> dict[str, Any]:
        """Measures one turn at its time."""
        turn = TurnPlan.from_json(plan)
        if turn.begin_at_s is not None:
            self.sleep_until(turn.begin_at_s)
        return self.backend.turn(member, turn).to_json()

    def release_others(self, keep: int | None) -> None:
        """Releases every member but one."""
        self.backend.release_others(keep)


FAILED_AS = dict.fromkeys(("compile", "resolve", "start_up"), FailureKind.COMPILE)
"""Kind of failure that a plain error during a command means; every other command runs inferences."""


def failure_of(command: str, error: BaseException) -> Failure:
    """Returns the member's failure for an error during a command; the message is its first line."""
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
    """Runs the worker process; its arguments are the channel's file descriptor and the parent's pid."""
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
