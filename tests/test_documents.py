"""The documents are true: links lead somewhere, files exist, commands run, and every key and metric is in its place."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from tests.documents import (
    DOCUMENTS,
    ROOT,
    WRITTEN,
    anchors,
    blocks,
    commands,
    inline_code,
    links,
    prose,
    tables,
    text_of,
)
from tests.test_architecture import ORDER
from tuner.bench.metrics import METRICS
from tuner.cli import app
from tuner.study.file.loader import load_study
from tuner.study.file.recipes import RECIPES
from tuner.study.file.schema import json_schema

CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
STUDIES = "configs/README.md"
LINES_OF_THE_README = 220
GOLDEN = next((ROOT / "tests").rglob("golden/results-0.1"))
"""A results folder of one objective, as version 0.1 wrote it."""
WRITTEN_BY_THE_TUNER = re.compile(r"results/(?!tables|benchmarks)|configs/NAME")
"""Begins the name of what a study writes, or of a file that stands for any: none is in the repository."""


# Links and files


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_relative_link_leads_to_a_file_and_every_anchor_to_a_heading(document: str) -> None:
    broken = []
    for target in links(document):
        path, _, anchor = target.partition("#")
        file = ((ROOT / document).parent / path).resolve() if path else ROOT / document
        is_there = file.exists()
        if is_there and anchor:
            is_there = anchor in anchors(str(file.relative_to(ROOT)))
        if not is_there:
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("document", WRITTEN)
def test_no_heading_of_a_document_is_there_twice(document: str) -> None:
    found = anchors(document)
    assert len(set(found)) == len(found)


def named_files(document: str) -> Iterator[str]:
    """Yields what a document names in backticks as a file or folder of the repository, relative to it."""
    words = [word for code in inline_code(document) for word in code.split()]
    for word in words:
        if re.fullmatch(r"(tuner|tests|configs|results)/[\w./*-]+|\.ci/\w+", word):
            yield word
        elif re.fullmatch(r"\w+\.(py|md)", word):
            yield f"**/{word}"


def missing_files(document: str, *, in_package: bool) -> list[str]:
    """Returns the files that a document names and the repository lacks: those below tuner/, or all others."""
    names = (name for name in named_files(document) if name.startswith("tuner/") == in_package)
    return [n for n in names if not WRITTEN_BY_THE_TUNER.match(n) and not _is_in_repository(n.rstrip("/"))]


def _is_in_repository(pattern: str) -> bool:
    folders = (ROOT / folder for folder in ("tuner", "tests", "configs", "results"))
    if pattern.startswith("**/"):
        return any(next(folder.glob(pattern), None) for folder in folders)
    return next(ROOT.glob(pattern), None) is not None


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_that_a_document_names_is_in_the_repository(document: str) -> None:
    assert missing_files(document, in_package=False) == []


def test_every_module_that_a_document_names_is_in_the_package() -> None:
    assert {document: found for document in WRITTEN if (found := missing_files(document, in_package=True))} == {}


@pytest.mark.parametrize("document", [document for document in WRITTEN if document.startswith("tuner/")])
def test_every_name_of_the_code_that_a_document_gives_is_in_the_code(document: str) -> None:
    """Classes, constants and functions in backticks; a change of a name in the code changes its document."""
    of_others = {"GPSampler", "NopPruner", "ENABLE_MMAP", "set_batch"}
    words = {word for code in inline_code(document) for word in re.findall(r"[A-Za-z_]\w*", code)}
    named = {word for word in words if re.fullmatch(r"[a-z]\w*_\w+|[A-Z]\w*[a-z]\w*|[A-Z]+_[A-Z_]+", word)}
    assert sorted(named - of_others - _words_of_the_code()) == []


@cache
def _words_of_the_code() -> set[str]:
    texts = [path.read_text() for folder in ("tuner", "tests") for path in (ROOT / folder).rglob("*.py")]
    return {word for text in texts for word in re.findall(r"\w+", text)}


def test_the_packages_of_the_table_are_those_of_the_order_of_imports() -> None:
    table = [row[0].strip("`").replace("/", ".") for row in rows_of("tuner/README.md", "package")]
    assert table == list(ORDER)


def test_the_table_asks_the_question_of_each_package() -> None:
    for package, question in rows_of("tuner/README.md", "package"):
        module = ROOT / "tuner" / package.strip("`") / "__init__.py"
        if module.exists():
            asked = module.read_text().split('"""')[1].splitlines()[0]
            assert question.replace("`", "").startswith(asked.removesuffix("?")), f"{package} asks: {asked}"


def test_the_readme_is_read_to_the_end_in_ten_minutes() -> None:
    assert len(text_of("README.md").splitlines()) <= LINES_OF_THE_README


# Words


RETIRED = (
    "campaign|ground|standings?|judgements?|seats?|play-?offs?|twins|lineups?|false wins?|moods?|spoil\\w*|crew|k_max|"
    "hopeless|who is|whoever|nobody|everybody"
)


@pytest.mark.parametrize("document", WRITTEN)
def test_documents_use_the_words_of_the_glossary(document: str) -> None:
    """In prose; keys on disk stand in backticks."""
    plain = re.sub(r"`[^`\n]+`", "", prose(document))
    assert re.findall(rf"\b(?:{RETIRED})\b", plain, flags=re.IGNORECASE) == []


# Study files


def schema_keys(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns dotted key -> its schema, with NAME, METRIC, PROPERTY and PARAMETER for keys that a user names."""
    found: dict[str, dict[str, Any]] = {}

    def add(key: str, part: dict[str, Any], is_required: bool) -> None:
        found.setdefault(key, {**part, "is_required": is_required})
        walk(re.sub(r"^space\.\w+$", "space.PARAMETER", key), part)

    def walk(key: str, part: dict[str, Any]) -> None:
        part = schema["$defs"][part["$ref"].rsplit("/", 1)[1]] if "$ref" in part else part
        for choice in (*part.get("anyOf", ()), *([part["items"]] if isinstance(part.get("items"), dict) else ())):
            walk(key, choice)
        required = part.get("required", ())
        for name, value in part.get("properties", {}).items():
            add(f"{key}.{name}".lstrip("."), value, name in required)
        for value in part.get("patternProperties", {}).values():
            add(f"{key}.PROPERTY", value, False)
        if isinstance(named := part.get("additionalProperties"), dict) and key != "space.PARAMETER.when":
            walk(f"{key}.{'METRIC' if key.endswith('subject_to') else 'NAME'}", named)

    walk("", schema)
    return found


def rows_of(document: str, first: str) -> list[list[str]]:
    """Returns the rows of all tables whose first column has this header."""
    return [row for table in tables(document) if table[0][0] == first for row in table[1:]]


def test_the_key_table_has_every_key_of_the_schema_and_no_other() -> None:
    named = [key for row in rows_of(STUDIES, "key") for key in re.findall(r"`([^`]+)`", row[0])]
    assert sorted(named) == sorted(schema_keys(json_schema()))


def test_the_key_table_has_the_defaults_of_the_schema() -> None:
    keys = schema_keys(json_schema())
    for cells in rows_of(STUDIES, "key"):
        for key in re.findall(r"`([^`]+)`", cells[0]):
            default = keys[key].get("default")
            if default not in (None, {}):
                assert yaml.safe_load(cells[1].strip("`")) == default, key
            else:
                assert not cells[1].startswith("`"), f"{key} has no default in the schema"
            assert (cells[1] == "required") == keys[key]["is_required"], key


def test_the_metric_table_has_every_metric_with_its_unit_and_no_other() -> None:
    rows = rows_of(STUDIES, "metric")
    assert [row[0].strip("`") for row in rows] == list(METRICS)
    assert {row[0].strip("`"): row[1].partition(",")[0] for row in rows} == {m.name: m.unit for m in METRICS.values()}


def test_the_example_table_has_every_study_file_and_no_other() -> None:
    named = [name for row in rows_of(STUDIES, "file") for name in re.findall(r"`([^`]+)`", row[0])]
    assert sorted(named) == [path.stem for path in CONFIGS]


def test_the_recipe_table_has_every_recipe_in_their_order() -> None:
    assert [row[0].strip("`") for row in rows_of(STUDIES, "recipe")] == list(RECIPES)


def test_every_study_and_every_part_of_one_loads(tmp_path: Path) -> None:
    """A block without `schema_version` is a part: its keys take the place of those of the first whole study."""
    whole, *parts = blocks(STUDIES, "yaml")
    assert load_study(_written(tmp_path, yaml.safe_load(whole))).objective.metric == "throughput"
    for part in parts:
        base, given = yaml.safe_load(whole), yaml.safe_load(part)
        if "objectives" in given:
            del base["objective"]
        if "replicas" in (given.get("space") or {}):
            given["deployment"] = {"replicas": 2}
        if "load" in given:
            base["baselines"] = {}
        load_study(_written(tmp_path, {**base, **given}))


def test_the_space_with_conditions_keeps_its_order(tmp_path: Path) -> None:
    (space,) = [part for part in blocks(STUDIES, "yaml") if "when:" in part]
    whole = yaml.safe_load(blocks(STUDIES, "yaml")[0])
    study = load_study(_written(tmp_path, {**whole, **yaml.safe_load(space)}))
    assert [p.name for p in study.space.parameters][:2] == ["PERFORMANCE_HINT", "NUM_STREAMS"]


def _written(folder: Path, content: dict[str, Any]) -> Path:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


# Commands and code; what takes a real study is run in test_life.py


def test_every_command_that_a_sentence_names_exists_with_its_options() -> None:
    known = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for document in WRITTEN:
        for code in (*inline_code(document), *commands(document)):
            called = re.match(r"(?:.* )?tuner (\w+)(.*)", code)
            if called is None or called[1] not in known:
                assert called is None or called[1].isupper() or called[0] != code, f"{document}: {code}"
                continue
            options = {option for parameter in known[called[1]].params for option in parameter.opts}
            assert set(re.findall(r"(?<= )--[\w-]+", called[2])) <= options, f"{document}: {code}"


@pytest.mark.parametrize("number", range(len(blocks("results/README.md", "python"))))
def test_the_python_that_reads_a_record_runs_on_one(number: int, tmp_path: Path) -> None:
    shutil.copytree(GOLDEN, tmp_path / "results/quickstart")
    code = blocks("results/README.md", "python")[number]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 4


def test_the_query_of_the_record_runs_where_duckdb_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    duckdb = pytest.importorskip("duckdb")
    shutil.copytree(GOLDEN, tmp_path / "results/quickstart")
    monkeypatch.chdir(tmp_path)
    (query,) = blocks("results/README.md", "sql")
    assert [row[0] for row in duckdb.sql(query).fetchall()] == ["baselines", "search", "final", "confirm"]


COLLECT = """
import json, sys
import pytest

for words in json.load(sys.stdin):
    code = pytest.main(["-q", "--collect-only", *words])
    assert code == 0, f"{words}: {code!r}"
"""
"""Collects what each list of options selects; all in one process, which imports the tests once."""


@pytest.mark.slow
def test_every_command_of_the_tests_page_finds_its_tests() -> None:
    """Collected, not run: a test that runs all tests would run itself."""
    found = []
    for command in [line for line in "\n".join(blocks("tests/README.md", "sh")).splitlines() if line]:
        program, *options = shlex.split(command, comments=True)
        if any(option.startswith("tests/gates/") for option in options):
            continue  # .ci/run runs it
        assert program == "pytest"
        found.append([option for option in options if option not in ("-n", "2")])
    assert len(found) >= 4
    done = subprocess.run(
        [sys.executable, "-c", COLLECT], input=json.dumps(found), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_every_benchmark_is_on_its_page_with_the_command_of_its_docstring() -> None:
    scripts = sorted((ROOT / "tests/benchmarks").glob("*.py"))
    rows = {row[0].strip("`"): row[1].strip("`") for row in rows_of("tests/README.md", "script")}
    assert sorted(rows) == [script.name for script in scripts]
    for script in scripts:
        usage = rows[script.name]
        said = " ".join(script.read_text().split('"""')[1].split())
        if usage:
            assert usage.startswith(f"python tests/benchmarks/{script.name}"), usage
            assert usage in said, f"{script.name} says something else"
        else:
            assert f"python tests/benchmarks/{script.name}" not in said
