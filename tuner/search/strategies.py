"""Chooses the points that a search tries next, by strategies that are functions in a table.

Must not know how a point is measured, nor how long that takes; Optuna numbers every trial and is told its value.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from tuner.bench.configuration import Failure
from tuner.evidence.candidates import ranked_for
from tuner.evidence.state import StudyState
from tuner.planning.session_plan import MEMBERS_AT_MOST, RACE_UP_TO
from tuner.search.enumeration import SpaceEnumeration
from tuner.search.expected_improvement import Model
from tuner.search.known import KnownConfigurations
from tuner.search.observations import fast_enough, observations
from tuner.study.space import Assignment
from tuner.study.study import SamplerName

STRAIGHT_UP_TO = 12
"""Number of configurations up to which each is raced once and the best go to the final (tuner/README.md)."""

RACE_KEEP = 0.4
"""Share of the candidates of a race that is measured again."""

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


Chosen = Sequence[Assignment | None] | SearchEnd
"""Points to measure next, or the end of the search.

None among the points stands for the choice of Optuna's sampler. No points at all ask to wait for pending results.
"""

Choose = Callable[[Knowledge, Sequence[Assignment], int], Chosen]
"""Function of the knowledge, the pending points and the largest number of points that are wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """A strategy that was made for one search.

    It keeps the survivors of its race and the parameters of its last fit alone; a new strategy goes on from what is on
    record.
    """

    choose: Choose
    is_race: bool = False
    """True if points are measured in groups, and again.

    Otherwise points are measured one by one, and a known point is answered without a session.
    """


def sampled(known: Knowledge) -> Strategy:
    """Returns a strategy that tries seeds, then the points of Optuna's sampler, and new points if it repeats itself."""

    def choose(known: Knowledge, pending: Sequence[Assignment], n: int) -> Chosen:
        points = known.open_points(pending)
        if known.enumeration is not None and not points:
            return _end(EndReason.ALL_MEASURED, pending)
        if (seeds := _new_seeds(known, pending)) or known.repeats < REPEATS:
            return seeds[:n] or [None]
        point = next(iter(points.values()), None) or _unmeasured(known)
        return _end(EndReason.NOTHING_NEW, pending) if point is None else [point]

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
        if seeds := _new_seeds(known, pending):
            return seeds[:n]
        in_time = fast_enough(state, points, known.configurations.incumbent())
        if not in_time:
            return _end(EndReason.TOO_SLOW, pending)
        candidates = list(state.candidates.values())
        seen = (observations(state.reference, candidates, model.points, weights) for weights in _directions(known))
        promising = (model.most_promising(observed, in_time) for observed in seen)
        point = next((point for point in promising if point is not None), None)
        return _end(EndReason.NOTHING_BETTER, pending) if point is None else [point]

    return Strategy(choose=choose)


def race(known: Knowledge, *, stages: int | None = None) -> Strategy:
    """Returns a strategy that halves the listed points by races in groups, until as many remain as a final takes.

    Each stage has the best 40 % of the stage before, with one session more of each. `stages` ends the race early.
    """
    if known.enumeration is None:
        return sampled(known)
    distinct, seeds = known.enumeration.distinct, _seed_keys(known)
    keys = [key for key in distinct if key not in known.configurations.baselines]
    random.Random(known.state.study.seed).shuffle(keys)
    keys.sort(key=lambda key: key not in seeds)
    room, total = known.remaining_trials, known.state.study.budget.trials
    new = [key for key in keys if known.configurations.candidate(key) is None]
    skipped = set() if room is None else set(new[room:])
    stage, survivors = 0, [key for key in keys if key not in skipped]

    def choose(known: Knowledge, pending: Sequence[Assignment], n: int) -> Chosen:
        nonlocal stage, survivors
        while True:
            waiting = [key for key in survivors if known.configurations.sessions_of(key) <= stage]
            if waiting:
                return [distinct[key] for key in waiting if distinct[key] not in pending][:n]
            found = {c.key: key for key in survivors if (c := known.configurations.candidate(key)) is not None}
            candidates = [c for c in known.state.candidates.values() if c.key in found]
            alive = ranked_for(known.state.study.objective, candidates)
            if len(alive) <= GROUP or stage + 1 == stages:
                break
            survivors = [found[c.key] for c in alive[: max(GROUP, round(RACE_KEEP * len(alive)))]]
            stage += 1
        if skipped:
            return SearchEnd(reason=EndReason.TRIALS_DONE, trials=total)
        return SearchEnd(reason=EndReason.ALL_MEASURED)

    return Strategy(choose=choose, is_race=True)


def by_size(known: Knowledge) -> Strategy:
    """Returns a race for a small space, of one stage for a tiny one; expected improvement for a larger space."""
    count = len(known.enumeration.distinct) if known.enumeration else None
    if count is None or count > RACE_UP_TO:
        return expected_improvement(known)
    return race(known, stages=1 if count <= STRAIGHT_UP_TO else None)


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
    return [] if pending else SearchEnd(reason=reason)


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
