from __future__ import annotations

import os
from pathlib import Path

import pytest

from tuner.bench.load import CpuTimes, loads_pct, read_cpu_times

TICK = os.sysconf("SC_CLK_TCK")


def stat(path: Path, **seconds: float) -> Path:
    """A /proc/stat; the guest's times, already part of user and nice, must not count twice."""
    names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")
    ticks = " ".join(str(int(seconds.get(name, 0.0) * TICK)) for name in names)
    path.write_text(f"cpu  {ticks}\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 12345\n")
    return path


def times(**seconds: float) -> CpuTimes:
    return CpuTimes(**{"total_s": 0.0, "busy_s": 0.0, "steal_s": 0.0, "own_s": 0.0, **seconds})


def test_the_first_line_is_all_cpus_in_ticks(tmp_path: Path) -> None:
    seconds = {"user": 10, "nice": 1, "system": 2, "idle": 100, "iowait": 5, "irq": 0.5, "softirq": 0.5, "steal": 3}
    found = read_cpu_times(stat(tmp_path / "stat", **seconds, guest=10, guest_nice=1))
    assert found.busy_s == pytest.approx(14.0)
    assert found.steal_s == pytest.approx(3.0)
    assert found.total_s == pytest.approx(122.0)
    assert found.own_s > 0.0


def test_what_the_worker_used_itself_is_not_other_load(tmp_path: Path) -> None:
    before = times(total_s=100.0, busy_s=50.0, steal_s=1.0, own_s=5.0)
    after = times(total_s=110.0, busy_s=56.0, steal_s=2.0, own_s=8.0)
    assert loads_pct(before, after) == (10.0, 30.0)


def test_two_readings_of_files_give_steal_and_other_load_in_per_cent_of_all_cpus(tmp_path: Path) -> None:
    before = read_cpu_times(stat(tmp_path / "before", user=100, idle=100))
    after = read_cpu_times(stat(tmp_path / "after", user=1_100, idle=8_100, steal=1_000))
    steal, other = loads_pct(before, after)
    assert steal == 10.0
    assert other == pytest.approx(10.0, abs=0.1)


def test_an_own_time_beyond_what_the_ticks_resolve_is_no_negative_load() -> None:
    assert loads_pct(times(), times(total_s=1.0, busy_s=0.5, own_s=0.51)) == (0.0, 0.0)


def test_between_two_readings_in_one_tick_there_is_no_load() -> None:
    assert loads_pct(times(total_s=7.0), times(total_s=7.0, own_s=0.001)) == (0.0, 0.0)


@pytest.mark.parametrize("content", [None, "", "cpu\n", "cpu 1 2 3\n", "what is this\n"])
def test_a_host_that_does_not_tell_has_no_load_and_no_error(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "stat"
    if content is not None:
        path.write_text(content)
    assert loads_pct(read_cpu_times(path), read_cpu_times(path)) == (0.0, 0.0)
