"""The confirmation of several objectives: the points beside the reference in fresh processes on fresh data, who stays
on the front, which of them is the knee, and the verdict that follows.

Knows sessions on record and the rules of `front.py`; nothing that the search measured counts here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from tuner.bench.protocol import Failure, Windows
from tuner.study.budget import SD_FLOOR, StudyPlan
from tuner.study.decision import share_of
from tuner.study.evidence import pool
from tuner.study.final import BASELINES_AT_MOST
from tuner.study.fresh_session import LOST_ALLOWED, is_reference_feasible, measure_fresh
from tuner.study.front import is_beaten, knee, survivors
from tuner.study.front_final import Entrant, front_size
from tuner.study.front_point import Point, gaps_between, measured_point, proved, requests_needed, turned_down, values_of
from tuner.study.records import FrontLine, VerdictLine
from tuner.study.runner import SessionRunner
from tuner.study.state import StudyState


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """What a round has shown so far. `points` by the first objective, best first; `knee` is one of them."""

    head: FrontLine | None
    reference: str
    points: tuple[Point, ...]
    left: Mapping[str, str]
    """Who was confirmed and is not on the front -> why."""
    sessions: int
    """In which the reference ran."""
    lost: Sequence[str]
    knee: Point | None
    is_reference_feasible: bool
    measured: Mapping[str, Windows] = field(default_factory=dict)
    """Name -> its windows of all confirmation sessions, of the reference and of those that left too."""


def open_front(runner: SessionRunner, plan: StudyPlan, points: Sequence[Entrant]) -> FrontLine:
    """Fixes on disk, before the first session, who is confirmed and in how many sessions."""
    state = runner.state
    count, sessions, pairs, _ = front_size(state, plan, points)
    head = FrontLine(
        round=state.attempt,
        members=tuple(e.config for e in points[:count]),
        names=tuple(e.name for e in points[:count]),
        reference=state.reference.name,
        sessions=sessions,
        share=share_of(state.log.winners_before(state.attempt)),
        pairs=pairs,
        window_s=plan.window_s,
        sd_floor=SD_FLOOR * state.reference.noise.session_sd,
    )
    runner.append(head)
    return head


def confirm_front(runner: SessionRunner, head: FrontLine) -> Front:
    """Runs what is left of the confirmation. The number of sessions is fixed and there is one look, at the end."""
    while not _is_complete(front := read_front(runner.state, head)):
        note = f"session {front.sessions + 1} of {head.sessions}, {len(head.members)} points"
        measure_fresh(runner, head, head.members, note=note)
    return front


def read_front(state: StudyState, head: FrontLine) -> Front:
    """The front as the confirmation's record has it."""
    sessions: list[dict[str, Windows]] = []
    failures: dict[str, list[str]] = {}
    lost: list[str] = []
    names = (head.reference, *head.names)
    for line in state.log.sessions("confirm", round=head.round):
        members = dict(zip(names, line.session.members, strict=True))
        for name, member in members.items():
            if isinstance(member, Failure):
                failures.setdefault(name, []).append(str(member))
        anchor = members[head.reference]
        if isinstance(anchor, Failure):
            lost.append(f"the reference failed: {anchor}")
            continue
        if values_of(state, anchor, anchor) is None:
            lost.append(f"too few requests of the reference: it needs {requests_needed(state)} in a session")
            continue
        ran = {name: m for name, m in members.items() if isinstance(m, Windows)}
        sessions.append({name: m for name, m in ran.items() if values_of(state, m, anchor) is not None})
    references = [session[head.reference] for session in sessions if head.reference in session]
    is_feasible = is_reference_feasible(state, head.reference, references)
    left: dict[str, str] = {}
    alive: list[Point] = []
    for name, config in zip(names, (state.setup.baselines[head.reference], *head.members), strict=True):
        point = measured_point(state, head, name, config, sessions)
        is_reference = name == head.reference
        why = "" if is_reference else turned_down(state, head, point, failures.get(name, []))
        if len(lost) > LOST_ALLOWED and not is_reference and not point.gains:
            why = lost[-1]
        if why or (is_reference and not is_feasible):
            left[name] = why or "it does not keep the limits"
        else:
            alive.append(point)
    gaps = partial(gaps_between, state, sessions)
    beats = {
        (a.name, b.name): is_beaten(gaps(a.name, b.name), sd_floor=head.sd_floor)
        for a in alive
        for b in alive
        if a is not b
    }
    on_front = survivors(alive, lambda a, b: beats[a.name, b.name], lambda p: sum(p.values))
    for point in alive:
        if point not in on_front:
            better = next((o for o in on_front if beats[o.name, point.name]), None)
            left[point.name] = f"{better.name} is better" if better else "another point that left is better"
    if len(lost) > LOST_ALLOWED:
        proven = [replace(point, unproven=lost[-1]) for point in on_front]
    else:
        proven = [proved(state, head, point, [p for p in alive if p.is_baseline], gaps) for point in on_front]
    points = tuple(sorted(proven, key=lambda p: (-p.values[0], p.name)))
    has_baselines = any(p.is_baseline for p in alive)
    eligible = [p for p in points if p.is_baseline or p.is_proven or not has_baselines]
    extent = [p.values for p in points]
    return Front(
        head=head,
        reference=head.reference,
        points=points,
        left=left,
        sessions=len(sessions),
        lost=lost,
        knee=eligible[knee([p.values for p in eligible], extent)] if eligible else None,
        is_reference_feasible=is_feasible,
        measured={name: pool(found) for name in names if (found := [s[name] for s in sessions if name in s])},
    )


def baselines_alone(state: StudyState) -> Front:
    """The front where no candidate had a place on it: the baselines as they were measured against each other, none of
    which leaves without a confirmation."""
    ranking = state.reference.ranking
    kept = [
        n
        for n in state.reference.distinct_baselines()[:BASELINES_AT_MOST]
        if max(ranking.violations[n].values(), default=-math.inf) <= 0.0
    ]
    points = [
        Point(
            name=name,
            config=state.setup.baselines[name],
            is_baseline=True,
            values=(ranking.values[name], *(values[name] for values in ranking.others.values())),
        )
        for name in kept
    ]
    points.sort(key=lambda p: (-p.values[0], p.name))
    return Front(
        head=None,
        reference=ranking.reference,
        points=tuple(points),
        left={},
        sessions=0,
        lost=(),
        knee=points[knee([p.values for p in points])] if points else None,
        is_reference_feasible=ranking.is_feasible,
    )


def judge_front(state: StudyState, front: Front, failure: str) -> VerdictLine:
    """The verdict of a round; `failure` is the cause where no candidate ran."""
    budget = state.study.budget
    verdict, reason, detail = _verdict(state, front, failure)
    return VerdictLine(
        round=state.attempt,
        verdict="tuned" if verdict == "tuned" else "baseline",
        reason=reason,
        detail=detail,
        minutes=budget.minutes,
        trials=budget.trials,
    )


def _verdict(state: StudyState, front: Front, failure: str) -> tuple[str, str, str]:
    if failure:
        return "baseline", "failed", failure
    count = sum(1 for candidate in state.candidates.values() if candidate.is_measured)
    if front.head is None:
        if not front.is_reference_feasible:
            return "baseline", "constraint", "no configuration that was tried keeps the limits"
        within = " within the limits" if state.study.objective.limits else ""
        return "baseline", "futile", f"the baselines are the front: none of {count} candidates is beyond them{within}"
    if len(front.lost) > LOST_ALLOWED:
        return "baseline", "not_significant", f"nothing could be proved: {front.lost[-1]}"
    candidates = [p for p in front.points if not p.is_baseline]
    proven = [p for p in candidates if p.is_proven]
    if front.knee is None:
        whys = "; ".join(f"{name}: {why}" for name, why in front.left.items())
        return "baseline", "constraint", f"none that was tried was shown to keep the limits: {whys}"
    if not front.knee.is_baseline:
        if not front.is_reference_feasible:
            return "tuned", "first_feasible", "the knee of those that keep the limits; no gain is claimed"
        return "tuned", "", f"the knee of the front is {front.knee.name}, and fresh data confirm it"
    if proven:
        points = "one point" if len(proven) == 1 else f"{len(proven)} points"
        return "baseline", "knee", f"the knee of the front is {front.knee.name}; front.yaml holds {points} beside it"
    if not candidates:
        return "baseline", "futile", "the baselines are the front: on fresh data every other point was beaten by one"
    return "baseline", "not_significant", f"of the points beside the baselines none is proved: {candidates[0].unproven}"


def _is_complete(front: Front) -> bool:
    return front.head is None or front.sessions >= front.head.sessions or len(front.lost) > LOST_ALLOWED
