"""The table of parameters beside the properties: complete, and of one mind with configurations and baselines."""

from __future__ import annotations

from dataclasses import fields

import pytest

from tuner.bench.configuration import DeploymentConfig, Effective
from tuner.bench.own_parameters import OWN_PARAMETERS, own_values
from tuner.deploy.best import Best, BestBaseline
from tuner.study.study import BaselineSpec


def test_every_parameter_is_a_field_of_configurations_baselines_and_best_yaml() -> None:
    for kind in (DeploymentConfig, BaselineSpec, Effective, Best, BestBaseline):
        assert set(OWN_PARAMETERS) <= {field.name for field in fields(kind)}, kind
    assert [row.name for row in OWN_PARAMETERS.values()] == list(OWN_PARAMETERS)


def test_a_value_is_read_off_an_effective_configuration() -> None:
    effective = Effective(properties={}, batch_size=8, infer_requests=3, replicas=2, affinity="split")
    found = {name: row.read(effective) for name, row in OWN_PARAMETERS.items()}
    assert found == {"batch_size": 8, "infer_requests": 3, "replicas": 2, "affinity": "split"}


@pytest.mark.parametrize("name", ["batch_size", "infer_requests", "replicas"])
def test_a_count_is_a_whole_number_from_one(name: str) -> None:
    row = OWN_PARAMETERS[name]
    assert row.is_count
    assert row.allowed == "a whole number from 1"
    assert [row.is_legal(value) for value in (1, 64, 0, -1, 1.0, True, "1", None)] == [True] * 2 + [False] * 6


def test_an_affinity_is_one_of_two_words() -> None:
    row = OWN_PARAMETERS["affinity"]
    assert row.allowed == "one of shared, split"
    assert [row.is_legal(value) for value in ("shared", "split", "apart", 1, None)] == [True] * 2 + [False] * 3


def test_values_of_a_configuration_come_from_the_last_source_that_gives_one() -> None:
    found = own_values({"replicas": 2, "infer_requests": 1}, {"infer_requests": None, "affinity": "split", "X": 1})
    assert found == {"batch_size": 1, "infer_requests": 1, "replicas": 2, "affinity": "split"}
    assert own_values({"replicas": 1, "affinity": "split"})["affinity"] == "shared", "one process shares with none"


def test_the_usual_value_is_that_of_a_configuration_that_says_nothing() -> None:
    plain = DeploymentConfig(device="CPU")
    assert {name: row.usual for name, row in OWN_PARAMETERS.items()} == {n: getattr(plain, n) for n in OWN_PARAMETERS}


def test_a_default_is_legal_or_left_to_model_and_deployment() -> None:
    for row in OWN_PARAMETERS.values():
        assert row.default is None or row.is_legal(row.default)
