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

    Windows of a search for the largest rate count only if they kept the limits, unless none did.
    """
    ran = windows.windows
    kept = [w for w in ran if w.served is None or w.served.is_kept is not False] or ran
    rows = [row for row in METRICS.values() if row.is_in(ran)]
    values = {row.name: row.read(ran if row.is_session_level else kept) for row in rows}
    return MetricValues(values=values, requests=request_count(kept) if values else 0)


def pooled(sessions: Iterable[Session], config: DeploymentConfig) -> Windows | None:
    """Returns all windows of one configuration over several sessions; None if the configuration never ran."""
    found = [windows for session in sessions for one, windows in session.ran() if one == config]
    return pool(found) if found else None


def pool(members: Sequence[Windows]) -> Windows:
    """Returns the windows of several sessions as those of one member: for metrics, not for pairs.

    Raises ValueError for no members.
    """
    if not members:
        raise ValueError("no members to pool")
    return Windows(
        effective=members[0].effective,
        windows=tuple(w for member in members for w in member.windows),
        compile_s=members[0].compile_s,
        is_steady=all(member.is_steady for member in members),
    )
