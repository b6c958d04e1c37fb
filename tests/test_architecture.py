"""The structure of `tuner/`: which package may import which, how large modules are, how they are documented."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import LONGEST
from tuner.cli import app

ROOT = Path(__file__).resolve().parents[1] / "tuner"
FILES = sorted(ROOT.rglob("*.py"))
ORDER = (
    "errors",
    "yaml_text",
    "atomic_write",
    "model",
    "deploy",
    "bench",
    "study",
    "statistics",
    "bench.host",
    "bench.loadgen",
    "bench.session",
    "bench.backends",
    "bench.worker",
    "bench.simulated",
    "study.file",
    "records",
    "evidence",
    "planning",
    "search",
    "decision",
    "phases",
    "outcome",
    "replay",
    "report",
    "commands",
    "cli",
)
"""The life of a study: a package imports only what stands before it. `bench` and `study` are their values."""
APPLIES_A_FILE = {"errors", "yaml_text", "atomic_write", "model", "deploy"}
"""What an application imports to apply a best.yaml: neither a study nor a bench."""
OPENS_A_BENCH = {"commands", "study.file", "replay"}
"""Packages that start workers or make a simulated bench; every other one knows a bench by its protocol."""
OPTUNA = {"search"}
OPENVINO = {"bench.backends", "model", "deploy"}
AT_MOST_LINES, AT_MOST_MODULES, AT_MOST_LINES_OF_A_FUNCTION = 350, 15, 50
TESTS, AT_MOST_LINES_OF_TESTS = ROOT.parent / "tests", 400
LONGER = {
    "bench/backends/openvino/test_backend.py",
    "bench/host/test_cgroup.py",
    "bench/session/test_session.py",
    "bench/worker/test_deployment_conditions.py",
    "deploy/export/test_exporters.py",
    "deploy/test_predictor.py",
    "phases/test_conditions.py",
    "phases/test_order.py",
    "records/test_session_log.py",
}
"""Files of tests that are still longer. Each that is split leaves the list."""


RIDDLES = re.compile(r"^(Of|Who|Whoever|Where|What|Whether|Beside|That|How|When)\b")
"""A docstring that begins so describes its object before it names its subject (tuner/README.md, prose)."""


MOST_WORDS = 20
"""Number of words that the first sentence of a docstring has at most (tuner/README.md, prose)."""


def package_of(module: str) -> str:
    """Returns the place in ORDER of a module below tuner: the longest entry that it begins with."""
    parts = module.split(".")
    names = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next((name for name in names if name in ORDER), parts[0])


def module_of(path: Path) -> str:
    """Returns the dotted name of a file below tuner, without `tuner.`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def imports_of(path: Path) -> set[str]:
    """Returns every module that a file imports, late or early, but not for type checking alone."""
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


def ours(path: Path) -> set[str]:
    """Returns the packages of tuner that a file imports, its own left out."""
    inside = {module.removeprefix("tuner.") for module in imports_of(path) if module.startswith("tuner.")}
    return {package_of(module) for module in inside if module != "__version__"} - {package_of(module_of(path))}


each_file = pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))


@each_file
def test_a_module_imports_only_from_packages_before_its_own(path: Path) -> None:
    package = package_of(module_of(path))
    if path.name in ("__main__.py",) or path == ROOT / "__init__.py":
        return
    assert package in ORDER, f"{path} is in no package of ORDER"
    late = {other for other in ours(path) if ORDER.index(other) > ORDER.index(package)}
    assert not late, f"{package} stands before {', '.join(sorted(late))}"
    if package in APPLIES_A_FILE:
        assert ours(path) <= APPLIES_A_FILE


@each_file
def test_workers_optuna_and_openvino_stay_on_their_side_of_the_seam(path: Path) -> None:
    package = package_of(module_of(path))
    opened = {other for other in ours(path) if other.startswith("bench.")}
    if opened and not package.startswith("bench"):
        assert package in OPENS_A_BENCH, f"{package} imports {', '.join(sorted(opened))}"
    roots = {module.split(".")[0] for module in imports_of(path)}
    if roots & {"optuna", "sqlalchemy"}:
        assert package in OPTUNA
    if "openvino" in roots:
        assert package in OPENVINO


@each_file
def test_a_module_has_one_screenful_of_subject(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= AT_MOST_LINES, "split it by noun"


@each_file
def test_a_function_has_one_job(path: Path) -> None:
    lengths = {
        node.name: (node.end_lineno or 0) - node.lineno + 1
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: lines for name, lines in lengths.items() if lines > AT_MOST_LINES_OF_A_FUNCTION} == {}


def test_a_file_of_tests_is_read_in_one_sitting() -> None:
    lengths = {str(p.relative_to(TESTS)): len(p.read_text().splitlines()) for p in sorted(TESTS.rglob("*.py"))}
    assert {name for name, lines in lengths.items() if lines > AT_MOST_LINES_OF_TESTS} <= LONGER


def test_the_command_line_calls_one_module_for_each_command() -> None:
    assert ours(ROOT / "cli.py") <= {"commands", "report", "errors"}
    names = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert {name for name in names if not (ROOT / "commands" / f"{name}.py").exists()} == set()


def test_a_folder_holds_few_modules() -> None:
    folders = {path.parent for path in FILES}
    counts = {folder: sum(1 for p in folder.glob("*.py") if p.name != "__init__.py") for folder in folders}
    assert {folder: n for folder, n in counts.items() if n > AT_MOST_MODULES} == {}


def test_every_package_asks_one_question() -> None:
    packages = [path for path in FILES if path.name == "__init__.py" and path != ROOT / "__init__.py"]
    questions = {path: ast.get_docstring(ast.parse(path.read_text())) or "." for path in packages}
    assert [path for path, text in questions.items() if not text.splitlines()[0].endswith("?")] == []
    assert [path for path in packages if len(ast.parse(path.read_text()).body) > 1] == [], "a docstring and no more"


def test_no_module_has_a_name_that_says_nothing() -> None:
    empty = {"utils", "util", "helpers", "helper", "common", "base", "misc", "manager"}
    assert not [p for p in FILES if p.stem in empty]


def docstrings(tree: ast.AST) -> list[str]:
    """Returns every docstring of a module, those below fields and constants included."""
    return [
        node.value.value
        for parent in ast.walk(tree)
        if isinstance(parent, ast.Module | ast.ClassDef | ast.FunctionDef)
        for node in parent.body
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]


@each_file
def test_a_docstring_begins_with_its_subject_or_its_verb(path: Path) -> None:
    if path.name != "__init__.py":  # a package asks its question
        assert [text for text in docstrings(ast.parse(path.read_text())) if RIDDLES.match(text)] == []


@each_file
def test_the_first_sentence_of_a_docstring_is_short(path: Path) -> None:
    if path.name != "__init__.py":
        texts = docstrings(ast.parse(path.read_text()))
        sentences = [re.split(r"[.?!](?:\s|$)", text, maxsplit=1)[0] for text in texts]
        assert [sentence for sentence in sentences if len(sentence.split()) > MOST_WORDS] == []


@pytest.mark.parametrize("statement", ["import tuner", "import tuner.cli"])
def test_heavy_packages_are_not_imported_before_they_are_needed(statement: str) -> None:
    heavy = "{'openvino', 'optuna', 'pydantic', 'numpy', 'scipy', 'sqlalchemy', 'yaml', 'plotly', 'jinja2'}"
    code = f"{statement}; import sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_files_of_tests_that_begin_first_are_there() -> None:
    assert [name for name in LONGEST if not (TESTS / name).is_file()] == []
    assert len(LONGEST) == len(set(LONGEST))
