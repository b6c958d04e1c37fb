"""The Bench on recorded sessions, with which a search can be repeated without hardware.

Responsible for sessions as values. Must not know where they were stored.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from tuner.bench import histogram
from tuner.bench.configuration import DeploymentConfig, Effective, Failure, FailureKind
from tuner.bench.measurement import Costs, Session, Window, Windows
from tuner.bench.protocol import Progress, SessionRequest
from tuner.bench.session.session import is_pointless
from tuner.bench.session.stopping import active
from tuner.bench.simulated.synthetic import FakeClock

SECONDS = ("cpu_s", "compile_s", "load_s", "first_inference_s", "load_cached_s")
"""Fields of a window that grow on a slower host, beside its duration and latencies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recording:
    """One recorded member and the members beside it."""

    member: Windows
    beside: tuple[Windows, ...]
    """Other members of its session that have as many windows and can stay paired."""
    seconds: float
    """Seconds of the session that the member took."""

    def partner(self, first: _Recording | Failure) -> Windows | None:
        """Returns the member of this recording's session with the effective configuration of `first`."""
        if isinstance(first, Failure):
            return None
        return next((other for other in self.beside if other.effective == first.member.effective), None)


@dataclass(slots=True, kw_only=True)
class ReplayBench:
    """Draws whole blocks of a recorded session, seeded by the plan, in virtual time.

    One candidate that was recorded beside the first member keeps its pairs: both members are drawn from the same blocks
    of the same session. Every other candidate is scaled to the speed of that session by the ratio of the first
    member's speeds in both sessions. A candidate that never ran beside the first member is not scaled.
    """

    clock: FakeClock = field(default_factory=FakeClock)
    recordings: dict[str, list[_Recording]] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)

    def resolve(self, config: DeploymentConfig) -> Effective | Failure:
        """Returns the recorded effective configuration, or a failure if there is none."""
        if found := self.recordings.get(config.key):
            return found[0].member.effective
        return self.failures.get(config.key) or _unknown(config)

    def measure(self, request: SessionRequest, progress: Progress | None = None) -> Session:
        """Draws one session, see `Bench.measure`."""
        configurations, plan = request.configurations, request.plan
        rng = random.Random(plan.seed)
        begin_s = self.clock()
        drawn: list[_Recording | Failure] = []
        for config in configurations:
            found = self.recordings.get(config.key)
            drawn.append(rng.choice(found) if found else self.failures.get(config.key) or _unknown(config))
        partners = [r.partner(drawn[0]) if isinstance(r, _Recording) else None for r in drawn[1:]]
        first = drawn[0]
        scales = [1.0] * len(configurations)
        if isinstance(first, _Recording) and any(partners):
            common_reference = next(filter(None, partners))
            drawn[0] = replace(first, member=common_reference)
            speed = _speed(common_reference)
            scales = [1.0, *(speed / _speed(partner) if partner else 1.0 for partner in partners)]
        failed = {i for i, recording in enumerate(drawn) if isinstance(recording, Failure)}
        windows: list[list[Window]] = [[] for _ in configurations]
        going = frozenset(range(len(configurations)))

        def members() -> tuple[Windows | Failure, ...]:
            return tuple(
                replace(recording.member, windows=tuple(found)) if isinstance(recording, _Recording) else recording
                for recording, found in zip(drawn, windows, strict=True)
            )

        for block in range(0 if is_pointless(request, failed) else plan.blocks):
            pick = rng.random()
            for i, recording in enumerate(drawn):
                if i in going and isinstance(recording, _Recording):
                    window = _moved(recording.member.windows[int(pick * len(recording.member.windows))], scales[i])
                    turn, started_s = block * len(configurations) + i, self.clock() - begin_s
                    windows[i].append(replace(window, block=block, turn=turn, started_s=started_s))
                    self.clock.advance(recording.seconds / len(recording.member.windows))
            if progress is not None:
                progress(members())
            if plan.stop is not None and not (going := active(plan.stop, members())):
                break
        wall_s = self.clock() - begin_s
        return Session(
            configurations=configurations,
            members=members(),
            started_unix_s=begin_s,
            wall_s=wall_s,
            costs=Costs(timed_s=wall_s),
            process="replay",
        )


def replay_of(sessions: Iterable[Session]) -> ReplayBench:
    """Returns a bench of every configuration in `sessions`; failures are replayed as failures."""
    bench = ReplayBench()
    for session in sessions:
        ran = [(i, m) for i, m in enumerate(session.members) if isinstance(m, Windows) and m.windows]
        share_s = session.wall_s / len(session.configurations)
        for config, member in session.items():
            if isinstance(member, Failure):
                bench.failures[config.key] = member
        for i, member in ran:
            beside = tuple(m for j, m in ran if j != i and len(m.windows) == len(member.windows))
            found = _Recording(member=member, beside=beside, seconds=share_s)
            bench.recordings.setdefault(session.configurations[i].key, []).append(found)
    return bench


def _moved(window: Window, scale: float) -> Window:
    """Returns the window of a host that is `scale` times as fast: everything that takes time is scaled."""
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
