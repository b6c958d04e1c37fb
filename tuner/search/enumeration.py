"""The space as the device sees it: every assignment resolved before anything is measured.

Responsible for effective keys and their assignments. Must not know the record, nor measure anything.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tuner.bench.configuration import DeploymentConfig, Effective, Failure
from tuner.bench.own_parameters import read_own
from tuner.bench.protocol import Clock
from tuner.bench.value import Value
from tuner.study.setup import StudySetup
from tuner.study.space import Assignment

RESOLVE_SHARE = 0.10
"""Share of the budget in which a space must be resolved; a slower one is resolved as points are proposed."""

GIVE_UP_AFTER = 5
"""Number of failures without a success after which the space is broken, not unlucky."""

ENUMERABLE = 20_000
"""Largest number of assignments that are listed; the automatic space of a 64-core server has about 6 000."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceEnumeration:
    """The space as the device sees it."""

    requested: int
    """Number of assignments of the space."""
    distinct: Mapping[str, Assignment]
    """Effective key -> its canonical assignment, whose values the device reports back unchanged.

    2 streams are canonical, not the 8 streams that a device with two CPUs reduces to 2.
    """
    without_effect: Sequence[str]
    """Names of the parameters whose value never changes the effective configuration."""
    refused: Sequence[Failure] = ()
    """Failures of the sets of properties that do not compile, one for each set."""
    changed: Sequence[tuple[str, Value, str]] = ()
    """(name, number, other number): numbers that the device changes."""

    @property
    def is_broken(self) -> bool:
        """True if nothing in the space compiles."""
        return not self.distinct and bool(self.refused)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingGivenUp:
    """The space takes too long to list, so that candidates are resolved as they are proposed."""

    listed: int
    """Number of assignments that were resolved in time."""
    assignments: int
    """Number of assignments to resolve."""
    limit_s: float
    """Seconds that listing may take."""


def enumerate_space(
    setup: StudySetup,
    resolve: Callable[[DeploymentConfig], Effective | Failure],
    *,
    clock: Clock,
    tell: Callable[[ListingGivenUp], None],
) -> SpaceEnumeration | None:
    """Returns the space with every assignment resolved.

    None for more than `ENUMERABLE` assignments. None also if resolving takes more than `RESOLVE_SHARE` of the budget:
    then `tell` is called.
    """
    space, minutes = setup.space, setup.study.budget.minutes
    if space.size > ENUMERABLE:
        return None
    limit_s = float("inf") if minutes is None else RESOLVE_SHARE * 60 * minutes
    begin = clock()
    keys: dict[str, str] = {}
    distinct: dict[str, Assignment] = {}
    unchanged: dict[str, int] = {}
    refused: dict[str, Failure] = {}
    changed: dict[tuple[str, Value, str], None] = {}
    assignments = list(itertools.chain(setup.seeds, space.assignments()))
    for assignment in assignments:
        config = setup.configuration(assignment)
        effective = resolve(config)
        if clock() - begin > limit_s:
            tell(ListingGivenUp(listed=len(keys), assignments=len(assignments), limit_s=limit_s))
            return None
        key = str(effective) if isinstance(effective, Failure) else effective.key
        keys[_text(assignment)] = key
        if isinstance(effective, Failure):
            refused[config.properties_key] = effective
        elif (count := _unchanged(assignment, effective)) > unchanged.get(key, -1):
            distinct[key], unchanged[key] = assignment, count
        if not isinstance(effective, Failure):
            changed.update(dict.fromkeys(_changed(config, effective)))
        if not distinct and len(refused) >= GIVE_UP_AFTER:
            break
    listed = [a for a in assignments if _text(a) in keys]
    names = [p.name for p in space.parameters if len(p.values) > 1 and _is_without_effect(p.name, keys, listed)]
    return SpaceEnumeration(
        requested=space.size,
        distinct=distinct,
        without_effect=names if distinct else [],
        refused=tuple(refused.values()),
        changed=tuple(changed),
    )


def _changed(config: DeploymentConfig, effective: Effective) -> Iterator[tuple[str, Value, str]]:
    """Yields the numbers that were requested and that the device reports otherwise."""
    for name, value in config.properties.items():
        made = effective.properties.get(name, "")
        if type(value) is int and made.isdigit() and int(made) != value:
            yield name, value, made


def _unchanged(assignment: Assignment, effective: Effective) -> int:
    """Returns the number of parameters that the device reports as they were requested."""
    reported = {**effective.properties, **read_own(effective)}
    return sum(str(value).lower() == str(reported.get(name)).lower() for name, value in assignment.items())


def _is_without_effect(name: str, keys: Mapping[str, str], assignments: Sequence[Assignment]) -> bool:
    """Returns True if assignments that differ in one parameter alone always have one effective configuration.

    False where no two assignments differ in it alone: a parameter that others depend on has an effect.
    """
    groups: dict[str, dict[str, str]] = {}
    for assignment in assignments:
        if name in assignment:
            rest = {k: v for k, v in assignment.items() if k != name}
            text = _text(assignment)
            groups.setdefault(_text(rest), {})[text] = keys[text]
    compared = [group for group in groups.values() if len(group) > 1]
    return bool(compared) and all(len(set(group.values())) == 1 for group in compared)


def _text(assignment: Assignment) -> str:
    return repr(sorted(assignment.items()))
