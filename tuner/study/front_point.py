"""One point of a confirmed front: what the sessions say of it, and what is proved of it.

Knows fresh sessions as mappings of names to windows; which points stay on the front is `front_confirm.py`'s affair.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from tuner.bench.metrics import METRICS
from tuner.bench.protocol import DeploymentConfig, Windows
from tuner.study.constraint import ConstraintCheck, check_limit, limit_level
from tuner.study.decision import Interval, gain_log, gain_pct, interval
from tuner.study.estimate import session_value
from tuner.study.fresh_session import FAILURES_ALLOWED
from tuner.study.limit_words import limit_words
from tuner.study.records import FrontLine
from tuner.study.state import StudyState

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


def claim_level(state: StudyState, head: FrontLine) -> float:
    """One-sided, of every interval of a front: what the study may spend, shared by candidates and objectives
    (Bonferroni), so that all of them hold together. Baselines are not claimed to be better."""
    candidates = sum(1 for name in head.names if name not in state.setup.baselines)
    return head.share / (max(1, candidates) * len(state.study.objective.metrics))


def values_of(state: StudyState, member: Windows, reference: Windows) -> tuple[float, ...] | None:
    """Of each objective; None where one of them cannot be claimed from this session. Of the reference zeros."""
    found = [session_value(row, member, reference) for row in state.study.objective.rows]
    values = tuple(value for value in found if value is not None)
    return values if len(values) == len(found) else None


def requests_needed(state: StudyState) -> int:
    """On each side of a session, for the objective that needs the most."""
    return max(row.min_requests for row in state.study.objective.rows)


def gaps_between(state: StudyState, sessions: Sequence[Mapping[str, Windows]], a: str, b: str) -> list[list[float]]:
    """For each objective how much better `a` was than `b`, in each session that both shared."""
    shared = [found for s in sessions if a in s and b in s and (found := values_of(state, s[a], s[b])) is not None]
    return [list(column) for column in zip(*shared, strict=True)] or [[] for _ in state.study.objective.metrics]


def measured_point(
    state: StudyState,
    head: FrontLine,
    name: str,
    config: DeploymentConfig,
    sessions: Sequence[Mapping[str, Windows]],
) -> Point:
    """What the sessions say of one configuration, with an interval of its gain in each objective."""
    pairs = [(s[name], s[head.reference]) for s in sessions if name in s and head.reference in s]
    metrics = state.study.objective.metrics
    columns = gaps_between(state, sessions, name, head.reference)
    level = claim_level(state, head)
    gains = {
        metric: interval(values, level, sd_floor=head.sd_floor)
        for metric, values in zip(metrics, columns, strict=True)
        if len(values) >= FEWEST_SESSIONS and name != head.reference
    }
    return Point(
        name=name,
        config=config,
        is_baseline=name in state.setup.baselines,
        values=tuple(math.fsum(values) / max(1, len(values)) for values in columns),
        pairs=pairs,
        gains=gains,
    )


def turned_down(state: StudyState, head: FrontLine, point: Point, failures: Sequence[str]) -> str:
    """Why a point is no answer, whatever its values: it fails, it cannot be judged, or it breaks a limit."""
    if len(failures) > FAILURES_ALLOWED:
        return f"it failed in {len(failures)} sessions, last: {failures[-1]}"
    if not point.gains:
        return f"too few requests in its windows: it needs {requests_needed(state)} in a session"
    checks = limit_checks(state, head, point)
    return next((limit_words(check) for check in checks if not check.is_kept), "")


def limit_checks(state: StudyState, head: FrontLine, point: Point) -> list[ConstraintCheck]:
    """Checks every limit on the confirmation's sessions of one point; all confirmed points share the level.

    `head.names` are fixed before the first session, candidates and baselines alike: each is claimed to keep the limits.
    """
    level, ratios = limit_level(len(head.names), looks=1), state.reference.ranking.ratios_of(head.reference)
    return [
        check
        for limit in state.study.objective.limits
        for check in check_limit(limit, point.pairs, ratios[limit.metric], level=level)
    ]


def proved(
    state: StudyState, head: FrontLine, point: Point, baselines: Sequence[Point], gaps: partial[list[list[float]]]
) -> Point:
    """A candidate with what is proved of it: better than each baseline beside it in one objective at least, beyond the
    study's error and by what the study wants to gain."""
    if point.is_baseline:
        return point
    level, least = claim_level(state, head), gain_log(state.study.min_gain_pct)
    for baseline in baselines:
        found = [
            interval(values, level, sd_floor=head.sd_floor)
            for values in gaps(point.name, baseline.name)
            if len(values) >= FEWEST_SESSIONS
        ]
        if not any(i.low > 0.0 and i.estimate >= least for i in found):
            bounds = ", ".join(
                f"{METRICS[metric].name} {gain_pct(i.low):+.1f} to {gain_pct(i.high):+.1f} %"
                for metric, i in zip(state.study.objective.metrics, found, strict=False)
            )
            why = f"{point.name} is not shown to be better than {baseline.name} in any objective ({bounds})"
            return replace(point, unproven=why)
    return replace(point, is_proven=bool(baselines))
