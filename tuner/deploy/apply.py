"""Tries a best.yaml on this host, and writes the code that deploys it.

Responsible for the words and the code of `tuner apply`. Must not print.
"""

from __future__ import annotations

import os
import pprint
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.deploy.best import Best, BestObjective
from tuner.deploy.best_file import load_best
from tuner.deploy.deployment import Deployment, compile_best
from tuner.errors import DeviceError, ModelError
from tuner.model.locate import locate
from tuner.model.openvino_error import first_line
from tuner.model.ports import call_keys

if TYPE_CHECKING:
    import openvino


FALLBACK = "NOT THE TUNED CONFIGURATION, which does not compile here; no gain holds"
NOT_KEPT = "NO CONFIGURATION KEEPS THE LIMITS of the study; this is the nearest to them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """Holds the answer of `tuner apply`."""

    notes: tuple[str, ...]
    """Warnings, and last what ran here."""
    code: str
    """Python code that deploys the configuration, with comments on how it was found."""


def apply_best(path: Path, *, strict: bool = False) -> Applied:
    """Tries a best.yaml on this host and returns the code that deploys it.

    Raises BestFileError, and what `Best.compile` raises.
    """
    best = load_best(path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        deployment = check(best, strict=strict)
    said = [str(warning.message) for warning in caught]
    if best.broken:
        said.insert(0, f"{NOT_KEPT}: {best.broken}")
    used = "the fallback baseline" if deployment.is_fallback else "the configuration"
    return Applied(
        notes=(*(f"warning: {line}" for line in said), f"{path}: {used} compiles and runs here"),
        code=describe(best, deployment),
    )


def check(
    best: Best,
    *,
    strict: bool = False,
    model: str | os.PathLike[str] | None = None,
    device: str | None = None,
    core: openvino.Core | None = None,
) -> Deployment:
    """Compiles the configuration and runs one inference on random inputs.

    Raises what `Best.compile` raises, and DeviceError if the inference fails.
    """
    from tuner.model.inputs import random_inputs

    replica = 0 if best.affinity == "split" else None
    deployment = compile_best(best, strict=strict, model=model, device=device, core=core, replica=replica, stacklevel=3)
    inputs = random_inputs(deployment.compiled_model, best.spec(model), seed=0)
    try:
        deployment.infer_request().infer(inputs)
    except RuntimeError as error:
        raise DeviceError(
            f"the model compiles on {deployment.device} but does not run: {first_line(error)}",
            advice="Check the device's driver and its free memory.",
        ) from error
    return deployment


def describe(best: Best, deployment: Deployment | None = None) -> str:
    """Returns Python code that deploys a best.yaml, with this package and with OpenVINO alone, below comments on it.

    If the `deployment` that was tried here fell back, the text describes the fallback and claims no gain.
    """
    if deployment is not None and deployment.is_fallback:
        used = _fallen_back(best, deployment)
        comments = [f"# {best.study}: {FALLBACK}", f"# {deployment.warnings[-1]}", *_configuration(used)]
    else:
        used, comments = best, [*_found(best), *_configuration(best)]
    keys = {} if deployment is None else call_keys(deployment.compiled_model.inputs, best.inputs)
    return "\n".join([*comments, "", *_with_tuner(best, used, keys), "", *_without_tuner(used, keys), ""])


def _fallen_back(best: Best, deployment: Deployment) -> Best:
    """Returns the file with the configuration that runs here in place of its own."""
    baseline = best.baseline
    return replace(
        best,
        device=deployment.device,
        properties=deployment.properties,
        batch_size=deployment.batch_size,
        infer_requests=deployment.infer_requests,
        api=deployment.api,
        replicas=best.replicas if baseline.replicas is None else baseline.replicas,
        affinity=baseline.affinity or best.affinity,
    )


def _found(best: Best) -> list[str]:
    values = best.objectives or (best.objective,)
    objective = ", ".join(_value(value, best.baseline.name) for value in values)
    lines = [f"# {best.study}: {objective}, {_gain(best)}"]
    if best.broken:
        lines.append(f"# {NOT_KEPT}: {best.broken}")
    if best.reason:
        lines += [f"# {line}" for line in best.reason.splitlines()]
    facts = {name: best.environment.get(name) for name in ("cpu_model", "cpus_allowed", "cpu_quota", "openvino")}
    known = ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None)
    if known:
        lines.append(f"# Measured on: {known}")
    if best.deployment:
        stated = ", ".join(f"{name} {value}" for name, value in best.deployment.items())
        lines.append(f"# Measured under the deployment's conditions: {stated}")
    if best.baseline_has_own_processes:
        lines.append(
            f"# The baseline {best.baseline.name}, used where this does not compile: {best.baseline.processes}"
        )
    return lines


def _configuration(best: Best) -> list[str]:
    settings = " ".join(f"{name}={value}" for name, value in best.properties.items()) or "none, the defaults"
    lines = [
        f"# Device {best.device}; properties: {settings}",
        f"# Batch size {best.batch_size}; infer requests: {best.infer_requests}; calls: {best.api}",
    ]
    if best.replicas > 1:
        cpus = "CPUs split among them" if best.affinity == "split" else "all on the same CPUs"
        lines.append(f"# Replicas: {best.replicas} identical processes, {cpus}; start each as below")
    return lines


def _value(objective: BestObjective, reference: str) -> str:
    beside = "" if objective.reference is None else f" ({reference} {objective.reference:g})"
    return f"{objective.metric} {objective.value:g} {objective.unit}{beside}"


def _gain(best: Best) -> str:
    baseline = best.baseline.name
    if best.verdict == "baseline" and not best.objectives:
        return f"which is the baseline {baseline}"
    if best.gain is None:
        return "no gain claimed"
    gain = best.gain
    what = "" if gain.metric is None else f"{gain.metric} "
    return (
        f"{what}at least {gain.low_pct:.1f} % better than the baseline {baseline} (estimate {gain.estimate_pct:.1f} %, "
        f"interval to {gain.high_pct:.1f} %, confidence {gain.confidence:g})"
    )


def _with_tuner(best: Best, used: Best, keys: Mapping[str, str | int]) -> list[str]:
    """Returns code that calls this package; `used` is the configuration that runs here, `keys` address its inputs."""
    file = "best.yaml" if best.source is None else str(best.source)
    name, shape = _first_input(used)
    key = keys.get(name, name)
    lines = [
        "# With tuner installed: warns where the host differs, falls back where it must",
        "import tuner",
        "",
        *([f"# replica: {best.replicas} processes, each with a number of its own"] if best.affinity == "split" else []),
        f"deployment = tuner.load_best({file!r}).compile({'replica=0' if best.affinity == 'split' else ''})",
    ]
    if best.api == "sync":
        return [
            *lines,
            "request = deployment.infer_request()",
            f"# request.infer({{{key!r}: array}})  # an array of shape {shape}",
        ]
    return [
        *lines,
        "with deployment.infer_queue() as queue:",
        f"    pass  # queue.start_async({{{key!r}: array}})  # an array of shape {shape}",
    ]


def _without_tuner(best: Best, keys: Mapping[str, str | int]) -> list[str]:
    try:
        path = locate(best.spec())
    except ModelError:
        path = None
    if path is None and best.model.path.startswith("builtin:"):
        return [f"# {best.model.path} is built by tuner: OpenVINO alone cannot read it"]
    shapes = {keys.get(name, name): given.batched_shape(best.batch_size) for name, given in best.inputs.items()}
    reshape = [f"model.reshape({shapes!r})"] if shapes else []
    properties = pprint.pformat(dict(best.properties), width=100, sort_dicts=False)
    run = (
        "request = compiled.create_infer_request()"
        if best.api == "sync"
        else f"queue = openvino.AsyncInferQueue(compiled, {best.infer_requests})"
    )
    return [
        "# With OpenVINO alone",
        *_take_cpus(best),
        "import openvino",
        "",
        "core = openvino.Core()",
        f"model = core.read_model({str(path or best.model.path)!r})",
        *reshape,
        f"properties = {properties}",
        f"compiled = core.compile_model(model, {best.device!r}, properties)",
        run,
    ]


def _take_cpus(best: Best) -> list[str]:
    """Returns code that binds a replica to its CPUs, if the replicas split them: `cpu_share` of tuner/model/host.py."""
    if best.affinity != "split":
        return []
    return [
        "import os",
        "",
        f"replica, replicas = 0, {best.replicas}  # in each process its own",
        "cpus = sorted(os.sched_getaffinity(0))",
        "part = slice(replica * len(cpus) // replicas, (replica + 1) * len(cpus) // replicas)",
        "os.sched_setaffinity(0, cpus[part])",
        "",
    ]


def _first_input(best: Best) -> tuple[str, list[int]]:
    for name, given in best.inputs.items():
        return name, given.batched_shape(best.batch_size)
    return "input", []
