"""A backend for worker processes that measures nothing and misbehaves on demand.

A configuration's property DO names what its member does instead of its work, AT when (default: `turn`).
Everything else is answered at once with made-up figures. Without numpy a worker starts in half the time.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from tuner.bench.backends.protocol import CompiledMember, StartTimes
from tuner.bench.configuration import DeploymentConfig, Effective
from tuner.bench.turn import TurnPlan, TurnResult
from tuner.errors import ModelError
from tuner.model.spec import ModelSpec

EATEN_AT_ONCE = 32 << 20
FOREVER_S = 3600.0


class Backend:
    """Compiles nothing after ENABLE_CPU_RESERVATION, as OpenVINO, or after DO: contaminate."""

    def __init__(self, spec: ModelSpec, seed: int) -> None:
        self.members: dict[int, DeploymentConfig] = {}
        self.next_id = 0
        self.turns = 0
        self.contaminated = False

    def inspect(self, device: str, batch_sizes: list[int]) -> dict[str, Any]:
        if device in DEEDS:
            DEEDS[device](self)
        return {
            "inputs": [],
            "precision": "f32",
            "device_properties": [],
            "device_name": device,
            "batch_legal": True,
            "batch_reason": "",
            "state": None,
            "data": None,
        }

    def unknown_properties(self, device: str, names: list[str]) -> list[str]:
        """Returns facts of the worker process for these names."""
        if device in DEEDS:
            DEEDS[device](self)
        facts = {
            "pid": str(os.getpid()),
            "folder": str(Path.cwd()),
            "RLIMIT_DATA": str(resource.getrlimit(resource.RLIMIT_DATA)[0]),
            "oom_score_adj": Path("/proc/self/oom_score_adj").read_text().strip(),
            "members": str(len(self.members)),
            "cpus": ",".join(map(str, sorted(os.sched_getaffinity(0)))),
        }
        return [facts.get(name, name) for name in names]

    def resolve(self, config: DeploymentConfig) -> Effective:
        self.act("resolve", config)
        return self.compiled(config)

    def compile(self, config: DeploymentConfig) -> CompiledMember:
        self.act("compile", config)
        effective = self.compiled(config)
        number, self.next_id = self.next_id, self.next_id + 1
        self.members[number] = config
        return CompiledMember(number=number, effective=effective)

    def start_up(self, config: DeploymentConfig, cache: str | None) -> CompiledMember:
        """As long as made up; only a filled cache that is not DO: forget is loaded from."""
        self.act("start_up", config)
        member = self.compile(config)
        entry = Path(cache or ".") / "blob"
        is_from_cache = cache is not None and entry.exists() and config.properties.get("DO") != "forget"
        if cache is not None:
            entry.touch()
        load_s = 0.1 if is_from_cache else 0.3
        times = StartTimes(compile_s=0.2, load_s=load_s, first_inference_s=0.05, is_from_cache=is_from_cache)
        return replace(member, start=times)

    def compiled(self, config: DeploymentConfig) -> Effective:
        if self.contaminated:
            raise RuntimeError("proc_type_table is empty")
        if config.properties.get("DO") == "contaminate" or config.properties.get("ENABLE_CPU_RESERVATION"):
            self.contaminated = True
        properties = {name: str(value) for name, value in config.properties.items() if name != "WRITE_ONLY"}
        return Effective.of(config, properties, suggested=2)

    def settle(self, number: int) -> None:
        self.act("settle", self.members[number])

    def turn(self, number: int, plan: TurnPlan) -> TurnResult:
        """As many requests as the rate of the arrivals says; the closed loop has 40."""
        config = self.members[number]
        self.act("turn" if plan.arrivals is None else "serve", config)
        self.turns += 1
        requests = 80 if config.properties.get("DO") == "wobble" and self.turns % 2 else 40
        latency_ms = 1e3 * plan.window_s / requests
        waits: dict[str, Any] = {}
        if plan.arrivals is not None:
            requests, latency_ms = max(1, round(plan.arrivals.rate_per_s * plan.window_s / plan.arrivals.parts)), 1.0
            waits = {"arrivals": requests, "lag_p99_ms": 0.05}
        return TurnResult(
            duration_s=plan.window_s,
            samples=requests * (config.batch_size if plan.arrivals is None else 1),
            latency_counts={math.floor(math.log(latency_ms) / math.log(1.005)): requests},
            latency_sum_ms=requests * latency_ms,
            other_cpu_pct=1.0,
            **waits,
        )

    def release_others(self, keep: int | None) -> None:
        left = {n: c for n, c in self.members.items() if n == keep}
        for number, config in self.members.items():
            if number != keep:
                self.act("release", config)
        self.members = left

    def act(self, command: str, config: DeploymentConfig) -> None:
        if "DO" in config.properties and config.properties.get("AT", "turn") in (command, "always"):
            DEEDS[str(config.properties["DO"])](self)


def channel_fd() -> int:
    return int(sys.argv[1])


def eat(backend: Backend) -> None:
    eaten = []
    while True:
        eaten.append(bytearray(EATEN_AT_ONCE))


def read_again_and_again(backend: Backend) -> None:
    """The file that LARGE names, through a map of it, as libraries are read."""
    with open(os.environ["LARGE"], "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages:
        while True:
            for at in range(0, len(pages), mmap.PAGESIZE):
                pages[at]


def need_room(backend: Backend) -> None:
    if len(backend.members) > 1:
        raise RuntimeError("Failed to allocate 67239936 bytes of memory")


def hang_in_c(backend: Backend) -> None:
    """With the interpreter's lock held: no other Python thread of the process runs either."""
    ctypes.PyDLL(None).pause()


def hang_with_a_child(backend: Backend) -> None:
    """Leaves the pids of both in the file that PIDS names."""
    child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({FOREVER_S})"])
    whole = Path(os.environ["PIDS"])
    half = whole.with_suffix(".half")
    half.write_text(f"{os.getpid()} {child.pid}")
    half.rename(whole)
    time.sleep(FOREVER_S)


def be_killed(backend: Backend) -> None:
    """By another process, as the kernel does when memory is short."""
    subprocess.Popen(["kill", "-9", str(os.getpid())])
    time.sleep(FOREVER_S)


def interrupt_the_parent(backend: Backend) -> None:
    """As Ctrl-C reaches a tuner that waits for an answer; this one comes late."""
    os.kill(os.getppid(), signal.SIGUSR1)
    time.sleep(FOREVER_S)


def chat(backend: Backend) -> None:
    """Writes more than a pipe holds, on both streams, which need no reader."""
    os.write(1, b"\x00\xff[INFO] hello\n" * 50_000)
    os.write(2, b"\x00\xff[WARN] hello\n" * 50_000)


def fail(message: str) -> Callable[[Backend], None]:
    def raise_it(backend: Backend) -> None:
        raise RuntimeError(message)

    return raise_it


def write(garbage: bytes) -> Callable[[Backend], None]:
    def write_it(backend: Backend) -> None:
        os.write(channel_fd(), garbage)

    return write_it


def in_one(deed: str) -> Callable[[Backend], None]:
    """In the first of several replicas to come here, which leaves the file that ONE names."""

    def act(backend: Backend) -> None:
        with suppress(FileExistsError):
            Path(os.environ["ONE"]).touch(exist_ok=False)
            DEEDS[deed](backend)

    return act


def tell_cpus(backend: Backend) -> None:
    """Leaves a file named after this process with its CPUs in the folder that CPUS names."""
    (Path(os.environ["CPUS"]) / str(os.getpid())).write_text(",".join(map(str, sorted(os.sched_getaffinity(0)))))


def die_saying(words: str) -> Callable[[Backend], None]:
    def die(backend: Backend) -> None:
        os.write(2, words.encode())
        os.abort()

    return die


def refuse(backend: Backend) -> None:
    raise ModelError("the model is damaged", advice="copy it again")


def flood(backend: Backend) -> None:
    """Garbage without an end and without a newline; ends with the channel."""
    while True:
        os.write(channel_fd(), b"x" * (1 << 20))


DEEDS: dict[str, Callable[[Backend], Any]] = {
    "abort": lambda backend: os.abort(),
    "segfault": lambda backend: ctypes.string_at(0),
    "exit": lambda backend: sys.exit(3),
    "exit calmly": lambda backend: sys.exit(),
    "quit": lambda backend: os._exit(7),
    "raise": fail("Exception from src/plugins/intel_cpu/src/node.cpp:42:\nno such layer"),
    "raise memory": fail("Failed to allocate 67239936 bytes of memory"),
    "refuse": refuse,
    "need room": need_room,
    "eat": eat,
    "read again and again": read_again_and_again,
    "die of memory": die_saying("terminate called after throwing an instance of 'std::bad_alloc'\n"),
    "die saying much": die_saying("one\n" * 100_000 + "the last word " + "x" * 1000),
    "be killed": be_killed,
    "hang": lambda backend: time.sleep(FOREVER_S),
    "hang in c": hang_in_c,
    "hang with a child": hang_with_a_child,
    "interrupt the parent": interrupt_the_parent,
    "chat": chat,
    "write garbage": write(b"\x00\xff nonsense\n"),
    "write half a line": write(b'{"ok": '),
    "flood": flood,
    "contaminate": lambda backend: None,
    "wobble": lambda backend: None,
    "forget": lambda backend: None,
    "tell cpus": tell_cpus,
    **{f"one: {deed}": in_one(deed) for deed in ("abort", "hang", "write garbage", "raise", "interrupt the parent")},
}


def open_raising(spec: ModelSpec, seed: int) -> Backend:
    raise RuntimeError("no such plugin")


def open_refusing(spec: ModelSpec, seed: int) -> Backend:
    raise ModelError(f"{spec.path} is damaged", advice="copy it again")


def open_aborting(spec: ModelSpec, seed: int) -> Backend:
    os.write(2, b"libtbb.so: cannot open shared object file\n")
    os.abort()
