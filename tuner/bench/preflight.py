"""What is asked of a worker about a study file: what is wrong with its device and model, what a worker itself takes.

Knows processes; not where in a file the answers belong.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import psutil

from tuner.bench.process import CommandFailed, WorkerLost, WorkerProcess, WorkerSetup
from tuner.bench.worker_bench import INSPECT_LIMIT_S, OPENVINO
from tuner.errors import HostError
from tuner.model.spec import ModelSpec


def find_faults(device: str, model: ModelSpec | None, *, backend: str = OPENVINO) -> list[tuple[tuple[str, ...], str]]:
    """Every reason for which the model cannot be read and the device cannot be used, each with the key of a study file
    that it is about. None for a model: only the device is looked at. Raises HostError where no worker answers."""
    with _worker(model or ModelSpec(path="builtin:mlp", folder=Path()), backend) as worker:
        try:
            answer = worker.call("find_faults", limit_s=INSPECT_LIMIT_S, device=device)
        except (CommandFailed, WorkerLost) as error:
            raise HostError(f"the model cannot be looked at: {error.failure.message}") from error
    return [(tuple(fault["at"]), "; ".join(filter(None, (fault["message"], fault["advice"])))) for fault in answer]


def bare_worker_bytes(*, backend: str = OPENVINO) -> int:
    """What a worker has resident before it reads a model: its own memory and what it needs of its libraries, all of
    which counts against a memory limit that it is the first to live under. Raises HostError where none starts."""
    with _worker(ModelSpec(path="builtin:mlp", folder=Path()), backend) as worker:
        return int(psutil.Process(worker.pid).memory_info().rss)


@contextmanager
def _worker(model: ModelSpec, backend: str) -> Iterator[WorkerProcess]:
    spec = {**asdict(model), "folder": str(model.folder)}
    worker = WorkerProcess(WorkerSetup(backend=backend, model=spec, seed=0, memory_limit_bytes=None))
    try:
        yield worker
    finally:
        worker.kill()
