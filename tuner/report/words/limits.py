"""The sentence that tells a user why a limit does not count as kept.

Responsible for words. Must not import sessions or windows.
"""

from __future__ import annotations

import math

from tuner.bench.metrics import METRICS
from tuner.report.words.gain import excess_words
from tuner.statistics.limits import ConstraintCheck, LimitOutcome


def limit_words(check: ConstraintCheck) -> str:
    """Returns why a limit does not count as kept, in one line; empty if the limit is kept."""
    return "" if check.is_kept else f"{check.bound.metric}: {_cause(check)}"


def _cause(check: ConstraintCheck) -> str:
    missing = {
        LimitOutcome.TOO_FEW_REQUESTS: f"a promise needs {check.needed} requests, there were {check.found}",
        LimitOutcome.TOO_FEW_IN_A_SESSION: (
            f"comparing sessions needs {check.needed} requests in each, one had {check.found}"
        ),
        LimitOutcome.TOO_FEW_SESSIONS: f"a promise needs {check.needed} sessions, there were {check.found}",
        LimitOutcome.NO_REQUESTS: "there were no requests",
        LimitOutcome.EMPTY_WINDOW: "nothing completed in a window of the confirmation",
        LimitOutcome.NOT_MEASURED: "it was not measured in a session of the confirmation",
    }
    return missing.get(check.outcome) or _comparison(check)


def _comparison(check: ConstraintCheck) -> str:
    """Returns what was measured beside the limit; a broken limit and an unproved one read differently."""
    bound = check.bound
    unit = METRICS[bound.metric].unit
    limit = f"{bound.kind} {bound.limit:g}"
    broken = ""
    if check.outcome is LimitOutcome.BROKEN and check.measured:
        broken = f"broken by {excess_words(bound.excess_log(math.log(check.measured)))}: "
    if check.confidence_bound is None:
        return f"{broken}{check.measured:.4g} {unit} in {check.requests} requests, the limit {limit}"
    what = "of the best baseline" if bound.is_ratio else unit
    side = "upper" if bound.side > 0 else "lower"
    percent = 100.0 * (1.0 - check.alpha)
    proved = f"its {side} {percent:.1f} % confidence bound is {check.confidence_bound:.4g}"
    if check.outcome is LimitOutcome.UNPROVED:
        kept = f"{check.measured:.4g} {what} keeps {limit}, but that is not proved"
        return f"{kept}: {proved}; a longer budget or a calmer host proves more"
    return f"{broken}{check.measured:.4g} {what}, {proved}, the limit is {limit}"
