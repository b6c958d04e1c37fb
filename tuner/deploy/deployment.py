"""Compiles the configuration of a best.yaml on this host, and says how host and model differ from the measured ones.

Responsible for OpenVINO and the host. Must not know how the configuration was found, nor import `best.py`: `Best` calls
this module.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tuner.errors import BestFileError, DeviceError, InputError, ModelError
from tuner.model.device import available_words, check_device, is_composed
from tuner.model.host import HostFacts, cpu_list, host_facts
from tuner.model.locate import sha256
from tuner.model.openvino_error import first_line
from tuner.model.property_text import as_text
from tuner.model.read import check_format, read
from tuner.model.spec import ModelSpec

if TYPE_CHECKING:
    import openvino

    from tuner.deploy.best import Best, PropertyValue

COMPARED = ("NUM_STREAMS", "INFERENCE_NUM_THREADS")
"""Names of properties that a device changes silently; they are compared beside the properties asked for."""
PRECISION = "INFERENCE_PRECISION_HINT"
CAPABILITY = {"bf16": "BF16", "f16": "FP16"}
"""Name in OPTIMIZATION_CAPABILITIES of a device that has instructions for a precision. A CPU without them accepts
bf16, reports it, and emulates it (tests/deploy/test_deployment.py)."""
QUOTA_TOLERANCE = 0.01
"""Largest difference of two equal CPU quotas, in CPUs: each is a ratio of whole microseconds, and best.yaml may be
rounded."""


class DeploymentWarning(UserWarning):
    """Says that the deployment works, but is not the one that was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Holds a compiled model, the way to call it, and the differences from the measurement."""

    compiled_model: openvino.CompiledModel
    device: str
    properties: Mapping[str, PropertyValue]
    """Properties that were asked for; after a fallback those of the baseline."""
    batch_size: int
    infer_requests: int
    api: Literal["async", "sync"]
    is_fallback: bool
    warnings: tuple[str, ...]

    @contextmanager
    def infer_queue(self) -> Iterator[openvino.AsyncInferQueue]:
        """Opens an AsyncInferQueue with the tuned number of requests; leaving it waits for all of them."""
        import openvino

        queue = openvino.AsyncInferQueue(self.compiled_model, self.infer_requests)
        try:
            yield queue
        finally:
            queue.wait_all()

    def infer_request(self) -> openvino.InferRequest:
        """Returns a new request, for synchronous use."""
        return self.compiled_model.create_infer_request()


class Differences:
    """Collects how this deployment differs from the measured one, or raises at the first difference if `strict`."""

    def __init__(self, *, strict: bool) -> None:
        self.strict = strict
        self.messages: list[str] = []

    def add(self, message: str, *, advice: str, error: type[InputError] = BestFileError) -> None:
        """Notes a difference. Raises `error` with the message and the advice if `strict`."""
        if self.strict:
            raise error(message, advice=advice)
        self.messages.append(message)


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
    import openvino

    differences = Differences(strict=strict)
    spec = best.spec(model)
    device = device or best.device
    core = core or openvino.Core()
    _compare_model(best, spec, differences)
    host = host_facts()
    _compare_host(best, host, differences)
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
        compiled = _compile(core, spec, device, best.properties, best.batch_size)
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
        is_measured_here = best.environment.get("cpu_model") == host_facts().cpu_model
        capabilities = () if is_measured_here else _capabilities(core, device)
        _compare_effective(best, compiled, capabilities, differences)
    return Deployment(
        compiled_model=compiled,
        device=device,
        properties=best.properties,
        batch_size=best.batch_size,
        infer_requests=best.infer_requests,
        api=best.api,
        is_fallback=False,
        warnings=tuple(differences.messages),
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
            compiled = _compile(core, spec, device, properties, batch_size)
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
            infer_requests=1 if api == "sync" else baseline.infer_requests or optimal,
            api=api,
            is_fallback=True,
            warnings=(*differences.messages[:-1], f"{differences.messages[-1]}; {said}"),
        )
    if isinstance(failure, ModelError):
        raise failure
    line = first_line(failure) if failure is not None else ""
    raise DeviceError(f"{spec.path!r} does not compile on {device}: {line}", advice=available_words(core)) from failure


def _compile(
    core: openvino.Core, spec: ModelSpec, device: str, properties: Mapping[str, PropertyValue], batch_size: int
) -> openvino.CompiledModel:
    return core.compile_model(read(core, spec, batch_size=batch_size), device, dict(properties))


def _compare_model(best: Best, spec: ModelSpec, differences: Differences) -> None:
    found = sha256(spec)
    if found != best.model.sha256:
        differences.add(
            f"the model {spec.path!r} is not the one that was tuned: "
            f"its SHA-256 begins with {found[:12]}, the tuned one's with {best.model.sha256[:12]}",
            advice="Put the tuned model there, or tune this one.",
            error=ModelError,
        )
        check_format(spec)


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


def _compare_host(best: Best, host: HostFacts, differences: Differences) -> None:
    """Notes all differing facts of the host in one message; facts that the file lacks are not compared."""
    tuned = best.environment
    found = []
    if tuned.get("cpu_model") not in (None, host.cpu_model):
        found.append(f"on {tuned['cpu_model']} (here {host.cpu_model})")
    if tuned.get("cpus_allowed") not in (None, host.cpus_allowed):
        found.append(f"with {tuned['cpus_allowed']} CPUs (here {host.cpus_allowed})")
    if "cpu_quota" in tuned and not _same_quota(tuned["cpu_quota"], host.cpu_quota):
        found.append(f"with {_quota_words(tuned['cpu_quota'])} (here {_quota_words(host.cpu_quota)})")
    if tuned.get("openvino") not in (None, host.openvino):
        found.append(f"with OpenVINO {tuned['openvino']} (here {host.openvino})")
    if found:
        differences.add(
            f"tuned {', '.join(found)}", advice="`tuner measure` with these settings shows whether the gain holds here."
        )


def _same_quota(tuned: float | None, here: float | None) -> bool:
    if tuned is None or here is None:
        return tuned is here
    return abs(tuned - here) <= QUOTA_TOLERANCE


def _quota_words(quota: float | None) -> str:
    return "no CPU quota" if quota is None else f"a quota of {quota:g} CPUs"


def _compare_effective(
    best: Best, compiled: openvino.CompiledModel, capabilities: Collection[str], differences: Differences
) -> None:
    """Compares the properties that the device reports back here with those it reported when they were measured.

    `capabilities` are the OPTIMIZATION_CAPABILITIES of the device; none are given for the CPU of the measurement.
    """
    _compare_precision(best, compiled, capabilities, differences)
    changed = []
    for name in sorted({*COMPARED, *best.properties} - {PRECISION}):
        tuned, here = best.effective.get(name), _readable(compiled, name)
        if tuned is not None and here is not None and tuned != here:
            changed.append(f"{name} {here} (tuned: {tuned})")
    if changed:
        differences.add(
            f"the device makes something else of the configuration here: {', '.join(changed)}",
            advice="Tune on this host.",
        )


def _compare_precision(
    best: Best, compiled: openvino.CompiledModel, capabilities: Collection[str], differences: Differences
) -> None:
    asked: Any = best.properties.get(PRECISION)
    tuned = best.effective.get(PRECISION, None if asked is None else as_text(asked))
    here = _readable(compiled, PRECISION)
    if tuned is not None and here is not None and tuned != here:
        pinned = f"{PRECISION} is pinned to {asked}" if asked is not None else f"it was measured in {tuned}"
        differences.add(
            f"{pinned}, but the device computes in {here} here: results and speed may differ",
            advice="Tune on this host.",
        )
    elif here in CAPABILITY and capabilities and CAPABILITY[here] not in capabilities:
        differences.add(
            f"{PRECISION} is {here}, which the device has no instructions for here: it is emulated, and slow",
            advice="Tune on this host.",
        )


def _capabilities(core: openvino.Core, device: str) -> Collection[str]:
    try:
        return tuple(core.get_property(device, "OPTIMIZATION_CAPABILITIES"))
    except RuntimeError:
        return ()


def _readable(compiled: openvino.CompiledModel, name: str) -> str | None:
    try:
        return as_text(compiled.get_property(name))
    except (RuntimeError, TypeError):
        return None
