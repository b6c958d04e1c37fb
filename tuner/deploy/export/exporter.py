"""Defines what an exporter is: which settings of a best.yaml its consumer can express, and the files it writes.

Responsible for the list of settings, and for what is reported as not expressed. Must not know any consumer.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tuner.deploy.best import Best, PropertyValue
from tuner.deploy.conditions import host_conditions
from tuner.deploy.quoting import comment_lines
from tuner.deploy.words import configuration_lines, found_lines
from tuner.errors import ModelError
from tuner.model.locate import BUILTIN, PACKAGE, locate
from tuner.model.property_text import as_text

Refusal = str | Callable[[Best], str | None]
"""Reason for which a consumer cannot express a setting, or a function that returns one for a best.yaml, or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """Holds the answer of an exporter."""

    files: Mapping[str, str]
    """Text of each file, by its name."""
    unsupported: tuple[str, ...]
    """Settings that the consumer cannot express, each with the reason."""


def _shapes(best: Best) -> str | None:
    shapes = ", ".join(f"{name} {given.batched_shape(best.batch_size)}" for name, given in best.inputs.items())
    return f"shapes {shapes}" if shapes else None


def _quota(best: Best) -> str | None:
    found = host_conditions(best)
    return None if found.quota is None or found.is_quota_shared else f"a CPU quota of {found.quota:g}"


def _shared_quota(best: Best) -> str | None:
    found = host_conditions(best)
    return f"a quota of {best.environment['cpu_quota']:g} CPUs for all replicas" if found.is_quota_shared else None


def _memory(best: Best) -> str | None:
    memory = host_conditions(best).memory_bytes
    return None if memory is None else f"a memory limit of {memory} bytes"


SETTINGS: Mapping[str, Callable[[Best], str | None]] = {
    "model": lambda best: f"model {best.model.path}",
    "device": lambda best: f"device {best.device}",
    "inputs": _shapes,
    "batch_size": lambda best: f"batch_size {best.batch_size}" if best.batch_size > 1 else None,
    "infer_requests": lambda best: f"infer_requests {best.infer_requests}" if best.infer_requests > 1 else None,
    "api": lambda best: "synchronous calls" if best.api == "sync" else None,
    "replicas": lambda best: f"{best.replicas} replicas" if best.replicas > 1 else None,
    "affinity": lambda best: "CPUs split among the replicas" if best.affinity == "split" else None,
    "deployment.cpus": _quota,
    "environment.cpu_quota": _shared_quota,
    "deployment.cpuset": lambda best: f"CPUs {cpus}" if (cpus := host_conditions(best).cpuset) else None,
    "deployment.memory_bytes": _memory,
    "deployment.background": lambda best: (
        f"background {best.deployment['background']}" if best.deployment.get("background") else None
    ),
}
"""Setting of a best.yaml -> function that returns its words, or None if a consumer need not express it.

`properties` are apart: an exporter refuses each of them by its name and value.
"""
FACTS = (
    *("study", "verdict", "reason", "effective", "objective", "baseline", "baselines", "gain", "constraints"),
    *("objectives", "gains", "arrivals", "callers", "provenance", "source"),
    *("answer", "today", "today_gain", "baseline_gains"),
)
"""Names of the fields of `Best` that are no settings but say how a configuration was found; comments quote them."""
ON_THE_HOST: Mapping[str, str] = {
    **dict.fromkeys(
        ("replicas", "affinity", "deployment.cpus", "deployment.cpuset", "deployment.memory_bytes"),
        "for the host to say: export docker, compose, kubernetes or systemd as well",
    ),
    "environment.cpu_quota": "for the control group that holds all of them to say",
    "deployment.background": "no export starts the load that ran beside",
}
"""Refusals of a consumer that runs inside a process, which another program starts and limits."""


def no_refusal(name: str, value: PropertyValue) -> str | None:
    """Refuses no property."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporter:
    """Describes one consumer."""

    name: str
    summary: str
    """Text of the list of targets: which files are written."""
    build: Callable[[Best, Sequence[str]], Mapping[str, str]]
    """Function from a best.yaml, and what is not expressed, to the text of each file by its name."""
    cannot: Mapping[str, Refusal] = field(default_factory=dict)
    """Refusal of each setting that the consumer cannot express. Names are those of `SETTINGS`."""
    refuse: Callable[[str, PropertyValue], str | None] = no_refusal
    """Function from a property and its value to the reason for which it cannot be expressed, or None."""

    def export(self, best: Best) -> Exported:
        """Returns the files for the consumer, and what it cannot express. Raises BestFileError for wrong conditions."""
        unsupported = self.unsupported(best)
        return Exported(files=self.build(best, unsupported), unsupported=unsupported)

    def unsupported(self, best: Best) -> tuple[str, ...]:
        """Returns what the consumer cannot express of a best.yaml, each with the reason."""
        found = []
        for name, words in SETTINGS.items():
            said, refusal = words(best), self.cannot.get(name)
            reason = refusal(best) if callable(refusal) else refusal
            if said is not None and reason is not None:
                found.append(f"{said}: {reason}")
        for name, value in best.properties.items():
            if reason := self.refuse(name, value):
                found.append(f"{name}={plain(value)}: {reason}")
        return tuple(found)


def plain(value: PropertyValue) -> str:
    """Returns a property's value as every consumer takes it: text, with YES and NO for booleans."""
    return ("NO", "YES")[value] if isinstance(value, bool) else as_text(value)


def comments(best: Best, unsupported: Sequence[str], mark: str = "#") -> list[str]:
    """Returns the comments at the top of a file: findings, configuration, and what the file does not say."""
    missing = ["Not expressed here:", *(f"- {line}" for line in unsupported)] if unsupported else []
    return comment_lines([*found_lines(best), *configuration_lines(best), *missing], mark)


FILLED = ("NUM_STREAMS", "INFERENCE_NUM_THREADS", "ENABLE_CPU_PINNING")
"""Properties that some consumers set by themselves where they are left out."""


def settled_properties(best: Best) -> dict[str, PropertyValue]:
    """Returns the properties without gaps that a consumer would fill: streams, threads and pinning as measured.

    What the device made of them (`effective`) fills the gaps. A hint gives way to the streams that it led to, since
    consumers refuse both together.
    """
    found = dict(best.properties)
    for name in FILLED:
        effective = best.effective.get(name)
        if name not in found and effective is not None:
            is_switch = effective in ("True", "False")
            found[name] = effective == "True" if is_switch else int(effective) if effective.isdigit() else effective
    if "NUM_STREAMS" in found:
        found.pop("PERFORMANCE_HINT", None)
        found.pop("PERFORMANCE_HINT_NUM_REQUESTS", None)
    return found


def model_path(best: Best) -> str:
    """Returns the absolute path of the model's file, also where it is not here; `model.xml` for `builtin:`.

    A model of a package that is not installed, or of a file that is nowhere, is returned as it is written.
    """
    written = best.model.path
    if written.startswith(BUILTIN):
        return "model.xml"
    if written.startswith(PACKAGE):
        try:
            return str(locate(best.spec()))
        except ModelError:
            return written
    path = os.path.abspath(best.folder / os.path.expanduser(written))
    return path if best.source is not None or os.path.exists(path) else written


def needs_file(best: Best) -> str | None:
    """Returns the reason for which no program but the tuner can read the model, or None."""
    if best.model.path.startswith(BUILTIN):
        return "built by the tuner itself; put a file in the place of model.xml"
    return None


APPLICATION = (
    "The application in it deploys the file:",
    "  best = tuner.load_best(os.environ['BEST_FILE'])",
    "  deployment = best.compile(model=os.environ.get('MODEL_FILE'), replica=int(os.environ.get('REPLICA', 0)))",
)
"""Comment on what the program that a container or a service starts has to do."""


def unless_reshaped(inputs: Callable[[Best], str | None]) -> Mapping[str, Refusal]:
    """Returns the refusals of a consumer that reshapes the model, unless `inputs` returns a reason against it."""
    return {
        "inputs": inputs,
        "batch_size": lambda best: inputs(best) if best.inputs else "the file says the shape of no input",
    }


def application_environment(best: Best, model_folder: str | None) -> dict[str, str]:
    """Returns the environment variables that `APPLICATION` reads, without REPLICA.

    `model_folder` is the folder of the model in the container; None leaves the model where it is on this host. A model
    of a package or built by the tuner is named by the file itself.
    """
    variables = {"BEST_FILE": "/etc/tuner/best.yaml"}
    if has_file(best):
        path = model_path(best)
        variables["MODEL_FILE"] = path if model_folder is None else f"{model_folder}/{os.path.basename(path)}"
    return variables


def has_file(best: Best) -> bool:
    """Returns True if the model is a file of its own, neither built by the tuner nor in a package."""
    return not best.model.path.startswith((BUILTIN, PACKAGE))


def shapes_of(best: Best) -> dict[str, list[int]]:
    """Returns the shape of each input at the batch size."""
    return {name: given.batched_shape(best.batch_size) for name, given in best.inputs.items()}
