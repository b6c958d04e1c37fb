"""Chooses the points that a search tries next, by strategies that are functions in a table.

Must not know how a point is measured, nor how long that takes; Optuna numbers every trial and is told its value.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from tuner.bench.configuration import Failure
from tuner.bench.protocol import Phase
from tuner.evidence.state import StudyState
from tuner.planning.session_plan import MEMBERS_AT_MOST, RACE_UP_TO
from tuner.search.enumeration import SpaceEnumeration
from tuner.search.expected_improvement import Model
from tuner.search.known import KnownConfigurations
from tuner.search.observations import fast_enough, observations
from tuner.study.space import Assignment
from tuner.study.study import SamplerName

GROUP = MEMBERS_AT_MOST - 1
"""Number of candidates of one session at most, beside the reference."""

DIRECTIONS = 8
"""Number of random weights of several objectives that must all promise nothing before a search ends."""

REPEATS = 20
"""Number of known answers in a row after which a new point replaces the sampler's."""


class EndReason(Enum):
    """The reason for the end of a search."""

    ALL_FAILED = auto()
    """Every configuration failed."""
    TRIALS_DONE = auto()
    TIME_USED = auto()
    ALL_MEASURED = auto()
    """Every distinct configuration has been measured."""
    TOO_SLOW = auto()
    """The open configurations are too slow for a window of the budget."""
    NOTHING_BETTER = auto()
    """No configuration is expected to be better than the best found."""
    BEST_UNSURE = auto()
    """More of the best so far is worth more than another new configuration."""
    NOTHING_NEW = auto()
    """The sampler finds no configuration that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchEnd:
    """The end of a search."""

    reason: EndReason
    trials: int | None = None
    """Budget of trials, if that ended the search."""
    cause: str = ""
    """Failure of the last configuration, if all of them failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """The facts that a strategy may use."""

    state: StudyState
    configurations: KnownConfigurations
    enumeration: SpaceEnumeration | None
    """Space as the device sees it; None if it is too large to be listed."""
    proposals: int = 0
    """Number of proposals so far, which random numbers are drawn from."""
    repeats: int = 0
    """Number of proposals that were answered since the last measured one."""
    remaining_trials: int | None = None
    """Number of trials that the budget still allows; None if it does not limit them."""

    def open_points(self, pending: Sequence[Assignment]) -> dict[str, Assignment]:
        """Returns the listed points that are neither known nor pending, by effective key."""
        listed = self.enumeration.distinct if self.enumeration else {}
        return {k: a for k, a in listed.items() if a not in pending and not self.configurations.is_known(k)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Points to measure next; no points at all ask to wait for pending results."""

    points: Sequence[Assignment | None]
    """None among the points stands for the choice of Optuna's sampler."""
    worth: float = math.inf
    """Expected improvement of the best by these points (log-ratio); infinite where the strategy cannot tell."""


Chosen = Batch | SearchEnd
"""Points to measure next, or the end of the search."""

Choose = Callable[[Knowledge, Sequence[Assignment], int], Chosen]
"""Function of the knowledge, the pending points and the largest number of points that are wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """A strategy that was made for one search.

    It keeps the order of its race and the parameters of its last fit alone; a new strategy goes on from what is on
    record.
    """

    choose: Choose
    phase: Phase = "search"
    """Name under which the sessions are recorded."""


def sampled(known: Knowledge) -> Strategy:
    """Returns a strategy that tries seeds, then the points of Optuna's sampler, and new points if it repeats itself."""

    def choose(known: Knowledge, pending: Sequence[Assignment], n: int) -> Chosen:
        points = known.open_points(pending)
        if known.enumeration is not None and not points:
            return _end(EndReason.ALL_MEASURED, pending)
        if (seeds := _new_seeds(known, pending)) or known.repeats < REPEATS:
            return Batch(points=seeds[:n] or [None] * n)
        point = next(iter(points.values()), None) or _unmeasured(known)
        return _end(EndReason.NOTHING_NEW, pending) if point is None else Batch(points=[point])

    return Strategy(choose=choose)


def expected_improvement(known: Knowledge) -> Strategy:
    """Returns a strategy that tries seeds, then the points of which a Gaussian process expects most."""
    if known.enumeration is None:
        return sampled(known)
    setup = known.state.setup
    model = Model(setup.space, known.enumeration.distinct, seed=setup.study.seed)

    def choose(known: Knowledge, pending: Sequence[Assignment], n: int) -> Chosen:
        points, state = known.open_points(pending), known.state
        if not points:
            return _end(EndReason.ALL_MEASURED, pending)
        seeds = _new_seeds(known, pending)[:n]
        if len(seeds) == n:
            return Batch(points=seeds)
        waiting = [*pending, *seeds]
        in_time = fast_enough(state, known.open_points(waiting), known.configurations.incumbent())
        if not in_time:
            return Batch(points=seeds) if seeds else _end(EndReason.TOO_SLOW, pending)
        candidates = list(state.candidates.values())
        for weights in _directions(known):
            observed = observations(state.reference, candidates, model.points, weights)
            found, worth = model.batch(observed, in_time, waiting, n - len(seeds))
            if found:
                return Batch(points=[*seeds, *found], worth=math.inf if seeds else worth)
        return Batch(points=seeds) if seeds else _end(EndReason.NOTHING_BETTER, pending)

    return Strategy(choose=choose)


def race(known: Knowledge) -> Strategy:
    """Returns a strategy that measures each of the listed points once, seeds first; the final separates the best."""
    if known.enumeration is None:
        return sampled(known)
    distinct, seeds = known.enumeration.distinct, _seed_keys(known)
    keys = [key for key in distinct if key not in known.configurations.baselines]
    random.Random(known.state.study.seed).shuffle(keys)
    keys.sort(key=lambda key: key not in seeds)

    def choose(known: Knowledge, pending: Sequence[Assignment], n: int) -> Chosen:
        points = known.open_points(pending)
        waiting = [points[key] for key in keys if key in points]
        return Batch(points=waiting[:n]) if waiting else _end(EndReason.ALL_MEASURED, pending)

    return Strategy(choose=choose, phase="race")


def by_size(known: Knowledge) -> Strategy:
    """Returns a race for a small space; expected improvement for a larger space."""
    count = len(known.enumeration.distinct) if known.enumeration else None
    return race(known) if count is not None and count <= RACE_UP_TO else expected_improvement(known)


STRATEGIES: Mapping[SamplerName, Callable[[Knowledge], Strategy]] = {
    "auto": by_size,
    "race": race,
    "gp": expected_improvement,
    "tpe": sampled,
    "random": sampled,
    "grid": sampled,
}
"""Name in a study file -> function that makes the strategy when a search begins or goes on."""

NEED_LISTING: frozenset[SamplerName] = frozenset({"race", "gp"})
"""Names of the strategies that need a listed space; a larger space is sampled instead, and the user is told."""


def _end(reason: EndReason, pending: Sequence[Assignment]) -> Chosen:
    """Returns the end of a search, or no points while pending results may change it."""
    return Batch(points=()) if pending else SearchEnd(reason=reason)


def _new_seeds(known: Knowledge, pending: Sequence[Assignment]) -> list[Assignment]:
    """Returns the seeds of the space that are neither known nor were requested before."""
    setup, asked = known.state.setup, known.state.evidence.requests
    return [
        seed
        for seed in setup.seeds
        if seed not in pending and setup.configuration(seed) not in asked and known.configurations.is_new(seed)
    ]


def _seed_keys(known: Knowledge) -> set[str]:
    """Returns the effective keys of the seeds."""
    found = map(known.configurations.resolve, map(known.state.setup.configuration, known.state.setup.seeds))
    return {effective.key for effective in found if not isinstance(effective, Failure)}


def _directions(known: Knowledge) -> Iterator[Sequence[float]]:
    """Yields weights of several objectives for the next proposal; an empty one for a single objective."""
    study = known.state.study
    if not study.objective.has_several:
        yield ()
        return
    rng = random.Random(f"{study.seed}/{known.proposals}")
    for _ in range(DIRECTIONS):
        yield [1.0 - rng.random() for _ in study.objective.metrics]


def _unmeasured(known: Knowledge) -> Assignment | None:
    """Returns a random new point of a space too large to be listed; None if `REPEATS` draws find none."""
    rng = random.Random(f"{known.state.study.seed}/{known.proposals}")
    space = known.state.setup.space
    drawn = (space.nearest({p.name: rng.choice(p.values) for p in space.parameters}) for _ in range(REPEATS))
    return next((point for point in drawn if known.configurations.is_new(point)), None)
