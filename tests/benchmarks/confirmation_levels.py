"""Computes the one-sided levels of the confirmation's looks by simulation, and their Monte-Carlo error.

Prints the table `ALPHA_PER_LOOK` of tuner/statistics: python tests/benchmarks/confirmation_levels.py [studies]

A study without any gain is twelve standard normal session values; a look after n of them is a one-sample t test with
p-value p_n. With the same level at every look, a study is a false positive if the smallest p_n of its looks is below
the level: so the level for an error is that quantile of the smallest p-value. Both tails are counted, by symmetry.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr

from tuner.statistics.distributions import t_quantile
from tuner.statistics.sequential_test import BASELINE_SHARE, FIRST_ALPHA, LATER_ALPHA, SESSIONS

Floats = npt.NDArray[np.float64]

CHECK_SHARE = 0.025
SPLIT = (1.0 - BASELINE_SHARE, BASELINE_SHARE)
"""Shares of an attempt's alpha for its winner, and for the strongest baseline against today's."""
SHARES = (
    CHECK_SHARE,
    FIRST_ALPHA,
    *(LATER_ALPHA / 2.0**r for r in (1, 2, 3, 4)),
    *(share * alpha for alpha in (FIRST_ALPHA, LATER_ALPHA / 2.0, LATER_ALPHA / 4.0) for share in SPLIT),
)
CHUNK = 50_000
"""Number of studies at a time; their p-values stay in the processor's cache."""
KEEP_BELOW = 0.03
"""Largest p-value that is kept; larger ones do not matter for the largest error, and would not fit in memory."""


def smallest_p(values: Floats) -> Iterator[Floats]:
    """Yields each study's smallest p-value so far on either side, for 1, 2, 3 and 4 looks: shape [2, studies].

    A p-value that is not below KEEP_BELOW counts as 1.0. `values` has the shape [studies, 12].
    """
    smallest = np.ones((2, len(values)))
    total, squares = np.zeros(len(values)), np.zeros(len(values))
    columns = iter(np.ascontiguousarray(values.T))
    for n, more in zip(SESSIONS, np.diff(SESSIONS, prepend=0), strict=True):
        for x in islice(columns, int(more)):
            total += x
            squares += x * x
        t = total / np.sqrt(n / (n - 1) * (squares - total * total / n))
        for p, one_sided in zip(smallest, (t, -t), strict=True):
            (found,) = np.nonzero(one_sided > t_quantile(1.0 - KEEP_BELOW, n - 1))
            p[found] = np.minimum(p[found], stdtr(n - 1, -one_sided[found]))
        yield smallest


def simulate(studies: int, seed: int) -> list[Floats]:
    """Returns the smallest p-values below KEEP_BELOW, sorted, for each number of looks: two of each study at most."""
    rng = np.random.default_rng(seed)
    kept: list[list[Floats]] = [[] for _ in SESSIONS]
    for start in range(0, studies, CHUNK):
        values = rng.standard_normal((min(CHUNK, studies - start), SESSIONS[-1]))
        for found, p in zip(kept, smallest_p(values), strict=True):
            found.append(p[p < KEEP_BELOW])
    return [np.sort(np.concatenate(found)) for found in kept]


def level_and_error(p: Floats, share: float, studies: int) -> tuple[float, float]:
    """Returns the `share`-quantile of the p-values of 2 * `studies` tails, and its standard error."""
    n = 2 * studies
    rank = share * n
    spread = np.sqrt(rank * (1.0 - share))
    low, middle, high = (float(p[min(len(p), max(1, round(r))) - 1]) for r in (rank - spread, rank, rank + spread))
    return middle, (high - low) / 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", type=float, nargs="?", default=2e7, help="simulated studies (2e7)")
    studies = int(parser.parse_args().studies)
    found = simulate(studies, seed=20)
    print(f"{studies} studies, both tails; level +- standard error, for looks after")
    print("share        " + "".join(f"{', '.join(map(str, SESSIONS[: i + 1])):<24}" for i in range(len(SESSIONS))))
    for share in SHARES:
        cells = [level_and_error(p, share, studies) for p in found]
        print(f"{share:<13.7f}" + "".join(f"{f'{a:.7f} +- {e:.7f}':<24}" for a, e in cells))


if __name__ == "__main__":
    main()
