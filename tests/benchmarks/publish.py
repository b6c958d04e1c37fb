"""Everything that is published, remade: results/benchmarks.md with its figures.

    python tests/benchmarks/publish.py FOLDER [--landscapes DIR] [--page]

Runs, in order, what is not yet in FOLDER: the recorded tables (record_tables.py, two passes), the replays on them and
on the landscapes, the audit, the ten real A/A studies, and the side-by-side; then the page. About four hours, on a
host that does nothing else; interrupted, the same command goes on. `--page` only remakes the page from what is there.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from page import RESULTS, SAMPLE, STRATEGIES, TABLES, write_page

from tuner.bench.simulated.table import write_table
from tuner.replay.recorded_table import read_recorded

HERE = Path(__file__).resolve().parent
NULL_STUDIES = {"recorded": "400", "noisy": "400", "quiet": "2000"}
"""Number of A/A studies by noise, for each table of the VM and each kind of server."""

NULL_STUDY_WORDS = ("--minutes", "5", "--studies", "1", "--strategies", "random", "--null-studies")

SHORT = {"noisy": 150, "quiet": 400}
"""Number of studies of two minutes by noise, which count deployed configurations that are worse than the baseline.

To show at most 0.2 and 0.1 % takes 1500 and 3000 studies, with those of ten minutes.
"""


def run(*words: str) -> None:
    subprocess.run([sys.executable, *words], check=True)


def replayed(out: Path, *words: str) -> None:
    """`tuner replay`, its JSON into a file, once."""
    if not out.exists():
        done = subprocess.run(
            [sys.executable, "-m", "tuner", "replay", *words, "--json"], check=True, stdout=subprocess.PIPE
        )
        out.write_bytes(done.stdout)


def make_tables(folder: Path) -> None:
    (RESULTS / "tables").mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        write_table(RESULTS / "tables" / f"{name}.csv", read_recorded(folder / "tables" / name))


def measure(folder: Path, landscapes: Path) -> None:
    run(str(HERE / "record_tables.py"), str(folder / "tables"))
    make_tables(folder)
    replay(folder, landscapes)
    if not (folder / "audit.json").exists():
        run(str(HERE / "audit.py"), str(folder))
    if not (folder / "provable.json").exists():
        run(str(HERE / "provable.py"), str(folder))
    run(str(HERE / "null_studies.py"), str(folder))
    run(str(HERE / "side_by_side.py"), "--results", str(folder / "side"))


def replay(folder: Path, landscapes: Path) -> None:
    for name in TABLES:
        table = str(RESULTS / "tables" / f"{name}.csv")
        replayed(
            folder / f"replay-{name}.json", table, "--studies", "12", "--strategies", STRATEGIES, "--null-studies", "0"
        )
        replayed(folder / f"null-studies-{name}.json", table, *NULL_STUDY_WORDS, NULL_STUDIES["recorded"])
    servers = sorted(landscapes.glob("*.csv.gz"))
    for noise in ("quiet", "noisy"):
        replayed(
            folder / f"null-studies-{noise}.json",
            str(servers[0]),
            "--noise",
            noise,
            *NULL_STUDY_WORDS,
            NULL_STUDIES[noise],
        )
        for path in servers:
            name, table = path.name.split(".")[0], (str(path), "--noise", noise, "--null-studies", "0")
            words, rows = (*table, "--minutes", "10"), ("--rows", str(SAMPLE))
            hasty = (*table, *rows, "--minutes", "2", "--strategies", "auto", "--studies", str(SHORT[noise]))
            replayed(folder / f"replay-{name}-{SAMPLE}-{noise}-hasty.json", *hasty)
            for names, count in (("auto", 20), (STRATEGIES.removeprefix("auto,"), 6)):
                which = ("--strategies", names, "--studies", str(count))
                replayed(folder / f"replay-{name}-{noise}-{count}.json", *words, *which)
            raced = (*words, *rows, "--strategies", "auto", "--studies", "100")
            replayed(folder / f"replay-{name}-{SAMPLE}-{noise}-100.json", *raced)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="what is there already, and what is added")
    parser.add_argument(
        "--landscapes", type=Path, default=HERE.parents[2] / "shared" / "landscapes", help="tables of made-up servers"
    )
    parser.add_argument("--page", action="store_true", help="only make the page again")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if not given.page:
        measure(given.folder, given.landscapes)
    write_page(given.folder)


if __name__ == "__main__":
    main()
