"""The reader that study files, best.yaml and front.yaml share; tests/study/test_document.py holds its other tests."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tuner.yaml_text import CORE, PYYAML, Position, Schema, YamlError, build, compose

texts = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=8)
"""PyYAML loses some kinds of line ends in texts."""
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), texts)
PLAIN = ("yes", "Off", "1e5", "1.5e3", "1_000", "012", "0o12", "0b11", "12:30", "2001-01-01", "=", "~", ".inf", "0x1F")


def value_of(text: str, schema: Schema) -> Any:
    node = compose(text, schema)
    assert node is not None
    values = build(node, schema)
    assert values.problems == ()
    return values.value


@given(st.dictionaries(texts, scalars | st.lists(scalars, max_size=3), max_size=4))
def test_what_pyyaml_writes_is_read_back(content: dict[str, Any]) -> None:
    assert value_of(yaml.safe_dump(content, allow_unicode=True), PYYAML) == content


@pytest.mark.parametrize("text", PLAIN)
def test_plain_scalars_are_read_as_pyyaml_reads_them_but_dates_and_signs_stay_text(text: str) -> None:
    expected = text if text in ("2001-01-01", "=") else yaml.safe_load(text)
    assert value_of(f"a: {text}", PYYAML) == {"a": expected}


def test_the_schemas_differ_where_yaml_1_1_and_1_2_do() -> None:
    assert [value_of(f"[{word}]", CORE)[0] for word in ("yes", "1e5", "012")] == ["yes", 1e5, 12]
    assert [value_of(f"[{word}]", PYYAML)[0] for word in ("yes", "1e5", "012")] == [True, "1e5", 10]


@pytest.mark.parametrize(("text", "line"), [("a: !!int five", 1), ("\nb: !!bool five", 2), ("a: !!float x", 1)])
def test_a_scalar_that_its_tag_does_not_fit_is_a_problem_of_the_document(text: str, line: int) -> None:
    node = compose(text, PYYAML)
    assert node is not None
    (problem,) = build(node, PYYAML).problems
    assert (problem.line, problem.column) == (line, 4)


def test_an_alias_bomb_is_refused() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 20)]
    node = compose("\n".join(lines), PYYAML)
    assert node is not None
    with pytest.raises(YamlError, match="expand to more than"):
        build(node, PYYAML)


def test_values_and_keys_have_positions() -> None:
    node = compose("a:\n  b: [1, 2]\n")
    assert node is not None
    values = build(node)
    assert values.keys[("a", "b")] == Position(line=2, column=3)
    assert values.values[("a", "b", 1)] == Position(line=2, column=10)
