"""A session of a confirmation, of one winner or of a front: fresh processes, fresh data, and when too much went wrong.

Knows how such a session is run and read; not what follows from it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tuner.bench.protocol import DeploymentConfig, Windows
from tuner.study.constraint import search_violation
from tuner.study.evidence import pool
from tuner.study.records import ConfirmationLine, FrontLine
from tuner.study.runner import SessionRunner
from tuner.study.session_plan import plan_session
from tuner.study.state import StudyState

FAILURES_ALLOWED = 1
"""A winner that fails in two of its fresh processes is not one to deploy."""
LOST_ALLOWED = 2
"""Sessions without a value that are no fault of the winner's; a third one and there is nothing to prove it with."""


def measure_fresh(
    runner: SessionRunner,
    head: ConfirmationLine | FrontLine,
    members: Sequence[DeploymentConfig],
    *,
    note: str,
    incumbent: str = "",
    incumbent_gain: float | None = None,
) -> None:
    """Shows and measures one session of these members behind the reference."""
    state = runner.state
    runner.show("confirm", note, incumbent=incumbent, incumbent_gain=incumbent_gain, reference=head.reference)
    plan = plan_session(state, state.reference, "confirm", blocks=head.pairs, window_s=head.window_s, is_fresh=True)
    runner.measure([state.setup.baselines[head.reference], *members], plan)


def is_reference_feasible(state: StudyState, reference: str, measured: Sequence[Windows]) -> bool:
    """Whether the reference keeps the limits: as it was measured in these sessions, where it was; else as the baselines
    had it."""
    ranking = state.reference.ranking
    if not measured:
        return max(ranking.violations[reference].values(), default=-math.inf) <= 0.0
    whole, ratios = pool(measured), ranking.ratios_of(reference)
    limits = state.study.objective.limits
    excesses = [search_violation(limit, whole, whole, ratios[limit.metric], 0.0) for limit in limits]
    return max((e for e in excesses if e is not None), default=-math.inf) <= 0.0
