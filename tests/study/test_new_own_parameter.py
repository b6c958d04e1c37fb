"""A new row of own parameters is known to spaces, configurations, tables, features and `--set`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.virtual import Virtual, make_study, space_of
from tuner.bench.configuration import DeploymentConfig, Effective
from tuner.bench.own_parameters import OWN_PARAMETERS, OwnParameter
from tuner.bench.simulated.table import Row, Table
from tuner.commands.measure import parse_sets
from tuner.errors import InputError, StudyFileError
from tuner.search.expected_improvement import features
from tuner.study.configuration import to_configuration
from tuner.study.file.loader import load_study
from tuner.study.file.schema import json_schema
from tuner.study.space import Parameter

NEW = OwnParameter(
    name="variant",
    description="Precision of the weights.",
    read=lambda effective: effective.variant,
    words=("original", "int8"),
    is_for_replicas=False,
)
"""A parameter of configurations that has no row yet; a baseline needs its own field for it."""
STUDY = """\
schema_version: 1
model: m.onnx
device: CPU
objective: {maximize: throughput}
budget: {trials: 3}
space: {variant: {choices: [WORDS]}, NUM_STREAMS: {choices: [1, 2]}}
"""


@pytest.fixture(autouse=True)
def row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OWN_PARAMETERS, "variant", NEW)  # type: ignore[arg-type]


def written(folder: Path, words: str) -> Path:
    path = folder / "study.yaml"
    path.write_text(STUDY.replace("WORDS", words))
    return path


def test_a_space_may_name_it_and_its_words_are_checked(tmp_path: Path) -> None:
    assert load_study(written(tmp_path, "original, int8")).space.parameters[0].values == ("original", "int8")
    with pytest.raises(StudyFileError, match='unknown variant "int4"'):
        load_study(written(tmp_path, "original, int4"))


def test_the_schema_for_editors_has_it() -> None:
    space = json_schema()["$defs"]["SpaceSection"]["properties"]
    assert space["variant"]["description"] == NEW.description


def test_a_point_of_the_space_becomes_a_configuration_with_it() -> None:
    config = to_configuration({"variant": "int8"}, device="CPU", api="async")
    assert config == DeploymentConfig(device="CPU", properties={}, api="async", variant="int8")
    assert to_configuration({}, device="CPU", api="async").variant == "original"


def test_set_takes_its_words_and_no_others() -> None:
    assert parse_sets(["variant=int8"]) == {"variant": "int8"}
    with pytest.raises(InputError, match="variant is one of original, int8"):
        parse_sets(["variant=int4"])


def test_the_enumerated_space_tells_its_values_apart_and_reads_them_back(tmp_path: Path) -> None:
    space = space_of(Parameter(name="variant", values=("original", "int8")))
    found = Virtual(folder=tmp_path, space=space, study=make_study(minutes=None, trials=3)).enumeration()
    assert found is not None
    assert list(found.distinct.values()) == [{"variant": "original"}, {"variant": "int8"}]
    assert found.without_effect == []


def test_a_count_per_stream_has_a_feature_more(monkeypatch: pytest.MonkeyPatch) -> None:
    space = space_of(Parameter(name="variant", values=(1, 2, 4)), Parameter(name="NUM_STREAMS", values=(1, 2, 4)))
    point = {"variant": 2, "NUM_STREAMS": 4}
    before = features(space, point)
    counted = OwnParameter(name="variant", description="", read=lambda effective: None, is_per_stream=True)
    monkeypatch.setitem(OWN_PARAMETERS, "variant", counted)  # type: ignore[arg-type]
    assert len(features(space, point)) == len(before) + 1


def test_a_recorded_table_may_have_a_column_of_it() -> None:
    rows = [Row(point={"NUM_STREAMS": 1, "variant": word}, throughput_per_s=speed) for word, speed in SPEEDS.items()]
    table = Table(name="variants", rows=rows)
    config = to_configuration({"NUM_STREAMS": 1, "variant": "int8"}, device="CPU", api="async")
    assert table.row_of(config).throughput_per_s == SPEEDS["int8"]
    resolved = table.resolve(config)
    assert isinstance(resolved, Effective)
    assert (resolved.variant, resolved.properties) == ("int8", {"NUM_STREAMS": "1"})


SPEEDS = {"original": 100.0, "int8": 180.0}
"""Samples per second of each variant."""
