"""The answer in words: three verdicts, limits as sure as they are, and what the answer is valid for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.report.test_study import KEPT, TUNED
from tuner.deploy.best import BestArrivals, BestBaseline, BestConstraint, BestGain, BestObjective
from tuner.report.words.answer import (
    answer_of,
    beyond_words,
    callers_words,
    evidence_lines,
    headline,
    limit_phrase,
    validity_words,
)

OVER_DEFAULT = BestGain(estimate_pct=610.0, low_pct=520.0, high_pct=700.0, confidence=0.98, sessions=4, pairs=32)
DEFAULT = BestBaseline(name="default", value=45.9, properties={})
HINT = replace(
    KEPT,
    answer="hint",
    objective=BestObjective(metric="latency_p99_ms", value=6.51, unit="ms"),
    today=DEFAULT,
    today_gain=OVER_DEFAULT,
)


def test_a_hint_is_announced_with_its_gain_over_what_runs_today() -> None:
    assert headline(HINT) == (
        "use the hint THROUGHPUT: p99 45.9 to 6.51 ms, 7.1 times lower (6.2 to 8.0) than with default, which runs today"
    )
    assert evidence_lines(HINT) == [
        "against default, which runs today: 7.1 times lower (6.2 to 8.0), confidence 98.0 %, 4 fresh sessions, 32 pairs"
    ]


def test_tuned_settings_show_both_gains() -> None:
    today = BestBaseline(name="today", value=120.0, properties={"INFERENCE_NUM_THREADS": 1})
    gain = BestGain(estimate_pct=121.0, low_pct=110.0, high_pct=130.0, confidence=0.96, sessions=6, pairs=48)
    best = replace(TUNED, answer="settings", today=today, today_gain=gain)
    assert headline(best) == (
        "use these settings: throughput 120 to 265 samples/s, 2.2 times higher (2.1 to 2.3) than with what runs today"
    )
    assert [line.split(":")[0] for line in evidence_lines(best)] == [
        "against what runs today",
        "against THROUGHPUT, the strongest baseline",
    ]
    same = replace(best, today=replace(today, name="THROUGHPUT"), today_gain=TUNED.gain)
    assert len(evidence_lines(same)) == 1, "the strongest baseline is today's"


def test_nothing_to_change_names_what_stays() -> None:
    assert headline(replace(KEPT, answer="nothing", today=DEFAULT)) == "change nothing: default stays"


def test_files_of_older_versions_have_an_answer() -> None:
    assert (answer_of(TUNED), answer_of(KEPT)) == ("settings", "hint")
    assert answer_of(replace(KEPT, baseline=DEFAULT)) == "nothing"
    broken = BestConstraint(metric="latency_p99_ms", max=20.0, measured=35.1, kept=False)
    assert answer_of(replace(KEPT, constraints=(broken,))) is None
    assert headline(replace(KEPT, constraints=(broken,))).startswith("no answer: ")
    assert headline(KEPT) == "use the hint THROUGHPUT; no gain is claimed"
    assert headline(TUNED).endswith("26 % higher (22 to 30 %) than with THROUGHPUT")


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (
            BestConstraint(metric="latency_p99_ms", max=20.0, measured=4.4, requests=3120, proof="proved"),
            "p99 at most 20 ms: proved (4.40 ms on 3120 requests)",
        ),
        (
            BestConstraint(metric="latency_p99_ms", max=20.0, measured=4.4, requests=102, proof="as_measured"),
            "p99 at most 20 ms: kept as measured on 102 requests (4.40 ms)",
        ),
        (
            BestConstraint(metric="latency_p99_ms", max=20.0, measured=22.4, requests=900, proof="broken"),
            "p99 at most 20 ms: broken by 12 % (22.4 ms on 900 requests)",
        ),
        (
            BestConstraint(metric="throughput", min_ratio=0.9, measured=1.26, proof="proved"),
            "throughput at least 0.9 times the best baseline's: proved (1.26 times)",
        ),
        (
            BestConstraint(metric="throughput", min=100.0, measured=50.0),
            "throughput at least 100 samples/s: broken by a factor of 2.0 (50.0 samples/s)",
        ),
        (
            BestConstraint(metric="latency_max_ms", max=50.0, measured=9.0, requests=80, proof="as_measured"),
            "slowest request at most 50 ms: kept as measured on 80 requests (9.00 ms); "
            "of those to come it promises nothing",
        ),
    ],
)
def test_a_limit_says_how_sure_it_is(limit: BestConstraint, words: str) -> None:
    assert limit_phrase(limit) == words


def test_a_candidate_beyond_a_limit_says_by_how_much() -> None:
    assert beyond_words({"latency_p99_ms": 0.1133, "throughput": -0.2}) == "p99 beyond its limit by 12 %"
    assert beyond_words({"latency_p99_ms": float("inf")}) == "p99 not measured"
    assert beyond_words({"latency_p99_ms": -0.1}) == ""


def test_the_answer_says_what_it_is_valid_for() -> None:
    single = replace(TUNED, infer_requests=1, batch_size=1, api="sync")
    assert validity_words(single) == "for one request at a time"
    assert "take turns" in callers_words(single)
    assert validity_words(replace(single, infer_requests=2, api="async")) == "for 2 requests in flight"
    conditions = {"cpus": 1.0, "replicas": 2, "memory_bytes": 2**29, "cpuset": "0-1", "background": "work\x1b[2J"}
    assert validity_words(replace(single, deployment=conditions)) == (
        "for one request at a time, under a quota of 1 CPU, on the CPUs 0-1, within 512 MiB of memory, "
        "with 2 replicas on this host, beside this load: work\\x1b[2J"
    )
    arriving = replace(TUNED, batch_size=1, arrivals=BestArrivals(pattern="poisson", rate_per_s=120.0))
    assert validity_words(arriving) == "for poisson arrivals of 120 requests/s"
    assert callers_words(arriving) == ""
