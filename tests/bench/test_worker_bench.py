"""Sessions in real worker processes, with members that crash, hang, babble and eat memory."""

from __future__ import annotations

import dataclasses
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bench.conftest import (
    BACKEND,
    HERE,
    MLP,
    OpenBench,
    blocks_of,
    config,
    failed,
    is_alive,
    quick_plan,
    resolved,
    whole,
)
from tuner.bench.process import WorkerLost, WorkerProcess, WorkerSetup
from tuner.bench.protocol import DeploymentConfig, Failure, FailureKind, Windows
from tuner.bench.worker_bench import RENEW_AFTER, WorkerBench
from tuner.errors import HostError, ModelError

PATIENCE_S = 30.0
WHOLE = [0, 1, 2]
REFERENCE, GOOD, OTHER = config(), config({"NUM_STREAMS": 2}), config({"NUM_STREAMS": 4})


def doing(deed: str, at: str = "turn", **fields: int) -> DeploymentConfig:
    return config({"DO": deed, "AT": at}, **fields)


def fact(bench: WorkerBench, name: str) -> str:
    return bench.unknown_properties("CPU", [name])[0]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


GUILTY = [
    ("abort", "turn", FailureKind.CRASH, "signal SIGABRT"),
    ("abort", "compile", FailureKind.CRASH, "the process ended during compile"),
    ("segfault", "turn", FailureKind.CRASH, "signal SIGSEGV"),
    ("exit", "turn", FailureKind.CRASH, "exit code 3"),
    ("exit calmly", "turn", FailureKind.CRASH, "exit code 0"),
    ("quit", "compile", FailureKind.CRASH, "exit code 7"),
    ("raise", "turn", FailureKind.RUNTIME, "no such layer"),
    ("raise", "compile", FailureKind.COMPILE, "no such layer"),
    ("raise memory", "compile", FailureKind.MEMORY, "Failed to allocate"),
    ("die of memory", "turn", FailureKind.MEMORY, "bad_alloc"),
    ("be killed", "turn", FailureKind.MEMORY, "probably the host ran out of memory"),
    ("hang", "turn", FailureKind.TIMEOUT, "turn did not end within 1 s"),
    ("hang", "settle", FailureKind.TIMEOUT, "settle did not end within 1 s"),
    ("hang", "compile", FailureKind.TIMEOUT, "compile did not end within 1 s"),
    ("hang in c", "turn", FailureKind.TIMEOUT, "the process was ended"),
    ("write garbage", "turn", FailureKind.CRASH, "answered with garbage"),
    ("write half a line", "compile", FailureKind.CRASH, "answered with garbage"),
]
ONE_OF_EACH = {("abort", "compile"), ("raise", "turn"), ("write garbage", "turn")}
"""Of those that end, refuse and babble: what the quick suite sees. Who hangs takes a second."""


@pytest.mark.parametrize(
    ("deed", "at", "kind", "words"),
    [
        pytest.param(*row, id=f"{row[0]}-at-{row[1]}", marks=() if row[:2] in ONE_OF_EACH else pytest.mark.slow)
        for row in GUILTY
    ],
)
def test_the_guilty_member_gets_the_failure_and_the_others_their_windows(
    open_bench: OpenBench, deed: str, at: str, kind: FailureKind, words: str
) -> None:
    with open_bench() as bench:
        first_pid = fact(bench, "pid")
        limit_s = 1.0 if deed == "hang" and at == "compile" else 60.0
        session = bench.measure([REFERENCE, GOOD, doing(deed, at), OTHER], quick_plan(compile_limit_s=limit_s))
        assert failed(session.members[2]).kind is kind
        assert words in failed(session.members[2]).message
        assert blocks_of(session) == [WHOLE, WHOLE, kind.value, WHOLE]
        assert blocks_of(bench.measure([REFERENCE, GOOD], quick_plan())) == [WHOLE, WHOLE]
        assert fact(bench, "pid") != first_pid
        assert not is_alive(int(first_pid))


@pytest.mark.slow
def test_a_member_that_eats_memory_fails_at_the_limit_and_not_the_host(open_bench: OpenBench) -> None:
    with open_bench(memory_limit_bytes=512 << 20) as bench:
        session = bench.measure([REFERENCE, doing("eat"), GOOD], quick_plan(max_window_s=20.0))
        assert blocks_of(session) == [WHOLE, "memory", WHOLE]


@pytest.mark.slow
def test_several_guilty_members_of_one_session_are_told_apart(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        deeds = [doing("abort"), doing("raise"), GOOD, doing("write garbage", "settle"), doing("be killed", "compile")]
        session = bench.measure([REFERENCE, *deeds], quick_plan(seed=5))
        assert blocks_of(session) == [WHOLE, "crash", "runtime", WHOLE, "crash", "memory"]


def test_a_member_may_print_what_it_likes(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        session = bench.measure([REFERENCE, doing("chat"), doing("chat", "compile")], quick_plan())
        assert blocks_of(session) == [WHOLE, WHOLE, WHOLE]


@pytest.mark.slow
def test_the_last_words_of_a_process_are_quoted_in_one_short_line(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        session = bench.measure([REFERENCE, doing("die saying much"), GOOD], quick_plan())
        message = failed(session.members[1]).message
        assert "the last word" in message
        assert len(message) < 300
        assert "\n" not in message


@pytest.mark.slow
def test_an_endless_answer_is_garbage_before_it_fills_the_memory(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        session = bench.measure([REFERENCE, doing("flood"), GOOD], quick_plan(max_window_s=PATIENCE_S))
        assert blocks_of(session) == [WHOLE, "crash", WHOLE]
        assert "garbage" in failed(session.members[1]).message


@pytest.mark.slow
@pytest.mark.parametrize("deed", ["abort", "raise"])
def test_a_failing_reference_leaves_nothing_to_compare_with(open_bench: OpenBench, deed: str) -> None:
    def enough(members: list[Windows | Failure]) -> bool:
        _, candidate = members
        return isinstance(candidate, Failure)

    with open_bench() as bench:
        session = bench.measure([doing(deed), GOOD], quick_plan(enough=enough))
        assert isinstance(session.members[0], Failure)
        assert len(whole(session.members[1]).windows) <= 1
        assert whole(session.members[1]).effective == bench.resolve(GOOD)


@pytest.mark.slow
def test_a_lost_candidate_leaves_a_reference_that_is_not_measured_again(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        session = bench.measure([REFERENCE, doing("abort", "compile")], quick_plan())
        assert blocks_of(session) == [[], "crash"]
        after = bench.measure([REFERENCE, GOOD], quick_plan())
        assert after.process == session.process, "the process that nobody failed in stays resident"


@pytest.mark.slow
def test_a_lineup_that_crashes_as_a_whole_is_a_session_of_failures(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        for phase in ("baselines", "search"):
            lineup = [doing("abort"), doing("abort", "compile")]
            assert "crash" in blocks_of(bench.measure(lineup, quick_plan(phase=phase)))


@pytest.mark.slow
def test_baselines_go_on_without_their_first(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        session = bench.measure([doing("abort"), GOOD, OTHER], quick_plan(phase="baselines", is_fresh=True))
        assert blocks_of(session) == ["crash", WHOLE, WHOLE]


@pytest.mark.slow
def test_the_wall_time_of_lost_attempts_is_explained(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        session = bench.measure([REFERENCE, doing("abort"), GOOD], quick_plan())
        costs = session.costs
        assert 0.0 < costs.lost_s < session.wall_s
        assert costs.start_s > 0.0
        assert costs.total_s <= session.wall_s


@pytest.mark.slow
def test_what_a_hanging_member_started_ends_with_it(
    open_bench: OpenBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIDS", str(tmp_path / "pids"))
    with open_bench() as bench:
        session = bench.measure([REFERENCE, doing("hang with a child"), GOOD], quick_plan(hang_limit_s=1.0))
        assert blocks_of(session) == [WHOLE, "timeout", WHOLE]
        worker, child = map(int, (tmp_path / "pids").read_text().split())
        assert not is_alive(worker)
        wait_until(lambda: not is_alive(child))


@pytest.mark.slow
def test_a_worker_ends_when_its_parent_is_killed_in_the_middle_of_a_turn(
    backends: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIDS", str(tmp_path / "pids"))
    program = textwrap.dedent("""
        from tests.bench.conftest import BACKEND, MLP, config, quick_plan
        from tuner.bench.worker_bench import WorkerBench

        with WorkerBench(MLP, backend=BACKEND) as bench:
            member = config({"DO": "hang with a child"})
            bench.measure([config(), member], quick_plan(hang_limit_s=1000.0))
    """)
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=HERE.parents[1])
    try:
        wait_until(lambda: (tmp_path / "pids").exists() or parent.poll() is not None)
        worker, child = map(int, (tmp_path / "pids").read_text().split())
        assert is_alive(worker)
    finally:
        parent.kill()
        parent.wait()
    try:
        wait_until(lambda: not is_alive(worker))
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.slow
def test_an_interrupt_in_the_middle_of_a_turn_leaves_no_answer_behind_for_the_next_command(
    open_bench: OpenBench,
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with open_bench() as bench:
            with pytest.raises(KeyboardInterrupt):
                bench.measure([REFERENCE, doing("interrupt the parent")], quick_plan(hang_limit_s=PATIENCE_S))
            assert blocks_of(bench.measure([REFERENCE, GOOD], quick_plan())) == [WHOLE, WHOLE]
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_an_interrupt_between_blocks_leaves_a_usable_bench(open_bench: OpenBench) -> None:
    def interrupt(members: object) -> bool:
        raise KeyboardInterrupt

    with open_bench() as bench:
        with pytest.raises(KeyboardInterrupt):
            bench.measure([REFERENCE, GOOD], quick_plan(enough=interrupt))
        assert blocks_of(bench.measure([REFERENCE, OTHER], quick_plan())) == [WHOLE, WHOLE]


@pytest.mark.slow
def test_a_process_that_hangs_is_gone_before_its_caller_hears_of_it(backends: None) -> None:
    model = {**dataclasses.asdict(MLP), "folder": str(MLP.folder)}
    worker = WorkerProcess(WorkerSetup(backend=BACKEND, model=model, seed=0, memory_limit_bytes=None))
    with pytest.raises(WorkerLost, match="did not end within"):
        worker.call("unknown_properties", limit_s=0.1, device="hang", names=[])
    assert worker.has_ended
    assert not is_alive(worker.pid)


# What stays, and what is renewed.


def test_the_worker_and_its_reference_stay_resident_and_candidates_do_not(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        first = bench.measure([REFERENCE, GOOD], quick_plan())
        assert fact(bench, "members") == "1"
        second = bench.measure([REFERENCE, OTHER], quick_plan())
        assert second.process == first.process
        assert whole(second.members[0]).compile_s == 0.0
        assert whole(second.members[1]).compile_s > 0.0
        assert first.costs.start_s > 0.0 == second.costs.start_s
        assert fact(bench, "members") == "1"


@pytest.mark.slow
def test_isolated_members_have_a_new_process_each_in_every_session(open_bench: OpenBench) -> None:
    with open_bench(isolate=True) as bench:
        sessions = [bench.measure([REFERENCE, GOOD], quick_plan()) for _ in range(2)]
        assert [blocks_of(session) for session in sessions] == [[WHOLE, WHOLE]] * 2
        assert len({name for session in sessions for name in session.process.split(",")}) == 4
        assert all(whole(member).compile_s > 0.0 for session in sessions for member in session.members)
        assert fact(bench, "members") == "0"


@pytest.mark.slow
def test_a_start_up_is_a_new_process_in_every_turn(open_bench: OpenBench) -> None:
    with open_bench(start_up=True) as bench:
        session = bench.measure([REFERENCE, GOOD], quick_plan(warm_up_s=0.0))
        assert blocks_of(session) == [WHOLE, WHOLE]
        for member in map(whole, session.members):
            times = {(w.compile_s, w.load_s, w.first_inference_s, w.load_cached_s) for w in member.windows}
            assert times == {(0.2, 0.3, 0.05, None)}
            assert all(w.samples == 40 for w in member.windows), "and a steady window follows each"
        assert member.compile_s == 0.2
        assert session.costs.start_s > 0.01 > session.costs.warm_up_s, "nothing is warmed up"
        assert bench.measure([REFERENCE], quick_plan(warm_up_s=0.0)).process not in session.process


@pytest.mark.slow
def test_a_start_from_a_model_cache_follows_where_it_is_asked_for(open_bench: OpenBench) -> None:
    with open_bench(start_up=True, is_cached=True) as bench:
        assert bench._caches is not None
        folder = Path(bench._caches.name)
        for _ in range(2):
            session = bench.measure([REFERENCE, doing("forget", "never")], quick_plan(warm_up_s=0.0))
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
    with open_bench(start_up=True) as bench:
        session = bench.measure([REFERENCE, doing(deed, at), GOOD], quick_plan(warm_up_s=0.0, blocks=1))
        assert blocks_of(session) == [[0], kind.value, [0]]


@pytest.mark.slow
def test_another_reference_takes_the_place_of_the_resident_one(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        bench.measure([REFERENCE, GOOD], quick_plan())
        session = bench.measure([GOOD, REFERENCE], quick_plan())
        assert blocks_of(session) == [WHOLE, WHOLE]
        assert fact(bench, "members") == "1"
        assert whole(bench.measure([GOOD, OTHER], quick_plan()).members[0]).compile_s == 0.0


@pytest.mark.slow
def test_a_fresh_session_has_a_process_of_its_own(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        names = {bench.measure([REFERENCE, GOOD], quick_plan(is_fresh=True)).process for _ in range(3)}
        names.add(bench.measure([REFERENCE, GOOD], quick_plan()).process)
        assert len(names) == 4


@pytest.mark.slow
def test_a_worker_is_renewed_after_some_sessions(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        plan = quick_plan(blocks=1)
        names = [bench.measure([REFERENCE, GOOD], plan).process for _ in range(RENEW_AFTER + 1)]
        assert len(set(names[:RENEW_AFTER])) == 1
        assert names[RENEW_AFTER] != names[0]


@pytest.mark.slow
def test_a_configuration_counts_as_seen_only_after_it_was_steady(
    open_bench: OpenBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuner.bench.session.WARM_UP_CAP_S", 0.05)
    with open_bench() as bench:
        plan = quick_plan(steady_tolerance=0.1)
        sessions = [bench.measure([REFERENCE, doing("wobble")], plan) for _ in range(2)]
        assert [[whole(m).is_steady for m in session.members] for session in sessions] == [[True, False]] * 2


@pytest.mark.slow
@pytest.mark.parametrize("deed", ["abort", "raise"])
def test_a_worker_that_cannot_let_its_members_go_is_replaced(open_bench: OpenBench, deed: str) -> None:
    with open_bench() as bench:
        session = bench.measure([REFERENCE, doing(deed, "release")], quick_plan())
        assert blocks_of(session) == [WHOLE, WHOLE]
        after = bench.measure([REFERENCE, GOOD], quick_plan())
        assert blocks_of(after) == [WHOLE, WHOLE]
        assert after.process != session.process


@pytest.mark.slow
def test_a_worker_that_was_killed_between_two_sessions_is_nobody_s_failure(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        for _ in range(2):
            assert blocks_of(bench.measure([REFERENCE, GOOD], quick_plan())) == [WHOLE, WHOLE]
            pid = int(fact(bench, "pid"))
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda pid=pid: not is_alive(pid))
        assert resolved(bench.resolve(OTHER))


def test_leaving_the_bench_twice_is_fine_and_nothing_is_started_before_it_is_needed(open_bench: OpenBench) -> None:
    bench = open_bench()
    with bench:
        pass
    with bench:
        assert is_alive(pid := int(fact(bench, "pid")))
    assert not is_alive(pid)


# Members that spoil their process for the others.


@pytest.mark.slow
def test_a_member_known_to_spoil_its_process_gets_one_of_its_own(open_bench: OpenBench) -> None:
    spoiling = config({"ENABLE_CPU_RESERVATION": True})
    with open_bench() as bench:
        assert resolved(bench.resolve(spoiling))
        for seed in range(3):
            session = bench.measure([REFERENCE, spoiling, GOOD], quick_plan(seed=seed))
            assert blocks_of(session) == [WHOLE, WHOLE, WHOLE]
            assert len(session.process.split(",")) == 2


@pytest.mark.slow
def test_a_member_of_its_own_process_survives_the_check_of_another(open_bench: OpenBench) -> None:
    spoiling = config({"ENABLE_CPU_RESERVATION": True})
    with open_bench() as bench:
        plan = quick_plan(seed=5)  # compiled in this order, the failing one last
        session = bench.measure([REFERENCE, spoiling, GOOD, doing("raise", "compile")], plan)
        assert blocks_of(session) == [WHOLE, WHOLE, WHOLE, "compile"]


@pytest.mark.slow
def test_a_spoiling_reference_lives_in_its_own_process(open_bench: OpenBench) -> None:
    spoiling = config({"ENABLE_CPU_RESERVATION": "YES"})
    with open_bench() as bench:
        for _ in range(2):
            assert blocks_of(bench.measure([spoiling, GOOD, OTHER], quick_plan())) == [WHOLE, WHOLE, WHOLE]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))])
def test_an_unknown_spoiler_gets_the_blame_and_not_its_victims(open_bench: OpenBench, seed: int) -> None:
    spoiler = doing("spoil")
    with open_bench() as bench:
        session = bench.measure([REFERENCE, GOOD, spoiler, OTHER], quick_plan(seed=seed))
        is_last = isinstance(session.members[2], Windows)  # nobody was compiled after it
        if not is_last:
            assert "proc_type_table is empty" in failed(session.members[2]).message
        assert blocks_of(session) == [WHOLE, WHOLE, WHOLE if is_last else "crash", WHOLE]
        after = bench.measure([REFERENCE, config({"NUM_STREAMS": 8})], quick_plan())
        assert blocks_of(after) == [WHOLE, WHOLE]


@pytest.mark.slow
def test_nobody_is_blamed_where_memory_is_short(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        plan = quick_plan(seed=5)  # compiled in this order
        session = bench.measure([REFERENCE, GOOD, OTHER, doing("need room", "compile")], plan)
        assert blocks_of(session) == [WHOLE, WHOLE, WHOLE, "memory"]


@pytest.mark.slow
def test_resolving_a_spoiler_does_not_make_the_next_candidate_illegal(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        assert resolved(bench.resolve(doing("spoil")))
        assert resolved(bench.resolve(GOOD))
        assert failed(bench.resolve(doing("raise", "resolve"))).kind is FailureKind.COMPILE
        assert blocks_of(bench.measure([REFERENCE, GOOD], quick_plan())) == [WHOLE, WHOLE]


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
        assert (sync.batch_size, plain.batch_size, large.batch_size) == (1, 1, 8)
        assert len({sync.key, plain.key, large.key}) == 3


@pytest.mark.slow
def test_a_failure_to_resolve_is_remembered_for_the_same_properties_only(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        bad = doing("abort", "resolve")
        assert bench.resolve(bad) is bench.resolve(doing("abort", "resolve", batch_size=4))
        assert resolved(bench.resolve(config({"DO": "spoil", "AT": "resolve"})))


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
        bench.measure([REFERENCE, GOOD], quick_plan())


def test_what_the_backend_refuses_keeps_its_class_and_its_advice(open_bench: OpenBench) -> None:
    with open_bench("backends:open_refusing") as bench, pytest.raises(ModelError, match="builtin:mlp is damaged") as no:
        bench.inspect("CPU", [])
    assert no.value.advice == "copy it again"


@pytest.mark.slow
def test_a_refusal_in_a_session_ends_it_and_the_bench_goes_on(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        with pytest.raises(ModelError, match="the model is damaged"):
            bench.measure([REFERENCE, doing("refuse", "compile")], quick_plan())
        assert blocks_of(bench.measure([REFERENCE, GOOD], quick_plan())) == [WHOLE, WHOLE]


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

    monkeypatch.setattr("tuner.bench.process.subprocess.Popen", limited)
    with open_bench(memory_limit_bytes=1 << 40) as bench:
        assert fact(bench, "RLIMIT_DATA") == str(2 << 30)


def test_a_host_that_cannot_start_processes_is_broken(open_bench: OpenBench, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_process(*words: object, **fields: object) -> object:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with open_bench() as bench:
        monkeypatch.setattr("tuner.bench.process.subprocess.Popen", no_process)
        with pytest.raises(HostError, match="cannot start"):
            bench.resolve(GOOD)
