"""Every gate, in order of cost: format, lint, types, tests. The first one that fails ends it with its exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GATES = (
    ["ruff", "format", "--check", "."],
    ["ruff", "check", "."],
    ["mypy", "--strict", "tuner"],
    ["pytest", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", "-m", "not host", *sys.argv[1:]],
    ["pytest", "-m", "host", *sys.argv[1:]],
)


def main() -> int:
    for gate in GATES:
        print(f"gate: {' '.join(gate)}", flush=True)
        done = subprocess.run([sys.executable, "-m", *gate], cwd=ROOT, check=False)
        if done.returncode:
            print(f"gate failed: {' '.join(gate)}", flush=True)
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
