"""Tries a best.yaml on this host, and writes the code that deploys it.

Responsible for the check of `tuner apply`; the code is that of `export/python.py`. Must not print.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.deploy.best import Best
from tuner.deploy.best_file import load_best
from tuner.deploy.deployment import Deployment, compile_best
from tuner.deploy.export.python import code_lines
from tuner.deploy.quoting import comment_lines
from tuner.deploy.words import NOT_KEPT, configuration_lines, found_lines
from tuner.errors import DeviceError
from tuner.model.core import process_core
from tuner.model.files.openvino_error import first_line
from tuner.model.ports import call_keys
from tuner.model.spec import ModelSpec

if TYPE_CHECKING:
    import openvino


FALLBACK = "NOT THE TUNED CONFIGURATION, which does not compile here; no gain holds"


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


def refused_properties(best: Best) -> list[str]:
    """Returns the properties with which a tiny model does not compile here; none if the device is not here.

    The list of supported properties of a device is no oracle (tuner/README.md): compiling is.
    """
    try:
        from tuner.model.read import read

        core = process_core()
    except ImportError:
        return []
    tiny = read(core, ModelSpec(path="builtin:mlp", folder=Path()))
    try:
        core.compile_model(tiny, best.device, {})
    except RuntimeError:
        return []
    found = []
    for name, value in best.properties.items():
        try:
            core.compile_model(tiny, best.device, {name: value})
        except (RuntimeError, TypeError) as error:
            found.append(f"{best.device} does not take {name}={value}: {first_line(error)}")
    return found


def describe(best: Best, deployment: Deployment | None = None) -> str:
    """Returns Python code that deploys a best.yaml, with this package and with OpenVINO alone, below comments on it.

    If the `deployment` that was tried here fell back, the text describes the fallback and claims no gain.
    """
    if deployment is not None and deployment.is_fallback:
        used = _fallen_back(best, deployment)
        words = [f"{best.study}: {FALLBACK}", deployment.warnings[-1]]
    else:
        used, words = best, found_lines(best)
    comments = comment_lines([*words, *configuration_lines(used)])
    keys = {} if deployment is None else call_keys(deployment.compiled_model.inputs, best.inputs)
    return "\n".join([*comments, "", *code_lines(best, used, keys), ""])


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
