"""Study files with several objectives."""

from __future__ import annotations

import pytest

from tests.study.file.study_text import Load, changed, problems_of
from tuner.study.study import Limit, Objective

TWO = "[{maximize: throughput}, {minimize: latency_p90_ms}]"


def test_several_objectives_arrive_in_their_order_with_the_limits_beside_them(load: Load) -> None:
    found = load(changed(objective="", objectives=TWO, subject_to="{latency_p99_ms: {max: 50}}")).objective
    limit = Limit(metric="latency_p99_ms", max=50)
    assert found == Objective(metric="throughput", others=("latency_p90_ms",), limits=(limit,))
    assert found.has_several
    assert not found.is_latency, "requests in flight are what the two trade"


def test_several_latencies_alone_are_measured_as_one_is(load: Load) -> None:
    several = "[{minimize: latency_p50_ms}, {minimize: latency_p99_ms}]"
    assert load(changed(objective="", objectives=several)).objective.is_latency


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("[{maximize: throughput}]", "10:13: several objectives are 2 to 4; one stands under `objective:`"),
        ("[]", "10:13: several objectives are 2 to 4"),
        ("{maximize: throughput}", "10:13: expected a list, got a mapping"),
        ("throughput", '10:13: expected a list, got "throughput"'),
        ("~", "10:13: this key has no value"),
        ("[throughput, {minimize: latency_p90_ms}]", '10:14: expected a mapping, got "throughput"'),
        ("[{maximize: throughput}, {}]", "10:38: the objective needs one of maximize and minimize"),
        ("[{maximize: throughput}, {minimize: throughput}]", "10:39: throughput is better when higher; write `maxi"),
        ("[{maximize: throughput}, {maximize: throughput}]", "10:49: throughput is one of the objectives already"),
        ("[{maximize: throughput}, {minimize: latency_p9_ms}]", '10:49: unknown metric "latency_p9_ms"; did you mean'),
        ("[{maximize: throughput}, {minimise: latency_p90_ms}]", '10:39: unknown key "minimise"; did you mean minimi'),
        (
            "[{maximize: throughput}, {minimize: latency_p90_ms, maximize: throughput}]",
            "10:65: an objective has one of maximize and minimize",
        ),
        (
            "[{maximize: throughput}, {minimize: latency_p90_ms, subject_to: {}}]",
            '10:65: unknown key "subject_to"; allowed: maximize, minimize',
        ),
        (f"[{'{maximize: throughput}, ' * 4}{{minimize: latency_p90_ms}}]", "10:13: at most 4 objectives, got 5"),
    ],
)
def test_a_wrong_list_of_objectives_is_reported_at_its_position(load: Load, value: str, expected: str) -> None:
    found = problems_of(load, changed(objective="", objectives=value))
    assert found[0].startswith(expected), found


def test_limits_beside_several_objectives_are_checked_as_those_of_one(load: Load) -> None:
    limits = "{latency_p9_ms: {max: 5}, throughput: {min: 5, max: 4}}"
    found = problems_of(load, changed(objective="", objectives=TWO, subject_to=limits))
    assert [f.split(":")[0] for f in found] == ["11", "11"]
    assert "unknown metric" in found[0]
    assert "no value keeps both bounds" in found[1]


def test_an_objective_that_is_misspelt_is_not_also_missing(load: Load) -> None:
    (problem,) = problems_of(load, changed(objective="", objectivs=TWO))
    assert problem.startswith('10:1: unknown key "objectivs"; did you mean objective')


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        (
            {"objective": "{maximize: throughput, subject_to: {throughput: {max: 5}}}"},
            "5:61: max contradicts the objective, which wants throughput higher; take this bound out",
        ),
        (
            {"objective": "{minimize: latency_p99_ms, subject_to: {latency_p99_ms: {min_ratio: 2}}}"},
            "5:69: min_ratio contradicts the objective, which wants latency_p99_ms lower",
        ),
        (
            {"objective": "", "objectives": TWO, "subject_to": "{latency_p90_ms: {min: 5}}"},
            "11:31: min contradicts the objective, which wants latency_p90_ms lower",
        ),
    ],
)
def test_a_limit_that_contradicts_the_objective_is_refused(load: Load, sections: dict[str, str], expected: str) -> None:
    (found,) = problems_of(load, changed(**sections))
    assert found.startswith(expected)


def test_a_limit_on_the_objective_itself_may_ask_for_more_of_it(load: Load) -> None:
    limits = load(changed(objective="{maximize: throughput, subject_to: {throughput: {min: 5}}}")).objective.limits
    assert limits == (Limit(metric="throughput", min=5),)
