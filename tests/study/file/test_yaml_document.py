"""Strict YAML 1.2: values, positions, and everything that is refused."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.errors import StudyFileError
from tuner.study.file.yaml_document import Document, read_document
from tuner.yaml_text import NodePath, Position

keys = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=("Cc",)), max_size=6)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(1 << 63), max_value=(1 << 63) - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    keys,
)
trees = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)
mappings = st.dictionaries(keys, trees, max_size=5)
YAML_WORDS = ["a", "b:", ": ", "- ", "? ", "\n", "  ", "[", "]", "{", "}", ",", "&x ", "*x", "!!int ", "!t ", "'", '"']
YAML_WORDS += [
    "|\n",
    ">\n",
    "#",
    "%YAML 1.2",
    "---\n",
    "...\n",
    "\t",
    "\\",
    "\\U",
    "\\x",
    "~",
    "1",
    ".5",
    "0x",
    "<<",
    "@",
]
yaml_like = st.lists(st.sampled_from(YAML_WORDS), max_size=25).map("".join)


def read(text: str | bytes) -> Document:
    return read_document(text if isinstance(text, bytes) else text.encode(), name="x.yaml")


def refusal(text: str | bytes) -> str:
    """The one problem of a file that cannot be read at all."""
    with pytest.raises(StudyFileError) as caught:
        read(text)
    assert len(caught.value.problems) == 1
    return str(caught.value.problems[0])


def outcome_of(data: bytes) -> Document | StudyFileError:
    try:
        return read(data)
    except StudyFileError as error:
        return error


def is_identical(a: Any, b: Any) -> bool:
    return json.dumps(a) == json.dumps(b)


class _Writer:
    """Writes block YAML and notes where each key and value begins."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.keys: dict[NodePath, Position] = {}
        self.values: dict[NodePath, Position] = {}

    def mapping(self, tree: dict[str, Any], path: NodePath, indent: int) -> None:
        for key, value in tree.items():
            below = (*path, key)
            start = " " * indent + json.dumps(key, ensure_ascii=False) + ": "
            self.keys[below] = self._here(indent)
            if isinstance(value, dict) and value:
                self.lines.append(start)
                self.values[below] = self._here(indent + 2)
                self.mapping(value, below, indent + 2)
            elif isinstance(value, list) and value:
                self.values[below] = self._here(len(start))
                self.lines.append(start + self._flow(value, below, len(start)))
            else:
                self.values[below] = self._here(len(start))
                self.lines.append(start + json.dumps(value, ensure_ascii=False))

    def _flow(self, items: list[Any], path: NodePath, column: int) -> str:
        words = "["
        for i, item in enumerate(items):
            at, below = column + len(words), (*path, i)
            self.values[below] = self._here(at)
            is_list = isinstance(item, list) and item
            words += self._flow(item, below, at) if is_list else json.dumps(item, ensure_ascii=False)
            words += ", "
        return words + "]"

    def _here(self, column: int) -> Position:
        return Position(line=len(self.lines) + 1, column=column + 1)


@given(mappings)
def test_json_is_read_as_json(tree: dict[str, Any]) -> None:
    assert is_identical(read(json.dumps(tree, ensure_ascii=False)).value, tree)


@given(mappings.filter(bool))
def test_every_key_and_value_has_its_position(tree: dict[str, Any]) -> None:
    writer = _Writer()
    writer.mapping(tree, (), 0)
    document = read("\n".join(writer.lines))
    assert is_identical(document.value, tree)
    assert writer.keys.items() <= document.keys.items()
    assert writer.values.items() <= document.values.items()


@given(st.text() | yaml_like | st.binary().map(lambda data: data.decode("latin-1")))
def test_any_text_is_read_or_refused(text: str) -> None:
    outcome = outcome_of(text.encode("utf-8", "surrogatepass"))
    if isinstance(outcome, StudyFileError):
        assert len(str(outcome).splitlines()) == len(outcome.problems) > 0
    else:
        assert all(outcome.key_at(path) for path in outcome.keys)


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    assert outcome_of(data)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(word, word) for word in ("yes", "no", "on", "off", "y", "Yes", "NO", "nUll", "tRUE", "=", "<<")],
        *[(word, word) for word in ("1_000", "12:30", "2001-01-01", "0b11", "0x", "0o8", "1e", "e3", ".", "+", "f32")],
        *[(word, True) for word in ("true", "True", "TRUE", "!!bool true", "!!bool 'true'")],
        *[(word, False) for word in ("false", "False", "FALSE")],
        *[(word, None) for word in ("null", "Null", "NULL", "~", "", "!!null ''")],
        *[("1e3", 1000.0), (".5", 0.5), ("5.", 5.0), ("-1.5E-3", -0.0015), ("!!float 5", 5.0), ("+.5", 0.5)],
        *[("0o17", 15), ("0x1F", 31), ("017", 17), ("+1", 1), ("-0", 0), ("!!int '5'", 5)],
        *[(".inf", math.inf), ("-.INF", -math.inf), ("'5'", "5"), ("! 5", "5"), ("!!str 5", "5")],
    ],
)
def test_scalars_are_those_of_the_yaml_1_2_core_schema(text: str, value: object) -> None:
    found = read(f"a: {text}").value["a"]
    assert (type(found), found) == (type(value), value)


def test_nan_is_a_float() -> None:
    assert all(math.isnan(value) for value in read("a: [.nan, .NaN, .NAN]").value["a"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1:1: the file is empty"),
        ("# only a remark\n", "1:1: the file is empty"),
        ("---\n", "2:1: a study file is a mapping (`key: value` lines), got nothing"),
        ("[1]", "1:1: a study file is a mapping (`key: value` lines), got a list"),
        ("five", '1:1: a study file is a mapping (`key: value` lines), got "five"'),
        ("a: 1\n---\nb: 2", "2:1: a second document begins here"),
        ("a: 1\n\tb: 2", "2:1: this is not valid YAML: found character '\\t'"),
        ("a: b: c", "1:5: this is not valid YAML: mapping values are not allowed here; check the indentation"),
        ("a: [1,\nb: 2", "2:5: this is not valid YAML: expected ',' or ']'"),
        ("x: {a: 1\n\ny: 2}", "3:2: this is not valid YAML: expected ',' or '}'"),
        ("a: 'x", "1:6: this is not valid YAML: found unexpected end of stream"),
        ("a: @x", "1:4: this is not valid YAML: found character '@'"),
        ("a: *u", "1:4: found undefined alias 'u'"),
        ("a: &x 1\nb: &x 2", "2:4: found duplicate anchor 'x'"),
        ("a: 1\nb: &x [1, *x]", "2:11: alias *x contains itself"),
        ("a: &x {b: &y [*x]}", "1:15: alias *x contains itself"),
        ('a: "\\UFFFFFFFF"', "1:7: this is not valid YAML: a number in an escape"),
        ("%YAML " + "9" * 5000 + ".1\n---\na: 1", "1:7: this is not valid YAML: a number in an escape"),
        ("a: 1\nb: x\0y", "2:5: character U+0000 is not allowed"),
        ("a: \x07", "1:4: character U+0007 is not allowed"),
        (b"a: 1\nb: \xff", "2:4: byte 0xff is not UTF-8"),
        ("a: 1".encode("utf-16"), "1:1: byte 0xff is not UTF-8"),
        ("#" * 1_000_001, "1:1: the file is larger than"),
        ("a: " + "[" * 5000, "1:35: nested deeper than 32 levels"),
        ("- " * 5000, "1:65: nested deeper than 32 levels"),
    ],
)
def test_what_cannot_be_read_is_refused_at_its_position(text: str | bytes, message: str) -> None:
    assert refusal(text).startswith(message)


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("a: 1\nb: 2\na: 3", ['3:1: duplicate key "a"; it is already given in line 1']),
        ("x: {a: 1, a: 2, a: 3}", ["1:11: duplicate key", "1:17: duplicate key"]),
        ('a: 1\n"a": 2', ["2:1: duplicate key"]),
        ("1: x", ["1:1: a key must be text, got 1"]),
        ("x:\n  null: 1\n  true: 2\n  1.5: 3", ["2:3: a key must be", "3:3: a key must be", "4:3: a key must be"]),
        ("? [a]\n: 1", ["1:3: a key must be text, got a list or mapping"]),
        ("a: !!python/object:os.system x", ["1:4: tag !!python/object:os.system is not allowed"]),
        ("a: !local 1\nb: !!set {x}", ["1:4: tag !local is not allowed", "2:4: tag !!set is not allowed"]),
        ("a: !!timestamp 2001-01-01\nb: !!binary YQ==", ["1:4: tag !!timestamp", "2:4: tag !!binary"]),
        ("a: !!map 5\nb: !!int five", ["1:4: tag !!map is not allowed", '2:4: "five" is no !!int']),
        ("a: !!str [1]", ["1:4: tag !!str is not allowed"]),
        ("!!int 5: 1", ["1:1: a key must be text, got 5"]),
        ("a: 9223372036854775808", ['1:4: "9223372036854775808" does not fit into 64 bits']),
        ("a: [1, -" + "9" * 5000 + "]", ["1:8: "]),
        ("a: 1e999", ['1:4: "1e999" is too large a number']),
        ('a: "\\ud800"', ["1:4: half a surrogate pair"]),
    ],
)
def test_a_fault_of_one_value_is_noted_and_the_rest_is_read(text: str, messages: list[str]) -> None:
    document = read(text + "\nend: here")
    found = [str(problem) for problem in document.problems]
    assert len(found) == len(messages)
    assert all(f.startswith(m) for f, m in zip(found, messages, strict=True))
    assert document.value["end"] == "here"


def test_plain_aliases_repeat_a_value() -> None:
    document = read("a: &x {b: [1, 2]}\nc: *x\nd: [*x, *x]")
    assert document.value == {"a": {"b": [1, 2]}, "c": {"b": [1, 2]}, "d": [{"b": [1, 2]}, {"b": [1, 2]}]}
    assert document.value_at(("d", 1, "b", 1)) == Position(line=1, column=15)


def test_an_alias_bomb_is_refused() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 20)]
    assert "expand to more than 30000 values" in refusal("\n".join(lines))


def test_a_byte_order_mark_moves_no_column() -> None:
    document = read(b"\xef\xbb\xbfa: 1\n")
    assert document.value == {"a": 1}
    assert document.key_at(("a",)) == Position(line=1, column=1)
    assert document.value_at(("a",)) == Position(line=1, column=4)


def test_what_is_not_in_the_file_is_placed_at_the_nearest_thing_around_it() -> None:
    document = read("a:\n  b: {c: 1}")
    assert document.value_at(("a", "b", "missing", 3)) == Position(line=2, column=6)
    assert document.value_at(("missing",)) == document.key_at(()) == Position(line=1, column=1)


def test_windows_line_ends_count_once() -> None:
    assert read("a: 1\r\nb: 2\r\n").key_at(("b",)) == Position(line=2, column=1)
