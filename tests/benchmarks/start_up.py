"""Times the start: `tuner --help`, and `import tuner` beyond the interpreter, each the median of several runs.

    python tests/benchmarks/start_up.py [--runs 15]

Targets: 0.4 s and 30 ms, and no openvino in memory after either.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time


def seconds(*words: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15, help="starts of each kind (15)")
    runs = parser.parse_args().runs
    helps = [seconds("-m", "tuner", "--help") for _ in range(runs)]
    extra = [seconds("-c", "import tuner") - seconds("-c", "pass") for _ in range(runs)]
    print(f"tuner --help: {statistics.median(helps):.3f} s ({min(helps):.3f} to {max(helps):.3f}), target 0.4 s")
    print(
        f"import tuner: {1e3 * statistics.median(extra):.1f} ms beyond the interpreter "
        f"({1e3 * min(extra):.1f} to {1e3 * max(extra):.1f}), target 30 ms"
    )
    check = "import sys, tuner, tuner.cli; print('openvino' in sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True).stdout.strip()
    print(f"openvino imported by then: {loaded}, target False")


if __name__ == "__main__":
    main()
