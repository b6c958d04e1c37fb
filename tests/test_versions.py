"""The gate of the oldest versions: what it installs is what pyproject.toml says."""

from __future__ import annotations

import pytest

from tests.gates.versions import ROOT, SELECTION, lowest, requirements, tools


def test_each_dependency_has_a_lower_bound_that_can_be_installed() -> None:
    found = lowest(requirements())
    assert len(found) == len(requirements())
    assert "numpy==1.26" in found


@pytest.mark.parametrize("line", ["numpy", "numpy<3", "numpy>=1.26,<3", "numpy==1.26"])
def test_any_other_bound_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="no plain lower bound"):
        lowest([line])


def test_the_tools_of_the_tests_are_installed_and_linters_are_not() -> None:
    names = " ".join(tools())
    assert "pytest" in names
    assert "mypy" not in names


def test_the_selection_is_there() -> None:
    assert [path for path in SELECTION if not (ROOT / path.partition("::")[0]).exists()] == []
