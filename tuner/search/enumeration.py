"""The space as the device sees it: every assignment resolved before anything is measured.

Knows configurations and effective keys; nothing is timed here.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tuner.bench.configuration import DeploymentConfig, Effective, Failure
from tuner.bench.protocol import Clock
from tuner.evidence.state import StudyState
from tuner.study.space import Assignment

RESOLVE_SHARE = 0.10
"""Of the budget (measurement.md): what takes longer is resolved as it is proposed."""

GIVE_UP_AFTER = 5
"""Failures without one success: the space is broken, not unlucky."""

ENUMERABLE = 20_000
"""Assignments that are listed up front; the auto space of a 64-core server has about 6 000."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceEnumeration:
    """The space as the device sees it. `distinct`: effective key -> of the assignments that give it the first that says
    most plainly what the device makes of it: 2 streams, not the 8 that are cut down to 2."""

    requested: int
    distinct: Mapping[str, Assignment]
    without_effect: Sequence[str]
    """Parameters whose value never changes the effective configuration here."""
    refused: Sequence[Failure] = ()
    """Why sets of properties do not compile, once each."""

    @property
    def is_pruned(self) -> bool:
        return not self.distinct and bool(self.refused)

    def lines(self) -> list[str]:
        """For the user."""
        words = f"space: {self.requested} requested, {len(self.distinct)} distinct"
        if count := len(self.without_effect):
            noun = "parameter" if count == 1 else "parameters"
            words += f", {count} {noun} without effect here: {', '.join(self.without_effect)}"
        if not self.refused:
            return [words]
        return [words, f"{len(self.refused)} sets of properties do not compile, the last: {self.refused[-1].message}"]


class Resolver(Protocol):
    """Asks the device what it makes of configurations, and tells the user what comes of it."""

    @property
    def state(self) -> StudyState:
        """The study and its record."""

    @property
    def clock(self) -> Clock:
        """The clock of the study, which stands still while the study is paused."""

    def resolve(self, config: DeploymentConfig) -> Effective | Failure:
        """Returns what the device makes of a configuration."""

    def say(self, line: str) -> None:
        """Tells the user a line that stays."""


def enumerate_space(runner: Resolver) -> SpaceEnumeration | None:
    """Resolves every assignment; None where there are too many, or where that would take a tenth of the budget."""
    state = runner.state
    space = state.setup.space
    if space.size > ENUMERABLE:
        return None
    minutes = state.study.budget.minutes
    limit_s = float("inf") if minutes is None else RESOLVE_SHARE * 60 * minutes
    begin = runner.clock()
    keys: dict[str, str] = {}
    distinct: dict[str, Assignment] = {}
    plainness: dict[str, int] = {}
    refused: dict[str, Failure] = {}
    assignments = list(itertools.chain(state.setup.seeds, space.assignments()))
    for assignment in assignments:
        config = state.setup.configuration(assignment)
        effective = runner.resolve(config)
        if runner.clock() - begin > limit_s:
            runner.say(
                f"the space takes too long to list here ({len(keys)} of {len(assignments)} in {limit_s:.0f} s): "
                "candidates are resolved as they are proposed"
            )
            return None
        key = str(effective) if isinstance(effective, Failure) else effective.key
        keys[_text(assignment)] = key
        if isinstance(effective, Failure):
            refused[config.properties_key] = effective
        elif (plain := _plainness(assignment, effective)) > plainness.get(key, -1):
            distinct[key], plainness[key] = assignment, plain
        if not distinct and len(refused) >= GIVE_UP_AFTER:
            break
    listed = [a for a in assignments if _text(a) in keys]
    names = [p.name for p in space.parameters if len(p.values) > 1 and _is_without_effect(p.name, keys, listed)]
    return SpaceEnumeration(
        requested=space.size,
        distinct=distinct,
        without_effect=names if distinct else [],
        refused=tuple(refused.values()),
    )


def _plainness(assignment: Assignment, effective: Effective) -> int:
    """How many parameters the device reports as they were asked."""
    own: dict[str, object] = {
        "batch_size": effective.batch_size,
        "infer_requests": effective.infer_requests,
        "replicas": effective.replicas,
        "affinity": effective.affinity,
    }
    reported = {**effective.properties, **own}
    return sum(str(value).lower() == str(reported.get(name)).lower() for name, value in assignment.items())


def _is_without_effect(name: str, keys: Mapping[str, str], assignments: Sequence[Assignment]) -> bool:
    """Whether assignments that differ in this parameter alone always have one effective configuration. Not where there
    are none such: what other parameters hang on has an effect."""
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
