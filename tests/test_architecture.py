"""Which module may import which, read off the source: the order of tuner/README.md, and the exceptions to it."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "tuner"
FILES = sorted(ROOT.rglob("*.py"))
ALLOWED = {
    "cli": {"study", "report", "deploy", "errors", "__version__"},
    "study": {"bench", "model", "yaml_text", "atomic_write", "errors", "__version__"},
    "bench": {"model", "errors"},
    "model": {"errors"},
    "deploy": {"model", "yaml_text", "atomic_write", "errors"},
    "report": {"study", "bench", "deploy"},
    "yaml_text": {"errors"},
    "atomic_write": set(),
    "errors": set(),
}
VALUES_OF_BENCH = {f"tuner.bench.{name}" for name in ("protocol", "metrics", "histogram", "arrivals", "value")}
OPENS_A_BENCH = {"study/run.py", "study/device_checks.py", "study/recorded.py", "study/replay.py"}
MAKES_A_BEST_FILE = {
    "study/run.py",
    "study/finished.py",
    "study/best_config.py",
    "study/pareto_front.py",
    "study/show.py",
}
OPTUNA = {"study/search.py", "study/database.py"}
OPENVINO = {"bench", "model", "deploy"}


@cache
def imports_of(path: Path) -> set[str]:
    """Every module a file imports, late or early, but not for type checking alone."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node)
        for guard in ast.walk(tree)
        if isinstance(guard, ast.If) and ast.unparse(guard.test) == "TYPE_CHECKING"
        for node in ast.walk(guard)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            is_package = (ROOT.parent / node.module.replace(".", "/")).is_dir()
            found |= {f"{node.module}.{alias.name}" for alias in node.names} if is_package else {node.module}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_what_lies_in_its_direction(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    package = name.split("/")[0].removesuffix(".py")
    ours = {module for module in imports_of(path) if module.split(".")[0] == "tuner"}
    if package in ("__init__", "__main__"):
        return
    for module in ours:
        target = module.split(".")[1]
        if target == package:
            continue
        if package == "study" and target == "deploy":
            assert name in MAKES_A_BEST_FILE, f"{name} imports {module}"
        elif package == "study" and target == "bench" and module not in VALUES_OF_BENCH:
            assert name in OPENS_A_BENCH, f"{name} imports {module}"
        else:
            assert target in ALLOWED[package], f"{name} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_optuna_and_openvino_stay_on_their_side_of_the_seam(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    roots = {module.split(".")[0] for module in imports_of(path)}
    if roots & {"optuna", "sqlalchemy"}:
        assert name in OPTUNA
    if "openvino" in roots:
        assert name.split("/")[0] in OPENVINO


def test_no_modules_import_each_other_in_a_circle() -> None:
    modules = {".".join(path.relative_to(ROOT.parent).with_suffix("").parts): path for path in FILES}
    left = {name: imports_of(path) & modules.keys() for name, path in modules.items()}
    while free := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in free:
            del left[name]
    assert left == {}


def test_no_module_has_a_name_that_says_nothing() -> None:
    empty = {"utils", "util", "helpers", "helper", "common", "base", "misc", "manager"}
    assert not [p for p in FILES if p.stem in empty]


def test_every_module_says_what_it_is_responsible_for() -> None:
    silent = [p for p in FILES if p.read_text().strip() and not ast.get_docstring(ast.parse(p.read_text()))]
    assert silent == []


@pytest.mark.parametrize("statement", ["import tuner", "import tuner.cli"])
def test_heavy_packages_are_not_imported_before_they_are_needed(statement: str) -> None:
    heavy = "{'openvino', 'optuna', 'pydantic', 'numpy', 'sqlalchemy', 'yaml'}"
    code = f"{statement}; import sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
