"""Questions about a study file that a worker process answers: faults of device and model, memory of a worker.

Responsible for the processes. Must not know where in a file the answers belong.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import psutil

from tuner.bench.session.member import CommandFailed, WorkerLost
from tuner.bench.worker.process import WorkerProcess, WorkerSetup
from tuner.bench.worker.worker_bench import INSPECT_LIMIT_S, OPENVINO
from tuner.errors import HostError, ModelError
from tuner.model.files.description import InputFacts
from tuner.model.spec import ModelSpec


def find_faults(device: str, model: ModelSpec | None, *, backend: str = OPENVINO) -> list[tuple[tuple[str, ...], str]]:
    """Returns every fault of the model and the device, each with its key in a study file.

    Without a model only the device is checked. Raises HostError if no worker answers.
    """
    with _worker(model or ModelSpec(path="builtin:mlp", folder=Path()), backend) as worker:
        try:
            answer = worker.call("find_faults", limit_s=INSPECT_LIMIT_S, device=device)
        except (CommandFailed, WorkerLost) as error:
            raise HostError(f"the model cannot be looked at: {error.failure.message}") from error
    return [(tuple(fault["at"]), "; ".join(filter(None, (fault["message"], fault["advice"])))) for fault in answer]


def describe_inputs(model: ModelSpec, *, backend: str = OPENVINO) -> list[InputFacts]:
    """Returns the inputs of a model as its file declares them. Raises ModelError, or HostError if no worker answers."""
    with _worker(model, backend) as worker:
        try:
            answer = worker.call("describe_inputs", limit_s=INSPECT_LIMIT_S)
        except (CommandFailed, WorkerLost) as error:
            raise ModelError(f"{model.path!r} cannot be read: {error.failure.message}") from error
    return [InputFacts.from_json(facts) for facts in answer]


def bare_worker_bytes(*, backend: str = OPENVINO) -> int:
    """Returns the resident memory of a worker before it loads a model.

    Shared libraries are included, because the first process in a memory cgroup is charged for them. Raises HostError if
    no worker starts.
    """
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
