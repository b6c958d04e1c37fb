from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import tuner
from tuner.deploy.best import Best
from tuner.deploy.best_file import write_best

ROOT = Path(__file__).parents[2]


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_loads_nothing_else() -> None:
    loaded = run(
        "import sys; before = set(sys.modules); import tuner;"
        "print(sorted(set(sys.modules) - before - {'tuner', '__future__'}))"
    )
    assert loaded.strip() == "[]"


def test_loading_needs_neither_openvino_nor_numpy() -> None:
    run(
        "import sys, tuner; tuner.load_best('tests/deploy/golden/best-v1.yaml');"
        "heavy = {'openvino', 'numpy', 'optuna', 'pydantic', 'asyncio', 'concurrent.futures', 'ctypes'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )


@pytest.mark.openvino
def test_an_application_compiles_without_the_packages_of_the_search(
    make_best: Callable[..., Best], tmp_path: Path
) -> None:
    write_best(tmp_path / "best.yaml", make_best())
    blocked = ("optuna", "pydantic", "typer", "rich", "psutil", "sqlalchemy")
    run(
        "import sys\n"
        f"for name in {blocked!r}: sys.modules[name] = None\n"
        "import tuner\n"
        f"deployment = tuner.load_best({str(tmp_path / 'best.yaml')!r}).compile(strict=True)\n"
        "with deployment.infer_queue() as queue: assert len(queue) == 2\n"
        "others = ('tuner.study', 'tuner.bench', 'tuner.report', 'tuner.cli')\n"
        "loaded = [name for name in sys.modules if name.startswith(others)]\n"
        "assert not loaded, loaded\n"
    )


def test_another_name_is_an_error() -> None:
    assert tuner.__version__ == "0.1.0"
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = tuner.nonsense
