"""Control groups: where they are made, what is written into them, and that none stays; on made-up trees and on this
host."""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bench.conftest import is_alive
from tuner.bench.host import cgroup
from tuner.bench.host.cgroup import Group, open_group, sweep
from tuner.errors import HostError

ME = os.getpid()
STARTED = "4711"
MIB = 1 << 20
V1 = {"proc/self/cgroup": "4:memory:/pod\n1:cpu,cpuacct:/pod\n0::/\n"}
V1_FOLDERS = ["sys/fs/cgroup/cpu,cpuacct/pod", "sys/fs/cgroup/memory/pod"]
V2 = {
    "proc/self/cgroup": "0::/scope\n",
    "sys/fs/cgroup/cgroup.controllers": "cpu memory pids\n",
    "sys/fs/cgroup/scope/cgroup.subtree_control": "cpu memory\n",
}


def stat_of(started: str, name: str = "python") -> str:
    return f"1 ({name}) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 {started} 1 2 3"


def tree(root: Path, files: dict[str, str], *folders: str) -> Path:
    """A made-up host that this process lives on."""
    for name, text in {**files, f"proc/{ME}/stat": stat_of(STARTED, "a) b (c")}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
    return root


@pytest.fixture(autouse=True)
def made_up(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """As the kernel does it: a group goes with its files. Returns the pids to be killed; no process is killed."""
    killed: list[int] = []
    if "real" in request.fixturenames:
        return killed
    monkeypatch.setattr(Path, "rmdir", lambda path: shutil.rmtree(path))
    monkeypatch.setattr("tuner.bench.host.cgroup.os.kill", lambda pid, signum: killed.append(pid))
    return killed


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int, int], None]:
    """`refused(name, error, times)`: so often the kernel refuses what is written to files of this name."""
    write = Path.write_text

    def refuse(name: str, error: int, times: int) -> None:
        left = iter(range(times))

        def write_text(path: Path, text: str) -> int:
            if path.name == name and next(left, None) is not None:
                raise OSError(error, os.strerror(error))
            return write(path, text)

        monkeypatch.setattr(Path, "write_text", write_text)

    return refuse


@pytest.fixture
def childless(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests left running below this process (multiprocessing's resource tracker) would move along, and a
    file that is no kernel's shows the last that moved."""
    monkeypatch.setattr(cgroup.psutil.Process, "children", lambda *_, **__: [])


def names_below(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_dir()]


# Where, and what is written


def test_v1_has_a_folder_in_each_hierarchy_below_the_own_group(tmp_path: Path) -> None:
    root = tree(tmp_path, V1, *V1_FOLDERS)
    group = open_group(cpus=1.5, memory_bytes=64 * MIB, root=root)
    assert [folder.parent for folder in group.folders] == [root / folder for folder in V1_FOLDERS]
    cpu, memory = group.folders
    assert (cpu / "cpu.cfs_period_us").read_text() == "100000"
    assert (cpu / "cpu.cfs_quota_us").read_text() == "150000"
    assert (memory / "memory.limit_in_bytes").read_text() == str(64 * MIB)
    assert not (memory / "memory.memsw.limit_in_bytes").exists(), "this kernel does not count swap"
    assert group.memory_bytes == 64 * MIB
    group.remove()
    assert not any(names_below(root / folder) for folder in V1_FOLDERS)


def test_v2_has_one_folder_for_both_limits(tmp_path: Path) -> None:
    root = tree(tmp_path, V2)
    group = open_group(cpus=0.25, memory_bytes=64 * MIB, root=root)
    (folder,) = group.folders
    assert folder.parent == root / "sys/fs/cgroup/scope"
    assert (folder / "cpu.max").read_text() == "25000 100000"
    assert (folder / "memory.max").read_text() == str(64 * MIB)
    group.remove()
    assert not folder.exists()


@pytest.mark.parametrize(
    ("files", "file", "text"),
    [(V1, "memory.memsw.limit_in_bytes", str(64 * MIB)), (V2, "memory.swap.max", "0")],
)
def test_where_swap_is_counted_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], file: str, text: str
) -> None:
    make = Path.mkdir

    def with_files(folder: Path) -> None:
        make(folder)
        (folder / file).write_text("max")

    root = tree(tmp_path, files, *V1_FOLDERS)
    monkeypatch.setattr(Path, "mkdir", with_files)
    (folder,) = open_group(cpus=None, memory_bytes=64 * MIB, root=root).folders
    assert (folder / file).read_text() == text


@pytest.mark.parametrize(("files", "folders"), [(V1, V1_FOLDERS), (V2, [])])
def test_what_was_read_again_for_want_of_memory_is_counted_in_bytes(
    tmp_path: Path, files: dict[str, str], folders: list[str]
) -> None:
    group = open_group(cpus=1, memory_bytes=64 * MIB, root=tree(tmp_path, files, *folders))
    assert group.reread_bytes() == 0, "a kernel that does not count"
    stat = "cache 5\nworkingset_refault_anon 7\nworkingset_refault_file 3\ntotal_workingset_refault_file 9\n"
    (group.folders[-1] / "memory.stat").write_text(stat)
    assert group.reread_bytes() == 3 * mmap.PAGESIZE


def test_only_what_is_limited_takes_a_hierarchy(tmp_path: Path) -> None:
    root = tree(tmp_path, V1, *V1_FOLDERS)
    (cpu,) = open_group(cpus=1, memory_bytes=None, root=root).folders
    assert cpu.parent == root / V1_FOLDERS[0]
    (memory,) = open_group(cpus=None, memory_bytes=MIB, root=root).folders
    assert memory.parent == root / V1_FOLDERS[1]
    assert memory.name != cpu.name


def test_a_quota_is_never_below_what_the_kernel_takes(tmp_path: Path) -> None:
    (folder,) = open_group(cpus=0.001, memory_bytes=None, root=tree(tmp_path, V2)).folders
    assert (folder / "cpu.max").read_text() == "1000 100000"


def test_a_container_that_does_not_show_the_own_group_uses_the_mount(tmp_path: Path) -> None:
    root = tree(tmp_path, {"proc/self/cgroup": "1:cpu:/docker/123\n"}, "sys/fs/cgroup/cpu")
    (folder,) = open_group(cpus=1, memory_bytes=None, root=root).folders
    assert folder.parent == root / "sys/fs/cgroup/cpu"


def test_a_hybrid_host_takes_each_controller_where_it_is_and_asks_v2_only_for_its_own(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "4:memory:/\n0::/\n",
        "sys/fs/cgroup/unified/cgroup.controllers": "cpu\n",
        "sys/fs/cgroup/unified/cgroup.subtree_control": "\n",
    }
    root = tree(tmp_path, files, "sys/fs/cgroup/memory")
    group = open_group(cpus=1, memory_bytes=MIB, root=root)
    assert [f.parent.name for f in group.folders] == ["unified", "memory"]
    assert (root / "sys/fs/cgroup/unified/cgroup.subtree_control").read_text() == "+cpu"


def test_a_process_is_added_in_every_hierarchy(tmp_path: Path) -> None:
    group = open_group(cpus=1, memory_bytes=MIB, root=tree(tmp_path, V1, *V1_FOLDERS))
    group.add(1234)
    assert [(folder / "cgroup.procs").read_text() for folder in group.folders] == ["1234", "1234"]


def test_a_refused_process_is_a_host_error(tmp_path: Path, refused: Callable[[str, int, int], None]) -> None:
    group = open_group(cpus=1, memory_bytes=None, root=tree(tmp_path, V2))
    refused("cgroup.procs", errno.EACCES, 1)
    with pytest.raises(HostError, match="refuses 1234: Permission denied"):
        group.add(1234)


# Delegation on v2


def delegated(root: Path, text: str = "") -> Path:
    return tree(root, {**V2, "sys/fs/cgroup/scope/cgroup.subtree_control": text})


def test_controllers_that_are_not_handed_down_are_asked_for(tmp_path: Path) -> None:
    root = delegated(tmp_path, "memory\n")
    open_group(cpus=1, memory_bytes=None, root=root)
    assert (root / "sys/fs/cgroup/scope/cgroup.subtree_control").read_text() == "+cpu"
    assert len(names_below(root / "sys/fs/cgroup/scope")) == 1, "no process had to move"


def test_a_process_alone_in_its_scope_moves_out_of_the_way(
    tmp_path: Path, refused: Callable[[str, int, int], None], childless: None
) -> None:
    root = delegated(tmp_path)
    scope, leaf = root / "sys/fs/cgroup/scope", f"tuner-{ME}-{STARTED}-leaf"
    refused("cgroup.subtree_control", errno.EBUSY, 1)
    (first,) = open_group(cpus=1, memory_bytes=None, root=root).folders
    assert first.parent == scope
    assert (scope / leaf / "cgroup.procs").read_text() == str(ME)
    assert (scope / "cgroup.subtree_control").read_text() == "+cpu"
    # As the kernel shows it afterwards; the next group stands beside the first, not below the leaf.
    (root / "proc/self/cgroup").write_text(f"0::/scope/{leaf}\n")
    (scope / "cgroup.subtree_control").write_text("cpu\n")
    (second,) = open_group(cpus=1, memory_bytes=None, root=root).folders
    assert second.parent == scope


def test_with_others_beside_it_there_is_no_group_and_it_is_back_where_it_was(
    tmp_path: Path, refused: Callable[[str, int, int], None], childless: None
) -> None:
    root = delegated(tmp_path)
    refused("cgroup.subtree_control", errno.EBUSY, 10)
    with pytest.raises(HostError, match=r"other processes live in .*scope: Device or resource busy") as no:
        open_group(cpus=1, memory_bytes=None, root=root)
    assert "systemd-run --user --scope -p Delegate=yes" in no.value.advice
    assert (root / "sys/fs/cgroup/scope/cgroup.procs").read_text() == str(ME)
    assert names_below(root / "sys/fs/cgroup/scope") == []


# No right, no controller


def test_without_the_right_the_advice_is_a_command(tmp_path: Path, refused: Callable[[str, int, int], None]) -> None:
    root = tree(tmp_path, V1, *V1_FOLDERS)
    refused("cpu.cfs_quota_us", errno.EACCES, 1)
    with pytest.raises(HostError, match=r"cpu\.cfs_quota_us refuses 100000: Permission denied") as no:
        open_group(cpus=1, memory_bytes=MIB, root=root)
    assert "systemd-run" in no.value.advice
    assert "docker run --cpus" in no.value.advice
    assert not any(names_below(root / folder) for folder in V1_FOLDERS), "nothing half-made stays"


def test_a_hierarchy_that_may_not_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree(tmp_path, V1, *V1_FOLDERS)
    monkeypatch.setattr("tuner.bench.host.cgroup.os.access", lambda path, mode: False)
    with pytest.raises(HostError, match=r"a CPU limit cannot be set here: .*cpu,cpuacct/pod may not be written"):
        open_group(cpus=1, memory_bytes=None, root=root)


@pytest.mark.parametrize("files", [{}, {"proc/self/cgroup": "0::/\n"}, {"proc/self/cgroup": "what is this\n1:cpu\n"}])
def test_a_host_without_control_groups_says_so(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(HostError, match="a memory limit cannot be set here: no memory controller is mounted") as no:
        open_group(cpus=None, memory_bytes=MIB, root=tree(tmp_path, files))
    assert "docker run" in no.value.advice
    assert sweep(root=tmp_path) == 0


# Orphans


def orphan(root: Path, pid: int, started: str = STARTED, of: str = "1", procs: str = "") -> Path:
    folder = root / f"sys/fs/cgroup/cpu/tuner-{pid}-{started}-{of}"
    folder.mkdir(parents=True)
    (folder / "cgroup.procs").write_text(procs)
    return folder


def test_groups_of_makers_that_are_gone_are_swept_and_no_others(tmp_path: Path, made_up: list[int]) -> None:
    root = tree(tmp_path, {"proc/self/cgroup": "1:cpu:/\n", "proc/77/stat": stat_of("99")}, "sys/fs/cgroup/cpu")
    gone = orphan(root, 66, procs="4242\n4243\n")
    number_reused, leaf = orphan(root, 77, of="2"), orphan(root, 66, of="leaf")
    alive, mine = orphan(root, 77, "99"), orphan(root, ME)
    strange = root / "sys/fs/cgroup/cpu/tuner-of-pianos"
    strange.mkdir()
    assert sweep(root=root) == 3
    assert [f.exists() for f in (gone, number_reused, leaf)] == [False] * 3
    assert [f.exists() for f in (alive, mine, strange)] == [True] * 3
    assert made_up == [4242, 4243]
    assert sweep(root=root) == 0


def test_a_process_of_another_namespace_is_not_killed(tmp_path: Path, made_up: list[int]) -> None:
    """The kernel shows them as 0, which `kill` takes for this process's own group."""
    root = tree(tmp_path, {"proc/self/cgroup": "1:cpu:/\n"}, "sys/fs/cgroup/cpu")
    orphan(root, 66, procs=f"0\n{ME}\n")
    sweep(root=root)
    assert made_up == []


def test_a_group_that_cannot_be_removed_is_left_after_some_tries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(path: Path) -> None:
        raise OSError(errno.EBUSY, "busy")

    root = tree(tmp_path, {"proc/self/cgroup": "1:cpu:/\n"}, "sys/fs/cgroup/cpu")
    folder = orphan(root, 66)
    monkeypatch.setattr(Path, "rmdir", busy)
    slept: list[float] = []
    assert sweep(root=root, sleep=slept.append) == 0
    assert folder.exists()
    assert len(slept) == cgroup.REMOVE_TRIES


# On this host


@pytest.fixture(scope="module")
def real() -> Iterator[None]:
    """Skips where groups cannot be made. No group of this process or of one that is gone may be left."""
    for cpus, memory_bytes in ((1.0, None), (None, 64 * MIB)):
        try:
            open_group(cpus=cpus, memory_bytes=memory_bytes).remove()
        except HostError as error:
            pytest.skip(f"needs the right to make control groups: {error}")
    yield
    assert groups_of(ME) == []
    assert sweep() == 0


def groups_of(pid: int) -> list[Path]:
    parents = {p for h in cgroup._hierarchies(Path("/")) for p in h.parents()}
    return [
        folder for parent in parents for folder in parent.glob(f"tuner-{pid}-*") if not folder.name.endswith("leaf")
    ]


def run_in(group: Group, program: str) -> subprocess.CompletedProcess[str]:
    """Python code, which waits for a line before it begins."""
    process = subprocess.Popen(
        [sys.executable, "-c", "input()\n" + textwrap.dedent(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    group.add(process.pid)
    out, _ = process.communicate("\n")
    return subprocess.CompletedProcess([], process.returncode, out)


@pytest.mark.slow
def test_a_quota_limits_the_cpu_time_of_all_threads(real: None) -> None:
    group = open_group(cpus=0.2, memory_bytes=None)
    try:
        ratio = run_in(
            group,
            """
            import time
            begin, used = time.monotonic(), time.process_time()
            while time.process_time() - used < 0.2:
                pass
            print((time.process_time() - used) / (time.monotonic() - begin))
            """,
        )
        # At best two periods' quota fall into the stretch at once: 0.2 s of CPU time take 0.9 s.
        assert float(ratio.stdout) < 0.3
        throttled = (group.folders[0] / "cpu.stat").read_text().split()
        assert int(throttled[throttled.index("nr_throttled") + 1]) >= 5
    finally:
        group.remove()
    assert not group.folders[0].exists()


@pytest.mark.slow
def test_a_process_that_takes_more_memory_is_killed(real: None) -> None:
    group = open_group(cpus=None, memory_bytes=64 * MIB)
    try:
        assert run_in(group, "print(len(bytearray(16 << 20)))").stdout == f"{16 * MIB}\n"
        assert run_in(group, "print(len(b'x' * (256 << 20)))").returncode == -signal.SIGKILL
    finally:
        group.remove()
    assert not group.folders[0].exists()


@pytest.mark.slow
def test_removing_a_group_ends_its_processes(real: None) -> None:
    group = open_group(cpus=1, memory_bytes=64 * MIB)
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as sleeper:
        group.add(sleeper.pid)
        group.remove()
        assert sleeper.wait() == -signal.SIGKILL
    group.remove()
    assert groups_of(ME) == []


@pytest.mark.slow
def test_after_its_maker_was_killed_the_next_sweep_takes_a_group_and_its_processes_away(real: None) -> None:
    program = """
        import subprocess, time
        from tuner.bench.host.cgroup import open_group

        sleeper = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        open_group(cpus=1, memory_bytes=64 << 20).add(sleeper.pid)
        print(sleeper.pid, flush=True)
        time.sleep(1000)
    """
    maker = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True)
    assert maker.stdout is not None
    with maker.stdout as out:
        sleeper = int(out.readline())
    assert groups_of(maker.pid)
    assert sweep() == 0, "its maker lives"
    maker.kill()
    maker.wait()
    assert sweep() >= 1
    assert groups_of(maker.pid) == []
    assert not is_alive(sleeper)
