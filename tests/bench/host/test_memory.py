from __future__ import annotations

from pathlib import Path

import pytest

from tuner.bench.host.memory import read_peak_memory_bytes

STATUS = """Name:\tpython
VmPeak:\t  900000 kB
VmHWM:\t  123456 kB
VmRSS:\t  100000 kB
"""


def test_the_peak_is_what_was_resident_not_what_was_mapped(tmp_path: Path) -> None:
    (tmp_path / "status").write_text(STATUS)
    assert read_peak_memory_bytes(tmp_path / "status") == 123456 * 1024


@pytest.mark.parametrize("text", ["", "VmRSS:\t 5 kB\n", "VmHWM:\n", "VmHWM:\t many kB\n", "VmHWM:\t 5 pages\n"])
def test_where_the_system_does_not_tell_there_is_no_peak(tmp_path: Path, text: str) -> None:
    (tmp_path / "status").write_text(text)
    assert read_peak_memory_bytes(tmp_path / "status") is None


def test_without_such_a_file_there_is_no_peak(tmp_path: Path) -> None:
    assert read_peak_memory_bytes(tmp_path / "nothing") is None


def test_this_process_has_a_peak() -> None:
    peak = read_peak_memory_bytes()
    assert peak is not None
    assert 1e6 < peak < 1e12
