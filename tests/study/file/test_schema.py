"""The JSON schema that editors get: sound in itself, and of one mind with the reader."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tuner.bench.metrics import METRICS
from tuner.bench.own_parameters import OWN_PARAMETERS
from tuner.study.file.schema import StudySection, json_schema, section_at
from tuner.study.file.sections import PropertiesSection, Section
from tuner.study.file.yaml_document import read_document
from tuner.yaml_text import NodePath

CONFIGS = sorted((Path(__file__).parents[3] / "configs").glob("*.yaml"))
SCHEMA = json_schema()
NOTES = {"$schema", "$defs", "title", "description", "default"}
TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}


def is_valid(value: Any, schema: Any) -> bool:
    """JSON Schema as far as this schema uses it; another keyword is an error."""
    if isinstance(schema, bool):
        return schema
    return all(_holds(keyword, value, schema) for keyword in schema if keyword not in NOTES)


def _holds(keyword: str, value: Any, schema: dict[str, Any]) -> bool:
    rule = schema[keyword]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match keyword:
        case "$ref":
            return is_valid(value, SCHEMA["$defs"][rule.removeprefix("#/$defs/")])
        case "type":
            return any(_is_type(value, name) for name in (rule if isinstance(rule, list) else [rule]))
        case "const":
            return bool(value == rule and type(value) is type(rule))
        case "enum":
            return value in rule
        case "anyOf":
            return any(is_valid(value, part) for part in rule)
        case "oneOf":
            return sum(is_valid(value, part) for part in rule) == 1
        case "not":
            return not is_valid(value, rule)
        case "minimum":
            return not is_number or value >= rule
        case "maximum":
            return not is_number or value <= rule
        case "exclusiveMinimum":
            return not is_number or value > rule
        case "pattern":
            return not isinstance(value, str) or re.search(rule, value) is not None
        case "minLength":
            return not isinstance(value, str) or len(value) >= rule
        case "items":
            return not isinstance(value, list) or all(is_valid(item, rule) for item in value)
        case "minItems":
            return not isinstance(value, list) or len(value) >= rule
        case "maxItems":
            return not isinstance(value, list) or len(value) <= rule
        case "uniqueItems":
            return not isinstance(value, list) or len({json.dumps(item) for item in value}) == len(value)
        case "minProperties":
            return not isinstance(value, dict) or len(value) >= rule
        case "required":
            return not isinstance(value, dict) or all(key in value for key in rule)
        case "propertyNames":
            return not isinstance(value, dict) or all(is_valid(key, rule) for key in value)
        case "properties" | "patternProperties" | "additionalProperties":
            return not isinstance(value, dict) or all(_is_member_valid(k, v, schema) for k, v in value.items())
    raise AssertionError(f"{keyword!r} is no keyword of JSON Schema that is used here")


def _is_type(value: Any, name: str) -> bool:
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def _is_member_valid(key: str, value: Any, schema: dict[str, Any]) -> bool:
    rules = [schema["properties"][key]] if key in schema.get("properties", {}) else []
    rules += [rule for pattern, rule in schema.get("patternProperties", {}).items() if re.search(pattern, key)]
    return all(is_valid(value, rule) for rule in rules or [schema.get("additionalProperties", True)])


def keys_at(path: NodePath) -> tuple[str, ...]:
    section = section_at(path)
    assert section is not None
    return tuple(section.model_fields)


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Every part of the schema that describes a mapping with keys."""
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        for part in schema.values():
            yield from objects(part)


def study(**changes: Any) -> dict[str, Any]:
    base = {
        "schema_version": 1,
        "model": "m.onnx",
        "device": "CPU",
        "objective": {"maximize": "throughput"},
        "budget": {"minutes": 5},
    }
    return {key: value for key, value in {**base, **changes}.items() if value is not ...}


def test_it_is_json_with_a_title_and_a_dialect() -> None:
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    assert SCHEMA["title"] == "tuner study file"
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_key_is_described_and_no_other_is_allowed() -> None:
    for part in objects(SCHEMA):
        assert part["additionalProperties"] is False
        assert part["description"]
        for name, key in part["properties"].items():
            # pydantic leaves out what the referred mapping says in the same words.
            assert key.get("description") or "$ref" in key, name
            assert key.get("default", ...) is not None, name


def test_every_reference_leads_somewhere() -> None:
    names = re.findall(r'"\$ref": "#/\$defs/(\w+)"', json.dumps(SCHEMA))
    assert set(names) == set(SCHEMA["$defs"])


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_study_of_this_repository_is_valid(path: Path) -> None:
    assert is_valid(read_document(path.read_bytes(), name=path.name).value, SCHEMA)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"model": {"path": "m", "inputs": {"x": {"shape": [1, 3], "layout": "NC", "range": [0, 5]}}}},
        {"space": "auto"},
        {"space": {"extends": "auto", "batch_size": {"choices": [1]}}},
        {
            "space": {
                "A": {"choices": [None]},
                "B": {"choices": [1, None]},
                "NUM_STREAMS": {"low": 1, "high": 4, "when": {"A": None, "B": [1, None]}},
            }
        },
        {"space": {"infer_requests": {"choices": [None, 4]}, "X": {"low": 0.5, "high": 1, "step": 0.1}}},
        {"objective": {"minimize": "latency_p99_ms", "subject_to": {"throughput": {"min_ratio": 1}}}},
        {"objective": ..., "objectives": [{"maximize": "throughput"}, {"minimize": "latency_p90_ms"}]},
        {
            "objective": ...,
            "objectives": [{"maximize": "throughput"}, {"minimize": "latency_p90_ms"}],
            "subject_to": {"latency_p99_ms": {"max": 50}},
        },
        {"baselines": {"today": {"NUM_STREAMS": 4, "batch_size": 2}}},
        {"search": {"seed": 1, "sampler": "grid"}, "decision": {"min_gain_pct": 0}, "name": "x"},
        {"model": {"path": "m", "batch_tolerance": 0.05, "inputs": {"x": {"shape": [1, 0]}, "y": {"value": True}}}},
        {"load": {"steps": 64}},
        {"load": {"steps": 64, "poisson": {"rate_per_s": 5}}},
    ],
)
def test_editor_and_reader_accept(changes: dict[str, Any]) -> None:
    assert is_valid(study(**changes), SCHEMA)
    StudySection.model_validate(study(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"schema_version": ...},
        {"schema_version": 2},
        {"schema_version": "1"},
        {"name": None},
        {"name": "a/b"},
        {"model": {}},
        {"model": {"path": ""}},
        {"model": {"path": "m", "inputs": {"x": {"shape": [-1]}}}},
        {"model": {"path": "m", "inputs": {"x": {"value": "16000"}}}},
        {"model": {"path": "m", "inputs": {"x": {"value": 1, "range": [0, 1]}}}},
        {"model": {"path": "m", "batch_tolerance": 2}},
        {"load": {"steps": 0}},
        {"load": {}},
        {"model": {"path": "m", "inputs": {"x": {"range": [0]}}}},
        {"device": "cpu"},
        {"objective": {"maximize": "throughput", "extra": 1}},
        {"objective": {"maximize": "throughput", "subject_to": {"throughput": {"min": 0}}}},
        {"objective": {"maximize": "throughput", "subject_to": {"throughput": {"min": True}}}},
        {"baselines": {"a": {"X": None}}},
        {"baselines": {"a": {"batch_size": 0}}},
        {"space": "Auto"},
        {"space": {"P": {"choices": []}}},
        {"space": {"P": {"choices": [[1]]}}},
        {"space": {"P": {"low": "1", "high": 2}}},
        {"space": {"P": {"choices": [1], "when": {"Q": []}}}},
        {"space": {"extends": "all"}},
        {"budget": {"minutes": "5"}},
        {"budget": {"trials": 0}},
        {"search": {"sampler": "cma"}},
        {"search": {"seed": -1}},
        {"decision": {"min_gain_pct": -1}},
        {"deployment": {"cpu": 1}},
        {"objective": {}},
        {"objective": ..., "objectives": [{"maximize": "throughput"}]},
        {"objective": ..., "objectives": [{"maximize": "throughput"}, {}]},
        {"objective": ..., "objectives": [{"maximize": "throughput"}, {"maximize": "latency_p90_ms"}]},
        {"objective": {"maximize": "throughput", "minimize": "latency_p50_ms"}},
        {"objective": {"maximize": "latency_p50_ms"}},
        {"objective": {"maximize": "throughput", "subject_to": {"speed": {"min": 1}}}},
        {"objective": {"maximize": "throughput", "subject_to": {"throughput": {}}}},
        {"baselines": {"LATENCY": {}}},
        {"baselines": {"a b": {}}},
        {"space": {"P": {}}},
        {"space": {"P": {"choices": [1], "low": 1}}},
        {"space": {"P": {"low": 1}}},
        {"budget": {}},
        {"load": {"poisson": {}}},
        {"load": {"poisson": {"rate_per_s": 5}, "constant": {"rate_per_s": 5}}},
    ],
)
def test_editor_and_reader_refuse(changes: dict[str, Any]) -> None:
    assert not is_valid(study(**changes), SCHEMA)
    with pytest.raises(ValueError, match="validation error"):
        StudySection.model_validate(study(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"objective": ...},
        {"subject_to": {"throughput": {"min": 1}}},
        {"objectives": [{"maximize": "throughput"}, {"minimize": "latency_p90_ms"}]},
        {"baselines": {"a": {"num_streams": 1}}},
        {"space": {"batchsize": {"choices": [1]}}},
    ],
)
def test_the_editor_knows_rules_between_sections_and_names_of_properties(changes: dict[str, Any]) -> None:
    assert not is_valid(study(**changes), SCHEMA)


def test_every_metric_can_be_asked_for_in_one_direction() -> None:
    keys = SCHEMA["$defs"]["DirectionSection"]["properties"]
    assert sorted(keys["maximize"]["enum"] + keys["minimize"]["enum"]) == sorted(METRICS)
    assert "throughput" in keys["maximize"]["enum"]


def test_every_closed_mapping_knows_its_keys() -> None:
    assert "schema_version" in keys_at(())
    assert keys_at(("model", "inputs", "x")) == ("shape", "layout", "range", "value")
    assert keys_at(("space", "NUM_STREAMS")) == ("choices", "low", "high", "step", "log", "when")
    for nowhere in (("nowhere",), ("objectives", "x"), ("space", "extends"), ("model", "inputs")):
        assert section_at(nowhere) is None
    paths: list[NodePath] = [(), ("model",), ("model", "inputs", "x"), ("objective",), ("objective", "subject_to", "x")]
    paths += [("objectives", 0), ("space", "x"), ("deployment",), ("budget",), ("load",), ("load", "poisson")]
    paths += [("search",), ("decision",)]
    direct = Section.__subclasses__()
    sections = [*direct, *(below for section in direct for below in section.__subclasses__())]
    # PropertiesSection is a base: no file holds one.
    closed = [s for s in sections if s.model_config.get("extra") == "forbid" and s is not PropertiesSection]
    assert sorted(keys_at(path) for path in paths) == sorted(tuple(section.model_fields) for section in closed)


def test_every_section_of_properties_knows_the_parameters_beside_them() -> None:
    for path in (("space",), ("baselines", "today")):
        section = section_at(path)
        assert section is not None
        allowed = ["NUM_STREAMS", *OWN_PARAMETERS]
        assert [section.refusal(key) for key in allowed] == [""] * len(allowed)
        assert set(OWN_PARAMETERS) <= set(SCHEMA["$defs"][section.__name__]["properties"])
