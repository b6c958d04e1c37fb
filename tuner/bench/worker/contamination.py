"""Members that contaminate their process: configurations compiled after them in the same process fail.

Responsible for the known ones. Must not import processes.
"""

from __future__ import annotations

from tuner.bench.configuration import DeploymentConfig, Failure, FailureKind

CONTAMINATING = ("ENABLE_CPU_RESERVATION",)
"""Properties after which later compiles in the same process fail (tuner/README.md); they need their own process."""


def contaminates_process(config: DeploymentConfig) -> bool:
    """Returns True if the configuration is known to contaminate its process."""
    return any(str(config.properties.get(name, "")).upper() in ("TRUE", "YES", "1") for name in CONTAMINATING)


def contamination(failure: Failure) -> Failure:
    """Returns the failure of a member after which a later compile failed with `failure`."""
    message = f"spoils its process: a later compile there fails with: {failure.message}"
    return Failure(kind=FailureKind.CRASH, message=message)
