"""The short name of a configuration: what is said, what is left out, and that no two candidates share a name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.test_study import TUNED
from tuner.bench.configuration import DeploymentConfig
from tuner.report.words.configuration import baseline_name, deployed, differing, name_by, short_name
from tuner.report.words.text import printable
from tuner.study.configuration import to_configuration


def config(**given: Any) -> DeploymentConfig:
    return to_configuration(given, device="CPU", api="async")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (
            {
                "NUM_STREAMS": 2,
                "INFERENCE_NUM_THREADS": 2,
                "batch_size": 32,
                "infer_requests": 16,
                "ENABLE_CPU_PINNING": False,
            },
            "2 streams x 1 thread, batch 32, 16 requests, unpinned",
        ),
        ({}, "defaults"),
        ({"NUM_STREAMS": None, "infer_requests": None}, "defaults"),
        ({"NUM_STREAMS": 1}, "1 stream"),
        ({"NUM_STREAMS": "AUTO"}, "AUTO streams"),
        ({"NUM_STREAMS": 0, "INFERENCE_NUM_THREADS": 2}, "0 streams on 2 threads"),
        ({"INFERENCE_NUM_THREADS": 1}, "1 thread"),
        ({"NUM_STREAMS": 2, "INFERENCE_NUM_THREADS": 6}, "2 streams x 3 threads"),
        ({"NUM_STREAMS": 2, "INFERENCE_NUM_THREADS": 3}, "2 streams on 3 threads"),
        ({"ENABLE_CPU_PINNING": True, "ENABLE_HYPER_THREADING": True}, "pinned, hyper-threading"),
        ({"ENABLE_CPU_PINNING": "NO", "ENABLE_HYPER_THREADING": False}, "unpinned, no hyper-threading"),
        ({"ENABLE_CPU_PINNING": "maybe"}, "ENABLE_CPU_PINNING=maybe"),
        ({"SCHEDULING_CORE_TYPE": "PCORE_ONLY"}, "P-cores only"),
        ({"SCHEDULING_CORE_TYPE": "NEW"}, "SCHEDULING_CORE_TYPE=NEW"),
        ({"PERFORMANCE_HINT": "LATENCY", "infer_requests": 1}, "LATENCY hint, 1 request"),
        ({"INFERENCE_PRECISION_HINT": "bf16", "batch_size": 4}, "batch 4, bf16"),
        ({"replicas": 2}, "2 replicas"),
        ({"replicas": 2, "affinity": "split"}, "2 replicas with split CPUs"),
        ({"Z_LAST": 1, "A_FIRST": "x", "NUM_STREAMS": 4}, "4 streams, A_FIRST=x, Z_LAST=1"),
    ],
)
def test_what_is_set_is_said_in_few_words(given: dict[str, Any], name: str) -> None:
    assert short_name(config(**given)) == name


def test_only_what_differs_between_the_candidates_is_said_usual_values_too() -> None:
    one = config(NUM_STREAMS=2, ENABLE_CPU_PINNING=False, batch_size=1)
    two = config(NUM_STREAMS=2, ENABLE_CPU_PINNING=False, batch_size=8)
    three = config(NUM_STREAMS=2, batch_size=8, infer_requests=4)
    assert [short_name(c, among=[one, two]) for c in (one, two)] == ["batch 1", "batch 8"]
    assert [short_name(c, among=[two, three]) for c in (two, three)] == ["suggested requests, unpinned", "4 requests"]
    assert short_name(one, among=[one, one]) == short_name(one) == "2 streams, unpinned"


def test_streams_and_threads_stand_together_even_if_one_of_them_is_always_the_same() -> None:
    among = [config(NUM_STREAMS=n, INFERENCE_NUM_THREADS=8) for n in (2, 4)]
    assert [short_name(c, among) for c in among] == ["2 streams x 4 threads", "4 streams x 2 threads"]


def test_cpus_of_replicas_are_said_of_several_replicas_only() -> None:
    among = [config(replicas=1), config(replicas=2), config(replicas=2, affinity="split")]
    assert [short_name(c, among) for c in among] == [
        "1 replica",
        "2 replicas with shared CPUs",
        "2 replicas with split CPUs",
    ]
    assert [short_name(c, among[1:]) for c in among[1:]] == ["shared CPUs", "split CPUs"]


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("THROUGHPUT", {"PERFORMANCE_HINT": "THROUGHPUT"}, "THROUGHPUT"),
        ("THROUGHPUT", {"PERFORMANCE_HINT": "THROUGHPUT", "infer_requests": 1}, "THROUGHPUT (1 request)"),
        ("default", {}, "default"),
        ("today", {"INFERENCE_NUM_THREADS": 7}, "today (7 threads)"),
        ("last", {"PERFORMANCE_HINT": "LATENCY"}, "last (LATENCY hint)"),
    ],
)
def test_a_baseline_is_called_by_its_name(name: str, given: dict[str, Any], words: str) -> None:
    assert baseline_name(name, config(**given)) == words


def test_a_best_file_has_the_name_of_its_configuration() -> None:
    assert short_name(deployed(TUNED)) == "2 streams, batch 4, 8 requests, unpinned"


def test_a_synchronous_configuration_says_so_where_others_are_not() -> None:
    one = DeploymentConfig(device="CPU", api="sync", infer_requests=1)
    assert short_name(one) == "1 request, synchronous"
    assert short_name(one, among=[config(infer_requests=2)]) == "1 request, synchronous"
    assert name_by(one, {"infer_requests"}) == "1 request"


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\nb", "\x9b2J", "\u202etxet", "a\u2028b", "\ud800", "\t"])
def test_what_a_file_says_does_not_reach_a_terminal_as_control(text: str) -> None:
    name = short_name(config(**{"CACHE_DIR": text, text.upper(): 1}))
    assert name.isprintable()
    assert baseline_name(text, config()).isprintable()
    assert printable("Gerät 1, 速い, emoji 🚀") == "Gerät 1, 速い, emoji 🚀"


VALUES: dict[str, list[Any]] = {
    "NUM_STREAMS": [None, 0, 1, 2, 3, 4],
    "INFERENCE_NUM_THREADS": [None, 1, 2, 3, 4, 6],
    "ENABLE_CPU_PINNING": [None, True, False],
    "ENABLE_HYPER_THREADING": [None, True, False],
    "SCHEDULING_CORE_TYPE": [None, "ANY_CORE", "PCORE_ONLY"],
    "PERFORMANCE_HINT": [None, "LATENCY", "THROUGHPUT"],
    "batch_size": [1, 2, 4],
    "infer_requests": [None, 1, 2],
    "replicas": [1, 2],
    "affinity": ["shared", "split"],
    "OTHER": [None, 1, "x"],
}


@given(st.lists(st.fixed_dictionaries({name: st.sampled_from(v) for name, v in VALUES.items()}), max_size=6))
def test_no_two_candidates_have_the_same_name(points: list[dict[str, Any]]) -> None:
    among = {config(**point) for point in points}
    names = [short_name(one, among) for one in among]
    assert len(set(names)) == len(among)
    assert len({short_name(one) for one in among}) == len(among)
    assert all(name_by(one, differing(among)) == name for one, name in zip(among, names, strict=True))
