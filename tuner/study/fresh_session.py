"""A session of a confirmation, of one winner or of a front: fresh processes, fresh data, and when too much went wrong.

Knows how such a session is run and read; not what follows from it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from tuner.bench.protocol import DeploymentConfig, Windows
from tuner.study.campaign import Campaign, Ground, plan_session
from tuner.study.constraint import search_violation
from tuner.study.evidence import pool
from tuner.study.records import ConfirmationLine, FrontLine

FAILURES_ALLOWED = 1
"""A winner that fails in two of its fresh processes is not one to deploy."""
LOST_ALLOWED = 2
"""Sessions without a value that are no fault of the winner's; a third one and there is nothing to prove it with."""


def measure_fresh(
    campaign: Campaign,
    ground: Ground,
    head: ConfirmationLine | FrontLine,
    members: Sequence[DeploymentConfig],
    *,
    incumbent: str,
    incumbent_gain: float | None,
    note: str,
) -> None:
    """Shows and measures one session of these members behind the reference."""
    campaign.show(
        replace(
            campaign.status,
            phase="confirm",
            left_s=campaign.left_s(),
            incumbent=incumbent,
            incumbent_gain=incumbent_gain,
            reference=head.reference,
            note=note,
        )
    )
    plan = plan_session(campaign, ground, "confirm", blocks=head.pairs, window_s=head.window_s, is_fresh=True)
    campaign.measure([campaign.setting.baselines[head.reference], *members], plan)


def is_reference_feasible(campaign: Campaign, ground: Ground, reference: str, measured: Sequence[Windows]) -> bool:
    """Whether the reference keeps the limits: as it was measured in these sessions, where it was; else as the baselines
    had it."""
    if not measured:
        return max(ground.standing.violations[reference].values(), default=-math.inf) <= 0.0
    whole, ratios = pool(measured), ground.standing.ratios_of(reference)
    limits = campaign.study.objective.limits
    excesses = [search_violation(limit, whole, whole, ratios[limit.metric], 0.0) for limit in limits]
    return max((e for e in excesses if e is not None), default=-math.inf) <= 0.0
