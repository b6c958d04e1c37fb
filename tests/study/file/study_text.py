"""What the tests of study files share: a file with every section, and what is wrong with a changed one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from tuner.bench.value import Value
from tuner.errors import StudyFileError
from tuner.study.study import Study

CONFIGS = sorted((Path(__file__).parents[3] / "configs").glob("*.yaml"))
BASE = """\
schema_version: 1
name: x
model: m.onnx
device: CPU
objective: {maximize: throughput}
baselines: {}
space: auto
budget: {minutes: 5}
search: {}
decision: {}
"""
Load = Callable[..., Study]
Probe = Callable[[str, Mapping[str, Sequence[Value]]], Mapping[str, str]]
"""Stands for the device: asked with its name and with properties and their values."""


def changed(**sections: str) -> str:
    """BASE with other values; an empty one takes the line out."""
    lines = []
    for line in BASE.splitlines():
        key = line.partition(":")[0]
        value = sections.pop(key, line.partition(": ")[2])
        lines += [f"{key}:{value}" if value.startswith("\n") else f"{key}: {value}"] if value else []
    return "\n".join([*lines, *(f"{key}: {value}" for key, value in sections.items())])


def problems_of(load: Load, text: str, *, file: str = "study.yaml", probe: Probe | None = None) -> list[str]:
    with pytest.raises(StudyFileError) as caught:
        load(text, file=file, probe=probe)
    assert caught.value.exit_code == 2
    assert len(str(caught.value).splitlines()) == len(caught.value.problems)
    return [str(problem) for problem in caught.value.problems]


def parameters_of(load: Load, space: str) -> dict[str, tuple[Value, ...]]:
    return {p.name: p.values for p in load(changed(space=space)).space.parameters}
