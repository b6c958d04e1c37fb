"""Installs the oldest versions that pyproject.toml allows into a new environment, and tests the package with them.

    python tests/gates/versions.py [--whole] [--newest] [--folder DIR] [pytest option ...]

Each lower bound is installed as it stands there, `numpy>=1.26` as numpy 1.26.0; pip refuses bounds that exclude each
other. The models of `demo` and the tools of the tests are the newest. Without --whole a selection is run that meets
every package: study files, records, Optuna, the command line, and OpenVINO from a compile to a whole study. With
--newest every package is the newest. Takes about 2 min, with --whole as long as the gates.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("pytest", "pytest-xdist", "hypothesis", "starlette", "uvicorn", "gunicorn", "matplotlib")
"""Packages of the extra `dev` that tests import; linters need no second environment."""
MODELS = ("silero-vad==6.2.3", "magika==1.0.3")
"""Packages that carry a model, installed without what they run it with, as on the first page."""
SELECTION = (
    "tests/study",
    "tests/records",
    "tests/search",
    "tests/commands/test_plan.py",
    "tests/deploy/test_apply.py",
    "tests/deploy/test_best_file.py",
    "tests/deploy/test_deployment.py",
    "tests/deploy/test_import.py",
    "tests/bench/backends",
    "tests/report",
    "tests/test_cli.py",
    "tests/test_readme.py::test_a_front_is_measured_shown_picked_from_and_applied",
)
TIMED = "tests/bench/backends/openvino/test_backend.py::test_time_that_depends_on_the_data_is_said"
"""Test of timing, which a busy host fails with any version; the gates run it."""
MARKS = "not host and (openvino or not slow)"


def requirements(extra: str | None = None) -> list[str]:
    """The lines of the dependencies, or of an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return list(project["dependencies"] if extra is None else project["optional-dependencies"][extra])


def lowest(lines: list[str]) -> list[str]:
    """The oldest version that each line allows, as pip takes it. Raises ValueError for a line without a lower bound."""
    found = [re.fullmatch(r"([\w.-]+)>=([\w.]+)", line) for line in lines]
    if wrong := [line for line, match in zip(lines, found, strict=True) if match is None]:
        raise ValueError(f"no plain lower bound: {', '.join(wrong)}")
    return [f"{match[1]}=={match[2]}" for match in found if match is not None]


def tools() -> list[str]:
    return [line for line in requirements("dev") if re.split(r"[=<>~!]", line)[0] in TOOLS]


def run(*words: str | Path) -> None:
    print("$", *words, flush=True)
    subprocess.run([str(word) for word in words], cwd=ROOT, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


def tested(folder: Path, given: argparse.Namespace) -> None:
    """Raises CalledProcessError if the versions do not install together or a test fails."""
    python = folder / "bin/python"
    if not python.exists():
        run(sys.executable, "-m", "venv", folder)
    versions = requirements() if given.newest else lowest(requirements())
    run(python, "-m", "pip", "install", "-q", "-e", ".[demo]", *versions, *tools())
    run(python, "-m", "pip", "install", "-q", "--no-deps", *MODELS)
    run(python, "-m", "pip", "list", "--format=freeze")
    chosen = ["-m", "not host"] if given.whole else ["-m", MARKS, "--deselect", TIMED, *SELECTION]
    run(python, "-m", "pytest", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", *chosen, *given.options)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whole", action="store_true", help="run every test but those of control groups")
    parser.add_argument("--newest", action="store_true", help="the newest versions instead of the oldest")
    parser.add_argument("--folder", type=Path, help="environment to make or to use again; default: a temporary one")
    given, given.options = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="tuner-versions-") as temporary:
        try:
            tested((given.folder or Path(temporary)).resolve(), given)
        except subprocess.CalledProcessError as error:
            print(f"gate failed: {' '.join(map(str, error.cmd))}", flush=True)
            return error.returncode or 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
