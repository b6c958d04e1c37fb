"""Whole studies with the figures they are held to, each at its own budget, in fresh results folders.

    python tests/benchmarks/studies.py [--results DIR] [--minutes M] [name ...]

Names: quickstart, voice-activity, resnet50. Printed for each: verdict, confirmed gain with its interval, trials, wall
time, and the tuner's own share of the search phase (everything that is not starting, compiling, warming up, draining
or timing a member; enumeration the space is counted in it, although that is mostly compiling).
resnet50 runs twice: the second run must not refute a claim of the first.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tuner.records.session_log import read_log

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
STUDIES = {
    "quickstart": ("quickstart", 1, "gain over THROUGHPUT above 25 %"),
    "voice-activity": ("voice-activity-cpu-throughput", 1, "gain above 40 % in 5 min"),
    "resnet50": ("resnet50-cpu-throughput", 2, "verdict baseline, or a gain below 5 % that no second run refutes"),
}


def overhead(folder: Path) -> float:
    """Returns the share of the search phase that sessions did not spend on their members.

    The phase lasts from the end of baselines and calibration to the end of the last trial.
    """
    log = read_log(folder / "sessions.jsonl")
    if not (trials := log.sessions("search", "race")):
        return float("nan")
    before = log.sessions("baselines", "calibration")[-1].session
    begin = before.started_unix_s + before.wall_s
    end = trials[-1].session.started_unix_s + trials[-1].session.wall_s
    spent = sum(line.session.costs.total_s for line in trials)
    return 1.0 - spent / (end - begin)


def run(config: str, results: Path, minutes: float | None) -> dict[str, object]:
    begin = time.perf_counter()
    words = [
        sys.executable,
        "-m",
        "tuner",
        "run",
        str(CONFIGS / f"{config}.yaml"),
        "--results",
        str(results),
        "--no-record",
        "--json",
    ]
    words += [] if minutes is None else ["--minutes", f"{minutes:g}"]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    return {**json.loads(done.stdout), "wall_s": time.perf_counter() - begin}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(STUDIES), metavar="name", help=f"{', '.join(STUDIES)} (all)")
    parser.add_argument("--results", type=Path, metavar="DIR", help="where the studies are written (a new folder)")
    parser.add_argument("--minutes", type=float, metavar="M", help="budget of each study, instead of its own")
    given = parser.parse_args()
    results = given.results or Path(tempfile.mkdtemp())
    for name in given.names:
        config, runs, target = STUDIES[name]
        for i in range(runs):
            folder = results / str(i + 1)
            found = run(config, folder, given.minutes)
            trials = len(read_log(folder / config / "sessions.jsonl").sessions("search", "race"))
            gain = found["gain"]
            words = "no gain claimed"
            if isinstance(gain, dict):
                words = f"{gain['estimate_pct']:+.1f} % ({gain['low_pct']:+.1f} to {gain['high_pct']:+.1f})"
            print(
                f"{name}, run {i + 1}: {found['verdict']}, {words} over {found['reference']}; "
                f"{trials} search sessions, {found['wall_s']:.0f} s; own share of the search "
                f"{100 * overhead(folder / config):.1f} % (target 5 %); target: {target}; reason: {found['reason']}",
                flush=True,
            )


if __name__ == "__main__":
    main()
