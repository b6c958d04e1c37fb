"""Members that crash, hang, answer garbage, eat memory and contaminate their process, in real worker processes."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import textwrap
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
    request_of,
    resolved,
    whole,
)
from tests.bench.worker.workers import GOOD, OTHER, PATIENCE_S, REFERENCE, WHOLE, doing, fact
from tests.conftest import wait_for
from tuner.bench.configuration import Failure, FailureKind
from tuner.bench.measurement import Windows
from tuner.bench.protocol import Role, StopRule
from tuner.bench.session.member import WorkerLost
from tuner.bench.worker.process import WorkerProcess, WorkerSetup

GUILTY = [
    ("abort", "turn", FailureKind.CRASH, "killed by SIGABRT (signal 6)"),
    ("abort", "compile", FailureKind.CRASH, "the process ended during compile"),
    ("segfault", "turn", FailureKind.CRASH, "killed by SIGSEGV (signal 11)"),
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
"""Deeds of the quick suite: ending, refusing and answering garbage. A hang takes a second."""


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
        session = bench.measure(
            request_of([REFERENCE, GOOD, doing(deed, at), OTHER], quick_plan(compile_limit_s=limit_s))
        )
        assert failed(session.members[2]).kind is kind
        assert words in failed(session.members[2]).message
        assert blocks_of(session) == [WHOLE, WHOLE, kind.value, WHOLE]
        assert blocks_of(bench.measure(request_of([REFERENCE, GOOD], quick_plan()))) == [WHOLE, WHOLE]
        assert fact(bench, "pid") != first_pid
        assert not is_alive(int(first_pid))


@pytest.mark.slow
def test_a_member_that_eats_memory_fails_at_the_limit_and_not_the_host(open_bench: OpenBench) -> None:
    with open_bench(memory_limit_bytes=512 << 20) as bench:
        session = bench.measure(request_of([REFERENCE, doing("eat"), GOOD], quick_plan(max_window_s=20.0)))
        assert blocks_of(session) == [WHOLE, "memory", WHOLE]


@pytest.mark.slow
def test_several_guilty_members_of_one_session_are_told_apart(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        deeds = [doing("abort"), doing("raise"), GOOD, doing("write garbage", "settle"), doing("be killed", "compile")]
        session = bench.measure(request_of([REFERENCE, *deeds], quick_plan(seed=5)))
        assert blocks_of(session) == [WHOLE, "crash", "runtime", WHOLE, "crash", "memory"]


def test_a_member_may_print_what_it_likes(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        session = bench.measure(request_of([REFERENCE, doing("chat"), doing("chat", "compile")], quick_plan()))
        assert blocks_of(session) == [WHOLE, WHOLE, WHOLE]


@pytest.mark.slow
def test_the_last_words_of_a_process_are_quoted_in_one_short_line(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        session = bench.measure(request_of([REFERENCE, doing("die saying much"), GOOD], quick_plan()))
        message = failed(session.members[1]).message
        assert "the last word" in message
        assert len(message) < 300
        assert "\n" not in message


@pytest.mark.slow
def test_an_endless_answer_is_garbage_before_it_fills_the_memory(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        session = bench.measure(request_of([REFERENCE, doing("flood"), GOOD], quick_plan(max_window_s=PATIENCE_S)))
        assert blocks_of(session) == [WHOLE, "crash", WHOLE]
        assert "garbage" in failed(session.members[1]).message


@pytest.mark.slow
@pytest.mark.parametrize("deed", ["abort", "raise"])
def test_a_failing_reference_leaves_nothing_to_compare_with(open_bench: OpenBench, deed: str) -> None:
    with open_bench() as bench:
        session = bench.measure(request_of([doing(deed), GOOD], quick_plan(stop=StopRule(min_windows=9))))
        assert isinstance(session.members[0], Failure)
        assert len(whole(session.members[1]).windows) <= 1
        assert whole(session.members[1]).effective == bench.resolve(GOOD)


@pytest.mark.slow
def test_a_crashed_candidate_leaves_a_reference_that_is_not_measured_again(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        session = bench.measure(request_of([REFERENCE, doing("abort", "compile")], quick_plan()))
        assert blocks_of(session) == [[], "crash"]
        after = bench.measure(request_of([REFERENCE, GOOD], quick_plan()))
        assert after.process == session.process, "the process in which no member failed stays resident"


@pytest.mark.slow
def test_a_session_that_crashes_as_a_whole_is_a_session_of_failures(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        for phase in ("baselines", "search"):
            configurations = [doing("abort"), doing("abort", "compile")]
            assert "crash" in blocks_of(bench.measure(request_of(configurations, quick_plan(phase=phase))))


@pytest.mark.slow
def test_baselines_go_on_without_their_first(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        session = bench.measure(
            request_of([doing("abort"), GOOD, OTHER], quick_plan(is_fresh=True), first=Role.BASELINE)
        )
        assert blocks_of(session) == ["crash", WHOLE, WHOLE]


@pytest.mark.slow
def test_the_wall_time_of_wasted_attempts_is_explained(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        session = bench.measure(request_of([REFERENCE, doing("abort"), GOOD], quick_plan()))
        costs = session.costs
        assert 0.0 < costs.wasted_s < session.wall_s
        assert costs.start_s > 0.0
        assert costs.total_s <= session.wall_s


@pytest.mark.slow
def test_what_a_hanging_member_started_ends_with_it(
    open_bench: OpenBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIDS", str(tmp_path / "pids"))
    with open_bench() as bench:
        session = bench.measure(request_of([REFERENCE, doing("hang with a child"), GOOD], quick_plan(hang_limit_s=1.0)))
        assert blocks_of(session) == [WHOLE, "timeout", WHOLE]
        worker, child = map(int, (tmp_path / "pids").read_text().split())
        assert not is_alive(worker)
        wait_for(lambda: not is_alive(child))


@pytest.mark.slow
def test_a_worker_ends_when_its_parent_is_killed_in_the_middle_of_a_turn(
    backends: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIDS", str(tmp_path / "pids"))
    program = textwrap.dedent("""
        from tests.bench.conftest import BACKEND, MLP, config, quick_plan, request_of
        from tuner.bench.worker.worker_bench import WorkerBench

        with WorkerBench(MLP, backend=BACKEND) as bench:
            member = config({"DO": "hang with a child"})
            bench.measure(request_of([config(), member], quick_plan(hang_limit_s=1000.0)))
    """)
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=HERE.parents[1])
    try:
        wait_for(lambda: (tmp_path / "pids").exists() or parent.poll() is not None)
        worker, child = map(int, (tmp_path / "pids").read_text().split())
        assert is_alive(worker)
    finally:
        parent.kill()
        parent.wait()
    try:
        wait_for(lambda: not is_alive(worker))
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.slow
def test_an_interrupt_in_the_middle_of_a_turn_leaves_no_answer_behind_for_the_next_command(
    open_bench: OpenBench, one_interrupt: None
) -> None:
    with open_bench() as bench:
        with pytest.raises(KeyboardInterrupt):
            bench.measure(request_of([REFERENCE, doing("interrupt the parent")], quick_plan(hang_limit_s=PATIENCE_S)))
        assert blocks_of(bench.measure(request_of([REFERENCE, GOOD], quick_plan()))) == [WHOLE, WHOLE]


def test_an_interrupt_between_blocks_leaves_a_usable_bench(open_bench: OpenBench) -> None:
    def interrupt(members: object) -> None:
        raise KeyboardInterrupt

    with open_bench() as bench:
        with pytest.raises(KeyboardInterrupt):
            bench.measure(request_of([REFERENCE, GOOD], quick_plan()), interrupt)
        assert blocks_of(bench.measure(request_of([REFERENCE, OTHER], quick_plan()))) == [WHOLE, WHOLE]


@pytest.mark.slow
def test_a_process_that_hangs_is_gone_before_its_caller_hears_of_it(backends: None) -> None:
    model = {**dataclasses.asdict(MLP), "folder": str(MLP.folder)}
    worker = WorkerProcess(WorkerSetup(backend=BACKEND, model=model, seed=0, memory_limit_bytes=None))
    with pytest.raises(WorkerLost, match="did not end within"):
        worker.call("unknown_properties", limit_s=0.1, device="hang", names=[])
    assert worker.has_ended
    assert not is_alive(worker.pid)


# Members that contaminate their process for the others.


@pytest.mark.slow
def test_a_member_known_to_contaminate_its_process_gets_one_of_its_own(open_bench: OpenBench) -> None:
    contaminating = config({"ENABLE_CPU_RESERVATION": True})
    with open_bench() as bench:
        assert resolved(bench.resolve(contaminating))
        for seed in range(3):
            session = bench.measure(request_of([REFERENCE, contaminating, GOOD], quick_plan(seed=seed)))
            assert blocks_of(session) == [WHOLE, WHOLE, WHOLE]
            assert len(session.process.split(",")) == 2


@pytest.mark.slow
def test_a_member_of_its_own_process_survives_the_check_of_another(open_bench: OpenBench) -> None:
    contaminating = config({"ENABLE_CPU_RESERVATION": True})
    with open_bench() as bench:
        plan = quick_plan(seed=5)  # compiled in this order, the failing one last
        session = bench.measure(request_of([REFERENCE, contaminating, GOOD, doing("raise", "compile")], plan))
        assert blocks_of(session) == [WHOLE, WHOLE, WHOLE, "compile"]


@pytest.mark.slow
def test_a_contaminating_reference_lives_in_its_own_process(open_bench: OpenBench) -> None:
    contaminating = config({"ENABLE_CPU_RESERVATION": "YES"})
    with open_bench() as bench:
        for _ in range(2):
            session = bench.measure(request_of([contaminating, GOOD, OTHER], quick_plan()))
            assert blocks_of(session) == [WHOLE, WHOLE, WHOLE]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))])
def test_an_unknown_contaminating_member_fails_and_later_members_do_not(open_bench: OpenBench, seed: int) -> None:
    contaminating = doing("contaminate")
    with open_bench() as bench:
        session = bench.measure(request_of([REFERENCE, GOOD, contaminating, OTHER], quick_plan(seed=seed)))
        is_last = isinstance(session.members[2], Windows)  # no member was compiled after it
        if not is_last:
            assert "proc_type_table is empty" in failed(session.members[2]).message
        assert blocks_of(session) == [WHOLE, WHOLE, WHOLE if is_last else "crash", WHOLE]
        after = bench.measure(request_of([REFERENCE, config({"NUM_STREAMS": 8})], quick_plan()))
        assert blocks_of(after) == [WHOLE, WHOLE]


@pytest.mark.slow
def test_no_member_is_blamed_where_memory_is_short(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        plan = quick_plan(seed=5)  # compiled in this order
        session = bench.measure(request_of([REFERENCE, GOOD, OTHER, doing("need room", "compile")], plan))
        assert blocks_of(session) == [WHOLE, WHOLE, WHOLE, "memory"]


@pytest.mark.slow
def test_resolving_a_contaminating_member_does_not_make_the_next_candidate_illegal(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        assert resolved(bench.resolve(doing("contaminate")))
        assert resolved(bench.resolve(GOOD))
        assert failed(bench.resolve(doing("raise", "resolve"))).kind is FailureKind.COMPILE
        assert blocks_of(bench.measure(request_of([REFERENCE, GOOD], quick_plan()))) == [WHOLE, WHOLE]
