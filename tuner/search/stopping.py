"""Rule that ends the trials of a session: unlikely to be the best, precise enough, or at the cap.

Must not know which candidates come next.
"""

from __future__ import annotations

from tuner.bench.protocol import Precision, Pruning, StopRule
from tuner.planning.session_plan import PROBES
from tuner.statistics.early_stopping import CAP_S
from tuner.statistics.session_effect import Estimate
from tuner.study.study import Objective

PERCENTILE_CAP_S = 4 * CAP_S
"""A percentile needs its requests: such a trial may last longer than the others."""


def trial_rule(objective: Objective, *, window_sd: float, window_s: float, incumbent: Estimate) -> StopRule:
    """Returns the rule that ends the trials of one session beside the reference.

    After each block a trial ends if it is unlikely to be better than the best one, if it is precise enough, or at the
    cap (tuner/README.md). With percentiles alone it ends when it has their requests. With several objectives nothing is
    pruned for one of them: the other may be what a candidate is good at. With limits the best trial of the session may
    break one of them, so that the incumbent alone prunes. `window_sd` is that of a pair of windows of `window_s`,
    `incumbent` the gain of the best candidate so far (log-ratios).
    """
    percentiles = [row for row in objective.rows if row.quantile is not None]
    pruning = Pruning(
        metric=objective.metric,
        incumbent_gain=incumbent.value,
        incumbent_sd=incumbent.sd,
        window_sd=window_sd,
        among_members=not objective.limits,
    )
    precision = Precision(cap_pairs=max(1, int(CAP_S / (2 * window_s))), window_sd=window_sd)
    if objective.row.is_session_level:
        return StopRule(min_windows=PROBES, pruning=None if objective.has_several else pruning)
    return StopRule(
        min_requests=max((row.min_requests for row in percentiles), default=0),
        cap_s=PERCENTILE_CAP_S if percentiles else CAP_S,
        pruning=None if objective.has_several else pruning,
        precision=precision if len(percentiles) < len(objective.rows) else None,
    )
