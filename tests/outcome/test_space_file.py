"""What the device made of a space, kept in a small file: it is shown, and never needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.virtual import Virtual, parameter, refuse, space_of
from tuner.bench.simulated.synthetic import SyntheticBench
from tuner.outcome.space_file import FILE, read_space, write_space

SPACE = space_of(
    parameter("NUM_STREAMS", 1, 2, 8), parameter("INFERENCE_NUM_THREADS", 2, 16), parameter("LOG_LEVEL", "a", "b")
)


def test_the_file_has_what_was_equal_changed_and_refused(tmp_path: Path) -> None:
    bench = SyntheticBench(failure_of=lambda config: refuse() if config.properties.get("NUM_STREAMS") == 2 else None)
    found = Virtual(folder=tmp_path, space=SPACE, bench=bench).enumeration()
    assert found is not None
    write_space(tmp_path, found)
    seen = read_space(tmp_path)
    assert seen is not None
    assert seen.requested == 12
    assert 0 < seen.distinct < 12
    assert seen.without_effect == ("LOG_LEVEL",)
    assert seen.refused == ("compile: not supported",)
    assert "NUM_STREAMS=8 became 2" in seen.changed


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"requested": 3}', '{"requested": "x", "distinct": 1}'])
def test_a_missing_or_damaged_file_is_nothing(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / FILE).write_text(content)
    assert read_space(tmp_path) is None
