"""Sessions under a deployment's conditions, in real worker processes: replicas, CPUs, limits, what runs beside them."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.bench.conftest import (
    HERE,
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
from tests.bench.worker.workers import PATIENCE_S, WHOLE
from tests.conftest import ROOT
from tests.conftest import wait_for as wait_until
from tuner.bench.configuration import Conditions, DeploymentConfig
from tuner.bench.host.background import Background
from tuner.bench.host.cgroup import _hierarchies, open_group, sweep
from tuner.bench.measurement import HostActivity
from tuner.bench.worker.worker_bench import WorkerBench
from tuner.errors import HostError, InputError
from tuner.model.host import cpu_list

ONE, TWO = config(), config(replicas=2)
CANDIDATE = config({"NUM_STREAMS": 2}, replicas=2)
needs_two_cpus = pytest.mark.skipif(len(cpu_list()) < 2, reason="needs two CPUs to split")


def doing(deed: str, at: str = "turn", **fields: object) -> DeploymentConfig:
    return config({"DO": deed, "AT": at}, **{"replicas": 2, **fields})


def workers_of(bench: WorkerBench) -> list[int]:
    """Processes that the bench has running."""
    found = [psutil.Process(pid) for pid in (child.pid for child in psutil.Process().children())]
    return sorted(p.pid for p in found if "tuner.bench.worker.main" in p.cmdline())


def groups() -> list[Path]:
    """Of any tuner on this host: the tests run one after the other."""
    parents = {p for h in _hierarchies(Path("/")) for p in h.parents()}
    return [folder for parent in parents for folder in parent.glob(f"tuner-{os.getpid()}-*")]


@pytest.fixture
def may_limit() -> Iterator[None]:
    for cpus, memory_bytes in ((1.0, None), (None, 64 << 20)):
        try:
            open_group(cpus=cpus, memory_bytes=memory_bytes).remove()
        except HostError as error:
            pytest.skip(f"needs the right to make control groups: {error}")
    yield
    assert groups() == []


@pytest.fixture
def on_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder whose files can leave memory, as those of a tmpfs cannot."""
    for parent in (tmp_path, ROOT):
        if filesystem_of(parent) != "tmpfs":
            with tempfile.TemporaryDirectory(dir=parent, prefix=".on-disk-") as folder:
                yield Path(folder)
            return
    pytest.skip("needs a filesystem on a disk")


def filesystem_of(folder: Path) -> str:
    mounts = [(len(Path(m.mountpoint).parts), m) for m in psutil.disk_partitions(all=True)]
    return max((n, i, m.fstype) for i, (n, m) in enumerate(mounts) if folder.is_relative_to(m.mountpoint))[2]


# Replicas


@pytest.mark.slow
def test_replicas_are_as_many_processes_which_stay_and_the_sum_is_theirs(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        first = bench.measure(request_of([TWO, CANDIDATE], quick_plan()))
        assert blocks_of(first) == [WHOLE, WHOLE]
        assert len(workers := workers_of(bench)) == 2, "those of the reference"
        second = bench.measure(request_of([TWO, CANDIDATE], quick_plan()))
        assert workers_of(bench) == workers
        assert len(set(second.process.split(",")) & set(first.process.split(","))) == 2
        assert whole(second.members[0]).compile_s == 0.0
        window = whole(first.members[0]).windows[0]
        assert sum(window.latency_counts.values()) == 2 * 40
        assert window.samples / window.duration_s == pytest.approx(2 * 40 / 0.01)
        assert whole(first.members[0]).effective.replicas == 2


@pytest.mark.slow
def test_replicas_share_their_processes_with_no_other_member(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        session = bench.measure(request_of([ONE, TWO, config(replicas=3)], quick_plan()))
        assert blocks_of(session) == [WHOLE] * 3
        assert len(set(session.process.split(","))) == 1 + 2 + 3
        assert len(workers_of(bench)) == 1, "only the reference stays"
        rates = [whole(m).windows[0].samples / whole(m).windows[0].duration_s for m in session.members]
        assert rates == pytest.approx([rates[0], 2 * rates[0], 3 * rates[0]])


@pytest.mark.slow
@needs_two_cpus
def test_members_that_split_the_cpus_have_processes_with_a_cpu_each(
    open_bench: OpenBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CPUS", str(tmp_path))
    cpus = cpu_list()[:2]
    with open_bench(conditions=Conditions(cpuset=cpus)) as bench:
        for affinity in ("shared", "split"):
            session = bench.measure(request_of([TWO, doing("tell cpus", affinity=affinity)], quick_plan()))
            assert blocks_of(session) == [WHOLE, WHOLE]
        assert len(workers_of(bench)) == 2, "only the reference stays"
        masks = sorted(file.read_text() for file in tmp_path.iterdir())
        both = f"{cpus[0]},{cpus[1]}"
        assert masks == sorted([both, both, str(cpus[0]), str(cpus[1])])


def test_more_replicas_than_cpus_cannot_split_them_wherever_they_are_asked_for(open_bench: OpenBench) -> None:
    too_many = config(replicas=2, affinity="split")
    with open_bench(conditions=Conditions(cpuset=cpu_list()[:1])) as bench:
        assert "2 replicas cannot split 1 CPU among them" in failed(bench.resolve(too_many)).message
        session = bench.measure(request_of([ONE, too_many, TWO], quick_plan()))
        assert blocks_of(session) == [WHOLE, "compile", WHOLE]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("deed", "at", "kind"),
    [
        ("one: abort", "turn", "crash"),
        ("one: abort", "compile", "crash"),
        ("one: hang", "turn", "timeout"),
        ("one: write garbage", "turn", "crash"),
        ("one: raise", "turn", "runtime"),
        ("one: raise", "compile", "compile"),
    ],
)
def test_one_bad_replica_is_its_member_s_failure_and_the_others_are_whole(
    open_bench: OpenBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deed: str, at: str, kind: str
) -> None:
    monkeypatch.setenv("ONE", str(tmp_path / "one"))
    with open_bench() as bench:
        session = bench.measure(request_of([TWO, doing(deed, at), CANDIDATE], quick_plan()))
        assert blocks_of(session) == [WHOLE, kind, WHOLE]
        assert blocks_of(bench.measure(request_of([TWO, CANDIDATE], quick_plan()))) == [WHOLE, WHOLE]
        assert len(workers_of(bench)) == 2


@pytest.mark.slow
def test_an_interrupt_in_the_middle_of_a_turn_of_two_leaves_no_old_answer(
    open_bench: OpenBench, one_interrupt: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONE", str(tmp_path / "one"))
    with open_bench() as bench:
        with pytest.raises(KeyboardInterrupt):
            bench.measure(request_of([TWO, doing("one: interrupt the parent")], quick_plan(hang_limit_s=PATIENCE_S)))
        assert len(workers_of(bench)) == 2, "those of the reference, which were asked nothing"
        assert blocks_of(bench.measure(request_of([TWO, CANDIDATE], quick_plan()))) == [WHOLE, WHOLE]


@pytest.mark.slow
def test_what_one_replica_refuses_is_raised_and_no_answer_is_left_for_the_next_command(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        with pytest.raises(InputError, match="damaged"):
            bench.measure(request_of([TWO, doing("refuse", "compile")], quick_plan()))
        assert blocks_of(bench.measure(request_of([TWO, CANDIDATE], quick_plan()))) == [WHOLE, WHOLE]


@pytest.mark.slow
def test_more_replicas_than_memory_holds_are_refused_before_they_start(
    open_bench: OpenBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_bench() as bench:
        resolved(bench.resolve(ONE))
        rss = psutil.Process(workers_of(bench)[0]).memory_info().rss
        free = type("Memory", (), {"available": 2 * rss})()
        monkeypatch.setattr("tuner.bench.worker.worker_bench.psutil.virtual_memory", lambda: free)
        session = bench.measure(request_of([ONE, config(replicas=4), TWO], quick_plan()))
        assert blocks_of(session) == [WHOLE, "memory", WHOLE]
        assert "4 replicas need about" in failed(session.members[1]).message
        assert "each" in failed(session.members[1]).message
        assert len(workers_of(bench)) <= 2


@pytest.mark.slow
def test_a_replica_counts_with_the_memory_that_the_model_takes_once_it_is_compiled(
    open_bench: OpenBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_bench() as bench:
        bench.inspect("CPU", [])
        large = bench._pool.model_bytes
        assert large >= psutil.Process(workers_of(bench)[0]).memory_info().rss // 2
        free = type("Memory", (), {"available": 2 << 30})()
        monkeypatch.setattr("tuner.bench.worker.worker_bench.psutil.virtual_memory", lambda: free)
        bench._pool.model_bytes = 1 << 30
        assert blocks_of(bench.measure(request_of([ONE, TWO], quick_plan()))) == [[], "memory"], (
            "none has read the model yet"
        )
        bench._pool.model_bytes = 700 << 20
        assert blocks_of(bench.measure(request_of([ONE, TWO], quick_plan()))) == [WHOLE, WHOLE]


# Limits


@pytest.mark.slow
def test_every_process_has_a_group_of_its_own_and_none_is_left(open_bench: OpenBench, may_limit: None) -> None:
    with open_bench(conditions=Conditions(cpus=0.5)) as bench:
        assert blocks_of(bench.measure(request_of([TWO, CANDIDATE], quick_plan()))) == [WHOLE, WHOLE]
        (parent,) = {folder.parent for folder in groups()}
        members = sorted(int(pid) for f in parent.glob(f"tuner-{os.getpid()}-*") for pid in _pids(f))
        assert members == workers_of(bench)
        assert len(groups()) == 2
        quotas = {(f / n).read_text().split()[0] for f in groups() for n in QUOTA_FILES if (f / n).exists()}
        assert quotas == {"50000"}


QUOTA_FILES = ("cpu.max", "cpu.cfs_quota_us")


def _pids(folder: Path) -> list[str]:
    return (folder / "cgroup.procs").read_text().split()


@pytest.mark.slow
def test_under_a_memory_limit_every_member_has_processes_of_its_own(open_bench: OpenBench, may_limit: None) -> None:
    with open_bench(conditions=Conditions(memory_bytes=128 << 20)) as bench:
        session = bench.measure(request_of([ONE, TWO], quick_plan()))
        assert blocks_of(session) == [WHOLE, WHOLE]
        assert len(set(session.process.split(","))) == 3
        assert groups() == []


@pytest.mark.slow
def test_a_member_that_passes_the_memory_limit_is_named_and_the_others_are_whole(
    open_bench: OpenBench, may_limit: None
) -> None:
    with open_bench(conditions=Conditions(memory_bytes=128 << 20)) as bench:
        session = bench.measure(request_of([TWO, doing("eat"), CANDIDATE], quick_plan(max_window_s=20.0)))
        assert blocks_of(session) == [WHOLE, "memory", WHOLE]
        assert "it passed its limit of 128 MiB" in failed(session.members[1]).message


@pytest.mark.slow
def test_a_limit_in_which_no_worker_starts_is_the_study_s_fault(open_bench: OpenBench, may_limit: None) -> None:
    with open_bench(conditions=Conditions(memory_bytes=2 << 20)) as bench, pytest.raises(InputError) as no:
        bench.measure(request_of([ONE, TWO], quick_plan()))
    assert "it passed its limit of 2 MiB" in str(no.value)
    assert "deployment.memory" in no.value.advice


@pytest.mark.slow
@pytest.mark.parametrize("at", ["compile", "settle"])
def test_a_member_that_thrashes_under_its_memory_limit_is_ended_and_the_others_are_whole(
    open_bench: OpenBench, may_limit: None, on_disk: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    monkeypatch.setattr("tuner.bench.worker.process.THRASH_CHECK_S", 0.1)
    large = on_disk / "large"
    large.write_bytes(bytes(96 << 20))
    monkeypatch.setenv("LARGE", str(large))
    with open(large, "rb") as file:  # not yet in memory, where it would count as this process's
        os.fdatasync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with open_bench(conditions=Conditions(memory_bytes=48 << 20)) as bench:
        session = bench.measure(
            request_of([ONE, doing("read again and again", at, replicas=1), TWO], quick_plan(max_window_s=20.0))
        )
        assert blocks_of(session) == [WHOLE, "memory", WHOLE]
        words = f"{at}: 48 MiB are too little, it read its own files again and again"
        assert words in failed(session.members[1]).message


@pytest.mark.slow
@pytest.mark.parametrize("deed", ["one: abort", "one: hang"])
def test_the_groups_of_a_crashed_member_are_gone(
    open_bench: OpenBench, may_limit: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deed: str
) -> None:
    monkeypatch.setenv("ONE", str(tmp_path / "one"))
    with open_bench(conditions=Conditions(cpus=0.8)) as bench:
        kinds = blocks_of(bench.measure(request_of([TWO, doing(deed), CANDIDATE], quick_plan())))
        assert [isinstance(kind, str) for kind in kinds] == [False, True, False]
        assert len(groups()) == len(workers_of(bench)) == 2


@pytest.mark.slow
def test_the_next_bench_takes_away_what_a_killed_one_left(
    open_bench: OpenBench, may_limit: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIDS", str(tmp_path / "pids"))
    program = textwrap.dedent("""
        from tests.bench.conftest import BACKEND, MLP, config, quick_plan, request_of
        from tuner.bench.configuration import Conditions
        from tuner.bench.worker.worker_bench import WorkerBench

        with WorkerBench(MLP, backend=BACKEND, conditions=Conditions(cpus=0.5)) as bench:
            bench.measure(request_of([config(), config({"DO": "hang with a child"})], quick_plan(hang_limit_s=1000.0)))
    """)
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=HERE.parents[1])
    try:
        wait_until(lambda: (tmp_path / "pids").exists() or parent.poll() is not None)
        worker, child = map(int, (tmp_path / "pids").read_text().split())
    finally:
        parent.kill()
        parent.wait()
    wait_until(lambda: not is_alive(worker))
    assert is_alive(child), "no process was left to end it"
    with open_bench():
        wait_until(lambda: not is_alive(child))
    assert sweep() == 0


# What runs beside it

BUSY = "while true; do :; done"


def test_what_runs_in_the_background_runs_while_it_is_measured_and_ends_with_the_bench(
    open_bench: OpenBench, tmp_path: Path
) -> None:
    command = f"echo $$ > {tmp_path}/half; mv {tmp_path}/half {tmp_path}/pid; sleep 1000 & wait"
    with open_bench(conditions=Conditions(background=command)) as bench:
        wait_until((tmp_path / "pid").exists)
        shell = psutil.Process(int((tmp_path / "pid").read_text()))
        assert blocks_of(bench.measure(request_of([ONE, config({"NUM_STREAMS": 2})], quick_plan()))) == [WHOLE, WHOLE]
        wait_until(lambda: bool(shell.children()))
        both = [shell.pid, *(child.pid for child in shell.children())]
        assert all(map(is_alive, both))
    wait_until(lambda: not any(map(is_alive, both)))


@pytest.mark.parametrize(("command", "code"), [("exit 3", 3), ("no-such-command-here", 127)])
def test_a_command_that_ends_is_a_broken_host_and_says_what_to_give(
    open_bench: OpenBench, command: str, code: int
) -> None:
    with open_bench(conditions=Conditions(background=command)) as bench:
        assert bench._background is not None
        bench._background._keeper.wait()
        with pytest.raises(HostError, match=rf"background has ended \(exit code {code}\): {command}") as no:
            bench.measure(request_of([ONE, TWO], quick_plan()))
    assert "runs until it is stopped" in no.value.advice


def test_a_command_that_ends_during_a_session_invalidates_that_session(open_bench: OpenBench, tmp_path: Path) -> None:
    command = f"while [ ! -e {tmp_path}/stop ]; do sleep 0.01; done"

    def stop(members: object) -> None:
        (tmp_path / "stop").touch()
        assert bench._background is not None
        bench._background._keeper.wait()

    with open_bench(conditions=Conditions(background=command)) as bench, pytest.raises(HostError, match="has ended"):
        bench.measure(request_of([ONE, config({"NUM_STREAMS": 2})], quick_plan()), stop)


DAEMON = "setsid sh -c 'echo $$ > {0}/half; mv {0}/half {0}/pid; sleep 1000 & wait' &"


@pytest.mark.parametrize("rest", ["sleep 1000", "while [ ! -e {0}/pid ]; do sleep 0.01; done"])
def test_what_leaves_the_session_of_the_command_ends_too(tmp_path: Path, rest: str) -> None:
    background = Background(f"{DAEMON} {rest}".format(tmp_path))
    try:
        wait_until((tmp_path / "pid").exists)
        daemon = int((tmp_path / "pid").read_text())
    finally:
        background.stop()
    wait_until(lambda: not is_alive(daemon))


def test_the_cpu_time_of_what_left_the_session_counts(tmp_path: Path) -> None:
    background = Background(f"setsid sh -c '{BUSY}' & sleep 1000")
    try:
        wait_until(lambda: background.cpu_s() > 0.1)
    finally:
        background.stop()


@pytest.mark.slow
def test_what_runs_in_the_background_ends_when_the_tuner_is_killed(tmp_path: Path) -> None:
    program = textwrap.dedent(f"""
        import time
        from tuner.bench.host.background import Background

        Background("echo $$ > {tmp_path}/half; mv {tmp_path}/half {tmp_path}/pid; sleep 1000; true")
        time.sleep(1000)
    """)
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=HERE.parents[1])
    try:
        wait_until((tmp_path / "pid").exists)
        shell = int((tmp_path / "pid").read_text())
        wait_until(lambda: bool(psutil.Process(shell).children()))
        sleeper = psutil.Process(shell).children()[0].pid
    finally:
        parent.kill()
        parent.wait()
    wait_until(lambda: not is_alive(shell) and not is_alive(sleeper))


@pytest.mark.slow
def test_the_cpu_time_of_the_background_is_known_with_that_of_its_children() -> None:
    background = Background(f"({BUSY}) & wait")
    try:
        wait_until(lambda: background.cpu_s() > 0.1)
    finally:
        background.stop()
    assert background.cpu_s() == 0.0


def test_a_busy_background_is_no_disturbance(open_bench: OpenBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuner.bench.worker.replicas.cpu_list", lambda: (0, 1))
    used_s = itertools.count(0.0, 0.25)
    with open_bench(conditions=Conditions(background="sleep 1000")) as bench:
        assert bench._background is not None
        monkeypatch.setattr(bench._background, "cpu_s", lambda: next(used_s))
        monkeypatch.setattr(bench._host, "load_over", lambda seconds: HostActivity(other_cpu_pct=60.0, steal_pct=1.0))
        assert bench.load_over(0.5) == HostActivity(other_cpu_pct=35.0, steal_pct=1.0)
        session = bench.measure(request_of([ONE, config({"NUM_STREAMS": 2})], quick_plan()))
        # The backend reports 1 % of other load in turns in which the background used far more.
        assert {w.other_cpu_pct for m in session.members for w in whole(m).windows} == {0.0}
