"""ReplayBench: answers from recorded sessions, so that a search can be tried again without hardware.

Knows sessions as values; where they were stored is somebody else's affair.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from tuner.bench.protocol import (
    Costs,
    DeploymentConfig,
    Effective,
    Failure,
    FailureKind,
    Session,
    SessionPlan,
    Window,
    Windows,
)
from tuner.bench.synthetic import FakeClock


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recording:
    """One member as it was measured, with its session's first member to stay paired with."""

    member: Windows
    reference: Windows | None
    seconds: float
    """What the member cost its session."""


@dataclass(slots=True, kw_only=True)
class ReplayBench:
    """Draws whole blocks of a recorded session, seeded by the plan, in virtual time.

    A candidate that was recorded beside the lineup's first member keeps its pairs with it: both sides are drawn from
    the same blocks of the same session. One that was recorded beside another reference is moved to this one's level.
    """

    clock: FakeClock = field(default_factory=FakeClock)
    recordings: dict[str, list[_Recording]] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)

    def resolve(self, config: DeploymentConfig) -> Effective | Failure:
        if found := self.recordings.get(config.key):
            return found[0].member.effective
        return self.failures.get(config.key) or _unknown(config)

    def measure(self, lineup: Sequence[DeploymentConfig], plan: SessionPlan) -> Session:
        rng = random.Random(plan.seed)
        begin_s = self.clock()
        drawn: list[_Recording | Failure] = []
        for config in lineup:
            found = self.recordings.get(config.key)
            drawn.append(rng.choice(found) if found else self.failures.get(config.key) or _unknown(config))
        anchor = next((r.reference for r in drawn[1:] if isinstance(r, _Recording) and r.reference), None)
        first = drawn[0]
        if isinstance(first, _Recording) and anchor is not None and anchor.effective == first.member.effective:
            drawn[0] = replace(first, member=anchor)
        windows: list[list[Window]] = [[] for _ in lineup]
        members: tuple[Windows | Failure, ...] = ()
        for block in range(plan.blocks):
            pick = rng.random()
            for i, recording in enumerate(drawn):
                if isinstance(recording, _Recording):
                    windows[i].append(self._window(recording, drawn[0], block, pick, len(lineup)))
                    self.clock.advance(recording.seconds / len(recording.member.windows))
            members = tuple(
                replace(r.member, windows=tuple(windows[i])) if isinstance(r, _Recording) else r
                for i, r in enumerate(drawn)
            )
            if all(isinstance(r, Failure) for r in drawn) or (plan.enough is not None and plan.enough(members)):
                break
        wall_s = self.clock() - begin_s
        return Session(
            lineup=tuple(lineup),
            members=members,
            started_unix_s=begin_s,
            wall_s=wall_s,
            costs=Costs(timed_s=wall_s),
            process="replay",
        )

    def _window(
        self, recording: _Recording, first: _Recording | Failure, block: int, pick: float, members: int
    ) -> Window:
        window = recording.member.windows[int(pick * len(recording.member.windows))]
        scale = 1.0
        if isinstance(first, _Recording) and recording.reference is not None:
            scale = _speed(first.member) / _speed(recording.reference)
        return replace(
            window, block=block, turn=block * members, started_s=self.clock(), duration_s=window.duration_s / scale
        )


def replay_of(sessions: Iterable[Session]) -> ReplayBench:
    """A bench that knows every configuration measured in `sessions`; failures are replayed as failures."""
    bench = ReplayBench()
    for session in sessions:
        first = session.members[0]
        reference = first if isinstance(first, Windows) and first.windows else None
        share_s = session.wall_s / len(session.lineup)
        for config, member in zip(session.lineup, session.members, strict=True):
            if isinstance(member, Failure):
                bench.failures[config.key] = member
            elif member.windows:
                paired = reference if reference and len(reference.windows) == len(member.windows) else None
                found = _Recording(member=member, reference=paired, seconds=share_s)
                bench.recordings.setdefault(config.key, []).append(found)
    return bench


def _speed(member: Windows) -> float:
    logs = [math.log(w.samples / w.duration_s) for w in member.windows]
    return math.exp(sum(logs) / len(logs))


def _unknown(config: DeploymentConfig) -> Failure:
    return Failure(kind=FailureKind.OUTPUT, message=f"never recorded: {config}")
