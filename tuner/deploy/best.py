"""best.yaml as values: what to deploy, how it was found, and where that holds.

Knows the file's content, in the order of its lines; `best_file.py` knows text and disk, `deployment.py` OpenVINO.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tuner.errors import BestFileError
from tuner.model.spec import InputSpec, ModelSpec

if TYPE_CHECKING:
    import openvino

    from tuner.deploy.deployment import Deployment

SCHEMA_VERSION = 1
PropertyValue = str | int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BestModel:
    """`path` is absolute, `package:...`, `builtin:...`, or relative to the folder of best.yaml."""

    path: str
    sha256: str
    variant: str = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class BestInput:
    """`shape` is for one sample; `batch_axis` is multiplied by the batch size, None where there is none."""

    shape: tuple[int, ...]
    batch_axis: int | None
    layout: str | None = None
    range: tuple[float, float] = (0.0, 1.0)
    """Of random data, as in the study file: what the check after `tuner apply` feeds."""

    def batched_shape(self, batch_size: int) -> list[int]:
        return [dim * batch_size if axis == self.batch_axis else dim for axis, dim in enumerate(self.shape)]


@dataclass(frozen=True, slots=True, kw_only=True)
class BestObjective:
    metric: str
    value: float
    unit: str
    reference: float | None = None
    """The value of the reference in the same sessions, where a study has several objectives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BestBaseline:
    """The reference: what was compared with, and what `compile` falls back to."""

    name: str
    value: float
    properties: Mapping[str, PropertyValue]
    batch_size: int = 1
    infer_requests: int | None = None
    """None: as many as the compiled model suggests."""
    replicas: int | None = None
    """None where there is one process of it and of what is deployed, and in files that do not say."""
    affinity: Literal["shared", "split"] | None = None
    api: Literal["async", "sync"] | None = None
    """None where it is called as what is deployed, and in files that do not say."""

    @property
    def processes(self) -> str:
        """How it was run, in words."""
        if (self.replicas or 1) == 1:
            return "one process"
        apart = "the CPUs split among them" if self.affinity == "split" else "all on the same CPUs"
        return f"{self.replicas} identical processes, {apart}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BestGain:
    """Over the reference, positive = better whatever the metric's direction."""

    estimate_pct: float
    low_pct: float
    high_pct: float
    confidence: float
    sessions: int
    pairs: int
    metric: str | None = None
    """Of several objectives the one that this is about; None where there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BestConstraint:
    """A limit of the study and what the confirmation measured. Bounds that are None do not apply. `kept` is False where
    no configuration keeps the limits and this one breaks it; files of before do not say."""

    metric: str
    min: float | None = None
    max: float | None = None
    min_ratio: float | None = None
    max_ratio: float | None = None
    measured: float
    requests: int | None = None
    kept: bool | None = None

    def __str__(self) -> str:
        bounds = {"min": self.min, "max": self.max, "min_ratio": self.min_ratio, "max_ratio": self.max_ratio}
        words = [f"{name} {bound:g}" for name, bound in bounds.items() if bound is not None]
        return f"{self.metric} {' '.join(words)}, measured {self.measured:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BestLoad:
    """Requests that arrived by themselves. `rate_per_s` is None where the largest was looked for."""

    pattern: str
    rate_per_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """One best.yaml. `reason` says why a verdict is `baseline`; `gain` is None where none was shown."""

    study: str
    verdict: Literal["tuned", "baseline"]
    reason: str | None = None
    device: str
    model: BestModel
    properties: Mapping[str, PropertyValue]
    inputs: Mapping[str, BestInput]
    batch_size: int
    infer_requests: int
    api: Literal["async", "sync"]
    replicas: int = 1
    """Identical processes that serve at the same time."""
    affinity: Literal["shared", "split"] = "shared"
    """split: each replica has CPUs of its own, see `replica_cpus`."""
    deployment: Mapping[str, Any] = field(default_factory=dict)
    """The conditions that the study stated: quota, CPUs, memory, replicas, background."""
    effective: Mapping[str, str]
    objective: BestObjective
    baseline: BestBaseline
    baselines: Mapping[str, float]
    gain: BestGain | None = None
    constraints: tuple[BestConstraint, ...] = ()
    objectives: tuple[BestObjective, ...] = ()
    """All of them, where a study has several: then this is a point of a front."""
    gains: Mapping[str, BestGain] = field(default_factory=dict)
    """Objective -> what this point gains and loses there, where a study has several. `gain` is the largest."""
    load: BestLoad | None = None
    """How requests arrived while it was measured; None: the closed loop."""
    environment: Mapping[str, Any] = field(default_factory=dict)
    """`cpu_model`, `cpus_allowed`, `cpu_quota` and `openvino` are compared with the host; others are for people."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    source: Path | None = field(default=None, compare=False)
    """The file it was read from."""

    @property
    def broken(self) -> str:
        """The limits that this configuration breaks, where none was found that keeps them all; else empty."""
        return "; ".join(str(constraint) for constraint in self.constraints if constraint.kept is False)

    @property
    def folder(self) -> Path:
        """Where relative model paths start."""
        return Path() if self.source is None else self.source.parent

    def replica_cpus(self, replica: int, allowed: Sequence[int]) -> Sequence[int]:
        """The share of the CPUs `allowed` to a deployment that belongs to its `replica`-th process, counted from 0."""
        if self.affinity != "split":
            return allowed
        n = len(allowed)
        return allowed[replica * n // self.replicas : (replica + 1) * n // self.replicas]

    @property
    def is_baseline_apart(self) -> bool:
        """Whether the baseline was run in other processes than what is deployed, by what the file says."""
        own = self.baseline
        return own.replicas is not None and (own.replicas, own.affinity or "shared") != (self.replicas, self.affinity)

    def spec(self, model: str | os.PathLike[str] | None = None) -> ModelSpec:
        """The model as the study ran it; `model` names another file, relative to the current folder."""
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

        Warns (`DeploymentWarning`) where this host, OpenVINO or the model differ from what was measured; falls back to
        the reference baseline, with a warning, where the tuned configuration does not compile. `strict` raises instead
        of every warning. `model` and `device` replace what the file says. `replica`: which of the replicas this process
        is, from 0; where they split the CPUs, it keeps to its share from now on.
        Raises InputError (no such replica), ModelError (no such model, unreadable), DeviceError (nothing compiles on
        the device).
        """
        from tuner.deploy.deployment import compile_best

        return compile_best(self, strict=strict, model=model, device=device, core=core, replica=replica, stacklevel=3)


def portable_path(spec: ModelSpec, folder: Path) -> str:
    """The model's path as a best.yaml in `folder` has to say it: a relative one is made relative to that folder."""
    path = Path(spec.path)
    if ":" in spec.path.split("/")[0] or path.is_absolute() or spec.path.startswith("~"):
        return spec.path
    return Path(os.path.relpath(spec.folder / path, folder)).as_posix()


def _layout(name: str, given: BestInput) -> str | None:
    """A layout whose N is at `batch_axis`: the file decides, not a guess from the shape."""
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
