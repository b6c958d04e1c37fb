from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from tuner.model.kernel_files import CgroupEntry, own_cgroups, read_text


@pytest.mark.parametrize(
    ("line", "controllers", "group"),
    [
        ("0::/user.slice/a", (), "/user.slice/a"),
        ("4:cpu,cpuacct:/x", ("cpu", "cpuacct"), "/x"),
        ("1:name=systemd:/", ("name=systemd",), "/"),
        ("0::x", (), "/x"),
        ("0::/with:colon", (), "/with:colon"),
        ("0::/../..", (), "/../.."),
    ],
)
def test_a_line_names_the_controllers_and_the_group(
    tmp_path: Path, line: str, controllers: tuple[str, ...], group: str
) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(f"{line}\n")
    (entry,) = own_cgroups(tmp_path)
    assert entry == CgroupEntry(controllers=controllers, group=PurePosixPath(group))
    assert entry.is_v2 == line.startswith("0::")


def test_lines_of_another_form_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("nonsense\n\n1:cpu\nx:cpu:/\n7::/named\n")
    assert list(own_cgroups(tmp_path)) == []
    assert list(own_cgroups(tmp_path / "nothing")) == []


def test_a_file_that_cannot_be_read_is_empty_text(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"a\xff\n")
    assert read_text(tmp_path / "bytes") == "a\N{REPLACEMENT CHARACTER}\n"
    assert read_text(tmp_path) == read_text(tmp_path / "missing") == ""
