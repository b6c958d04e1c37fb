"""What the tests of worker processes share: configurations, and deeds that `backends.py` does when it is asked to."""

from __future__ import annotations

from tests.bench.conftest import config
from tuner.bench.configuration import DeploymentConfig
from tuner.bench.worker.worker_bench import WorkerBench

PATIENCE_S = 30.0
"""How long a member that hangs may seem to measure, where the test is over long before."""
WHOLE = [0, 1, 2]
REFERENCE, GOOD, OTHER = config(), config({"NUM_STREAMS": 2}), config({"NUM_STREAMS": 4})


def doing(deed: str, at: str = "turn", **fields: int) -> DeploymentConfig:
    return config({"DO": deed, "AT": at}, **fields)


def fact(bench: WorkerBench, name: str) -> str:
    return bench.unknown_properties("CPU", [name])[0]
