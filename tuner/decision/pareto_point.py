"""One point of a front, with the evidence of a confirmation and the proof that follows from it.

Must not decide which points stay on the front: that is the task of `pareto_confirmation.py`.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tuner.bench.configuration import DeploymentConfig
from tuner.decision.confirmation import Confirmation, gaps_between, limit_checks
from tuner.evidence.state import StudyState
from tuner.statistics.limits import ConstraintCheck
from tuner.statistics.sequential_test import Interval, gain_log, interval, is_proved

FEWEST_SESSIONS = 2
"""Number of sessions of one point below which there is no interval."""


class RemovalReason(enum.Enum):
    """Reason why a confirmed point is not on the front."""

    FAILED = enum.auto()
    """The point failed in too many sessions."""
    TOO_FEW_REQUESTS = enum.auto()
    LIMIT = enum.auto()
    """A limit is not shown to be kept."""
    REFERENCE_LIMIT = enum.auto()
    """The point is the reference, and does not keep the limits."""
    INVALID = enum.auto()
    """Too many sessions are invalid."""
    BEATEN = enum.auto()
    """Another point is better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """Removal of a point from the front, with its evidence."""

    reason: RemovalReason
    check: ConstraintCheck | None = None
    """The limit that is not kept."""
    by: str = ""
    """Name of the better point on the front; empty if the better point is not on the front either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unproven:
    """The baseline than which a point is not shown to be better in any objective."""

    baseline: str
    gains: Mapping[str, Interval]
    """Objective -> the gain over that baseline; empty for too few sessions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParetoPoint:
    """One configuration of a confirmed front, or of the baselines alone if nothing was confirmed."""

    name: str
    config: DeploymentConfig
    is_baseline: bool
    values: tuple[float, ...]
    """Log-ratio to the reference in each objective."""
    position: int = 0
    """Index of the member in the sessions, 0 for the reference."""
    gains: Mapping[str, Interval] = field(default_factory=dict)
    """Objective -> gain over the reference; empty for the reference itself."""
    is_proven: bool = False
    """True if a candidate is shown to be better than every baseline in one objective at least."""
    unproven: Unproven | None = None
    """A baseline that a candidate is not shown to beat; None for a proved point, and without evidence."""


def measured_point(state: StudyState, found: Confirmation, position: int) -> ParetoPoint:
    """Returns one member with its mean values and with an interval of its gain in each objective."""
    plan = found.plan
    columns = gaps_between(state, found, position, 0)
    name = plan.names[position - 1] if position else plan.reference
    return ParetoPoint(
        name=name,
        config=plan.members[position - 1] if position else state.setup.baselines[name],
        is_baseline=name in state.setup.baselines,
        values=tuple(math.fsum(values) / max(1, len(values)) for values in columns),
        position=position,
        gains=_intervals(state, found, columns) if position else {},
    )


def removal_of(state: StudyState, found: Confirmation, point: ParetoPoint) -> Removal | None:
    """Returns the reason why a point may not be on the front, whatever its values; None if it may."""
    if not point.position:
        return None if found.is_reference_feasible else Removal(reason=RemovalReason.REFERENCE_LIMIT)
    if found.is_invalid and not point.gains:
        return Removal(reason=RemovalReason.INVALID)
    if found.is_unstable(point.position):
        return Removal(reason=RemovalReason.FAILED)
    if not point.gains:
        return Removal(reason=RemovalReason.TOO_FEW_REQUESTS)
    broken = next((check for check in limit_checks(state, found, point.position) if not check.is_kept), None)
    return Removal(reason=RemovalReason.LIMIT, check=broken) if broken else None


def with_proof(
    state: StudyState, found: Confirmation, point: ParetoPoint, baselines: Sequence[ParetoPoint]
) -> ParetoPoint:
    """Returns a point with its proof; a baseline as it is.

    A candidate is proved if it is better than each of the baselines in one objective at least: significantly at the
    study's alpha, and by the gain that the study asks for.
    """
    if point.is_baseline or found.is_invalid:
        return point
    least = gain_log(state.study.min_gain_pct)
    for baseline in baselines:
        gains = _intervals(state, found, gaps_between(state, found, point.position, baseline.position))
        if not any(is_proved(gain, least) for gain in gains.values()):
            return replace(point, unproven=Unproven(baseline=baseline.name, gains=gains))
    return replace(point, is_proven=bool(baselines))


def _intervals(state: StudyState, found: Confirmation, columns: Sequence[Sequence[float]]) -> dict[str, Interval]:
    """Returns the interval of each objective, without those of too few sessions.

    Candidates and objectives share the study's alpha (Bonferroni), so that all intervals hold together. Baselines are
    not claimed to be better.
    """
    plan, metrics = found.plan, state.study.objective.metrics
    candidates = sum(1 for name in plan.names if name not in state.setup.baselines)
    alpha = plan.alpha / (max(1, candidates) * len(metrics))
    return {
        metric: interval(values, alpha, sd_floor=plan.sd_floor)
        for metric, values in zip(metrics, columns, strict=True)
        if len(values) >= FEWEST_SESSIONS
    }
