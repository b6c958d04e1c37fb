"""What every Bench keeps, whatever is behind it: one suite for the fakes and for real processes."""

from __future__ import annotations

import dataclasses
import math
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.bench.conftest import BACKEND, MLP, blocks_of, config, failed, quick_plan, request_of, resolved, whole
from tuner.bench import histogram
from tuner.bench.configuration import DeploymentConfig, Effective, Failure, FailureKind
from tuner.bench.measurement import ArrivalProcess, Session, Windows
from tuner.bench.protocol import Bench, Progress, Role, SessionRequest, StopRule
from tuner.bench.simulated.replay import ReplayBench, replay_of
from tuner.bench.simulated.synthetic import Drift, Noise, SyntheticBench
from tuner.bench.worker.worker_bench import WorkerBench
from tuner.records.session_log import SessionLine, open_log, read_log

REFERENCE = config()
OTHER = config({"PERFORMANCE_HINT": "THROUGHPUT"}, infer_requests=4)
LARGE = config({"NUM_STREAMS": 1}, batch_size=4)
SYNC = config(api="sync", infer_requests=1)
MEMBERS_AT_MOST = (REFERENCE, OTHER, LARGE, SYNC)
NO = Failure(kind=FailureKind.COMPILE, message="no")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A bench, and a configuration that fails on it."""

    bench: Bench
    bad: DeploymentConfig


@dataclass(frozen=True, slots=True)
class Twice:
    """A bench that runs two replicas of everything."""

    inner: Bench

    def resolve(self, config: DeploymentConfig) -> Effective | Failure:
        return self.inner.resolve(dataclasses.replace(config, replicas=2))

    def measure(self, request: SessionRequest, progress: Progress | None = None) -> Session:
        members = tuple(replace(member, config=replace(member.config, replicas=2)) for member in request.members)
        session = self.inner.measure(replace(request, members=members), progress)
        return replace(session, configurations=request.configurations)


def synthetic(bad: DeploymentConfig) -> SyntheticBench:
    return SyntheticBench(effects=[Noise(0.02), Drift(0.1)], failure_of=lambda one: NO if one == bad else None)


def open_synthetic() -> Iterator[Subject]:
    bad = config({"NUM_STREAMS": 3})
    yield Subject(bench=synthetic(bad), bad=bad)


def open_replay() -> Iterator[Subject]:
    bad = config({"NUM_STREAMS": 3})
    recorder = synthetic(bad)
    for seed in range(3):
        recorder.measure(request_of([*MEMBERS_AT_MOST, bad], quick_plan(seed=seed, blocks=5, max_window_s=3.0)))
    yield Subject(bench=replay_of(recorder.sessions), bad=bad)


def open_worker() -> Iterator[Subject]:
    with WorkerBench(MLP, backend=BACKEND) as bench:
        yield Subject(bench=bench, bad=config({"DO": "raise", "AT": "always"}))


def open_replicas() -> Iterator[Subject]:
    with WorkerBench(MLP, backend=BACKEND) as bench:
        yield Subject(bench=Twice(bench), bad=config({"DO": "raise", "AT": "always"}))


def open_openvino() -> Iterator[Subject]:
    with WorkerBench(MLP) as bench:
        yield Subject(bench=bench, bad=config({"NO_SUCH_PROPERTY": 1}))


SUBJECTS: dict[str, Callable[[], Iterator[Subject]]] = {
    "synthetic": open_synthetic,
    "replay": open_replay,
    "worker": open_worker,
    "replicas": open_replicas,
    "openvino": open_openvino,
}
MARKS = {"openvino": [pytest.mark.openvino], "replicas": [pytest.mark.slow]}
"""Replicas start two processes for every member of every session."""


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=MARKS.get(name, [])) for name in SUBJECTS],
)
def subject(request: pytest.FixtureRequest, backends: None) -> Iterator[Subject]:
    yield from SUBJECTS[request.param]()


def test_the_members_run_parallel_to_the_configurations(subject: Subject) -> None:
    session = subject.bench.measure(request_of(MEMBERS_AT_MOST, quick_plan()))
    assert session.configurations == MEMBERS_AT_MOST
    assert len(session.members) == len(MEMBERS_AT_MOST)
    for asked, member in zip(MEMBERS_AT_MOST, session.members, strict=True):
        assert whole(member).effective.batch_size == asked.batch_size
        assert whole(member).effective.api == asked.api
        assert asked.infer_requests in (None, whole(member).effective.infer_requests)


@pytest.mark.parametrize("is_fresh", [True, False])
def test_every_member_has_one_window_in_each_block(subject: Subject, is_fresh: bool) -> None:
    session = subject.bench.measure(request_of(MEMBERS_AT_MOST, quick_plan(blocks=4, is_fresh=is_fresh)))
    assert blocks_of(session) == [[0, 1, 2, 3]] * 4


def test_turns_are_numbered_in_the_order_in_which_they_began(subject: Subject) -> None:
    session = subject.bench.measure(request_of(MEMBERS_AT_MOST, quick_plan()))
    windows = sorted((w for m in session.members for w in whole(m).windows), key=lambda w: w.turn)
    assert [w.turn for w in windows] == list(range(12))
    assert [w.started_s for w in windows] == sorted(w.started_s for w in windows)
    assert [w.block for w in windows] == sorted(w.block for w in windows)
    assert windows[0].started_s >= 0.0
    assert windows[-1].started_s <= session.wall_s


def test_windows_take_time_and_their_samples_are_their_requests(subject: Subject) -> None:
    session = subject.bench.measure(request_of(MEMBERS_AT_MOST, quick_plan()))
    for member in map(whole, session.members):
        for window in member.windows:
            assert window.duration_s > 0.0
            requests = sum(window.latency_counts.values())
            assert requests >= 3 * member.effective.infer_requests
            assert all(n > 0 for n in window.latency_counts.values())
            assert window.samples == requests * member.effective.batch_size
            assert 0.0 <= window.steal_pct <= 100.0
            assert 0.0 <= window.other_cpu_pct <= 100.0
            assert window.pressure_pct is None or 0.0 <= window.pressure_pct <= 100.0
            assert window.frequency_mhz is None or window.frequency_mhz > 0.0
            assert min(window.thermal_throttles, window.quota_throttles) >= 0


def test_the_sum_of_the_latencies_is_that_of_their_buckets(subject: Subject) -> None:
    session = subject.bench.measure(request_of(MEMBERS_AT_MOST, quick_plan()))
    for window in (w for m in session.members for w in whole(m).windows):
        by_bucket = sum(n * math.exp((b + 0.5) * histogram.WIDTH) for b, n in window.latency_counts.items())
        assert window.latency_sum_ms == pytest.approx(by_bucket, rel=0.006)


OPEN_PAIR = (REFERENCE, OTHER)
REPLICATED = config(replicas=2)


def arriving(subject: Subject, load: ArrivalProcess, **more: Any) -> Session:
    if isinstance(subject.bench, ReplayBench):
        pytest.skip("a replay has the windows that were recorded")
    return subject.bench.measure(request_of(OPEN_PAIR, quick_plan(window_s=0.2, drop_s=0.02, load=load, **more)))


def test_under_a_load_every_arrival_of_a_window_counts(subject: Subject) -> None:
    session = arriving(subject, ArrivalProcess(pattern="constant", rate_per_s=60.0))
    for window in (w for m in session.members for w in whole(m).windows):
        served = window.served
        assert served is not None
        assert served.rate_per_s == 60.0
        assert 11 <= served.arrivals <= 13
        assert sum(window.latency_counts.values()) == served.arrivals
        assert window.duration_s == pytest.approx(0.2)
        assert 0 <= served.unserved <= served.waiting <= served.arrivals
        assert served.lag_p99_ms >= 0.0
        assert served.capacity_per_s > 0.0
        assert served.low_per_s == served.high_per_s == 0.0


def test_the_members_of_a_block_see_the_same_arrivals_in_every_session_of_that_seed(subject: Subject) -> None:
    session = arriving(subject, ArrivalProcess(pattern="poisson", rate_per_s=100.0), blocks=6, seed=3)
    counts = [[w.served.arrivals for w in whole(m).windows if w.served] for m in session.members]
    assert counts[0] == counts[1]
    assert [len(c) for c in counts] == [6, 6]
    again = arriving(subject, ArrivalProcess(pattern="poisson", rate_per_s=100.0), blocks=6, seed=3)
    assert [[w.served.arrivals for w in whole(m).windows if w.served] for m in again.members] == counts


def test_the_arrivals_are_those_of_all_replicas_together(subject: Subject) -> None:
    if isinstance(subject.bench, ReplayBench):
        pytest.skip("a replay has the windows that were recorded")
    load = ArrivalProcess(pattern="constant", rate_per_s=60.0)
    session = subject.bench.measure(request_of([REFERENCE, REPLICATED], quick_plan(window_s=0.2, load=load)))
    for window in (w for m in session.members for w in whole(m).windows):
        assert window.served is not None
        assert 11 <= window.served.arrivals == sum(window.latency_counts.values()) <= 13


def test_a_search_for_the_largest_rate_narrows_until_it_presses_against_its_end(subject: Subject) -> None:
    load = ArrivalProcess(pattern="poisson", keep=(("latency_mean_ms", 1e6),))
    session = arriving(subject, load, blocks=4)
    for member in map(whole, session.members):
        served = [w.served for w in member.windows if w.served is not None]
        assert len(served) == 4
        for before, after in pairwise(served):
            assert before.low_per_s <= after.low_per_s < after.high_per_s
            assert (after.low_per_s if after.is_kept else after.high_per_s) == after.rate_per_s
            if after is served[-1] and all(s.is_kept for s in served[:3]):  # the end they press against is offered
                assert after.rate_per_s == before.high_per_s
                assert after.high_per_s == (2 if after.is_kept else 1) * before.high_per_s
            else:
                assert after.high_per_s <= before.high_per_s
                assert after.rate_per_s == pytest.approx(math.sqrt(before.low_per_s * before.high_per_s))
        assert 0.29 < served[0].low_per_s / served[0].capacity_per_s < 0.99


def test_a_member_that_keeps_the_limits_at_no_rate_fails_and_says_so(subject: Subject) -> None:
    session = arriving(subject, ArrivalProcess(pattern="poisson", keep=(("latency_mean_ms", 1e-3),)))
    for member in session.members:
        assert "keeps latency_mean_ms <= 0.001" in failed(member).message


def test_resolving_is_deterministic_and_agrees_with_what_was_measured(subject: Subject) -> None:
    session = subject.bench.measure(request_of(MEMBERS_AT_MOST, quick_plan()))
    for asked, member in zip(MEMBERS_AT_MOST, session.members, strict=True):
        assert subject.bench.resolve(asked) == subject.bench.resolve(asked) == whole(member).effective
        assert resolved(subject.bench.resolve(asked)).key == whole(member).effective.key
    assert len({resolved(subject.bench.resolve(asked)).key for asked in MEMBERS_AT_MOST}) == len(MEMBERS_AT_MOST)


@pytest.mark.parametrize("place", [1, 3])
def test_a_failing_member_has_its_failure_and_the_others_are_whole(subject: Subject, place: int) -> None:
    configurations = [*MEMBERS_AT_MOST[:3]]
    configurations.insert(place, subject.bad)
    session = subject.bench.measure(request_of(configurations, quick_plan()))
    assert failed(session.members[place]).kind is FailureKind.COMPILE
    assert failed(session.members[place]).message
    assert [blocks for i, blocks in enumerate(blocks_of(session)) if i != place] == [[0, 1, 2]] * 3
    assert isinstance(subject.bench.resolve(subject.bad), Failure)


def test_a_session_without_a_reference_or_without_candidates_is_cut_short_but_no_error(subject: Subject) -> None:
    without_reference = subject.bench.measure(request_of([subject.bad, OTHER], quick_plan()))
    assert blocks_of(without_reference) == ["compile", []]
    without_candidates = subject.bench.measure(request_of([REFERENCE, subject.bad], quick_plan()))
    assert blocks_of(without_candidates) == [[], "compile"]
    assert whole(without_candidates.members[0]).effective == subject.bench.resolve(REFERENCE)


def test_baselines_go_on_without_their_first(subject: Subject) -> None:
    session = subject.bench.measure(request_of([subject.bad, REFERENCE, OTHER], quick_plan(), first=Role.BASELINE))
    assert blocks_of(session) == ["compile", [0, 1, 2], [0, 1, 2]]


def test_progress_sees_every_member_in_every_block_and_the_stop_rule_ends_the_session(subject: Subject) -> None:
    shown: list[list[int]] = []

    def progress(members: Sequence[Windows | Failure]) -> None:
        shown.append([len(whole(member).windows) for member in members])

    plan = quick_plan(blocks=50, stop=StopRule(min_windows=2))
    session = subject.bench.measure(request_of(MEMBERS_AT_MOST, plan), progress)
    whole_blocks = [counts for counts in shown if counts and len(set(counts)) == 1]
    seen = [list(counts) for counts in dict.fromkeys(map(tuple, whole_blocks)) if counts[0]]
    assert seen == [[1] * 4, [2] * 4]
    assert shown[-1] == [2] * 4
    assert blocks_of(session) == [[0, 1]] * 4


def test_a_request_that_was_sent_elsewhere_is_measured_alike(subject: Subject) -> None:
    plan = quick_plan(blocks=50, stop=StopRule(min_windows=2, ends_together=True))
    sent = pickle.loads(pickle.dumps(request_of([REFERENCE, subject.bad, OTHER], plan)))
    session = subject.bench.measure(sent)
    assert blocks_of(session) == [[0, 1], "compile", [0, 1]]
    assert pickle.loads(pickle.dumps(session)) == session


def test_the_same_configurations_again_and_a_configuration_beside_itself_are_fine(subject: Subject) -> None:
    for configurations in (MEMBERS_AT_MOST, MEMBERS_AT_MOST, (REFERENCE, REFERENCE), (OTHER, REFERENCE, REFERENCE)):
        session = subject.bench.measure(request_of(configurations, quick_plan()))
        assert blocks_of(session) == [[0, 1, 2]] * len(configurations)


def test_the_costs_lie_within_the_wall_time(subject: Subject) -> None:
    session = subject.bench.measure(request_of(MEMBERS_AT_MOST, quick_plan()))
    costs = dataclasses.astuple(session.costs)
    assert min(costs) >= 0.0
    assert session.costs.total_s == pytest.approx(sum(costs))
    assert 0.0 < session.costs.timed_s <= session.costs.total_s <= session.wall_s * (1 + 1e-9)
    assert session.process


def test_what_comes_back_cannot_be_changed(subject: Subject) -> None:
    session = subject.bench.measure(request_of([REFERENCE, subject.bad, OTHER], quick_plan()))
    member = whole(session.members[0])
    values = (
        session,
        session.costs,
        session.configurations[0],
        session.members[1],
        member,
        member.windows[0],
        member.effective,
    )
    for value in values:
        name = dataclasses.fields(value)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, None)
    assert isinstance(session.members, tuple)
    assert isinstance(session.configurations, tuple)
    assert isinstance(member.windows, tuple)


def test_a_session_comes_back_from_the_record_as_it_was(subject: Subject, tmp_path: Path) -> None:
    configurations = (*MEMBERS_AT_MOST, subject.bad)
    line = SessionLine(
        phase="search",
        attempt=1,
        index_in_phase=0,
        trials=(None, 0, 1, 2, 3),
        assignments=(
            None,
            {"PERFORMANCE_HINT": "THROUGHPUT"},
            {"NUM_STREAMS": 1, "ENABLE_CPU_PINNING": True},
            {},
            None,
        ),
        session=subject.bench.measure(request_of(configurations, quick_plan())),
    )
    log = open_log(tmp_path / "sessions.jsonl")
    log.append(line)
    assert read_log(tmp_path / "sessions.jsonl").sessions("search") == [line]
    (back,) = read_log(tmp_path / "sessions.jsonl").sessions("search")
    for ours, theirs in zip(line.session.members, back.session.members, strict=True):
        if isinstance(ours, Windows):
            assert whole(theirs).effective.key == ours.effective.key
