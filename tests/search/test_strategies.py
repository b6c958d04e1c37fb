"""Strategies on a record that ends before its search: what they choose, how many, and why they end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from tests.virtual import LARGE, SMALL, TINY, PhaseFuse, PowerCut, Virtual, make_study
from tuner.search.known import KnownConfigurations
from tuner.search.strategies import STRATEGIES, Knowledge, SearchEnd
from tuner.study.space import Assignment, Space
from tuner.study.study import SamplerName

pytestmark = pytest.mark.slow

SEED: Assignment = {"NUM_STREAMS": 8, "infer_requests": 16, "batch_size": 4}


def known_before(folder: Path, space: Space, *, seeds: tuple[Assignment, ...] = (), trials: int = 30) -> Knowledge:
    """Returns the knowledge of a study whose baselines have run."""
    study = Virtual(folder=folder, space=space, seeds=seeds, study=make_study(minutes=None, trials=trials))
    with pytest.raises(PowerCut):
        study.run(PhaseFuse(study.bench, "race" if space is not LARGE else "search", 1))
    runner, state = study.runner(), study.state()
    names = {key: name for name, key in state.reference.baseline_keys.items()}
    known = KnownConfigurations(state=state, resolve=runner.resolve, baselines=names)
    return Knowledge(state=state, configurations=known, enumeration=study.enumeration(), remaining_trials=trials)


def chosen(name: SamplerName, known: Knowledge, *pending: Assignment, n: int = 1) -> list[Assignment | None]:
    found = STRATEGIES[name](known).choose(known, pending, n)
    assert not isinstance(found, SearchEnd)
    return list(found.points)


def test_every_sampler_of_a_study_file_has_a_strategy() -> None:
    assert set(STRATEGIES) == set(get_args(SamplerName))


def test_a_race_chooses_different_points_and_no_baseline(tmp_path: Path) -> None:
    known = known_before(tmp_path, SMALL)
    points = chosen("race", known, n=100)
    assert known.enumeration is not None
    assert len({str(point) for point in points}) == len(points) == len(known.enumeration.distinct) - 1
    assert len(chosen("race", known, n=6)) == 6


@pytest.mark.parametrize("name", ["race", "gp", "tpe", "random", "grid", "auto"])
def test_seeds_come_first(tmp_path: Path, name: SamplerName) -> None:
    assert chosen(name, known_before(tmp_path, SMALL, seeds=(SEED,))) == [SEED]


@pytest.mark.parametrize("name", ["race", "gp"])
def test_a_pending_point_is_not_chosen_again(tmp_path: Path, name: SamplerName) -> None:
    known = known_before(tmp_path, TINY)
    (first,) = chosen(name, known)
    assert first is not None
    (second,) = chosen(name, known, first)
    assert second not in (None, first)


@pytest.mark.parametrize("name", ["race", "gp", "tpe"])
def test_a_search_waits_while_every_open_point_is_pending(tmp_path: Path, name: SamplerName) -> None:
    known = known_before(tmp_path, TINY)
    assert known.enumeration is not None
    assert chosen(name, known, *known.enumeration.distinct.values()) == []


@pytest.mark.parametrize("name", ["tpe", "random", "grid"])
def test_optuna_chooses_until_it_repeats_itself(tmp_path: Path, name: SamplerName) -> None:
    known = known_before(tmp_path, LARGE)
    assert chosen(name, known) == [None]
    (point,) = chosen(name, replace(known, repeats=20))
    assert point is not None


@pytest.mark.parametrize("name", ["race", "gp", "auto"])
def test_a_space_that_is_not_listed_is_sampled_by_optuna(tmp_path: Path, name: SamplerName) -> None:
    assert chosen(name, replace(known_before(tmp_path, LARGE), enumeration=None)) == [None]


def test_choosing_twice_from_the_same_knowledge_chooses_the_same(tmp_path: Path) -> None:
    known = known_before(tmp_path, LARGE)
    for name in STRATEGIES:
        assert chosen(name, known) == chosen(name, known)
