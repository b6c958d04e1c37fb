"""ReplayBench: answers from recorded sessions, so that a search can be tried again without hardware.

Knows sessions as values; where they were stored is somebody else's affair.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from tuner.bench import histogram
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
from tuner.bench.session import is_pointless
from tuner.bench.synthetic import FakeClock

SECONDS = ("cpu_s", "compile_s", "load_s", "first_inference_s", "load_cached_s")
"""What else of a window takes longer on a slower host, where it was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recording:
    """One member as it was measured, and what it ran beside."""

    member: Windows
    beside: tuple[Windows, ...]
    """The other members of its session, those with as many windows: they can stay paired."""
    seconds: float
    """What the member cost its session."""

    def partner(self, first: _Recording | Failure) -> Windows | None:
        """What has the effective configuration of `first` in this recording's session."""
        if isinstance(first, Failure):
            return None
        return next((other for other in self.beside if other.effective == first.member.effective), None)


@dataclass(slots=True, kw_only=True)
class ReplayBench:
    """Draws whole blocks of a recorded session, seeded by the plan, in virtual time.

    Of the candidates that were recorded beside the lineup's first member, one keeps its pairs with it: both sides are
    drawn from the same blocks of the same session. The others are moved to that session's level by what the first
    member did in theirs. A candidate that never ran beside it stays at the level it was recorded at.
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
        partners = [r.partner(drawn[0]) if isinstance(r, _Recording) else None for r in drawn[1:]]
        first = drawn[0]
        scales = [1.0] * len(lineup)
        if isinstance(first, _Recording) and any(partners):
            anchor = next(filter(None, partners))
            drawn[0] = replace(first, member=anchor)
            scales = [1.0, *(_speed(anchor) / _speed(partner) if partner else 1.0 for partner in partners)]
        failed = {i for i, recording in enumerate(drawn) if isinstance(recording, Failure)}
        windows: list[list[Window]] = [[] for _ in lineup]

        def members() -> tuple[Windows | Failure, ...]:
            return tuple(
                replace(recording.member, windows=tuple(found)) if isinstance(recording, _Recording) else recording
                for recording, found in zip(drawn, windows, strict=True)
            )

        for block in range(0 if is_pointless(plan.phase, len(lineup), failed) else plan.blocks):
            pick = rng.random()
            for i, recording in enumerate(drawn):
                if isinstance(recording, _Recording):
                    window = _moved(recording.member.windows[int(pick * len(recording.member.windows))], scales[i])
                    turn, started_s = block * len(lineup) + i, self.clock() - begin_s
                    windows[i].append(replace(window, block=block, turn=turn, started_s=started_s))
                    self.clock.advance(recording.seconds / len(recording.member.windows))
            if plan.enough is not None and plan.enough(members()):
                break
        wall_s = self.clock() - begin_s
        return Session(
            lineup=tuple(lineup),
            members=members(),
            started_unix_s=begin_s,
            wall_s=wall_s,
            costs=Costs(timed_s=wall_s),
            process="replay",
        )


def replay_of(sessions: Iterable[Session]) -> ReplayBench:
    """A bench that knows every configuration measured in `sessions`; failures are replayed as failures."""
    bench = ReplayBench()
    for session in sessions:
        ran = [(i, m) for i, m in enumerate(session.members) if isinstance(m, Windows) and m.windows]
        share_s = session.wall_s / len(session.lineup)
        for config, member in zip(session.lineup, session.members, strict=True):
            if isinstance(member, Failure):
                bench.failures[config.key] = member
        for i, member in ran:
            beside = tuple(m for j, m in ran if j != i and len(m.windows) == len(member.windows))
            found = _Recording(member=member, beside=beside, seconds=share_s)
            bench.recordings.setdefault(session.lineup[i].key, []).append(found)
    return bench


def _moved(window: Window, scale: float) -> Window:
    """The window as it would have been, had the host been `scale` times as fast: everything that takes time moves."""
    shift = round(-math.log(scale) / histogram.WIDTH)
    return replace(
        window,
        duration_s=window.duration_s / scale,
        latency_counts={bucket + shift: n for bucket, n in window.latency_counts.items()},
        latency_sum_ms=window.latency_sum_ms / scale,
        **{n: seconds / scale for n in SECONDS if (seconds := getattr(window, n)) is not None},
    )


def _speed(member: Windows) -> float:
    logs = [math.log(w.samples / w.duration_s) for w in member.windows]
    return math.exp(sum(logs) / len(logs))


def _unknown(config: DeploymentConfig) -> Failure:
    return Failure(kind=FailureKind.OUTPUT, message=f"never recorded: {config}")
