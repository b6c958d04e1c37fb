"""Compiles the configuration of a best.yaml on this host, and says how host and model differ from the measured ones.

Responsible for OpenVINO and the host. Must not know how the configuration was found, nor import `best.py`: `Best` calls
this module.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from tuner.deploy.differences import Differences, compare_effective, compare_host, compare_model
from tuner.deploy.guards import ADVICE, has_forked_late, note_compiled, open_queue, refuse_in_child, refusing
from tuner.deploy.ports import ports_of
from tuner.errors import ClosedError, DeviceError, InputError, ModelError
from tuner.model.core import process_core
from tuner.model.device import available_words, check_device, is_composed
from tuner.model.files.openvino_error import first_line
from tuner.model.host import HostFacts, cpu_list, host_facts
from tuner.model.read import read
from tuner.model.spec import ModelSpec

if TYPE_CHECKING:
    from concurrent.futures import Future

    import openvino

    from tuner.deploy.batcher import PredictorStats
    from tuner.deploy.best import Best, PropertyValue
    from tuner.deploy.ports import Inputs, Outputs, Ports
    from tuner.deploy.predictor import Predictor

MAX_WAIT_MS = 5.0
"""Milliseconds that a call waits by default for others to fill its batch: a tenth of what a person notices."""
MAX_WAITING = 1000
"""Number of calls that wait by default. At 100 a second the last waits ten seconds, longer than most clients."""


class DeploymentWarning(UserWarning):
    """Says that the deployment works, but is not the one that was measured."""


@dataclass(slots=True)
class _Shared:
    """Holds the predictor that all callers of one deployment share; opened by the first call."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    predictor: Predictor | None = None
    is_closed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Holds a compiled model, the ways to call it, and the differences from the measurement.

    `infer`, `submit` and `ainfer` are safe in every thread. An `infer_request` is for one thread at a time. Nothing of
    it survives a fork.
    """

    compiled_model: openvino.CompiledModel
    device: str
    properties: Mapping[str, PropertyValue]
    """Properties that were asked for; after a fallback those of the baseline."""
    batch_size: int
    infer_requests: int
    api: Literal["async", "sync"]
    is_fallback: bool
    warnings: tuple[str, ...]
    spec: ModelSpec = field(repr=False)
    ports: Ports = field(repr=False)
    pid: int = field(default_factory=os.getpid, repr=False)
    """Id of the process that compiled."""
    _shared: _Shared = field(default_factory=_Shared, repr=False, compare=False)

    def predictor(self, *, max_wait_ms: float = MAX_WAIT_MS, max_waiting: int = MAX_WAITING) -> Predictor:
        """Opens what answers calls from any thread, after one inference of each request.

        Args:
            max_wait_ms: Longest time that a call waits for others to fill its batch while a request is free.
            max_waiting: Number of calls that may wait; the next one gets QueueFullError.

        Raises:
            DeviceError: The model does not run.
            ForkError: This process was forked from the one that compiled.
            InputError: An option is out of range, or the model takes text.
        """
        from tuner.deploy.predictor import Predictor
        from tuner.model.inputs import random_inputs

        refuse_in_child(self.pid)
        return Predictor(
            self.compiled_model,
            self.ports,
            infer_requests=self.infer_requests,
            api=self.api,
            warm_up=lambda: random_inputs(self.compiled_model, self.spec, seed=0),
            max_wait_ms=max_wait_ms,
            max_waiting=max_waiting,
        )

    def infer(self, inputs: Inputs) -> Outputs:
        """Returns the answer to one call, from any thread; see `Predictor.infer`."""
        return self._predictor().infer(inputs)

    def submit(self, inputs: Inputs) -> Future[Outputs]:
        """Returns a future of the answer; see `Predictor.submit`."""
        return self._predictor().submit(inputs)

    async def ainfer(self, inputs: Inputs) -> Outputs:
        """Returns the answer to one call on asyncio; see `Predictor.ainfer`."""
        return await self._predictor().ainfer(inputs)

    def stats(self) -> PredictorStats:
        """Returns what happened to the calls of `infer`, `submit` and `ainfer` so far."""
        return self._predictor().stats()

    def close(self, *, cancel: bool = False) -> None:
        """Takes no more calls, and waits for those that are not answered yet or with `cancel` cancels them."""
        if os.getpid() != self.pid:
            return
        with self._shared.lock:
            self._shared.is_closed = True
            predictor = self._shared.predictor
        if predictor is not None:
            predictor.close(cancel=cancel)

    def __enter__(self) -> Deployment:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def infer_queue(self) -> Iterator[openvino.AsyncInferQueue]:
        """Opens an AsyncInferQueue with the tuned number of requests; leaving it waits for all of them.

        Threads take turns at its `start_async`; fed by several at once, OpenVINO's own mixes answers and hangs.
        """
        refuse_in_child(self.pid)
        with open_queue(self.compiled_model, self.infer_requests, self.pid) as queue:
            yield queue

    def infer_request(self) -> openvino.InferRequest:
        """Returns a new request, for synchronous use by one thread."""
        import openvino

        refuse_in_child(self.pid)
        return refusing(openvino.InferRequest, self.pid)(self.compiled_model.create_infer_request())

    def _predictor(self) -> Predictor:
        if self._shared.predictor is None:
            refuse_in_child(self.pid)  # the lock may have been held when the process forked
            with self._shared.lock:
                if self._shared.is_closed:
                    raise ClosedError("the deployment is closed: it takes no more calls", advice="Compile it again.")
                if self._shared.predictor is None:
                    self._shared.predictor = self.predictor()
        return self._shared.predictor


def compile_best(
    best: Best,
    *,
    strict: bool = False,
    model: str | os.PathLike[str] | None = None,
    device: str | None = None,
    core: openvino.Core | None = None,
    replica: int | None = None,
    stacklevel: int = 2,
) -> Deployment:
    """Compiles as `Best.compile` says. Warnings name the caller that is `stacklevel` calls away."""
    differences = Differences(strict=strict)
    spec = best.spec(model)
    device = device or best.device
    core = core or process_core()
    compare_model(best, spec, differences)
    if has_forked_late():
        differences.add(
            "this process was forked from one that had compiled, which OpenVINO does not support: it may hang",
            advice=ADVICE,
        )
    host = host_facts()
    compare_host(best, host, differences)
    cpus = cpu_list()
    _take_cpus(best, host, replica, differences)
    if device != best.device:
        differences.add(f"tuned for {best.device}, compiled for {device}", advice=f"Tune for {device}.")
    deployment = _tuned(best, core, spec, device, differences)
    if deployment is None:
        if best.baseline_has_own_processes and cpus != cpu_list():
            os.sched_setaffinity(0, cpus)  # the part was that of another configuration
        deployment = _fallback(best, core, spec, device, differences)
    for message in deployment.warnings:
        warnings.warn(message, DeploymentWarning, stacklevel=stacklevel)
    return deployment


def _tuned(
    best: Best, core: openvino.Core, spec: ModelSpec, device: str, differences: Differences
) -> Deployment | None:
    """Returns the tuned configuration compiled, or None with the reason as the last of the differences.

    Raises ModelError for a model that even a batch of one cannot use, DeviceError for a device that is not there.
    """
    try:
        compiled, ports = _compile(core, spec, device, best.properties, best.batch_size)
    except (ModelError, RuntimeError) as error:
        if isinstance(error, ModelError) and best.batch_size == 1:
            raise
        if not is_composed(device):  # compiling for a composed device tells itself which part is missing
            check_device(core, device)
        differences.add(
            f"the tuned configuration does not compile here: {first_line(error)}",
            advice="Tune again on this host; without `strict` the baseline is used instead.",
        )
        return None
    if device == best.device:
        compare_effective(best, core, device, compiled, differences)
    return Deployment(
        compiled_model=compiled,
        device=device,
        properties=best.properties,
        batch_size=best.batch_size,
        infer_requests=best.infer_requests,
        api=best.api,
        is_fallback=False,
        warnings=tuple(differences.messages),
        spec=spec,
        ports=ports,
    )


def _fallback(best: Best, core: openvino.Core, spec: ModelSpec, device: str, differences: Differences) -> Deployment:
    """Returns the first that compiles: the baseline with the tuned batch, with one sample, or no properties at all.

    Raises ModelError or DeviceError if none compiles.
    """
    baseline = best.baseline
    attempts: list[tuple[str, Mapping[str, PropertyValue], int]] = [
        (f"the baseline {baseline.name}", baseline.properties, best.batch_size),
        (f"the baseline {baseline.name}", baseline.properties, 1),
        ("no properties", {}, 1),
    ]
    failure: Exception | None = None
    for name, properties, batch_size in attempts:
        try:
            compiled, ports = _compile(core, spec, device, properties, batch_size)
        except (ModelError, RuntimeError) as error:
            failure = error
            continue
        said = f"using {name} instead, at batch size {batch_size}"
        if batch_size != best.batch_size:
            said += f" (tuned: {best.batch_size}): feed {batch_size} samples a request"
        if best.baseline_has_own_processes:
            said += f"; it was measured in {baseline.processes} (tuned: {best.replicas})"
        optimal = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        api = baseline.api or best.api
        return Deployment(
            compiled_model=compiled,
            device=device,
            properties=properties,
            batch_size=batch_size,
            infer_requests=max(best.callers, default=1) if api == "sync" else baseline.infer_requests or optimal,
            api=api,
            is_fallback=True,
            warnings=(*differences.messages[:-1], f"{differences.messages[-1]}; {said}"),
            spec=spec,
            ports=ports,
        )
    if isinstance(failure, ModelError):
        raise failure
    line = first_line(failure) if failure is not None else ""
    raise DeviceError(f"{spec.path!r} does not compile on {device}: {line}", advice=available_words(core)) from failure


def _compile(
    core: openvino.Core, spec: ModelSpec, device: str, properties: Mapping[str, PropertyValue], batch_size: int
) -> tuple[openvino.CompiledModel, Ports]:
    """Returns the compiled model and its ports.

    It fills a tensor, because the first one of a process hangs where several threads fill one at once: the binding
    imports numpy then, and waits for itself (OpenVINO 2026.4.1, tests/deploy/test_process.py).
    """
    import numpy as np
    import openvino

    model = read(core, spec, batch_size=batch_size)
    compiled = core.compile_model(model, device, dict(properties))
    note_compiled(compiled)
    openvino.Tensor(np.zeros(1, np.float32)).data[:] = 1.0
    return compiled, ports_of(model, compiled, spec, batch_size)


def _take_cpus(best: Best, host: HostFacts, replica: int | None, differences: Differences) -> None:
    """Binds this process, and the threads it starts later, to the CPUs of its replica.

    Raises InputError if there is no such replica.
    """
    if replica is not None and not 0 <= replica < best.replicas:
        raise InputError(
            f"replica {replica}: this configuration has {best.replicas}, counted from 0",
            advice="start one process for each and tell each its number",
        )
    if best.affinity != "split":
        return
    if replica is None:
        differences.add(
            f"tuned for {best.replicas} replicas that split the CPUs, and not told which of them this is, as by"
            " compile(replica=0)",
            advice=f"compile(replica=0) in the first process, up to {best.replicas - 1} in the last.",
        )
    elif not hasattr(os, "sched_setaffinity"):
        differences.add(
            f"{host.system} does not let a process choose its CPUs: the replicas share them here",
            advice="Tune on this host.",
        )
    elif cpus := best.replica_cpus(replica, cpu_list()):
        os.sched_setaffinity(0, cpus)
    else:
        differences.add(
            f"{host.cpus_allowed} CPUs cannot be split among {best.replicas} replicas", advice="Tune on this host."
        )
