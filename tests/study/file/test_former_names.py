"""Names and values from old configurations are answered with those of today, not with a close match that misleads."""

from __future__ import annotations

import pytest

from tuner.study.file.device_checks import probe_properties
from tuner.study.file.former_names import name_of_today, value_of_today
from tuner.study.file.sections import BaselineSection
from tuner.study.file.space_section import SpaceSection


@pytest.mark.parametrize(
    ("old", "today"),
    [
        ("CPU_THREADS_NUM", "INFERENCE_NUM_THREADS"),
        ("CPU_THROUGHPUT_STREAMS", "NUM_STREAMS"),
        ("CPU_BIND_THREAD", "ENABLE_CPU_PINNING"),
        ("AFFINITY", "ENABLE_CPU_PINNING"),
        ("ENFORCE_BF16", "INFERENCE_PRECISION_HINT: bf16"),
        ("nireq", "infer_requests"),
        ("NUM_STREAMS", ""),
    ],
)
def test_a_former_name_has_one_of_today(old: str, today: str) -> None:
    assert name_of_today(old) == today


@pytest.mark.parametrize("section", [SpaceSection, BaselineSection])
def test_small_letters_lead_to_the_property(section: type[SpaceSection | BaselineSection]) -> None:
    assert "; today it is NUM_STREAMS; allowed: " in section.refusal("num_streams")
    assert "; today it is infer_requests; allowed: " in section.refusal("nireq")
    assert "did you mean batch_size?" in section.refusal("batchsize")


def test_values_are_asked_back_only_where_the_device_knows_them() -> None:
    assert value_of_today("throughput", "Expected only LATENCY/THROUGHPUT") == "THROUGHPUT"
    assert value_of_today("lots", "NUM_STREAMS takes a number") == ""
    assert value_of_today("CPU_THROUGHPUT_AUTO", "") == "AUTO"
    assert value_of_today(4, "4") == ""


@pytest.mark.openvino
def test_the_device_answers_a_former_name_with_that_of_today() -> None:
    found = probe_properties("CPU", {"CPU_THREADS_NUM": [8], "PERFORMANCE_HINT": ["throughput"], "NUM_STREMS": [1]})
    assert found["CPU_THREADS_NUM"] == "unknown property CPU_THREADS_NUM on CPU; today it is INFERENCE_NUM_THREADS"
    assert found['PERFORMANCE_HINT="throughput"'].endswith("; did you mean THROUGHPUT?")
    assert found["NUM_STREMS"].endswith("; did you mean NUM_STREAMS?")
