"""The confirmation of several objectives: the points beside the reference in fresh processes on fresh data, who stays
on the front, which of them is the knee, and the verdict that follows.

Knows sessions on record and the rules of `front.py`; nothing that the search measured counts here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from tuner.bench.metrics import METRICS
from tuner.bench.protocol import DeploymentConfig, Failure, Windows
from tuner.study.campaign import Campaign, Ground, candidates_of, plan_session
from tuner.study.confirm import FAILURES_ALLOWED, LOST_ALLOWED, SD_FLOOR
from tuner.study.constraint import check_limit, search_violation
from tuner.study.decision import Interval, gain_log, gain_pct, interval, share_of
from tuner.study.estimate import session_value
from tuner.study.evidence import pool
from tuner.study.final import baseline_field
from tuner.study.front import is_beaten, knee, survivors
from tuner.study.front_final import Entrant, front_size
from tuner.study.records import FrontLine, VerdictLine

FEWEST_SESSIONS = 2
"""Of one point: an interval needs two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One configuration of a confirmed front, or of the baselines alone where nothing was confirmed."""

    name: str
    config: DeploymentConfig
    is_baseline: bool
    values: tuple[float, ...]
    """Of each objective, the log-ratio to the reference."""
    pairs: Sequence[tuple[Windows, Windows]] = ()
    """(it, the reference) of each confirmation session that says something of both."""
    gains: Mapping[str, Interval] = field(default_factory=dict)
    """Objective -> its gain over the reference; of the reference itself none."""
    is_proven: bool = False
    """Whether it is a candidate that was shown to be better than every baseline beside it in one objective at least."""
    unproven: str = ""
    """Why not, where it is a candidate."""


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


def open_front(campaign: Campaign, ground: Ground, points: Sequence[Entrant]) -> FrontLine:
    """Fixes on disk, before the first session, who is confirmed and in how many sessions."""
    count, sessions, pairs, _ = front_size(campaign, ground, points)
    head = FrontLine(
        round=campaign.round,
        members=tuple(e.config for e in points[:count]),
        names=tuple(e.name for e in points[:count]),
        reference=ground.standing.reference,
        sessions=sessions,
        share=share_of(campaign.log.winners_before(campaign.round)),
        pairs=pairs,
        window_s=ground.plan.window_s,
        sd_floor=SD_FLOOR * ground.calibration.session_sd,
    )
    campaign.log.append(head)
    return head


def confirm_front(campaign: Campaign, ground: Ground, head: FrontLine) -> Front:
    """Runs what is left of the confirmation. The number of sessions is fixed and there is one look, at the end."""
    reference = campaign.setting.baselines[head.reference]
    while not _is_complete(front := read_front(campaign, ground, head)):
        campaign.show(
            replace(
                campaign.status,
                phase="confirm",
                left_s=campaign.left_s(),
                incumbent="",
                incumbent_gain=None,
                reference=head.reference,
                note=f"session {front.sessions + 1} of {head.sessions}, {len(head.members)} points",
            )
        )
        plan = plan_session(campaign, ground, "confirm", blocks=head.pairs, window_s=head.window_s, is_fresh=True)
        campaign.measure([reference, *head.members], plan)
    return front


def read_front(campaign: Campaign, ground: Ground, head: FrontLine) -> Front:
    """The front as the confirmation's record has it."""
    sessions: list[dict[str, Windows]] = []
    failures: dict[str, list[str]] = {}
    lost: list[str] = []
    names = (head.reference, *head.names)
    for line in campaign.log.sessions("confirm", round=head.round):
        members = dict(zip(names, line.session.members, strict=True))
        for name, member in members.items():
            if isinstance(member, Failure):
                failures.setdefault(name, []).append(str(member))
        anchor = members[head.reference]
        if isinstance(anchor, Failure):
            lost.append(f"the reference failed: {anchor}")
            continue
        if _values(campaign, anchor, anchor) is None:
            lost.append(f"too few requests of the reference: it needs {_requests_needed(campaign)} in a session")
            continue
        ran = {name: m for name, m in members.items() if isinstance(m, Windows)}
        sessions.append({name: m for name, m in ran.items() if _values(campaign, m, anchor) is not None})
    is_feasible = _is_reference_feasible(campaign, ground, head, sessions)
    left: dict[str, str] = {}
    alive: list[Point] = []
    for name, config in zip(names, (campaign.setting.baselines[head.reference], *head.members), strict=True):
        point = _point(campaign, head, name, config, sessions)
        is_reference = name == head.reference
        why = "" if is_reference else _turned_down(campaign, ground, head, point, failures.get(name, []))
        if len(lost) > LOST_ALLOWED and not is_reference and not point.gains:
            why = lost[-1]
        if why or (is_reference and not is_feasible):
            left[name] = why or "it does not keep the limits"
        else:
            alive.append(point)
    gaps = partial(_gaps, campaign, sessions)
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
        proven = [_proved(campaign, head, point, [p for p in alive if p.is_baseline], gaps) for point in on_front]
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


def baselines_alone(campaign: Campaign, ground: Ground) -> Front:
    """The front where no candidate had a place on it: the baselines as they were measured against each other, none of
    which leaves without a confirmation."""
    standing = ground.standing
    kept = [n for n in baseline_field(ground) if max(standing.violations[n].values(), default=-math.inf) <= 0.0]
    points = [
        Point(
            name=name,
            config=campaign.setting.baselines[name],
            is_baseline=True,
            values=(standing.values[name], *(values[name] for values in standing.others.values())),
        )
        for name in kept
    ]
    points.sort(key=lambda p: (-p.values[0], p.name))
    return Front(
        head=None,
        reference=standing.reference,
        points=tuple(points),
        left={},
        sessions=0,
        lost=(),
        knee=points[knee([p.values for p in points])] if points else None,
        is_reference_feasible=standing.is_feasible,
    )


def claim_level(campaign: Campaign, head: FrontLine) -> float:
    """One-sided, of every interval of a front: what the study may spend, shared by candidates and objectives
    (Bonferroni), so that all of them hold together. Baselines are not claimed to be better."""
    candidates = sum(1 for name in head.names if name not in campaign.setting.baselines)
    return head.share / (max(1, candidates) * len(campaign.study.objective.metrics))


def judge_front(campaign: Campaign, ground: Ground, front: Front, failure: str) -> VerdictLine:
    """The verdict of a round; `failure` is the cause where no candidate ran."""
    budget = campaign.study.budget
    verdict, reason, detail = _verdict(campaign, ground, front, failure)
    return VerdictLine(
        round=campaign.round,
        verdict="tuned" if verdict == "tuned" else "baseline",
        reason=reason,
        detail=detail,
        minutes=budget.minutes,
        trials=budget.trials,
    )


def _verdict(campaign: Campaign, ground: Ground, front: Front, failure: str) -> tuple[str, str, str]:
    if failure:
        return "baseline", "failed", failure
    count = sum(1 for candidate in candidates_of(campaign, ground).values() if candidate.is_measured)
    if front.head is None:
        if not front.is_reference_feasible:
            return "baseline", "constraint", "no configuration that was tried keeps the limits"
        within = " within the limits" if campaign.study.objective.limits else ""
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


def _values(campaign: Campaign, member: Windows, reference: Windows) -> tuple[float, ...] | None:
    """Of each objective; None where one of them cannot be claimed from this session. Of the reference zeros."""
    found = [session_value(row, member, reference) for row in campaign.study.objective.rows]
    values = tuple(value for value in found if value is not None)
    return values if len(values) == len(found) else None


def _requests_needed(campaign: Campaign) -> int:
    return max(row.min_requests for row in campaign.study.objective.rows)


def _gaps(campaign: Campaign, sessions: Sequence[Mapping[str, Windows]], a: str, b: str) -> list[list[float]]:
    """For each objective how much better `a` was than `b`, in each session that both shared."""
    shared = [found for s in sessions if a in s and b in s and (found := _values(campaign, s[a], s[b])) is not None]
    return [list(column) for column in zip(*shared, strict=True)] or [[] for _ in campaign.study.objective.metrics]


def _point(
    campaign: Campaign,
    head: FrontLine,
    name: str,
    config: DeploymentConfig,
    sessions: Sequence[Mapping[str, Windows]],
) -> Point:
    pairs = [(s[name], s[head.reference]) for s in sessions if name in s and head.reference in s]
    metrics = campaign.study.objective.metrics
    columns = _gaps(campaign, sessions, name, head.reference)
    level = claim_level(campaign, head)
    gains = {
        metric: interval(values, level, sd_floor=head.sd_floor)
        for metric, values in zip(metrics, columns, strict=True)
        if len(values) >= FEWEST_SESSIONS and name != head.reference
    }
    return Point(
        name=name,
        config=config,
        is_baseline=name in campaign.setting.baselines,
        values=tuple(math.fsum(values) / max(1, len(values)) for values in columns),
        pairs=pairs,
        gains=gains,
    )


def _turned_down(campaign: Campaign, ground: Ground, head: FrontLine, point: Point, failures: Sequence[str]) -> str:
    """Why a point is no answer, whatever its values: it fails, it cannot be judged, or it breaks a limit."""
    if len(failures) > FAILURES_ALLOWED:
        return f"it failed in {len(failures)} sessions, last: {failures[-1]}"
    if not point.gains:
        return f"too few requests in its windows: it needs {_requests_needed(campaign)} in a session"
    ratios = ground.standing.ratios_of(head.reference)
    checks = [
        check
        for limit in campaign.study.objective.limits
        for check in check_limit(limit, point.pairs, ratios[limit.metric])
    ]
    return next((check.reason for check in checks if not check.is_kept), "")


def _is_reference_feasible(
    campaign: Campaign, ground: Ground, head: FrontLine, sessions: Sequence[Mapping[str, Windows]]
) -> bool:
    """As measured here, where it was; else as the baselines had it."""
    ran = [s[head.reference] for s in sessions if head.reference in s]
    if not ran:
        return max(ground.standing.violations[head.reference].values(), default=-math.inf) <= 0.0
    whole, ratios = pool(ran), ground.standing.ratios_of(head.reference)
    limits = campaign.study.objective.limits
    excesses = [search_violation(limit, whole, whole, ratios[limit.metric], 0.0) for limit in limits]
    return max((e for e in excesses if e is not None), default=-math.inf) <= 0.0


def _proved(
    campaign: Campaign, head: FrontLine, point: Point, baselines: Sequence[Point], gaps: partial[list[list[float]]]
) -> Point:
    """A candidate with what is proved of it: better than each baseline beside it in one objective at least, beyond the
    study's error and by what the study wants to gain."""
    if point.is_baseline:
        return point
    level, least = claim_level(campaign, head), gain_log(campaign.study.min_gain_pct)
    for baseline in baselines:
        found = [
            interval(values, level, sd_floor=head.sd_floor)
            for values in gaps(point.name, baseline.name)
            if len(values) >= FEWEST_SESSIONS
        ]
        if not any(i.low > 0.0 and i.estimate >= least for i in found):
            bounds = ", ".join(
                f"{METRICS[metric].name} {gain_pct(i.low):+.1f} to {gain_pct(i.high):+.1f} %"
                for metric, i in zip(campaign.study.objective.metrics, found, strict=False)
            )
            why = f"{point.name} is not shown to be better than {baseline.name} in any objective ({bounds})"
            return replace(point, unproven=why)
    return replace(point, is_proven=bool(baselines))
