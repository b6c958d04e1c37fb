from __future__ import annotations

import math
import statistics

import pytest

from tests.bench.conftest import blocks_of, config, quick_plan, request_of, whole
from tuner.bench.configuration import DeploymentConfig, Failure, FailureKind
from tuner.bench.measurement import Session, Windows
from tuner.bench.metrics import METRICS
from tuner.bench.simulated.replay import replay_of
from tuner.bench.simulated.synthetic import Drift, Noise, SyntheticBench

A, B, C = config(), config({"PERFORMANCE_HINT": "THROUGHPUT"}), config({"NUM_STREAMS": 8}, infer_requests=16)
BAD = config({"NUM_STREAMS": 3})
UNKNOWN = config({"NUM_STREAMS": 7})
GONE = Failure(kind=FailureKind.CRASH, message="gone")
PLAN = quick_plan(blocks=8, window_s=0.4, max_window_s=3.0)
THROUGHPUT, P50 = METRICS["throughput"], METRICS["latency_p50_ms"]


def record(*sessions: list[DeploymentConfig], drift: float = 0.5) -> list[Session]:
    """Sessions in which the host's drift outweighs what the configurations differ by."""
    bench = SyntheticBench(
        effects=[Noise(0.01, seed=1), Drift(drift, time_constant_s=5.0, seed=2)],
        failure_of=lambda one: GONE if one == BAD else None,
    )
    return [bench.measure(request_of(configurations, PLAN)) for configurations in sessions]


def log_ratios(a: Windows, b: Windows) -> list[float]:
    return [math.log(THROUGHPUT.read([x]) / THROUGHPUT.read([y])) for x, y in zip(a.windows, b.windows, strict=True)]


def member(session: Session, place: int) -> Windows:
    return whole(session.members[place])


@pytest.mark.parametrize("seed", range(8))
def test_values_are_paired_as_they_were_recorded(seed: int) -> None:
    """The pairs of one recorded session, whole and unmixed, even where there are several to draw from."""
    sessions = record(*[[A, B]] * 4)
    replayed = replay_of(sessions).measure(request_of([A, B], quick_plan(blocks=20, seed=seed)))
    found = log_ratios(member(replayed, 1), member(replayed, 0))
    recorded = [log_ratios(member(s, 1), member(s, 0)) for s in sessions]
    source = [pairs for pairs in recorded if any(math.isclose(pairs[i], found[0]) for i in range(8))]
    assert len(source) == 1
    assert all(any(math.isclose(pair, one) for one in source[0]) for pair in found)
    assert len({round(pair, 9) for pair in found}) > 3


def test_every_recorded_session_is_drawn_from() -> None:
    bench = replay_of(record(*[[A, B]] * 3))
    firsts = {
        member(bench.measure(request_of([A, B], quick_plan(seed=seed))), 0).windows[0].duration_s for seed in range(60)
    }
    assert len(firsts) > 8


def test_a_replay_is_drawn_from_the_seed_of_its_plan() -> None:
    sessions = record([A, B], [A, B])
    one, same, other = (replay_of(sessions).measure(request_of([A, B], quick_plan(seed=seed))) for seed in (1, 1, 2))
    assert one == same
    assert one.members != other.members


def test_candidates_of_other_sessions_are_moved_to_the_level_of_the_first() -> None:
    sessions = record([A, B], [A, C])
    replayed = replay_of(sessions).measure(request_of([A, B, C], quick_plan(blocks=60)))
    for place, session in ((1, sessions[0]), (2, sessions[1])):
        recorded = statistics.fmean(log_ratios(member(session, 1), member(session, 0)))
        found = statistics.fmean(log_ratios(member(replayed, place), member(replayed, 0)))
        assert found == pytest.approx(recorded, abs=0.1)
        # And the latencies with the throughput: one request's latency is the requests in flight over the rate.
        windows = member(replayed, place).windows
        in_flight = THROUGHPUT.read(windows) * METRICS["latency_mean_ms"].read(windows) / 1e3
        assert in_flight == pytest.approx(member(replayed, place).effective.infer_requests, rel=0.02)
        assert P50.read(windows) == pytest.approx(METRICS["latency_mean_ms"].read(windows), rel=0.25)


def test_a_baseline_keeps_its_distance_from_another_one_that_was_not_first() -> None:
    """In a final THROUGHPUT is the reference and default a member: both were recorded beside each other."""
    (session,) = record([A, B, C], drift=0.01)
    replayed = replay_of([session]).measure(request_of([B, A], quick_plan(blocks=40)))
    recorded = statistics.fmean(log_ratios(member(session, 0), member(session, 1)))
    found = statistics.fmean(log_ratios(member(replayed, 1), member(replayed, 0)))
    assert found == pytest.approx(recorded, abs=0.02)
    assert abs(recorded) > 0.1


def test_a_candidate_that_never_ran_beside_the_first_keeps_its_level() -> None:
    sessions = record([A, B], [C], drift=0.01)
    replayed = replay_of(sessions).measure(request_of([A, C], quick_plan(blocks=40)))
    level = THROUGHPUT.read(member(sessions[1], 0).windows)
    assert THROUGHPUT.read(member(replayed, 1).windows) == pytest.approx(level, rel=0.02)


def test_what_was_never_recorded_is_a_failure_that_says_so() -> None:
    bench = replay_of(record([A, B]))
    assert bench.resolve(UNKNOWN) == Failure(kind=FailureKind.OUTPUT, message=f"never recorded: {UNKNOWN}")
    session = bench.measure(request_of([A, B, UNKNOWN], quick_plan()))
    assert blocks_of(session) == [[0, 1, 2], [0, 1, 2], "output"]
    assert blocks_of(bench.measure(request_of([A, UNKNOWN], quick_plan()))) == [[], "output"]


def test_failures_are_replayed() -> None:
    bench = replay_of(record([A, BAD, B]))
    assert bench.resolve(BAD) == GONE
    assert bench.measure(request_of([A, BAD, B], quick_plan())).members[1] == GONE


def test_a_configuration_that_failed_once_and_ran_once_ran() -> None:
    good, bad = SyntheticBench(), SyntheticBench(failure_of=lambda one: GONE if one == B else None)
    bench = replay_of([good.measure(request_of([A, B], PLAN)), bad.measure(request_of([A, B], PLAN))])
    assert blocks_of(bench.measure(request_of([A, B], quick_plan()))) == [[0, 1, 2], [0, 1, 2]]


def test_a_replay_takes_the_time_of_its_recording_without_waiting() -> None:
    sessions = record([A, B])
    bench = replay_of(sessions)
    session = bench.measure(request_of([A, B], quick_plan(blocks=8)))
    assert session.wall_s == pytest.approx(sessions[0].wall_s) == pytest.approx(bench.clock())
    again = bench.measure(request_of([A, B], quick_plan(blocks=8)))
    assert again.started_unix_s == pytest.approx(session.wall_s)
    starts = [w.started_s for m in again.members for w in whole(m).windows]
    assert min(starts) == 0.0
    assert max(starts) < again.wall_s


def test_a_replay_resolves_to_what_was_effective() -> None:
    sessions = record([A, B])
    bench = replay_of(sessions)
    assert bench.resolve(B) == member(sessions[0], 1).effective


def test_members_without_windows_are_no_recording() -> None:
    bad = SyntheticBench(failure_of=lambda one: GONE if one == A else None)
    bench = replay_of([bad.measure(request_of([A, B], PLAN))])
    assert bench.resolve(A) == GONE
    assert bench.resolve(B) == Failure(kind=FailureKind.OUTPUT, message=f"never recorded: {B}")
