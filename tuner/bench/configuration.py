"""Values that say what is deployed: configurations, conditions, effective configurations and failures.

Every value is frozen and can be written as JSON. Must not import OpenVINO or Optuna.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

PropertyValue = str | int | float | bool

Api = Literal["async", "sync"]

Calls = Literal["async", "sync", "by_requests"]
"""Way in which an application calls a configuration.

`by_requests` calls one request synchronously and several requests asynchronously. It serves configurations whose number
of requests is known only after compiling.
"""

Affinity = Literal["shared", "split"]
"""CPUs of the replicas: all replicas share the same CPUs, or each replica has a part of its own."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DeploymentConfig:
    """One complete choice of device, properties, batch size, requests and processes.

    Two configurations are equal if their `key`s are equal; `1` and `True` differ. The class has no slots because `key`
    is computed once and cached: it is read in every comparison and every dictionary.
    """

    device: str
    properties: Mapping[str, PropertyValue] = field(default_factory=dict)
    batch_size: int = 1
    infer_requests: int | None = None
    """Number of requests in flight. None: the number that the compiled model suggests."""
    api: Calls = "async"
    variant: str = "default"
    replicas: int = 1
    """Number of identical processes that serve at the same time."""
    affinity: Affinity = "shared"

    @cached_property
    def key(self) -> str:
        """Canonical JSON of every field: the identity of the request, not of what the device makes of it."""
        return json.dumps(
            {
                "device": self.device,
                "properties": dict(self.properties),
                "batch_size": self.batch_size,
                "infer_requests": self.infer_requests,
                "api": self.api,
                "variant": self.variant,
                "replicas": self.replicas,
                "affinity": self.affinity,
            },
            sort_keys=True,
        )

    @property
    def properties_key(self) -> str:
        """Canonical JSON of the fields that decide what the device reports, whatever the batch and the requests."""
        return json.dumps([self.device, dict(self.properties), self.variant], sort_keys=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DeploymentConfig) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        words = [f"{name}={value}" for name, value in sorted(self.properties.items())]
        words.append(f"batch_size={self.batch_size}")
        if self.infer_requests is not None:
            words.append(f"infer_requests={self.infer_requests}")
        if self.replicas > 1:
            words += [f"replicas={self.replicas}", f"affinity={self.affinity}"]
        return " ".join(words)


def api_of(calls: Calls, requests: int) -> Api:
    """Returns the API that `calls` means with `requests` requests in flight."""
    if calls == "by_requests":
        return "sync" if requests == 1 else "async"
    return calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Resources that the deployment gives a model, and its background load. None: those of this process."""

    cpus: float | None = None
    """CPU quota of each replica, in CPUs."""
    cpuset: tuple[int, ...] | None = None
    """Numbers of the CPUs that the replicas share or split."""
    memory_bytes: int | None = None
    """Memory limit of each replica."""
    replicas: int = 1
    background: str | None = None
    """Shell command that runs on the host during every measurement."""

    @property
    def has_limits(self) -> bool:
        """True if the limits need control groups."""
        return self.cpus is not None or self.memory_bytes is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """Effective configuration: what the device made of a request. `key` is its identity.

    `properties` holds the values that the compiled model reports, as strings, without properties that only report. A
    property that cannot be read back has the requested value.
    """

    properties: Mapping[str, str]
    batch_size: int
    infer_requests: int
    api: Api = "async"
    variant: str = "default"
    replicas: int = 1
    affinity: Affinity = "shared"

    @classmethod
    def of(cls, config: DeploymentConfig, properties: Mapping[str, str], *, suggested: int) -> Effective:
        """Returns the effective configuration of `config` on a device that reports `properties`.

        If `config` names no number of requests, synchronous calls have one and others have `suggested`.
        """
        requests = config.infer_requests or (1 if config.api == "sync" else suggested)
        return cls(
            properties=properties,
            batch_size=config.batch_size,
            infer_requests=requests,
            api=api_of(config.api, requests),
            variant=config.variant,
            replicas=config.replicas,
            affinity=config.affinity,
        )

    @property
    def key(self) -> str:
        """16 hexadecimal digits that are equal for equal effective configurations."""
        content = [sorted(self.properties.items()), self.batch_size, self.infer_requests, self.api, self.variant]
        if self.replicas > 1:
            content += [self.replicas, self.affinity]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


class FailureKind(enum.StrEnum):
    """Stage or resource at which a configuration failed."""

    COMPILE = "compile"
    RUNTIME = "runtime"
    TIMEOUT = "timeout"
    CRASH = "crash"
    MEMORY = "memory"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Reason why a configuration cannot be used, as data. `message` is one line."""

    kind: FailureKind
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"
