"""Which members of a session go on after a block, by a rule that is data.

Pure: the answer follows from the rule and the windows so far. Must not know how a session is run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tuner.bench.configuration import Failure
from tuner.bench.measurement import Windows
from tuner.bench.metrics import METRICS, block_count, request_count
from tuner.bench.protocol import Pruning, StopRule
from tuner.statistics.disturbance import calm_pairs
from tuner.statistics.early_stopping import is_behind, is_precise, pair_se
from tuner.statistics.session_effect import Estimate, session_sd, session_value


def active(rule: StopRule, members: Sequence[Windows | Failure]) -> frozenset[int]:
    """Returns the indices of the members that go on; empty if the session ends.

    `members[0]` is the reference: it goes on while another member does. A member without a window in the last block has
    ended before, and stays so.
    """
    reference, *others = members
    if isinstance(reference, Failure):
        return frozenset()
    ran = {i: member for i, member in enumerate(others, start=1) if isinstance(member, Windows)}
    last = reference.windows[-1].block
    running = {i: member for i, member in ran.items() if member.windows[-1].block == last}
    behind = _behind(rule.pruning, ran, reference) if rule.pruning else frozenset()
    going = [i for i, member in running.items() if i not in behind and not is_done(rule, member, reference)]
    if rule.ends_together and going:
        going = list(ran)
    return frozenset((0, *going)) if going else frozenset()


def is_done(rule: StopRule, member: Windows, reference: Windows) -> bool:
    """Returns True if a member that has run beside the reference has ended."""
    timed_s = sum(window.timed_s for side in (reference, member) for window in side.windows)
    if rule.cap_s is not None and timed_s >= rule.cap_s:
        return True
    if block_count(member.windows) < rule.min_windows:
        return False
    if min(request_count(side.windows) for side in (reference, member)) < rule.min_requests:
        return False
    if (precision := rule.precision) is None:
        return True
    return is_precise(calm_pairs(member, reference), precision.window_sd, precision.cap_pairs)


def _behind(pruning: Pruning, members: Mapping[int, Windows], reference: Windows) -> frozenset[int]:
    """Returns the indices of the members that are unlikely to be better than the best of session and search."""
    found: dict[int, Estimate] = {}
    for i, member in members.items():
        beside = _beside(member, reference)
        value = session_value(METRICS[pruning.metric], member, beside, min_requests=1)
        if value is not None:
            found[i] = Estimate(value=value, sd=_error(pruning, member, beside))
    best = Estimate(value=max(0.0, pruning.incumbent_gain), sd=pruning.incumbent_sd)
    candidates = [best, *(found.values() if pruning.among_members else ())]
    best = max(candidates, key=lambda estimate: estimate.value)
    return frozenset(i for i, e in found.items() if is_behind(e.value, e.sd, best.value, best.sd))


def _error(pruning: Pruning, member: Windows, reference: Windows) -> float:
    """Returns the standard error of a member's value: the calibrated one, or a percentile's own if that is larger."""
    metric = METRICS[pruning.metric]
    own_sd = session_sd(metric, member, reference) if metric.quantile is not None else None
    return max(own_sd or 0.0, pair_se(max(1, calm_pairs(member, reference)), pruning.window_sd))


def _beside(member: Windows, reference: Windows) -> Windows:
    """Returns the reference with the blocks that the member had and no later ones."""
    last = member.windows[-1].block
    if reference.windows[-1].block <= last:
        return reference
    return replace(reference, windows=tuple(window for window in reference.windows if window.block <= last))
