"""Times what one trial costs the search itself: propose and tell, wall time, nothing in between.

    python tests/benchmarks/ask_tell.py [trials]

Printed at 50, 500 and 2000 trials, over the last 40 trials before each, for five parameters; then what the Gaussian
process takes to choose among the 3888 points of the space after as many, and what resuming takes. Targets: 50 ms at
500, 100 ms at 2000, and 3 s for resuming 2000 trials.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tuner.bench.value import Value
from tuner.search.database.study_database import StudyDatabase
from tuner.search.expected_improvement import Model, Observation
from tuner.search.optuna_study import Search
from tuner.study.space import Parameter, Space
from tuner.study.trial import FinishedTrial

SPACE = Space(
    parameters=(
        Parameter(name="NUM_STREAMS", values=(1, 2, 4, 8, 16, 32)),
        Parameter(name="INFERENCE_NUM_THREADS", values=(1, 2, 4, 8, 16, 32)),
        Parameter(name="ENABLE_CPU_PINNING", values=(True, False)),
        Parameter(name="batch_size", values=(1, 2, 4, 8, 16, 32)),
        Parameter(name="infer_requests", values=(1, 2, 4, 8, 16, 32, 64, 128, 256)),
    )
)
RECORD = {"key": "0123456789abcdef", "windows": [{"duration_s": 0.4, "samples": 1234 + i} for i in range(12)]}
LAST = 40
"""Number of trials before each count whose times are printed."""


def log_ratio(point: Mapping[str, Value]) -> float:
    """A smooth hill with its top at 8 streams, 16 threads, batch 4, 32 requests."""
    tops = {"NUM_STREAMS": 8, "INFERENCE_NUM_THREADS": 16, "batch_size": 4, "infer_requests": 32}
    numbers = {name: value for name, value in point.items() if isinstance(value, int)}
    return -0.05 * sum((math.log2(numbers[name]) - math.log2(top)) ** 2 for name, top in tops.items())


def search_in(path: Path) -> Search:
    database = StudyDatabase(path=path, name="ask-tell", metrics=("throughput",), tell=print)
    return Search(space=SPACE, sampler="tpe", seed=0, database=database)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trials", type=int, nargs="?", default=2000, help="number of trials (2000)")
    trials = parser.parse_args().trials
    costs_ms: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.db"
        with search_in(path) as search:
            search.restore([])
            for number in range(1, trials + 1):
                started_s = time.perf_counter()
                proposal = search.propose()
                search.tell(
                    proposal.number,
                    value=log_ratio(proposal.assignment),
                    constraints={"latency_p99_ms": -1.0},
                    record=RECORD,
                )
                costs_ms.append(1000 * (time.perf_counter() - started_s))
                if number in (50, 500, 2000):
                    last = sorted(costs_ms[-LAST:])
                    p95 = last[math.ceil(0.95 * LAST) - 1]
                    print(f"{number:5} trials: median {statistics.median(last):5.1f} ms, p95 {p95:5.1f} ms", flush=True)
            told = search.trials()
        known = [FinishedTrial(number=t.number, assignment=t.assignment, value=t.value, record=t.record) for t in told]
        started_s = time.perf_counter()
        with search_in(path) as search:
            search.restore(known)
            opened_s = time.perf_counter() - started_s
        points = {str(i): point for i, point in enumerate(SPACE.assignments())}
        chosen = list(points.values())[:: max(1, len(points) // trials)]
        seen = [Observation(point=point, value=log_ratio(point), sd=0.02) for point in chosen]
        model = Model(SPACE, points, seed=0)
        for count in (50, 500, 2000):
            last = []
            for _ in range(10):
                begin_s = time.perf_counter()
                model.batch(seen[:count], points, n=6)
                last.append(1000 * (time.perf_counter() - begin_s))
            print(f"{count:5} trials: six are chosen in {statistics.median(last):.1f} ms, at most {max(last):.1f} ms")
        print(f"restored with {trials} trials in {opened_s:.2f} s, {path.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
