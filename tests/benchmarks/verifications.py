"""Simulates verifications: how often is a kept promise called broken, and how often is a real loss found?

    python tests/benchmarks/verifications.py [--runs 1000] [--minutes 4] [--seed 0] [--levels 0]
    python tests/benchmarks/verifications.py --real BEST.yaml [--runs 20] [--minutes 4]

Every run is a `tuner verify` in virtual time, on the made-up bench with the noise of the tests: `quiet` (1 % a window
of a second, compiles 0.3 %) and `noisy` (3 %, compiles 1 %), both with drift and heavy tails. `nothing changed`: the
file is made by a confirmation of four to twelve sessions with the same truth. `exactly kept`: the promise is the truth
itself, the worst case of a false alarm. `limit exactly kept`: so is an absolute limit on a latency. `loss`: the truth
is 5 % below the promise. Both bounds of a share are 95 %, one-sided (Clopper and Pearson). 1000 runs take about ten
minutes. `--levels N` simulates N sequences of looks and prints the alphas of the table in
tuner/statistics/verification_test.py.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from scipy.special import stdtr

sys.path.append(str(Path(__file__).resolve().parents[2]))

from tests.verifications import KINDS, counted, share_bounds
from tuner.statistics.verification_test import ALARM_ALPHA, HOLD_ALPHA, LOOKS, Answer

CHUNK = 20_000
"""Number of sequences of looks at a time."""


def levels(sequences: int) -> None:
    """Prints the one-sided alpha of each look for both alphas, with its Monte-Carlo error; both tails are counted."""
    rng, kept = np.random.default_rng(20), []
    for start in range(0, sequences, CHUNK):
        values = rng.standard_normal((LOOKS[-1], min(CHUNK, sequences - start)))
        sums, squares = np.cumsum(values, axis=0), np.cumsum(values**2, axis=0)
        smallest = np.ones((2, values.shape[1]))
        for n in LOOKS:
            t = sums[n - 1] / np.sqrt(n / (n - 1) * (squares[n - 1] - sums[n - 1] ** 2 / n))
            smallest = np.minimum(smallest, stdtr(n - 1, -np.stack((t, -t))))
        kept.append(smallest[smallest < 2 * HOLD_ALPHA])
    p, tails = np.sort(np.concatenate(kept)), 2 * sequences
    for alpha in (ALARM_ALPHA, HOLD_ALPHA):
        rank, spread = alpha * tails, math.sqrt(alpha * tails * (1 - alpha))
        low, middle, high = (p[min(len(p), max(1, round(r))) - 1] for r in (rank - spread, rank, rank + spread))
        print(f"alpha {alpha:g}: {middle:.6f} +- {(high - low) / 2:.6f} at each of {len(LOOKS)} looks")


def real(best: str, runs: int, minutes: float) -> None:
    """Runs `tuner verify` in earnest, one after the other, and prints how often each answer came."""
    found: Counter[str] = Counter()
    names = {0: Answer.HOLDS, 1: Answer.DOES_NOT_HOLD, 4: Answer.CANNOT_TELL}
    for run in range(runs):
        words = [sys.executable, "-m", "tuner", "verify", best, "--minutes", f"{minutes:g}", "--wait"]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode not in names:
            raise SystemExit(done.returncode)
        found[names[done.returncode].value] += 1
        print(f"run {run + 1}: {done.stdout.splitlines()[0]}", flush=True)
    print(f"{', '.join(f'{answer.value} {found[answer.value]}' for answer in Answer)} of {runs} real verifications")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000, help="simulated verifications of each kind on each host")
    parser.add_argument("--minutes", type=float, default=4.0, help="longest time of a verification, in virtual minutes")
    parser.add_argument("--seed", type=int, default=0, help="of the first verification")
    parser.add_argument("--levels", type=int, default=0, help="print the alphas from so many sequences, and stop")
    parser.add_argument("--real", metavar="BEST.yaml", help="verify this file on this host instead, --runs times")
    given = parser.parse_args()
    if given.real:
        real(given.real, given.runs, given.minutes)
        return
    if given.levels:
        levels(given.levels)
        return
    print(f"{given.runs} verifications of at most {given.minutes:g} min each; share with one-sided 95 % bounds")
    for host in ("quiet", "noisy"):
        for kind in KINDS:
            found, spent = counted(kind, host, given.runs, given.minutes, given.seed)
            total = sum(found.values())
            low, high = share_bounds(found[Answer.DOES_NOT_HOLD], total)
            words = ", ".join(f"{answer.value} {found[answer]}" for answer in Answer)
            print(
                f"{host}, {kind}: {words} of {total}; does_not_hold {low:.2%} to {high:.2%}; {spent:.1f} min (median)",
                flush=True,
            )


if __name__ == "__main__":
    main()
