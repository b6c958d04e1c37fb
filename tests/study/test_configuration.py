from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.bench.configuration import DeploymentConfig, PropertyValue
from tuner.bench.own_parameters import OWN_PARAMETERS
from tuner.bench.value import Value
from tuner.study.configuration import to_configuration

VALUES = st.none() | st.booleans() | st.integers(1, 64) | st.floats(0, 1) | st.sampled_from(["LATENCY", "1", ""])
PROPERTIES = st.dictionaries(st.sampled_from(["NUM_STREAMS", "ENABLE_CPU_PINNING", "TBB_PARTITIONER"]), VALUES)


def test_upper_case_is_a_property_and_lower_case_is_ours() -> None:
    config = to_configuration(
        {"NUM_STREAMS": 2, "ENABLE_CPU_PINNING": False, "batch_size": 4, "infer_requests": 8}, device="CPU", api="async"
    )
    assert config == DeploymentConfig(
        device="CPU",
        properties={"NUM_STREAMS": 2, "ENABLE_CPU_PINNING": False},
        batch_size=4,
        infer_requests=8,
        api="async",
    )


def test_parameters_outside_the_space_have_their_defaults() -> None:
    config = to_configuration({}, device="AUTO:CPU", api="sync")
    assert config == DeploymentConfig(device="AUTO:CPU", properties={}, batch_size=1, infer_requests=None, api="sync")


def test_null_requests_are_as_many_as_the_model_suggests() -> None:
    assert (
        to_configuration({"infer_requests": None, "batch_size": None}, device="CPU", api="async").infer_requests is None
    )


def test_the_assignment_overrides_fixed_properties() -> None:
    fixed: dict[str, PropertyValue] = {"NUM_STREAMS": 1, "TBB_PARTITIONER": "STATIC", "ENABLE_CPU_PINNING": True}
    config = to_configuration({"NUM_STREAMS": 2, "ENABLE_CPU_PINNING": None}, device="CPU", api="async", fixed=fixed)
    assert config.properties == {"NUM_STREAMS": 2, "TBB_PARTITIONER": "STATIC"}
    assert len(fixed) == 3


@pytest.mark.parametrize("name", ["batchsize", "model_variant"])
def test_an_unknown_name_of_ours_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        to_configuration({name: 2}, device="CPU", api="async")


def test_every_parameter_of_ours_arrives() -> None:
    own: dict[str, Value] = {"batch_size": 4, "infer_requests": 3, "replicas": 2, "affinity": "split"}
    assert set(own) == set(OWN_PARAMETERS)
    config = to_configuration(own, device="CPU", api="async")
    assert {name: getattr(config, name) for name in own} == own


@given(PROPERTIES)
def test_a_property_is_unset_only_by_none(properties: dict[str, Value]) -> None:
    config = to_configuration(properties, device="CPU", api="async")
    expected = [(name, repr(value)) for name, value in properties.items() if value is not None]
    assert [(name, repr(value)) for name, value in config.properties.items()] == expected


@given(PROPERTIES, PROPERTIES)
def test_assignments_that_differ_are_configurations_that_differ(a: dict[str, Value], b: dict[str, Value]) -> None:
    kept = [{name: repr(value) for name, value in point.items() if value is not None} for point in (a, b)]
    configs = [to_configuration(point, device="CPU", api="async") for point in (a, b)]
    assert (configs[0] == configs[1]) == (kept[0] == kept[1])
