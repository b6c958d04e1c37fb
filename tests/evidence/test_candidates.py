"""Candidates, read off session lines that are made by hand and off a log that grows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.virtual import CLOSED, crash
from tuner.bench import histogram
from tuner.bench.configuration import DeploymentConfig, Effective, Failure
from tuner.bench.measurement import Costs, Session, Window, Windows
from tuner.bench.metrics import request_count
from tuner.bench.protocol import Phase
from tuner.evidence.candidates import Candidate, Comparer, Comparison, Evidence, MetricValues, ranked
from tuner.evidence.pooled_metrics import metrics_of, pool, pooled
from tuner.records.session_log import SessionLine
from tuner.study.study import Limit, Objective

THROUGHPUT = Objective(metric="throughput")
WINDOW_SD = 0.05


def config(streams: int, **more: int) -> DeploymentConfig:
    return DeploymentConfig(device="CPU", properties={"NUM_STREAMS": streams, **more})


def ran(speed: float, *, streams: int = 0, windows: int = 4, latency_ms: float = 10.0) -> Windows:
    """A member of `speed` samples/s whose effective configuration is its streams."""
    counts = histogram.count([latency_ms] * 100)
    return Windows(
        effective=Effective(properties={"NUM_STREAMS": str(streams)}, batch_size=1, infer_requests=1),
        windows=tuple(
            Window(
                block=i,
                turn=i,
                started_s=float(i),
                duration_s=100 / speed,
                samples=100,
                latency_counts=counts,
                latency_sum_ms=100 * latency_ms,
            )
            for i in range(windows)
        ),
        compile_s=0.1,
    )


REFERENCE = ran(100.0)


def line(
    *members: tuple[DeploymentConfig, int | None, Windows | Failure],
    reference: Windows | Failure = REFERENCE,
    phase: Phase = "search",
) -> SessionLine:
    """One session of the reference and members, each with its trial."""
    session = Session(
        configurations=(config(0), *(c for c, _, _ in members)),
        members=(reference, *(m for _, _, m in members)),
        started_unix_s=0.0,
        wall_s=1.0,
        costs=Costs(),
        process="p",
    )
    return SessionLine(
        phase=phase,
        attempt=1,
        index_in_phase=0,
        trials=(None, *(trial for _, trial, _ in members)),
        assignments=(None, *({"trial": trial} for _, trial, _ in members)),
        session=session,
    )


def comparer(objective: Objective, *, window_sd: float = WINDOW_SD) -> Comparer:
    return Comparer(objective=objective, window_sd=window_sd, window_s=1.0, compile_sd=0.02, best_ratios_log={})


def evidence(*lines: SessionLine, objective: Objective = THROUGHPUT) -> Evidence:
    found = Evidence(comparer(objective), reference_key=REFERENCE.effective.key)
    found.read(lines)
    return found


def only(*lines: SessionLine, objective: Objective = THROUGHPUT) -> Candidate:
    (candidate,) = evidence(*lines, objective=objective).candidates.values()
    return candidate


def test_a_candidates_value_is_its_log_ratio_to_the_reference_of_its_session() -> None:
    candidate = only(line((config(2), 7, ran(120.0, streams=2))))
    assert candidate.value == pytest.approx(math.log(1.2))
    assert candidate.sd == pytest.approx(math.hypot(WINDOW_SD / 2 * math.sqrt((1.0 + 1.2) / 2), 0.02))
    assert (candidate.trial, candidate.assignment, candidate.config) == (7, {"trial": 7}, config(2))
    assert candidate.comparisons[0].window_s == pytest.approx(100 / 120)
    assert candidate.comparisons[0].requests_per_window == 100


def test_sessions_are_weighted_by_their_precision() -> None:
    candidate = only(
        line((config(2), 0, ran(100.0, streams=2, windows=1))),
        line((config(2), 0, ran(120.0, streams=2, windows=4)), phase="final"),
    )
    shorter = (1.0 + 1.2) / 2  # the windows of the second member are shorter, and their noise is larger
    weights = [1 / (WINDOW_SD**2 * factor / n + 0.02**2) for n, factor in ((1, 1.0), (4, shorter))]
    assert candidate.value == pytest.approx(weights[1] * math.log(1.2) / sum(weights))
    assert candidate.sd == pytest.approx(1 / math.sqrt(sum(weights)))
    assert candidate.rank == pytest.approx(candidate.value - 0.5 * candidate.sd)


def test_requests_with_one_effective_configuration_are_one_candidate() -> None:
    found = evidence(
        line((config(8), 1, ran(110.0, streams=4)), (config(4), 2, ran(110.0, streams=4))),
        line((config(2), 3, ran(90.0, streams=2))),
    )
    assert [(c.config, c.trial, len(c.comparisons)) for c in found.candidates.values()] == [
        (config(8), 1, 2),
        (config(2), 3, 1),
    ]
    assert found.requests[config(4)] is found.requests[config(8)]


def test_baselines_in_a_final_are_no_candidates() -> None:
    assert evidence(line((config(1), None, ran(90.0, streams=1)), phase="final")).candidates == {}


@pytest.mark.parametrize("phase", ["baselines", "confirm", "measure"])
def test_other_phases_have_no_candidates(phase: Phase) -> None:
    assert evidence(line((config(2), 0, ran(90.0, streams=2)), phase=phase)).candidates == {}


def test_one_failure_outweighs_what_was_measured_before_and_after() -> None:
    candidate = only(
        line((config(2), 0, ran(120.0, streams=2))),
        line((config(2), 0, crash("boom")), phase="final"),
        line((config(2), 0, ran(120.0, streams=2)), phase="final"),
    )
    assert str(candidate.failure) == "crash: boom"
    assert not candidate.is_measured
    assert candidate.is_known


def test_a_failure_counts_for_its_request_alone() -> None:
    found = evidence(
        line((config(2), 0, ran(120.0, streams=2))),
        line((config(2, X=1), 1, crash())),
    )
    assert [c.is_measured for c in found.candidates.values()] == [True, False]


def test_a_candidate_without_its_reference_is_unknown_and_fails_the_second_time() -> None:
    invalid = line((config(2), 0, ran(120.0, streams=2)), reference=crash("gone"))
    once, twice = only(invalid), only(invalid, invalid)
    assert (once.is_known, once.is_measured, once.invalid_sessions) == (False, False, 1)
    assert twice.failure is not None
    assert "never measured beside the reference: crash: gone" in twice.failure.message


def test_an_invalid_session_does_not_change_a_measured_candidate() -> None:
    invalid = line((config(2), 0, ran(120.0, streams=2)), reference=crash("gone"), phase="final")
    candidate = only(line((config(2), 0, ran(120.0, streams=2))), invalid, invalid)
    assert candidate.is_measured
    assert candidate.value == pytest.approx(math.log(1.2))


def test_a_session_beside_another_reference_is_not_compared() -> None:
    other = ran(50.0, streams=77)
    candidate = only(line((config(2), 0, ran(120.0, streams=2)), reference=other))
    assert not candidate.is_known


def test_a_session_with_an_empty_window_is_invalid() -> None:
    empty = ran(120.0, streams=2)
    windows = (replace(empty.windows[0], samples=0, latency_counts={}), *empty.windows[1:])
    assert not only(line((config(2), 0, replace(empty, windows=windows)))).is_known


@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.sampled_from([0.0, 80.0, 100.0, 130.0]), st.booleans()), min_size=1, max_size=8
    )
)
def test_evidence_read_line_by_line_equals_that_of_the_whole_log(rows: Sequence[tuple[int, float, bool]]) -> None:
    lines = [
        line(
            (config(streams), i, ran(speed, streams=streams % 3) if speed else crash()),
            reference=REFERENCE if has_reference else crash(),
        )
        for i, (streams, speed, has_reference) in enumerate(rows)
    ]
    grown = evidence()
    for count in range(len(lines) + 1):
        grown.read(lines[:count])
    assert grown.candidates == evidence(*lines).candidates
    assert grown.read(lines) == grown.candidates


# Limits


def limited(*limits: Limit) -> Objective:
    return Objective(metric="throughput", limits=limits)


def test_a_limit_is_lenient_by_one_sd_and_less_so_with_every_session() -> None:
    objective = limited(Limit(metric="latency_p50_ms", max=10.0))
    slow = line((config(2), 0, ran(120.0, streams=2, latency_ms=10.2)))
    once, often = only(slow, objective=objective), only(*[slow] * 9, objective=objective)
    assert once.excess == pytest.approx(math.log(1.02), abs=0.005)
    assert often.excess == pytest.approx(once.excess)
    assert once.is_feasible
    assert not often.is_feasible


def test_the_excess_is_that_of_the_worst_limit() -> None:
    limits = limited(Limit(metric="latency_p50_ms", max=20.0), Limit(metric="throughput", min=200.0))
    candidate = only(line((config(2), 0, ran(100.0, streams=2))), objective=limits)
    assert candidate.excess == pytest.approx(math.log(2.0))


def test_without_limits_every_candidate_is_feasible() -> None:
    candidate = only(line((config(2), 0, ran(1.0, streams=2))))
    assert candidate.excess == -math.inf
    assert candidate.is_feasible


def test_feasible_candidates_are_ranked_first_and_the_others_by_their_violation() -> None:
    def made(key: str, value: float, excess: float | None, *, failed: bool = False) -> Candidate:
        violations = {} if excess is None else {"latency_p50_ms": excess}
        comparison = Comparison(value=value, sd=0.01, violations=violations, window_s=0.4, requests_per_window=9.0)
        return Candidate(
            key=key,
            config=config(1),
            trial=0,
            assignment={},
            comparisons=[comparison],
            failure=crash() if failed else None,
        )

    candidates = [
        made("far", 9.0, 2.0),
        made("near", 1.0, 0.5),
        made("good", 0.1, -0.5),
        made("best", 0.2, -0.5),
        made("failed", 5.0, -1.0, failed=True),
    ]
    assert [c.key for c in ranked(candidates)] == ["best", "good", "near", "far"]
    assert [c.key for c in ranked(reversed(candidates))] == ["best", "good", "near", "far"]


# Comparing one session


def test_a_percentile_of_few_requests_is_compared_with_its_own_error() -> None:
    objective = Objective(metric="latency_p99_ms")
    few = ran(100.0, windows=2, latency_ms=5.0)
    found = comparer(objective, window_sd=1e-6).compare(few, ran(100.0, windows=2))
    assert found is not None
    assert found.value == pytest.approx(math.log(2.0), abs=0.01)
    assert found.sd >= 0.02


def test_members_without_a_common_block_are_not_compared() -> None:
    assert comparer(THROUGHPUT).compare(ran(100.0, windows=0), REFERENCE) is None


# Pools


def test_a_pool_has_all_windows_of_a_configuration_over_sessions() -> None:
    lines = [line((config(2), 0, ran(speed, streams=2, windows=n))) for speed, n in ((100.0, 2), (200.0, 3))]
    found = pooled([one.session for one in lines], config(2))
    assert found is not None
    assert request_count(found.windows) == 500
    assert metrics_of(found).values["throughput"] == pytest.approx(500 / (2 * 1.0 + 3 * 0.5))
    assert metrics_of(found).requests == 500
    assert set(metrics_of(found).values) == set(CLOSED), "as in old records"
    assert pooled([one.session for one in lines], config(3)) is None
    assert metrics_of(ran(1.0, windows=0)) == MetricValues(values={})
    with pytest.raises(ValueError, match="no members"):
        pool([])


def test_a_pool_is_steady_if_all_its_members_were() -> None:
    steady = ran(100.0)
    assert pool([steady, steady]).is_steady
    assert not pool([steady, replace(steady, is_steady=False)]).is_steady
