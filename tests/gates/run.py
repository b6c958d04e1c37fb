"""Every gate, in order of cost: format, lint, types and control groups, the other tests.

The first stage that fails ends the run with the exit code of its first gate that failed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAGES = (
    (["ruff", "format", "--check", "."],),
    (["ruff", "check", "."],),
    # Types take a core, and control groups mostly wait: together they take as long as one of them.
    (["mypy", "--strict", "tuner"], ["pytest", "-m", "host", *sys.argv[1:]]),
    (["pytest", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", "-m", "not host", *sys.argv[1:]],),
)
"""Gates by stage; those of one stage run at the same time."""


def run(stage: tuple[list[str], ...]) -> list[int]:
    """Returns the exit codes of the gates of a stage. The last one prints as it goes, the others once they end."""
    begun = []
    for gate in stage:
        out = None if gate is stage[-1] else subprocess.PIPE
        begun.append(subprocess.Popen([sys.executable, "-m", *gate], cwd=ROOT, stdout=out, text=True))
        print(f"gate: {' '.join(gate)}", flush=True)
    for process in begun:
        said, _ = process.communicate()
        print(said or "", end="", flush=True)
    return [process.returncode for process in begun]


def main() -> int:
    for stage in STAGES:
        codes = run(stage)
        for gate, code in zip(stage, codes, strict=True):
            if code:
                print(f"gate failed: {' '.join(gate)}", flush=True)
        if any(codes):
            return next(code for code in codes if code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
