"""Metrics of one member, pooled over its windows of one session or several.

Must not compare members: that is the task of `candidates.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tuner.bench.configuration import DeploymentConfig
from tuner.bench.measurement import Session, Windows
from tuner.bench.metrics import METRICS, request_count
from tuner.evidence.candidates import MetricValues


def metrics_of(windows: Windows) -> MetricValues:
    """Returns every metric that a member's windows carry, pooled over them.

    If the largest rate was looked for, over the windows that kept the limits.
    """
    ran = windows.windows
    kept = [w for w in ran if w.served is None or w.served.is_kept is not False] or ran
    rows = [row for row in METRICS.values() if row.is_in(ran)]
    values = {row.name: row.read(ran if row.is_session_level else kept) for row in rows}
    return MetricValues(values=values, requests=request_count(kept) if values else 0)


def pooled(sessions: Iterable[Session], config: DeploymentConfig) -> Windows | None:
    """All windows of one configuration over several sessions; None where it never ran."""
    found = [
        member
        for session in sessions
        for member_config, member in zip(session.configurations, session.members, strict=True)
        if member_config == config and isinstance(member, Windows)
    ]
    return pool(found) if found else None


def pool(members: Sequence[Windows]) -> Windows:
    """The windows of several sessions as one member's: for metrics, not for pairs. Raises ValueError for none."""
    if not members:
        raise ValueError("nobody to pool")
    return Windows(
        effective=members[0].effective,
        windows=tuple(w for member in members for w in member.windows),
        compile_s=members[0].compile_s,
        is_steady=all(member.is_steady for member in members),
    )
