"""A best.yaml with a `load` in an application: its latency under the same arrivals, beside what the study said.

    python tests/benchmarks/served.py BEST.yaml [--server threaded] [--rounds 6] [--seconds 20]

Requests arrive as in the study (Poisson, or at a constant rate), whether or not earlier ones are answered; latency is
from the intended arrival to the answer. Without --server they go to `Deployment.submit` in this process; with it, over
HTTP to the server of that name in configs/examples, for which the batch size has to be 1. The first round is dropped.
Printed: the percentile of each round, its 95 % t-interval over the rounds, and the value of best.yaml with the interval
of its gain. Exit code 0 if the two intervals meet, 1 if they do not, 4 if the rounds differ too much to tell.
"""

from __future__ import annotations

import argparse
import http.client
import math
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import tuner
from tuner.deploy.best import Best

ROOT = Path(__file__).resolve().parents[2]
CONNECTIONS = 64
WIDEST = 2.0
"""Largest ratio of the ends of an interval that still tells something."""
Ask = Callable[[], "Future[Any]"]


def promised(best: Best) -> tuple[float, float, float, float]:
    """The percentile in question, and the study's value for it in ms with its lowest and highest."""
    limits = [(limit.metric, limit.measured) for limit in best.constraints]
    for metric, value in [(best.objective.metric, best.objective.value), *limits]:
        if found := re.fullmatch(r"latency_p(\d\d)(\d?)_ms", metric):
            percent = float(f"{found[1]}.{found[2] or 0}")
            if best.gain is None or metric != best.objective.metric:
                return percent, value, value, value
            factors = [1 + pct / 100 for pct in (best.gain.estimate_pct, best.gain.low_pct, best.gain.high_pct)]
            return percent, value, value * factors[0] / factors[2], value * factors[0] / factors[1]
    raise SystemExit("best.yaml promises no percentile of a latency: neither its objective nor a limit is one")


def arrivals(pattern: str, rate_per_s: float, seconds: float, seed: int) -> Iterator[float]:
    """Seconds from the start at which requests arrive."""
    rng = np.random.default_rng(seed)
    at = 0.0
    while (at := at + (rng.exponential(1 / rate_per_s) if pattern == "poisson" else 1 / rate_per_s)) < seconds:
        yield at


def latencies_ms(ask: Ask, pattern: str, rate_per_s: float, seconds: float, seed: int) -> list[float]:
    found: list[float] = []
    futures = []
    begin = time.perf_counter()
    for at in arrivals(pattern, rate_per_s, seconds, seed):
        time.sleep(max(0.0, begin + at - time.perf_counter()))
        future = ask()
        future.add_done_callback(lambda _, at=at: found.append(1e3 * (time.perf_counter() - begin - at)))
        futures.append(future)
    for future in futures:
        future.result()
    return found


@contextmanager
def in_process(best: Best) -> Iterator[Ask]:
    with best.compile() as deployment:
        arrays = inputs(best, deployment.batch_size)
        yield lambda: deployment.submit(arrays)


@contextmanager
def over_http(best: Best, path: Path, server: str) -> Iterator[Ask]:
    if best.batch_size != 1:
        raise SystemExit("--server sends one sample a request, but this file was measured with whole batches")
    ((_, array),) = inputs(best, 1).items()
    body, own = array.tobytes(), threading.local()
    command = [sys.executable, str(ROOT / f"configs/examples/{server}_server.py"), str(path), "0"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    with (
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process,
        ThreadPoolExecutor(CONNECTIONS) as pool,
    ):
        assert process.stdout is not None
        try:
            said = (re.search(r"port (\d+)|http://127\.0\.0\.1:(\d+)", line) for line in process.stdout)
            found = next(match for match in said if match)
            port = int(found[1] or found[2])
            threading.Thread(target=process.stdout.read, daemon=True).start()

            def post() -> None:
                if not hasattr(own, "connection"):
                    own.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                own.connection.request("POST", "/", body)
                response = own.connection.getresponse()
                content = response.read()
                assert response.status == 200, content

            post()
            yield lambda: pool.submit(post)
        finally:
            process.terminate()


def inputs(best: Best, batch_size: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {name: rng.random(one.batched_shape(batch_size), np.float32) for name, one in best.inputs.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("best", type=Path, help="a best.yaml whose study had a load")
    parser.add_argument("--server", choices=["threaded", "asyncio", "prefork"], help="over HTTP, to this example")
    parser.add_argument("--rounds", type=int, default=6, help="rounds that count (6)")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of a round (20)")
    given = parser.parse_args()
    best = tuner.load_best(given.best)
    if best.arrivals is None:
        raise SystemExit(f"{given.best} has no load: its requests did not arrive by themselves")
    rate_per_s = best.arrivals.rate_per_s or best.objective.value
    percent, value, lowest, highest = promised(best)
    opened = in_process(best) if given.server is None else over_http(best, given.best, given.server)
    rounds = []
    with opened as ask:
        for seed in range(given.rounds + 1):
            found = sorted(latencies_ms(ask, best.arrivals.pattern, rate_per_s, given.seconds, seed))
            rounds.append(found[math.ceil(percent / 100 * len(found)) - 1])
            print(f"  p{percent:g} {rounds[-1]:.4g} ms of {len(found)} requests", flush=True)
    from scipy.stats import t

    logs = [math.log(one) for one in rounds[1:]]
    spread = t.ppf(0.975, len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    low, middle, high = (math.exp(statistics.fmean(logs) + by) for by in (-spread, 0.0, spread))
    if low > highest or lowest > high:
        verdict, code = "DIFFERS", 1
    elif high > WIDEST * low:
        verdict, code = "cannot tell, give more rounds or a calmer host", 4
    else:
        verdict, code = "agrees", 0
    print(
        f"{best.study}: p{percent:g} {middle:.4g} ms ({low:.4g} to {high:.4g}) at {rate_per_s:g} requests/s; "
        f"the study said {value:.4g} ms ({lowest:.4g} to {highest:.4g}): {verdict}"
    )
    sys.exit(code)


if __name__ == "__main__":
    main()
