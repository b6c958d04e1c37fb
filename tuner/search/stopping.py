"""Rule that ends the session of a trial: pruned, precise enough, or at its cap.

Must not know which candidate comes next.
"""

from __future__ import annotations

from tuner.bench.protocol import Precision, Pruning, StopRule
from tuner.planning.session_plan import PROBES
from tuner.statistics.early_stopping import CAP_S, LOOKS_S
from tuner.study.study import Objective

SHORT_SEARCH_S, SHORT_CAP_S = 120.0, 4.0
"""In a search this short more candidates are worth more than sharper ones: the final is there to sharpen."""

PERCENTILE_CAP_S = 4 * CAP_S
"""A percentile needs its requests: such a trial may last longer than the others."""


def trial_rule(
    objective: Objective, *, window_sd: float, window_s: float, is_short: bool, incumbent_gain: float
) -> StopRule:
    """Returns the rule that ends a trial beside the reference.

    A trial ends if it is pruned at 1.5 s or 3 s of both sides together, if it is precise enough, or at the cap
    (tuner/README.md). With percentiles alone it ends when it has their requests. With several objectives nothing is
    pruned for one of them: the other may be what a candidate is good at. `window_sd` is that of a pair of windows of
    `window_s`, `incumbent_gain` that of the best candidate so far (log-ratios). In a search that `is_short` the cap
    comes sooner.
    """
    percentiles = [row for row in objective.rows if row.quantile is not None]
    mean_cap_s = SHORT_CAP_S if is_short else CAP_S
    pruning = Pruning(metric=objective.metric, looks_s=LOOKS_S, incumbent_gain=incumbent_gain, window_sd=window_sd)
    precision = Precision(from_s=LOOKS_S[0], cap_pairs=max(1, int(mean_cap_s / (2 * window_s))), window_sd=window_sd)
    if objective.row.is_session_level:
        return StopRule(min_windows=PROBES, pruning=None if objective.has_several else pruning)
    return StopRule(
        min_requests=max((row.min_requests for row in percentiles), default=0),
        cap_s=PERCENTILE_CAP_S if percentiles else mean_cap_s,
        pruning=None if objective.has_several else pruning,
        precision=precision if len(percentiles) < len(objective.rows) else None,
    )
