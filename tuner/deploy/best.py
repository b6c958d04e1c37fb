"""Holds the values of best.yaml: what to deploy, how it was found, and on which host that is true.

Responsible for the content, in the order of the file's lines. Must not know text and disk (`best_file.py`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tuner.errors import BestFileError
from tuner.model.host import cpu_share
from tuner.model.spec import InputSpec, ModelSpec

if TYPE_CHECKING:
    import openvino

    from tuner.deploy.deployment import Deployment

SCHEMA_VERSION = 1
"""Version of the format of best.yaml and front.yaml; a larger one in a file is refused."""
PropertyValue = str | int | float | bool
Answer = Literal["settings", "hint", "nothing"]
"""Advice of a study: use the tuned settings, use a baseline in place of today's, or change nothing."""
Proof = Literal["proved", "as_measured", "broken"]
"""Strength of a kept limit: kept by its confidence bound, kept as measured without that proof, or exceeded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BestModel:
    """Describes the model that was tuned."""

    path: str
    """Path of the file: absolute, `package:...`, `builtin:...`, or relative to the folder of best.yaml."""
    sha256: str
    variant: str = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class BestInput:
    """Describes one input of the model."""

    shape: tuple[int, ...]
    """Shape for one sample."""
    batch_axis: int | None
    """Index of the axis that the batch size multiplies; None if the input carries no batch."""
    layout: str | None = None
    range: tuple[float, float] = (0.0, 1.0)
    """Range of the random data that `tuner apply` feeds, as in the study file."""

    def batched_shape(self, batch_size: int) -> list[int]:
        """Returns the shape for `batch_size` samples."""
        return [dim * batch_size if axis == self.batch_axis else dim for axis, dim in enumerate(self.shape)]


@dataclass(frozen=True, slots=True, kw_only=True)
class BestObjective:
    """States an objective of the study with the measured value."""

    metric: str
    value: float
    unit: str
    reference: float | None = None
    """Value of the reference in the same sessions; None in a study with one objective."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BestBaseline:
    """Describes a baseline: the reference, to which `compile` falls back, or the one that runs today."""

    name: str
    value: float
    properties: Mapping[str, PropertyValue]
    batch_size: int = 1
    infer_requests: int | None = None
    """Number of requests in flight; None for as many as the compiled model suggests."""
    replicas: int | None = None
    """Number of processes; None if baseline and deployed configuration both use one process, and in older files."""
    affinity: Literal["shared", "split"] | None = None
    api: Literal["async", "sync"] | None = None
    """Way of calling the model; None if it equals that of the deployed configuration, and in older files."""

    @property
    def processes(self) -> str:
        """Returns the number of processes and their CPUs, in words."""
        if (self.replicas or 1) == 1:
            return "one process"
        cpus = "the CPUs split among them" if self.affinity == "split" else "all on the same CPUs"
        return f"{self.replicas} identical processes, {cpus}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BestGain:
    """States a gain over a baseline with its interval; positive is better, whatever the metric's direction."""

    estimate_pct: float
    low_pct: float
    high_pct: float
    confidence: float
    sessions: int
    pairs: int
    metric: str | None = None
    """Name of the objective that the gain is about; None in a study with one objective."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BestConstraint:
    """States a limit of the study and the value that the confirmation measured; bounds that are None do not apply."""

    metric: str
    min: float | None = None
    max: float | None = None
    min_ratio: float | None = None
    max_ratio: float | None = None
    measured: float
    requests: int | None = None
    """Number of requests on which the measured value rests."""
    kept: bool | None = None
    """False if no configuration keeps all limits and this one violates the limit; None in older files."""
    proof: Proof | None = None
    """Strength of the evidence that the limit is kept; None in older files."""

    def __str__(self) -> str:
        bounds = {"min": self.min, "max": self.max, "min_ratio": self.min_ratio, "max_ratio": self.max_ratio}
        words = [f"{name} {bound:g}" for name, bound in bounds.items() if bound is not None]
        return f"{self.metric} {' '.join(words)}, measured {self.measured:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BestArrivals:
    """Describes requests that arrived at a rate of their own, whether or not earlier ones were answered."""

    pattern: str
    rate_per_s: float | None = None
    """Arrivals per second; None if the study looked for the largest rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """Holds the content of one best.yaml."""

    study: str
    verdict: Literal["tuned", "baseline"]
    reason: str | None = None
    """Reason for the verdict `baseline`."""
    answer: Answer | None = None
    """Advice of the study; None in older files and if no configuration is an answer."""
    device: str
    model: BestModel
    properties: Mapping[str, PropertyValue]
    inputs: Mapping[str, BestInput]
    batch_size: int
    infer_requests: int
    api: Literal["async", "sync"]
    replicas: int = 1
    """Number of identical processes that serve at the same time."""
    affinity: Literal["shared", "split"] = "shared"
    """CPUs of a replica: all of them, or with `split` its own part, see `replica_cpus`."""
    deployment: Mapping[str, Any] = field(default_factory=dict)
    """Conditions that the study stated: quota, CPUs, memory, replicas, background."""
    effective: Mapping[str, str]
    objective: BestObjective
    baseline: BestBaseline
    baselines: Mapping[str, float]
    gain: BestGain | None = None
    """Gain of tuned settings over the reference; None if none was shown."""
    today: BestBaseline | None = None
    """The baseline that runs today: the one named `today`, else `default`; None in older files and if it failed."""
    today_gain: BestGain | None = None
    """Gain of this configuration over today's baseline; None if none was shown. The key is `gain_over_today`."""
    baseline_gains: Mapping[str, BestGain] = field(default_factory=dict)
    """Baseline -> its gain or loss against today's in the same fresh sessions, shown to differ or not."""
    constraints: tuple[BestConstraint, ...] = ()
    objectives: tuple[BestObjective, ...] = ()
    """All objectives of a study with several; then this configuration is a point of a front."""
    gains: Mapping[str, BestGain] = field(default_factory=dict)
    """Gain or loss in each objective of a study with several; `gain` is the largest of them."""
    arrivals: BestArrivals | None = None
    """Arrivals of requests during the measurement; None for the closed loop. The key in the file is `load`."""
    environment: Mapping[str, Any] = field(default_factory=dict)
    """Facts of the host. `cpu_model`, `cpus_allowed`, `cpu_quota` and `openvino` are compared with the host that
    deploys; the others are for people."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    source: Path | None = field(default=None, compare=False)
    """File that these values were read from."""

    @property
    def broken(self) -> str:
        """Returns the limits that this configuration violates, in words; empty if it keeps all of them."""
        return "; ".join(str(constraint) for constraint in self.constraints if constraint.kept is False)

    @property
    def folder(self) -> Path:
        """Returns the folder at which relative model paths start."""
        return Path() if self.source is None else self.source.parent

    def replica_cpus(self, replica: int, allowed: Sequence[int]) -> Sequence[int]:
        """Returns the part of the CPUs `allowed` to a deployment that process `replica`, counted from 0, has to use."""
        return cpu_share(allowed, replica, self.replicas) if self.affinity == "split" else allowed

    @property
    def baseline_has_own_processes(self) -> bool:
        """True if the file says that the baseline ran in other processes than the deployed configuration."""
        own = self.baseline
        return own.replicas is not None and (own.replicas, own.affinity or "shared") != (self.replicas, self.affinity)

    def spec(self, model: str | os.PathLike[str] | None = None) -> ModelSpec:
        """Returns the model as the study ran it; `model` names another file, relative to the current folder.

        Raises BestFileError if the layout and the batch axis of an input disagree.
        """
        inputs = {
            name: InputSpec(shape=given.shape, layout=_layout(name, given), range=given.range)
            for name, given in self.inputs.items()
        }
        if model is None:
            return ModelSpec(path=self.model.path, folder=self.folder, inputs=inputs)
        return ModelSpec(path=os.fspath(model), folder=Path.cwd(), inputs=inputs)

    def compile(
        self,
        *,
        strict: bool = False,
        model: str | os.PathLike[str] | None = None,
        device: str | None = None,
        core: openvino.Core | None = None,
        replica: int | None = None,
    ) -> Deployment:
        """Reads, reshapes and compiles the model with the tuned properties.

        If this host, OpenVINO or the model differ from the measured ones, it warns (`DeploymentWarning`). If the tuned
        configuration does not compile, it warns and compiles the reference baseline instead.

        Args:
            strict: Raises BestFileError, or ModelError for another model, instead of every warning.
            model: Path of another file than the one in best.yaml, relative to the current folder.
            device: Name of another device than the one in best.yaml.
            core: The core to compile with; one for the whole process by default.
            replica: Number of this process among the replicas, from 0. If the replicas split the CPUs, the process and
                its later threads use only their part from now on.

        Raises:
            InputError: There is no such replica.
            ModelError: The model does not exist or cannot be read.
            DeviceError: The device does not exist, or nothing compiles on it.
        """
        from tuner.deploy.deployment import compile_best

        return compile_best(self, strict=strict, model=model, device=device, core=core, replica=replica, stacklevel=3)


def portable_path(spec: ModelSpec, folder: Path) -> str:
    """Returns the model's path as a best.yaml in `folder` has to name it: relative paths start at that folder."""
    path = Path(spec.path)
    if ":" in spec.path.split("/")[0] or path.is_absolute() or spec.path.startswith("~"):
        return spec.path
    return Path(os.path.relpath(spec.folder / path, folder)).as_posix()


def _layout(name: str, given: BestInput) -> str | None:
    """Returns a layout with its N at `batch_axis`: the file decides which axis is the batch, not a guess."""
    if given.layout is None:
        return "".join("N" if axis == given.batch_axis else "?" for axis in range(len(given.shape))) or None
    if len(given.layout) == len(given.shape):
        marked = given.layout.find("N")
        if marked != (-1 if given.batch_axis is None else given.batch_axis):
            raise BestFileError(
                f"inputs.{name}: the layout {given.layout!r} and the batch_axis {given.batch_axis} disagree",
                advice="N in the layout is the batch axis, counted from 0.",
            )
    return given.layout
