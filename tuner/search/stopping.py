"""Rule that ends the session of a trial: pruned, precise enough, or at its cap.

Must not know which candidate comes next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tuner.bench.configuration import Failure
from tuner.bench.measurement import Windows
from tuner.bench.metrics import request_count
from tuner.planning.session_plan import PROBES
from tuner.statistics.disturbance import calm_pairs
from tuner.statistics.early_stopping import CAP_S, LOOKS_S, is_precise, is_pruned
from tuner.statistics.session_effect import session_value
from tuner.study.study import Objective

SHORT_SEARCH_S, SHORT_CAP_S = 120.0, 4.0
"""In a search this short more candidates are worth more than sharper ones: the final is there to sharpen."""

PERCENTILE_CAP_S = 4 * CAP_S
"""A percentile needs its requests: such a trial may last longer than the others."""


def enough_rule(
    objective: Objective, *, window_sd: float, window_s: float, is_short: bool, incumbent_gain: float
) -> Callable[[Sequence[Windows | Failure]], bool]:
    """Returns when a session of the reference and one trial ends.

    It ends where the trial is hopeless at 1.5 s and 3 s of both sides together, where it is precise enough, or at the
    cap (tuner/README.md). A percentile also ends when it has its requests. With several objectives nothing is hopeless
    for one of them: the other may be what it is good at. `window_sd` is that of a pair of windows of `window_s`,
    `incumbent_gain` that of the best so far (log-ratios); in a search that `is_short` the cap comes sooner.
    """
    metric, percentiles = objective.row, [row for row in objective.rows if row.quantile is not None]
    needed = max((row.min_requests for row in percentiles), default=1)
    is_mixed = len(percentiles) < len(objective.rows)
    has_looks = not objective.has_several
    mean_cap_s = SHORT_CAP_S if is_short else CAP_S
    cap_s = PERCENTILE_CAP_S if percentiles else mean_cap_s
    cap_pairs = max(1, int(mean_cap_s / (2 * window_s)))

    def enough(members: Sequence[Windows | Failure]) -> bool:
        reference, candidate = members
        if isinstance(reference, Failure) or isinstance(candidate, Failure):
            return True
        pairs = calm_pairs(candidate, reference)
        timed_s = sum(w.timed_s for member in (reference, candidate) for w in member.windows)
        before_s = timed_s - reference.windows[-1].timed_s - candidate.windows[-1].timed_s
        value = session_value(metric, candidate, reference, min_requests=1)
        is_look = has_looks and any(before_s < look_s <= timed_s for look_s in LOOKS_S)
        if is_look and value is not None and is_pruned(value, incumbent_gain, pairs, window_sd):
            return True
        if metric.is_session_level:
            return len(candidate.windows) >= PROBES
        if timed_s >= cap_s:
            return True
        if percentiles and min(request_count(m.windows) for m in (reference, candidate)) < needed:
            return False
        if not is_mixed:
            return True
        return timed_s >= LOOKS_S[0] and is_precise(pairs, window_sd, cap_pairs)

    return enough
