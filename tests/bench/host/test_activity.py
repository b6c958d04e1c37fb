from __future__ import annotations

import os
from pathlib import Path

import pytest

from tuner.bench.host.activity import CpuTimes, HostReader, load_between, loads_pct, read_cpu_times
from tuner.bench.measurement import HostActivity
from tuner.bench.simulated.synthetic import FakeClock

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
    assert loads_pct(before, after) == (10.0, 30.0, 30.0)


def test_two_readings_of_files_give_steal_and_other_load_in_per_cent_of_all_cpus(tmp_path: Path) -> None:
    before = read_cpu_times(stat(tmp_path / "before", user=100, idle=100))
    after = read_cpu_times(stat(tmp_path / "after", user=1_100, idle=8_100, steal=1_000))
    steal, other, _ = loads_pct(before, after)
    assert steal == 10.0
    assert other == pytest.approx(10.0, abs=0.1)


def test_an_own_time_beyond_what_the_ticks_resolve_is_no_negative_load() -> None:
    assert loads_pct(times(), times(total_s=1.0, busy_s=0.5, own_s=0.51)) == (0.0, 0.0, 51.0)


def test_between_two_readings_in_one_tick_there_is_no_load() -> None:
    assert loads_pct(times(total_s=7.0), times(total_s=7.0, own_s=0.001)) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("content", [None, "", "cpu\n", "cpu 1 2 3\n", "what is this\n"])
def test_a_host_that_does_not_tell_has_no_load_and_no_error(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "stat"
    if content is not None:
        path.write_text(content)
    assert loads_pct(read_cpu_times(path), read_cpu_times(path)) == (0.0, 0.0, 0.0)


# Everything that a host may tell


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def cpu_line(name: str, busy_s: float, idle_s: float, steal_s: float = 0.0) -> str:
    return f"{name} {int(busy_s * TICK)} 0 0 {int(idle_s * TICK)} 0 0 0 {int(steal_s * TICK)} 0 0\n"


def pressure(total_us: int) -> dict[str, str]:
    some = f"some avg10=1.00 avg60=0.50 avg300=0.10 total={total_us}\n"
    return {"proc/pressure/cpu": f"{some}full avg10=0.00 avg60=0.00 avg300=0.00 total=99\n"}


def cpu_files(cpu: int, *, mhz: int = 2000, core: int = 0, package: int = 0) -> dict[str, str]:
    folder = f"sys/devices/system/cpu/cpu{cpu}"
    return {
        f"{folder}/cpufreq/scaling_cur_freq": f"{1000 * mhz}\n",
        f"{folder}/thermal_throttle/core_throttle_count": f"{core}\n",
        f"{folder}/thermal_throttle/package_throttle_count": f"{package}\n",
    }


def test_pressure_is_the_share_of_the_wall_time_in_which_a_task_waited(tmp_path: Path) -> None:
    clock = FakeClock()
    reader = HostReader(tmp_path, cpus=[0], clock=clock)
    write(tmp_path, pressure(1_000_000))
    before = reader.read()
    clock.advance(0.5)
    write(tmp_path, pressure(1_125_000))
    assert load_between(before, reader.read()).pressure_pct == 25.0


@pytest.mark.parametrize("text", [None, "", "some avg10=0.00 total=\n", "full avg10=0.00 total=5\n", "nonsense\n"])
def test_where_the_kernel_does_not_tell_the_pressure_there_is_none(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        write(tmp_path, {"proc/pressure/cpu": text})
    clock = FakeClock()
    reader = HostReader(tmp_path, cpus=[0], clock=clock)
    before = reader.read()
    clock.advance(1.0)
    assert load_between(before, reader.read()).pressure_pct is None


def test_frequency_is_the_mean_of_the_cpus_that_may_be_used(tmp_path: Path) -> None:
    write(tmp_path, cpu_files(0, mhz=800) | cpu_files(1, mhz=3000) | cpu_files(2, mhz=2000))
    assert HostReader(tmp_path, cpus=[1, 2]).frequency_mhz() == 2500.0
    assert HostReader(tmp_path, cpus=[7]).frequency_mhz() is None


def test_heat_is_what_was_counted_between_two_readings(tmp_path: Path) -> None:
    write(tmp_path, cpu_files(0, core=5, package=7) | cpu_files(1, core=1))
    reader = HostReader(tmp_path, cpus=[0, 1])
    before = reader.read()
    write(tmp_path, cpu_files(0, core=6, package=9) | cpu_files(1, core=1))
    assert load_between(before, reader.read()).thermal_throttles == 3
    assert load_between(reader.read(), before).thermal_throttles == 0


@pytest.mark.parametrize("group", ["0::/work\n", "3:cpu,cpuacct:/work\n"], ids=["v2", "v1"])
def test_throttling_by_a_quota_is_kept_apart_from_heat(tmp_path: Path, group: str) -> None:
    folder = "sys/fs/cgroup/work" if group.startswith("0") else "sys/fs/cgroup/cpu,cpuacct/work"
    write(tmp_path, {"proc/self/cgroup": group, f"{folder}/cpu.stat": "nr_periods 10\nnr_throttled 4\n"})
    reader = HostReader(tmp_path, cpus=[0])
    before = reader.read()
    write(tmp_path, {f"{folder}/cpu.stat": "nr_periods 15\nnr_throttled 9\nthrottled_time 1\n"})
    found = load_between(before, reader.read())
    assert (found.quota_throttles, found.thermal_throttles) == (5, 0)


def test_what_happens_on_cpus_that_may_not_be_used_is_no_load(tmp_path: Path) -> None:
    """CPU 1 is another program's: that is how to keep two programs apart."""

    def show(mine_busy_s: float, theirs_busy_s: float, steal_s: float) -> None:
        lines = [
            cpu_line("cpu", mine_busy_s + theirs_busy_s, 100.0, steal_s),
            cpu_line("cpu0", mine_busy_s, 50.0, steal_s),
            cpu_line("cpu1", theirs_busy_s, 50.0),
            "intr 1 2 3\n",
        ]
        write(tmp_path, {"proc/stat": "".join(lines)})

    show(0.0, 0.0, 0.0)
    mine, both = HostReader(tmp_path, cpus=[0]), HostReader(tmp_path, cpus=[0, 1])
    before = mine.read(), both.read()
    show(500.0, 4000.0, 500.0)
    alone = load_between(before[0], mine.read())
    assert alone.other_cpu_pct == pytest.approx(50.0, abs=0.2)
    assert alone.steal_pct == 50.0
    together = load_between(before[1], both.read())
    assert together.other_cpu_pct == pytest.approx(90.0, abs=0.2)
    assert together.steal_pct == 10.0


@pytest.mark.parametrize("count", [1, 8, 9, 128])
def test_of_many_cpus_a_few_from_everywhere_are_read(tmp_path: Path, count: int) -> None:
    for cpu in range(count):
        write(tmp_path, cpu_files(cpu, mhz=1000 + cpu, core=1))
    reader = HostReader(tmp_path, cpus=range(count))
    assert reader.read().thermal_throttles == min(count, 8)
    frequency = reader.frequency_mhz()
    assert frequency is not None
    assert frequency == pytest.approx(1000 + (count - 1) / 2, abs=count / 8)


def test_a_host_that_tells_nothing_has_no_load(tmp_path: Path) -> None:
    reader = HostReader(tmp_path)
    assert load_between(reader.read(), reader.read(), frequency_mhz=reader.frequency_mhz()) == HostActivity()


def test_a_look_at_the_host_takes_as_long_as_asked_and_tells_what_others_did(tmp_path: Path) -> None:
    clock = FakeClock()
    write(tmp_path, {"proc/stat": cpu_line("cpu", 0.0, 0.0)} | cpu_files(0, mhz=1500))
    reader = HostReader(tmp_path, cpus=[0], clock=clock)

    def sleep(seconds: float) -> None:
        clock.advance(seconds)
        write(tmp_path, {"proc/stat": cpu_line("cpu", 600.0, 400.0)})

    found = reader.load_over(0.5, sleep)
    assert clock() == 0.5
    assert found.other_cpu_pct == pytest.approx(60.0, abs=0.1)
    assert found.frequency_mhz == 1500.0


def test_this_very_host_can_be_read() -> None:
    reader = HostReader()
    load = load_between(reader.read(), reader.read(), frequency_mhz=reader.frequency_mhz())
    assert 0.0 <= load.other_cpu_pct <= 100.0
    assert 0.0 <= load.steal_pct <= 100.0
