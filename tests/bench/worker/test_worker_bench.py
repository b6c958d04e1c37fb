"""Sessions in real worker processes: what stays, what is renewed, what is asked, and when the host is broken."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest

from tests.bench.conftest import (
    OpenBench,
    blocks_of,
    config,
    failed,
    is_alive,
    quick_plan,
    request_of,
    resolved,
    whole,
)
from tests.bench.worker.workers import GOOD, OTHER, REFERENCE, WHOLE, doing, fact
from tests.conftest import wait_for
from tuner.bench.configuration import FailureKind
from tuner.bench.worker.pool import ProcessMode
from tuner.errors import HostError, ModelError

# What stays, and what is renewed.


def test_the_worker_and_its_reference_stay_resident_and_candidates_do_not(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        first = bench.measure(request_of([REFERENCE, GOOD], quick_plan()))
        assert fact(bench, "members") == "1"
        second = bench.measure(request_of([REFERENCE, OTHER], quick_plan()))
        assert second.process == first.process
        assert whole(second.members[0]).compile_s == 0.0
        assert whole(second.members[1]).compile_s > 0.0
        assert first.costs.start_s > 0.0 == second.costs.start_s
        assert fact(bench, "members") == "1"


@pytest.mark.slow
def test_isolated_members_have_a_new_process_each_in_every_session(open_bench: OpenBench) -> None:
    with open_bench(mode=ProcessMode.OWN) as bench:
        sessions = [bench.measure(request_of([REFERENCE, GOOD], quick_plan())) for _ in range(2)]
        assert [blocks_of(session) for session in sessions] == [[WHOLE, WHOLE]] * 2
        assert len({name for session in sessions for name in session.process.split(",")}) == 4
        assert all(whole(member).compile_s > 0.0 for session in sessions for member in session.members)
        assert fact(bench, "members") == "0"


@pytest.mark.slow
def test_a_start_up_is_a_new_process_in_every_turn(open_bench: OpenBench) -> None:
    with open_bench(mode=ProcessMode.COLD_START) as bench:
        session = bench.measure(request_of([REFERENCE, GOOD], quick_plan(warm_up_s=0.0)))
        assert blocks_of(session) == [WHOLE, WHOLE]
        for member in map(whole, session.members):
            times = {(w.compile_s, w.load_s, w.first_inference_s, w.load_cached_s) for w in member.windows}
            assert times == {(0.2, 0.3, 0.05, None)}
            assert all(w.samples == 40 for w in member.windows), "and a steady window follows each"
        assert member.compile_s == 0.2
        assert session.costs.start_s > 0.01 > session.costs.warm_up_s, "nothing is warmed up"
        assert bench.measure(request_of([REFERENCE], quick_plan(warm_up_s=0.0))).process not in session.process


@pytest.mark.slow
def test_a_start_from_a_model_cache_follows_where_it_is_asked_for(open_bench: OpenBench) -> None:
    with open_bench(mode=ProcessMode.COLD_START_CACHED) as bench:
        assert bench._caches is not None
        folder = Path(bench._caches.name)
        for _ in range(2):
            session = bench.measure(request_of([REFERENCE, doing("forget", "never")], quick_plan(warm_up_s=0.0)))
            assert {w.load_cached_s for w in whole(session.members[0]).windows} == {0.1}
            assert "did not load the model from its cache" in failed(session.members[1]).message
        assert len(list(folder.iterdir())) == 2, "one cache for each configuration, filled once"
    assert not folder.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("deed", "at", "kind"),
    [
        ("raise", "start_up", FailureKind.COMPILE),
        ("abort", "start_up", FailureKind.CRASH),
        ("abort", "turn", FailureKind.CRASH),
        ("hang", "settle", FailureKind.TIMEOUT),
    ],
)
def test_a_start_up_that_fails_is_that_member_s_failure_and_leaves_no_process(
    open_bench: OpenBench, deed: str, at: str, kind: FailureKind
) -> None:
    with open_bench(mode=ProcessMode.COLD_START) as bench:
        session = bench.measure(request_of([REFERENCE, doing(deed, at), GOOD], quick_plan(warm_up_s=0.0, blocks=1)))
        assert blocks_of(session) == [[0], kind.value, [0]]


@pytest.mark.slow
def test_another_reference_takes_the_place_of_the_resident_one(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        bench.measure(request_of([REFERENCE, GOOD], quick_plan()))
        session = bench.measure(request_of([GOOD, REFERENCE], quick_plan()))
        assert blocks_of(session) == [WHOLE, WHOLE]
        assert fact(bench, "members") == "1"
        assert whole(bench.measure(request_of([GOOD, OTHER], quick_plan())).members[0]).compile_s == 0.0


@pytest.mark.slow
def test_a_fresh_session_has_a_process_of_its_own(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        names = {bench.measure(request_of([REFERENCE, GOOD], quick_plan(is_fresh=True))).process for _ in range(3)}
        names.add(bench.measure(request_of([REFERENCE, GOOD], quick_plan())).process)
        assert len(names) == 4


@pytest.mark.slow
def test_a_worker_is_renewed_after_some_sessions(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        plan = quick_plan(blocks=1)
        names = [bench.measure(request_of([REFERENCE, GOOD], plan)).process for _ in range(21)]
        assert len(set(names[:20])) == 1
        assert names[20] != names[0]


@pytest.mark.slow
def test_a_configuration_counts_as_seen_only_after_it_was_steady(
    open_bench: OpenBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuner.bench.session.session.WARM_UP_CAP_S", 0.05)
    with open_bench() as bench:
        plan = quick_plan(steady_tolerance=0.1)
        sessions = [bench.measure(request_of([REFERENCE, doing("wobble")], plan)) for _ in range(2)]
        assert [[whole(m).is_steady for m in session.members] for session in sessions] == [[True, False]] * 2


@pytest.mark.slow
@pytest.mark.parametrize("deed", ["abort", "raise"])
def test_a_worker_that_cannot_let_its_members_go_is_replaced(open_bench: OpenBench, deed: str) -> None:
    with open_bench() as bench:
        session = bench.measure(request_of([REFERENCE, doing(deed, "release")], quick_plan()))
        assert blocks_of(session) == [WHOLE, WHOLE]
        after = bench.measure(request_of([REFERENCE, GOOD], quick_plan()))
        assert blocks_of(after) == [WHOLE, WHOLE]
        assert after.process != session.process


@pytest.mark.slow
def test_a_worker_that_was_killed_between_two_sessions_is_no_member_s_failure(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        for _ in range(2):
            assert blocks_of(bench.measure(request_of([REFERENCE, GOOD], quick_plan()))) == [WHOLE, WHOLE]
            pid = int(fact(bench, "pid"))
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda pid=pid: not is_alive(pid))
        assert resolved(bench.resolve(OTHER))


def test_leaving_the_bench_twice_is_fine_and_nothing_is_started_before_it_is_needed(open_bench: OpenBench) -> None:
    bench = open_bench()
    with bench:
        pass
    with bench:
        assert is_alive(pid := int(fact(bench, "pid")))
    assert not is_alive(pid)


# Resolving.


@pytest.mark.parametrize(
    ("deed", "kind"),
    [
        ("raise", "compile"),
        *(
            pytest.param(*row, marks=pytest.mark.slow)
            for row in [("abort", "crash"), ("raise memory", "memory"), ("be killed", "memory")]
        ),
    ],
)
def test_a_configuration_that_cannot_be_resolved_is_a_failure_and_the_next_one_is_fine(
    open_bench: OpenBench, deed: str, kind: str
) -> None:
    with open_bench() as bench:
        assert failed(bench.resolve(doing(deed, "resolve"))).kind == kind
        assert resolved(bench.resolve(GOOD)).properties == {"NUM_STREAMS": "2"}


def test_requests_batch_and_api_need_no_compile_of_their_own(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        sync = resolved(bench.resolve(config({"A": 1}, api="sync")))
        plain = resolved(bench.resolve(config({"A": 1})))
        large = resolved(bench.resolve(config({"A": 1}, batch_size=8, infer_requests=7)))
        assert (sync.infer_requests, plain.infer_requests, large.infer_requests) == (1, 2, 7)
        several = resolved(bench.resolve(config({"A": 1}, api="by_requests")))
        assert several == plain, "two are suggested"
        assert resolved(bench.resolve(config({"A": 1}, api="by_requests", infer_requests=1))) == sync
        assert (sync.batch_size, plain.batch_size, large.batch_size) == (1, 1, 8)
        assert len({sync.key, plain.key, large.key}) == 3


@pytest.mark.slow
def test_a_failure_to_resolve_is_remembered_for_the_same_properties_only(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        bad = doing("abort", "resolve")
        assert bench.resolve(bad) is bench.resolve(doing("abort", "resolve", batch_size=4))
        assert resolved(bench.resolve(config({"DO": "contaminate", "AT": "resolve"})))


# A broken environment is an exception.


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        ("backends:open_raising", "no such plugin"),
        ("backends:open_aborting", "libtbb.so"),
        ("backends:missing", "missing"),
        ("no_such_module:Backend", "no_such_module"),
    ],
)
def test_a_backend_that_cannot_be_opened_is_a_broken_host(open_bench: OpenBench, backend: str, words: str) -> None:
    with open_bench(backend) as bench, pytest.raises(HostError, match=words):
        bench.measure(request_of([REFERENCE, GOOD], quick_plan()))


def test_what_the_backend_refuses_keeps_its_class_and_its_advice(open_bench: OpenBench) -> None:
    with open_bench("backends:open_refusing") as bench, pytest.raises(ModelError, match="builtin:mlp is damaged") as no:
        bench.inspect("CPU", [])
    assert no.value.advice == "copy it again"


@pytest.mark.slow
def test_a_refusal_in_a_session_ends_it_and_the_bench_goes_on(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        with pytest.raises(ModelError, match="the model is damaged"):
            bench.measure(request_of([REFERENCE, doing("refuse", "compile")], quick_plan()))
        assert blocks_of(bench.measure(request_of([REFERENCE, GOOD], quick_plan()))) == [WHOLE, WHOLE]


@pytest.mark.slow
@pytest.mark.parametrize("deed", ["abort", "raise"])
def test_a_model_that_does_not_survive_its_inspection_is_a_model_error(open_bench: OpenBench, deed: str) -> None:
    with open_bench() as bench:
        with pytest.raises(ModelError, match=f"on {deed}"):
            bench.inspect(deed, [])
        assert bench.inspect("CPU", []).device_name == "CPU"


@pytest.mark.slow
@pytest.mark.parametrize("deed", ["abort", "raise"])
def test_a_device_that_does_not_answer_about_properties_is_a_broken_host(open_bench: OpenBench, deed: str) -> None:
    with open_bench() as bench:
        with pytest.raises(HostError, match="does not answer"):
            bench.unknown_properties(deed, [])
        assert bench.unknown_properties("CPU", ["FOO"]) == ["FOO"]


# What a worker process is.


def test_the_worker_has_the_memory_limit_and_is_the_first_to_go(open_bench: OpenBench) -> None:
    with open_bench(memory_limit_bytes=1 << 30) as bench:
        assert fact(bench, "RLIMIT_DATA") == str(1 << 30)
        assert fact(bench, "oom_score_adj") == "1000"


def test_a_limit_above_the_one_in_force_is_no_error(open_bench: OpenBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As under `ulimit -d`: the worker keeps the tighter limit."""
    start = subprocess.Popen

    def limited(*words: object, **fields: object) -> object:
        limit = lambda: resource.setrlimit(resource.RLIMIT_DATA, (2 << 30, 2 << 30))  # noqa: E731
        return start(*words, **fields, preexec_fn=limit)  # type: ignore[call-overload]

    monkeypatch.setattr("tuner.bench.worker.process.subprocess.Popen", limited)
    with open_bench(memory_limit_bytes=1 << 40) as bench:
        assert fact(bench, "RLIMIT_DATA") == str(2 << 30)


def test_a_host_that_cannot_start_processes_is_broken(open_bench: OpenBench, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_process(*words: object, **fields: object) -> object:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with open_bench() as bench:
        monkeypatch.setattr("tuner.bench.worker.process.subprocess.Popen", no_process)
        with pytest.raises(HostError, match="cannot start"):
            bench.resolve(GOOD)
