"""The contract of a backend: what a worker process asks of the runtime that it drives.

Responsible for the protocol and its values. Must not import a runtime.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self

from tuner.bench.configuration import DeploymentConfig, Effective
from tuner.bench.turn import TurnPlan, TurnResult


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTimes:
    """Durations of a cold start in seconds; `Window` documents the fields of the same name."""

    compile_s: float
    load_s: float
    first_inference_s: float
    is_from_cache: bool
    """True if the device loaded the compiled model from its cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledMember:
    """A configuration that is compiled in a worker process and can take turns."""

    number: int
    """Number by which the backend knows the member."""
    effective: Effective
    settle_s: float = 0.0
    """Seconds that the device may need to settle, beyond one run of each request."""
    start: StartTimes | None = None
    """Durations of the cold start; None if it was not timed."""

    def to_json(self) -> dict[str, Any]:
        """Returns the member as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Returns the member that `to_json` turned into `content`."""
        start = content["start"]
        effective, times = Effective(**content["effective"]), None if start is None else StartTimes(**start)
        return cls(**{**content, "effective": effective, "start": times})


class Backend(Protocol):
    """Reads one model, compiles configurations of it and lets them take turns; runs inside a worker process.

    Every failure leaves as an exception: a TunerError for a broken environment, anything else for a failed member.
    """

    def inspect(self, device: str, batch_sizes: list[int]) -> dict[str, Any]:
        """Returns the fields of `ModelFacts` after one real inference."""

    def find_faults(self, device: str) -> list[dict[str, Any]]:
        """Returns every fault of the model and the device, with the key of the study file under `at`."""

    def describe_inputs(self) -> list[dict[str, Any]]:
        """Returns the fields of `InputFacts` for each input, before anything fixes its shape."""

    def unknown_properties(self, device: str, names: list[str]) -> list[str]:
        """Returns those of `names` that the device does not support."""

    def refused_values(self, device: str, settings: Sequence[tuple[str, Any]]) -> list[str]:
        """Returns the device's objection to each property and value; "" for an accepted value."""

    def resolve(self, config: DeploymentConfig) -> Effective:
        """Compiles a configuration and returns what the device reports."""

    def compile(self, config: DeploymentConfig) -> CompiledMember:
        """Compiles a configuration and prepares every request."""

    def start_up(self, config: DeploymentConfig, cache: str | None) -> CompiledMember:
        """Compiles as `compile` and times each step; `cache` is the folder of a model cache."""

    def settle(self, number: int) -> None:
        """Runs every request once and waits until the device has chosen where it runs."""

    def turn(self, number: int, plan: TurnPlan) -> TurnResult:
        """Measures one turn of a member. Raises TooSlow."""

    def release_others(self, keep: int | None) -> None:
        """Releases every member but one."""
