"""Energy counters, on a made-up sysfs: no machine that tests run on need have any."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuner.bench.host.energy import EnergyReader, joules_between

RANGE_UJ = 262_143_328_850


def package(root: Path, name: str, energy_uj: int | str, *, kind: str = "package-0") -> Path:
    folder = root / "sys/class/powercap" / name
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{kind}\n")
    (folder / "energy_uj").write_text(f"{energy_uj}\n")
    (folder / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    return folder / "energy_uj"


def test_packages_are_summed_and_neither_their_parts_nor_the_board_count_again(tmp_path: Path) -> None:
    first = package(tmp_path, "intel-rapl:0", 1_000_000)
    second = package(tmp_path, "intel-rapl:1", 5_000_000, kind="package-1")
    part = package(tmp_path, "intel-rapl:0:0", 100, kind="core")
    board = package(tmp_path, "intel-rapl:2", 100, kind="psys")
    reader = EnergyReader(tmp_path)
    before = reader.read()
    first.write_text("3000000")
    second.write_text("5500000")
    part.write_text("900000")
    board.write_text("900000")
    assert joules_between(before, reader.read()) == pytest.approx(2.5)
    assert reader.refusal == ""


def test_a_counter_that_began_again_from_nothing_is_no_negative_energy(tmp_path: Path) -> None:
    file = package(tmp_path, "intel-rapl:0", RANGE_UJ - 999_999)
    reader = EnergyReader(tmp_path)
    before = reader.read()
    file.write_text("2000000")
    assert joules_between(before, reader.read()) == pytest.approx(3.0, abs=1e-5)


def test_without_counters_nothing_is_read_and_the_reason_is_said(tmp_path: Path) -> None:
    reader = EnergyReader(tmp_path)
    assert reader.read() is None
    assert joules_between(None, None) is None
    assert reader.refusal == "there is no package in /sys/class/powercap/intel-rapl:*"


def test_one_package_that_cannot_be_read_refuses_all(tmp_path: Path) -> None:
    package(tmp_path, "intel-rapl:0", 1)
    package(tmp_path, "intel-rapl:1", "no number", kind="package-1")
    reader = EnergyReader(tmp_path)
    assert reader.read() is None
    assert reader.refusal == "/sys/class/powercap/intel-rapl:1/energy_uj is no number"


def test_a_counter_that_is_not_there_or_not_ours_is_named(tmp_path: Path) -> None:
    package(tmp_path, "intel-rapl:0", 1).unlink()
    assert EnergyReader(tmp_path).refusal == "/sys/class/powercap/intel-rapl:0/energy_uj: No such file or directory"


def test_a_counter_that_vanishes_while_measuring_leaves_no_figure(tmp_path: Path) -> None:
    file = package(tmp_path, "intel-rapl:0", 1)
    reader = EnergyReader(tmp_path)
    before = reader.read()
    file.unlink()
    assert joules_between(before, reader.read()) is None
