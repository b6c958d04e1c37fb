"""Why this configuration, in one line, from what the search measured of its neighbours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from tests.report.test_study import KEPT, SEARCHED, TUNED, outcome
from tuner.bench.configuration import DeploymentConfig
from tuner.evidence.candidates import Candidate, Comparison
from tuner.outcome.study_report import StudyReport
from tuner.outcome.why import neighbours
from tuner.report.words.why import why_line


def candidate(gain: float, *, violation: float = -1.0, **assignment: int) -> Candidate:
    comparison = Comparison(
        value=math.log(gain), sd=0.01, violations={"latency_p99_ms": violation}, window_s=0.4, requests_per_window=80.0
    )
    own: Mapping[str, int] = {name: value for name, value in assignment.items() if name != "batch_size"}
    config = DeploymentConfig(device="CPU", properties=own, batch_size=assignment["batch_size"])
    key = str(sorted(assignment.items()))
    return Candidate(key=key, config=config, trial=1, assignment=assignment, comparisons=[comparison] * 4)


BEST = candidate(2.0, NUM_STREAMS=2, batch_size=8)
FOUND = [
    BEST,
    candidate(1.99, NUM_STREAMS=2, batch_size=4),
    candidate(1.0, NUM_STREAMS=2, batch_size=1),
    candidate(1.6, NUM_STREAMS=1, batch_size=8),
    candidate(0.5, NUM_STREAMS=1, batch_size=1),
]


def report(*candidates: Candidate) -> StudyReport:
    tuned = outcome(TUNED)
    assert tuned.result is not None
    return replace(tuned, candidates=candidates, result=replace(tuned.result, config=BEST.config))


def test_the_neighbours_differ_in_one_parameter_and_the_worst_of_each_is_told() -> None:
    found = report(*FOUND)
    assert [(one.parameter, round(one.loss, 3)) for one in neighbours(found)] == [
        ("batch_size", round(math.log(2.0), 3)),
        ("NUM_STREAMS", round(math.log(2.0 / 1.6), 3)),
    ]
    assert why_line(found) == (
        "why: in the search, of 5 configurations, batch 1 instead of batch 8: throughput 2.0 times lower; "
        "1 stream instead of 2 streams: throughput 20 % lower"
    )


def test_neighbours_within_the_noise_are_said_to_be_as_good() -> None:
    assert why_line(report(*FOUND[:2])) == (
        "why: the best of 2 configurations in the search; its neighbours are as good, within the noise"
    )


def test_where_no_candidate_is_deployed_the_best_one_is_named_with_what_it_breaks() -> None:
    kept = replace(outcome(KEPT), candidates=[candidate(1.25, violation=0.1133 - 0.01, NUM_STREAMS=2, batch_size=8)])
    assert why_line(kept) == (
        "why: the only configuration in the search was 2 streams, batch 8, throughput 25 % higher, "
        "p99 beyond its limit by 12 % beside THROUGHPUT, not confirmed"
    )
    assert why_line(replace(SEARCHED, candidates=[])) == ""
