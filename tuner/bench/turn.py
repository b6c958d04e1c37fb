"""The plan and the result of one turn of one member, as they travel to a worker process and back.

Responsible for values that can be written as JSON. Must not import a module that measures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from tuner.bench.measurement import Arrivals, HostActivity, OpenLoopStats, Window

FEWEST_CYCLES = 4
"""Number of cycles of all requests that a window of a closed loop holds at least (tuner/README.md)."""


class TooSlow(Exception):
    """Raised for a member that completes too few requests in the longest window allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnPlan:
    """Durations of one turn in seconds and, for an open loop, its arrivals."""

    window_s: float
    """Seconds of the counted part."""
    drop_s: float = 0.0
    """Seconds before the counted part that do not count."""
    max_s: float = 0.0
    """Longest counted part of a closed loop, for a member that needs more than `window_s` for four cycles."""
    tail_s: float = 0.0
    """Seconds for which a closed loop continues after a window that several replicas share; 0 for one process."""
    begin_at_s: float | None = None
    """Time of the system's monotonic clock at which several processes begin together. None: at once."""
    arrivals: Arrivals | None = None
    """Arrivals of an open loop. None: closed loop."""
    drain_s: float = 0.0
    """Longest time after the window of an open loop in which waiting requests are still served."""
    callers: int | None = None
    """Number of synchronous callers. None: one for each request of a member that is called synchronously."""

    def to_json(self) -> dict[str, Any]:
        """Returns the plan as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Returns the plan that `to_json` turned into `content`."""
        arrivals = content["arrivals"]
        return cls(**{**content, "arrivals": None if arrivals is None else Arrivals(**arrivals)})


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnResult(HostActivity):
    """Measured fields of one `Window`; the fields of the same name are documented there."""

    duration_s: float
    samples: int
    latency_counts: Mapping[int, int]
    latency_sum_ms: float
    cpu_s: float | None = None
    peak_memory_bytes: int | None = None
    energy_j: float | None = None
    compile_s: float | None = None
    load_s: float | None = None
    first_inference_s: float | None = None
    load_cached_s: float | None = None
    arrivals: int = 0
    """Number of arrivals in the window of an open loop; this and the next three fields are those of `OpenLoopStats`."""
    waiting: int = 0
    unserved: int = 0
    lag_p99_ms: float = 0.0

    @property
    def rate_per_s(self) -> float:
        """Samples per second."""
        return self.samples / self.duration_s

    def window(
        self,
        *,
        block: int,
        turn: int,
        started_s: float,
        served: OpenLoopStats | None = None,
        callers: int | None = None,
    ) -> Window:
        """Returns the window with its position in the session."""
        measured = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _OPEN_LOOP}
        return Window(block=block, turn=turn, started_s=started_s, served=served, callers=callers, **measured)

    def to_json(self) -> dict[str, Any]:
        """Returns the result as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Returns the result that `to_json` turned into `content`; JSON has made the buckets text."""
        counts = {int(bucket): n for bucket, n in content["latency_counts"].items()}
        return cls(**{**content, "latency_counts": counts})


_OPEN_LOOP = ("arrivals", "waiting", "unserved", "lag_p99_ms")
