"""Members that spoil their process for the ones compiled after them: which are known to, and one that was found to.

Knows configurations and failures; not processes.
"""

from __future__ import annotations

from tuner.bench.protocol import DeploymentConfig, Failure, FailureKind

SPOILING = ("ENABLE_CPU_RESERVATION",)
"""Properties after which later compiles in the same process fail (openvino.md): such a member gets its own process."""


class Spoiled(Exception):
    """A compile failed only because of what its process had compiled before: `by` gets the failure."""

    def __init__(self, by: DeploymentConfig, failure: Failure) -> None:
        super().__init__(str(failure))
        self.by = by
        message = f"spoils its process: a later compile there fails with: {failure.message}"
        self.failure = Failure(kind=FailureKind.CRASH, message=message)


def spoils(config: DeploymentConfig) -> bool:
    """Whether this one is known to."""
    return any(str(config.properties.get(name, "")).upper() in ("TRUE", "YES", "1") for name in SPOILING)
