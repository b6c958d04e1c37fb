"""The smallest gain that a confirmation of four minutes proves with 80 % power on this host, from A/A sessions.

    python tests/benchmarks/provable.py FOLDER [--sessions 12] [--pairs N] [--seconds S] [--studies NAME ...]

THROUGHPUT beside itself in fresh processes, the longest sessions that a confirmation has, on two CNNs that take turns.
FOLDER/provable.json holds for each the sd between sessions (a log-ratio), the gain that follows and the seconds that
the sessions took. About eight minutes.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from contextlib import ExitStack
from pathlib import Path

from tests.bench.conftest import request_of
from tuner.bench.configuration import DeploymentConfig
from tuner.bench.measurement import Windows
from tuner.bench.metrics import METRICS
from tuner.bench.protocol import SessionPlan
from tuner.bench.worker.worker_bench import WorkerBench
from tuner.evidence.session_cost import WINDOW_S
from tuner.planning.budget import SD_FLOOR
from tuner.planning.confirmation_size import MOST_PAIRS
from tuner.statistics.power import smallest_provable_gain_pct
from tuner.statistics.session_effect import session_value
from tuner.study.file.loader import load_study

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
STUDIES = ("squeezenet-cpu-throughput", "resnet50-cpu-throughput")
HINT = DeploymentConfig(device="CPU", properties={"PERFORMANCE_HINT": "THROUGHPUT"})
ONE_PERCENT = math.log(1.01)


def value(bench: WorkerBench, seed: int, pairs: int, window_s: float) -> float | None:
    plan = SessionPlan(phase="measure", seed=seed, blocks=pairs, window_s=window_s, is_fresh=True)
    one, other = bench.measure(request_of([HINT, HINT], plan)).members
    assert isinstance(one, Windows), one
    assert isinstance(other, Windows), other
    return session_value(METRICS["throughput"], one, other)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the files are written")
    parser.add_argument("--sessions", type=int, default=12, help="A/A sessions of each model (12)")
    parser.add_argument("--pairs", type=int, default=MOST_PAIRS, help=f"pairs of windows in a session ({MOST_PAIRS})")
    parser.add_argument("--seconds", type=float, default=WINDOW_S, help=f"length of a window ({WINDOW_S:g})")
    parser.add_argument(
        "--studies", nargs="+", default=STUDIES, metavar="NAME", help=f"of configs/ ({', '.join(STUDIES)})"
    )
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    values: dict[str, list[float]] = {name: [] for name in given.studies}
    seconds = dict.fromkeys(given.studies, 0.0)
    with ExitStack() as stack:
        benches = {
            name: stack.enter_context(WorkerBench(load_study(CONFIGS / f"{name}.yaml").model)) for name in given.studies
        }
        for i in range(given.sessions):
            for name, bench in benches.items():
                begin = time.perf_counter()
                found = value(bench, i, given.pairs, given.seconds)
                seconds[name] += time.perf_counter() - begin
                if found is not None:
                    values[name].append(found)
    result = {}
    for name, found in values.items():
        sd = math.sqrt(statistics.fmean(v * v for v in found))  # A/A: the mean is known to be 0
        gain = smallest_provable_gain_pct(sd, 12, min_gain_log=ONE_PERCENT, sd_floor=SD_FLOOR * sd)
        result[name] = {
            "sd": sd,
            "gain_pct": gain,
            "sessions": len(found),
            "pairs": given.pairs,
            "seconds": seconds[name],
        }
        print(f"{name}: sd {100 * sd:.1f} %, a gain of {gain:.1f} %; {len(found)} sessions in {seconds[name]:.0f} s")
    (given.folder / "provable.json").write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
