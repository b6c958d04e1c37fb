"""Simulated verifications in virtual time, for tests and for `tests/benchmarks/verifications.py`."""

from __future__ import annotations

import math
import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import beta

from tests.virtual import Virtual, by_streams, disturbances, make_study, quiet
from tuner.bench.configuration import DeploymentConfig
from tuner.bench.metrics import METRICS
from tuner.bench.simulated.synthetic import Effect, SyntheticBench
from tuner.decision.verification import Promise, read_verification
from tuner.phases.runner import SessionRunner
from tuner.phases.verification import Verified, measure_session, verify_sessions
from tuner.statistics.sequential_test import FIRST_ALPHA, SESSIONS, alpha_per_look, interval
from tuner.statistics.verification_test import TOLERANCE_PCT, Answer
from tuner.study.study import Limit

TUNED = DeploymentConfig(device="CPU", properties={"NUM_STREAMS": 4}, infer_requests=4)
BASELINE = DeploymentConfig(device="CPU", properties={}, infer_requests=4)
GAIN = 1.3
"""True speed of the configuration over its baseline."""
TOLERANCE = -math.log1p(-TOLERANCE_PCT / 100)
KINDS = ("nothing changed", "exactly kept", "limit exactly kept", "loss")
TRUE_P90_MS = 1.1 * 4 / GAIN
"""Latency of the slowest of four requests in flight, at 1000 samples/s for the baseline."""


def effects_of(host: str, seed: int) -> list[Effect]:
    """Returns the disturbances of a host; none of them knows those of another seed."""
    found = quiet if host == "quiet" else disturbances
    noise, drift, compiling = found()
    more = disturbances(seed)
    for one, other in zip(more, (noise, drift, compiling), strict=True):
        one.sd = other.sd  # type: ignore[attr-defined]
    return more


def runner_of(effects: Sequence[Effect], true_gain: float, folder: Path) -> SessionRunner:
    """Returns a runner on a made-up host where the configuration has this true speed over its baseline."""
    bench = SyntheticBench(surface=by_streams(s4=1000.0 * true_gain, s0=1000.0), effects=effects)
    virtual = Virtual(folder=folder, study=make_study(), bench=bench)
    virtual.log_path.unlink(missing_ok=True)
    return virtual.runner()


def promise_of(required: float | None, *limits: Limit) -> Promise:
    """Returns the promise of a gain in throughput (log-ratio)."""
    return Promise(metric=METRICS["throughput"], required=required, tolerance=TOLERANCE, limits=limits)


def confirmed_low(host: str, seed: int, folder: Path) -> float | None:
    """Returns the lower bound (log-ratio) that a confirmation writes into a file; None if it proves nothing."""
    count = random.Random(seed).choice(SESSIONS)
    runner, promise = runner_of(effects_of(host, seed), GAIN, folder), promise_of(0.0)
    sessions = [measure_session(runner, TUNED, BASELINE, promise) for _ in range(count)]
    values = read_verification(promise, sessions).values
    low = interval(values, alpha_per_look(count, FIRST_ALPHA)).low
    return low if low > 0.0 else None


def simulated(kind: str, host: str, seed: int, minutes: float, folder: Path) -> Verified | None:
    """Returns the end of one verification; None if there was no file to verify."""
    required: float | None = math.log(GAIN)
    if kind == "nothing changed":
        required = confirmed_low(host, 10**6 + 17 * seed, folder)
        if required is None:
            return None
    true_gain = GAIN * (1 - TOLERANCE_PCT / 100) if kind == "loss" else GAIN
    runner = runner_of(effects_of(host, 31 * seed), true_gain, folder)
    limits = (Limit(metric="latency_p90_ms", max=TRUE_P90_MS),) if kind.startswith("limit") else ()
    return verify_sessions(runner, TUNED, BASELINE, promise_of(required, *limits), minutes)


def share_bounds(count: int, runs: int) -> tuple[float, float]:
    """Returns the one-sided 95 % bounds of a share (Clopper and Pearson)."""
    low = float(beta.ppf(0.05, count, runs - count + 1)) if count else 0.0
    return low, float(beta.ppf(0.95, count + 1, runs - count)) if count < runs else 1.0


def counted(kind: str, host: str, runs: int, minutes: float, seed: int) -> tuple[Counter[Answer], float]:
    """Returns how often each answer was given, and the median minutes."""
    found: Counter[Answer] = Counter()
    spent: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(seed, seed + runs):
            done = simulated(kind, host, number, minutes, Path(folder))
            if done is not None:
                found[done.verification.answer] += 1
                spent.append(done.spent_s / 60)
    return found, float(np.median(spent)) if spent else math.nan
