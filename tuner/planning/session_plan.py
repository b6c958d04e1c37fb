"""The plan of a session: its windows, its limits of time, and its seed.

Knows the setup, the reference and the record of a study; not which configurations are measured.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import replace

from tuner.bench.measurement import ArrivalProcess
from tuner.bench.metrics import METRICS, Requirement
from tuner.bench.protocol import Phase, SessionPlan, StopRule
from tuner.evidence.candidates import Candidate
from tuner.evidence.state import Reference, StudyState
from tuner.statistics.sequential_test import SESSIONS
from tuner.study.study import Objective, Study
from tuner.study.windows import first_window_s, is_window_fixed

SEARCH_WINDOW_S, SEARCH_WARM_UP_S = 0.3, 0.2
"""Seconds of a window and a warm-up in a search, where many rough looks find more than exact ones.

The shortest window that a noisy host's calibration chooses, and a few inferences of a small model; not compared with
other lengths.
"""

DROP_S, WARM_UP_S = 0.1, 0.5
"""Seconds that are dropped at the start of a window, and seconds that a member warms up for (tuner/README.md)."""

QUOTA_DROP_S = 0.2
"""Seconds that are dropped under a CPU quota: the first two scheduler periods of 100 ms (tuner/README.md)."""

OPEN_DROP_S = 0.3
"""Seconds that are dropped where requests arrive: an empty queue takes tens of service times to look as usual."""

OPEN_LAG_SHARE = 0.10
"""Share of the strictest absolute latency limit by which the generator may start requests late (tuner/README.md)."""

PROBES = 6
"""Number of windows in which the largest rate is looked for.

The bisection of [0.3, 0.98] of the throughput then ends 1.9 % wide.
"""

BASELINE_BLOCKS = ((600.0, 8, 4), (300.0, 6, 2), (100.0, 6, 0), (0.0, 4, 0))
"""Budget in seconds from which on -> blocks of the baselines, sessions of the reference beside itself.

Both together take a tenth of the budget (tuner/README.md).
"""

BASELINE_WINDOW_LIMIT_S = 20.0
"""Seconds that a baseline's window may take; a candidate's limit is 3 s, or twice the reference's time."""

WINDOW_LIMIT_S = 3.0
"""Seconds that a candidate's window may take, in a large space or a short budget."""

LONG_WINDOW_LIMIT_S, LONG_WINDOWS_FROM_MIN = 6.0, 10.0
"""Seconds that a candidate's window may take in a small space, where the budget has so many minutes."""

RACE_UP_TO = 50
"""Number of configurations up to which a space has each of them measured. In ten minutes there is time also for those
whose four cycles of all requests take longer than 3 s, which on large servers are among the best (256 requests of 16
samples); a large space is full of them."""

PATIENCE = 2
"""Factor by which a window may take longer after the search.

A slower moment of the host is no fault of a candidate; to turn the candidate down for it is to discard by the result.
"""

STEADY, STEADY_SDS = 0.10, 3.3
"""Tolerance of a steady warm-up (log-ratio): at least this, or so many standard deviations of a pair."""

PERCENTILE_MARGIN = 1.3
"""Factor on the windows that a percentile's requests need: a slower moment then leaves no session short."""

MEMBERS_AT_MOST = 7
"""Number of members of one session at most, the reference included (tuner/README.md)."""

WARM_UP_WINDOWS = 3
"""Number of windows that a warm-up takes at least, each as long as four cycles of all requests (tuner/README.md)."""


def plan_session(
    state: StudyState,
    reference: Reference | None,
    phase: Phase,
    *,
    blocks: int,
    window_s: float | None = None,
    is_fresh: bool = False,
    stop: StopRule | None = None,
) -> SessionPlan:
    """Returns a plan with this host's windows and limits; those of baselines where there is no `reference` yet."""
    drop_s = DROP_S if state.setup.cpu_quota is None else QUOTA_DROP_S
    load = load_of(state.study)
    plan = SessionPlan(
        phase=phase,
        blocks=max(blocks, PROBES) if load and load.finds_max else blocks,
        window_s=window_s or (first_window_s(state.setup) if reference is None else reference.window_s),
        warm_up_s=0.0 if state.study.objective.needs(Requirement.COLD_START) else WARM_UP_S,
        drop_s=max(drop_s, OPEN_DROP_S) if load else drop_s,
        load=load,
        callers=state.study.callers,
        max_window_s=BASELINE_WINDOW_LIMIT_S,
        steady_tolerance=2 * STEADY,
        is_fresh=is_fresh,
        stop=stop,
    )
    if reference is None:
        return plan
    if phase in ("search", "race", "final"):
        plan = _rough(plan, state)
    patience = PATIENCE if phase in ("final", "confirm") else 1
    return replace(
        plan,
        max_window_s=patience * longest_window_s(state, reference),
        steady_tolerance=max(STEADY, STEADY_SDS * reference.noise.window_sd),
    )


def _rough(plan: SessionPlan, state: StudyState) -> SessionPlan:
    """Returns the plan of a search's session: short windows and a short warm-up, unless something else needs more."""
    is_fixed = is_window_fixed(state.setup) or plan.warm_up_s == 0.0
    window_s = plan.window_s if is_fixed else min(plan.window_s, SEARCH_WINDOW_S)
    return replace(plan, window_s=window_s, warm_up_s=min(plan.warm_up_s, SEARCH_WARM_UP_S), warm_up_turns=1)


def session_seed(study_seed: int, attempt: int, phase: Phase, number: int) -> int:
    """Returns the seed of a session, so that a resumed study shuffles as an uninterrupted one would."""
    return zlib.crc32(f"{study_seed}/{attempt}/{phase}/{number}".encode())


def load_of(study: Study) -> ArrivalProcess | None:
    """Returns the load as a session needs it: how late its generator may be follows from the latency limits."""
    load, limits = study.load, study.objective.limits
    if load is None:
        return None
    named = [*load.keep, *((limit.metric, limit.max) for limit in limits if limit.max is not None)]
    latencies = [most for name, most in named if METRICS[name].kind == "latency"]
    return replace(load, lag_limit_ms=OPEN_LAG_SHARE * min(latencies) if latencies else None)


def longest_window_s(state: StudyState, reference: Reference) -> float:
    """Returns how long a candidate's window may take (s)."""
    has_time = (state.study.budget.minutes or 0.0) >= LONG_WINDOWS_FROM_MIN
    is_small = state.distinct is not None and state.distinct <= RACE_UP_TO
    usual_s = LONG_WINDOW_LIMIT_S if has_time and is_small else WINDOW_LIMIT_S
    return max(usual_s, 2 * reference.noise.longest_window_s)


def percentile_blocks(objective: Objective, requests_per_window: float) -> int:
    """Returns how many windows a side of a confirmation session needs for the percentiles that it claims.

    Percentiles of the objective and of ratios come from each session alone, those of absolute limits from four sessions
    pooled.
    """
    needed = float(max(row.min_requests for row in objective.rows))
    for limit in objective.limits:
        is_ratio = limit.min_ratio is not None or limit.max_ratio is not None
        needed = max(needed, limit.row.min_requests / (1 if is_ratio else SESSIONS[0]))
    if needed <= 1:
        return 1
    return math.ceil(PERCENTILE_MARGIN * needed / max(1.0, requests_per_window))


def longer_s(window_s: float, candidate: Candidate) -> float:
    """Returns how much longer a candidate's window is than a planned window (s).

    A window holds four cycles of all requests, however large the batch.
    """
    return max(0.0, candidate.comparisons[-1].window_s - window_s)
