"""A finished study as the record of studies keeps it: circumstances, and the best few configurations.

Responsible for values and their JSON. Must not know files or the search.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast, get_args

from tuner.bench.value import Value

SCHEMA_VERSION = 1
"""Version of a file of the record; another one is not read."""

Callers = Literal["one", "several", "arrivals"]
"""Way in which requests come: from one caller, from a server's callers, or by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastModel:
    """Fingerprint of a model."""

    name: str
    """Path of the model as the study file names it."""
    sha256: str
    inputs: Mapping[str, tuple[int, ...]]
    """Name of an input -> its shape for one sample."""
    operations: int = 0
    """Number of operations; 0 if unknown."""
    weight_bytes: int = 0
    """Size of the constants; 0 if unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """Everything that decides if what one study found is worth a try in another."""

    model: PastModel
    device: str
    metrics: tuple[str, ...]
    """Names of the metrics to improve."""
    limits: tuple[str, ...]
    """Names of the limited metrics, sorted."""
    callers: Callers
    replicas: int
    deployment: Mapping[str, Any]
    """Conditions that the study states."""
    cpu_model: str
    cpus_allowed: int
    cpu_quota: float | None
    """CPU quota of one replica, in CPUs; None without a quota."""
    openvino: str

    @property
    def cpus(self) -> float:
        """CPUs that can be busy at the same time: the allowed ones, or fewer under a quota."""
        return max(1.0, min(self.cpus_allowed, self.cpu_quota or self.cpus_allowed))


@dataclass(frozen=True, slots=True, kw_only=True)
class PastConfiguration:
    """One configuration with its gain."""

    settings: Mapping[str, Value]
    """Properties and own parameters by name; None leaves a value to the device or the model."""
    gain_pct: float
    """Gain over the strongest baseline of its study in the first objective."""
    is_proved: bool
    """True if a confirmation proved the gain; else it is what the search measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastStudy:
    """A finished study."""

    key: str
    """Identity of the study; a study that went on replaces itself."""
    name: str
    ended_unix_s: float
    about: Circumstances
    best: tuple[PastConfiguration, ...]
    """The best few configurations, the best one first; empty if no candidate was better than the baselines."""

    def to_json(self) -> dict[str, Any]:
        """Returns the content of the study's file."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}


def from_json(content: Any) -> PastStudy:
    """Returns the study of a file's content. Raises ValueError if the content is not as `to_json` makes it."""
    try:
        if content["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema {content['schema_version']!r}")
        return PastStudy(
            key=_text(content["key"]),
            name=_text(content["name"]),
            ended_unix_s=_number(content["ended_unix_s"]),
            about=_about(content["about"]),
            best=tuple(
                PastConfiguration(
                    settings=settings_from_json(one["settings"]),
                    gain_pct=_number(one["gain_pct"]),
                    is_proved=bool(one["is_proved"]),
                )
                for one in content["best"]
            ),
        )
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"not as tuner writes it: {error!r}") from error


def settings_from_json(content: Any) -> dict[str, Value]:
    """Returns settings by name. Raises ValueError for a value that is neither a scalar nor null."""
    settings = {_text(name): value for name, value in dict(content).items()}
    for name, value in settings.items():
        is_scalar = value is None or isinstance(value, str | bool | int | float)
        if not is_scalar or (isinstance(value, float) and not math.isfinite(value)):
            raise ValueError(f"{name} is no setting")
    return settings


def _about(content: Mapping[str, Any]) -> Circumstances:
    model = content["model"]
    if content["callers"] not in get_args(Callers):
        raise ValueError(f"callers {content['callers']!r}")
    quota = content["cpu_quota"]
    return Circumstances(
        model=PastModel(
            name=_text(model["name"]),
            sha256=_text(model["sha256"]),
            inputs={_text(name): tuple(map(_count, shape)) for name, shape in model["inputs"].items()},
            operations=_count(model["operations"]),
            weight_bytes=_count(model["weight_bytes"]),
        ),
        device=_text(content["device"]),
        metrics=tuple(map(_text, content["metrics"])),
        limits=tuple(map(_text, content["limits"])),
        callers=cast("Callers", content["callers"]),
        replicas=_count(content["replicas"]),
        deployment=dict(content["deployment"]),
        cpu_model=_text(content["cpu_model"]),
        cpus_allowed=_count(content["cpus_allowed"]),
        cpu_quota=None if quota is None else _number(quota),
        openvino=_text(content["openvino"]),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no finite number")
    return float(value)
