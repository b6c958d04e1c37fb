"""Any study file loads or is refused, whatever stands in it."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.study.file.study_text import CONFIGS, Load
from tuner.errors import StudyFileError
from tuner.study.space import Space
from tuner.study.study import Study

WORDS = ["auto", "choices", "low", "high", "log", "step", "when", "P", "Q", "batch_size", "throughput", "max", "x", ""]
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 70) | st.floats() | st.sampled_from(WORDS) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=2), inner, max_size=4)
    ),
    max_leaves=8,
)
SKELETON: dict[str, Any] = {
    "schema_version": 1,
    "name": "x",
    "model": {"path": "m", "inputs": {"x": {"shape": [1], "layout": "N", "range": [0, 1]}}},
    "device": "CPU",
    "objective": {"maximize": "throughput", "subject_to": {"latency_p50_ms": {"max": 5}}},
    "baselines": {"a": {"P": 1, "batch_size": 2}},
    "space": {"P": {"choices": [1, None]}, "Q": {"low": 1, "high": 3, "when": {"P": [1]}}},
    "budget": {"minutes": 1},
    "search": {"seed": 1},
    "decision": {"min_gain_pct": 1},
}


def _places(tree: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    below: list[tuple[str | int, ...]] = [path] if path else []
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for step, part in items:
        below += _places(part, (*path, step))
    return below


def _put(tree: Any, path: tuple[str | int, ...], value: object) -> None:
    """Replace one part; where an earlier change took its surroundings away, nothing."""
    try:
        for step in path[:-1]:
            tree = tree[step]
        tree[path[-1]] = value
    except (KeyError, IndexError, TypeError):
        return


def _outcome(load: Load, text: str) -> Study | StudyFileError:
    try:
        return load(text)
    except StudyFileError as error:
        return error


@given(st.lists(st.tuples(st.sampled_from(_places(SKELETON)), anything), min_size=1, max_size=3))
def test_any_document_loads_or_is_refused(load: Load, changes: list[tuple[tuple[str | int, ...], Any]]) -> None:
    tree = copy.deepcopy(SKELETON)
    for path, value in changes:
        _put(tree, path, value)
    words = re.sub(r"\b(NaN|Infinity)\b", lambda found: {"NaN": ".nan", "Infinity": ".inf"}[found[0]], json.dumps(tree))
    outcome = _outcome(load, words)
    if isinstance(outcome, StudyFileError):
        assert len(str(outcome).splitlines()) == len(outcome.problems) > 0
    else:
        assert all(p.values for p in outcome.space.parameters)
        assert Space(parameters=outcome.space.parameters).size > 0


@given(st.sampled_from(CONFIGS), st.data())
def test_any_text_loads_or_is_refused(load: Load, path: Path, data: st.DataObject) -> None:
    text = path.read_text()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 10)))
    text = text[:start] + data.draw(st.text(st.sampled_from(":{}[],-?&*!|>'\"%@` \n\tax1."), max_size=6)) + text[end:]
    outcome = _outcome(load, text)
    if isinstance(outcome, StudyFileError):
        assert len(str(outcome).splitlines()) == len(outcome.problems) > 0
