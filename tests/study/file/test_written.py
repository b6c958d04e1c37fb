"""Study files that are written: each one loads, says what it was told, and keeps hostile names where they belong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.study.file.study_text import Load
from tuner.bench.metrics import METRICS
from tuner.study.file.loader import load_study
from tuner.study.file.recipes import DEFAULT_RECIPE, RECIPES, Wish
from tuner.study.file.written import COLUMNS, StudyFacts, WrittenInput, comment, number, scalar, study_text
from tuner.yaml_text import build, compose

HERE = Path("study.yaml")
HOSTILE = [
    "on",
    "a: b",
    "x # y",
    "- x",
    "{x}",
    '"',
    "\\",
    "\n",
    "a\u2028b",
    "\x85",
    "\x1b[31m",
    "~",
    "",
    " ",
    "<<",
    "1e5",
]
INPUT = WrittenInput(name="x", shape=(1, 3, 48, 192), layout="NCHW", declared="[?,3,?,?]")
names = st.text(max_size=30) | st.sampled_from(HOSTILE)
inputs = st.builds(
    WrittenInput,
    name=names,
    shape=st.lists(st.integers(0, 10_000), min_size=4, max_size=4),
    layout=st.sampled_from([None, "NCHW", "N???"]),
    kind=st.sampled_from(["f32", "i64"]),
    declared=st.sampled_from(["", "[?,3,?,?]", "[...]"]),
    table_rows=st.sampled_from([None, 1, 30522]),
)
every_facts = st.builds(
    StudyFacts,
    model=names.filter(str.strip),
    inputs=st.lists(inputs, max_size=3, unique_by=lambda one: one.name),
    device=st.sampled_from(["CPU", "GPU.0", "AUTO:GPU,CPU", "NPU"]),
    name=st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,20}", fullmatch=True) | st.sampled_from(["null", "1e5", "0x1"]),
    command=names,
    batch=names,
    host=names,
    cpus=st.none() | st.floats(0.01, 64),
    replicas=st.none() | st.integers(1, 8),
    schema_file=st.sampled_from([None, "tuner-study.schema.json"]),
)


@given(facts=every_facts, recipe=st.sampled_from(list(RECIPES)), minutes=st.floats(0.1, 1e4))
def test_every_file_loads_and_says_what_it_was_told(facts: StudyFacts, recipe: str, minutes: float) -> None:
    wish = replace(RECIPES[recipe].wish, minutes=minutes)
    study = load_study(HERE, study_text(facts, wish))
    assert (study.model.path, study.device, study.name) == (facts.model, facts.device, facts.name)
    assert list(study.model.inputs) == [one.name for one in facts.inputs]
    for one in facts.inputs:
        said = study.model.inputs[one.name]
        assert (said.shape, said.layout) == (tuple(one.shape), one.layout)
        assert said.range == ((0, one.table_rows - 1) if one.table_rows else (0, 1))
    assert study.objective.metrics == wish.metrics
    assert (study.conditions.cpus, study.conditions.replicas) == (facts.cpus, facts.replicas or 1)
    assert study.budget.minutes == minutes
    kept = study.load.keep if study.load else ()
    stated = [(limit.metric, limit.bound, limit.value) for limit in wish.limits if not kept]
    assert [
        (limit.metric, bound, value)
        for limit in study.objective.limits
        for bound, value in (("min", limit.min), ("max", limit.max))
        if value is not None and limit.metric not in ("backlog_pct", "load_pct")
    ] == stated


def test_a_load_is_stated_with_its_rate_or_looks_for_it() -> None:
    facts = StudyFacts(model="m.onnx")
    at_rate = load_study(HERE, study_text(facts, RECIPES["p99-at-rate"].wish)).load
    assert at_rate is not None
    assert (at_rate.pattern, at_rate.rate_per_s) == ("poisson", 30)
    largest = load_study(HERE, study_text(facts, RECIPES["max-rate-under-p95"].wish)).load
    assert largest is not None
    assert (largest.rate_per_s, largest.keep) == (None, (("latency_p95_ms", 50.0),))


def test_a_number_that_stands_for_the_users_own_is_said_to_be_an_example() -> None:
    assert "# CHANGE the limit to yours" in study_text(StudyFacts(model="m"), RECIPES["throughput-under-p99"].wish)
    assert "CHANGE" not in study_text(StudyFacts(model="m"), RECIPES[DEFAULT_RECIPE].wish)
    for recipe in RECIPES.values():
        assert bool(recipe.wish.example) == bool(recipe.wish.limits or recipe.wish.rate_per_s)


@given(text=st.text() | st.sampled_from(HOSTILE))
def test_a_scalar_is_read_back_as_the_text_it_was(text: str) -> None:
    root = compose(f"key: {scalar(text)}\n")
    assert root is not None
    assert build(root).value == {"key": text}
    assert yaml.safe_load(f"key: {scalar(text)}\n") == {"key": text}, "PyYAML alone, which is YAML 1.1"


@given(text=st.text() | st.sampled_from(HOSTILE))
def test_a_comment_stays_a_comment_and_holds_no_control_characters(text: str) -> None:
    lines = comment(text, 4)
    assert all(line.startswith("    #") and line.isprintable() for line in lines)
    assert yaml.safe_load("\n".join(lines)) is None


def test_a_long_sentence_is_wrapped_and_a_long_name_is_still_a_key(load: Load) -> None:
    assert max(map(len, comment("word " * 100))) <= COLUMNS
    facts = StudyFacts(model="m.onnx", inputs=[replace(INPUT, name="x" * 5000), INPUT])
    assert list(load(study_text(facts, Wish(metrics=("throughput",)))).model.inputs) == ["x" * 5000, "x"]


@pytest.mark.parametrize(
    ("value", "text"), [(20.0, "20"), (0.5, "0.5"), (1e20, "1e+20"), (0.1 + 0.2, "0.30000000000000004")]
)
def test_a_number_is_written_without_loss(value: float, text: str) -> None:
    assert number(value) == text


def test_every_recipe_wants_metrics_that_there_are_and_has_a_budget() -> None:
    assert DEFAULT_RECIPE in RECIPES
    for recipe in RECIPES.values():
        assert {*recipe.wish.metrics, *(limit.metric for limit in recipe.wish.limits)} <= set(METRICS)
        assert recipe.wish.minutes >= 2
