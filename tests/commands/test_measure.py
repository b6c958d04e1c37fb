"""`tuner measure --set`: one configuration from words on the command line, read as a study file would read it."""

from __future__ import annotations

import pytest

from tuner.bench.value import Value
from tuner.commands.measure import parse_sets
from tuner.errors import InputError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", 2),
        ("-1", -1),
        ("2.5", 2.5),
        ("1e3", 1000.0),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("yes", "yes"),
        ("LATENCY", "LATENCY"),
        ("'1'", "1"),
        ("a=b", "a=b"),
        ("cpu-0.1:2", "cpu-0.1:2"),
    ],
)
def test_a_value_is_what_a_study_file_makes_of_it(text: str, value: Value) -> None:
    assert repr(parse_sets([f"NUM_STREAMS={text}"])) == repr({"NUM_STREAMS": value})


def test_properties_and_our_own_parameters_make_one_assignment_in_their_order() -> None:
    found = parse_sets(["NUM_STREAMS=2", "batch_size=4", "ENABLE_CPU_PINNING=false", "infer_requests=8"])
    assert found == {"NUM_STREAMS": 2, "batch_size": 4, "ENABLE_CPU_PINNING": False, "infer_requests": 8}
    assert list(found) == ["NUM_STREAMS", "batch_size", "ENABLE_CPU_PINNING", "infer_requests"]
    assert parse_sets([]) == {}


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        (["NUM_STREAMS"], "NAME=VALUE"),
        (["=2"], "NAME=VALUE"),
        ([""], "NAME=VALUE"),
        (["NUM_STREAMS="], "null leaves a property unset"),
        (["NUM_STREAMS= "], "null leaves a property unset"),
        (["NUM_STREAMS=1", "NUM_STREAMS=2"], "given twice"),
        (["num_streams=2"], "neither an OpenVINO property"),
        (["device=GPU"], "batch_size, infer_requests"),
        (["NUM_STREAMS=[1, 2]"], "one finite number"),
        (["NUM_STREAMS={a: 1}"], "one finite number"),
        (["NUM_STREAMS=.inf"], "one finite number"),
        (["NUM_STREAMS=.nan"], "one finite number"),
        (["NUM_STREAMS=1\nB: 2"], "one finite number"),
        (["NUM_STREAMS=a: b"], "cannot be read"),
        (["NUM_STREAMS=*x"], "cannot be read"),
        (["NUM_STREAMS=\0"], "cannot be read"),
        (["batch_size=0"], "whole number from 1"),
        (["batch_size=1.0"], "whole number from 1"),
        (["batch_size=true"], "whole number from 1"),
        (["infer_requests=null"], "whole number from 1"),
    ],
)
def test_what_is_wrong_with_a_set_is_said_with_its_text(sets: list[str], words: str) -> None:
    with pytest.raises(InputError, match=r"^--set") as error:
        parse_sets(sets)
    assert words in str(error.value)
