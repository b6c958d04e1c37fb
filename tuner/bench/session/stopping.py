"""Which members of a session go on after a block, by a rule that is data.

Pure: the answer follows from the rule and the windows so far. Must not know how a session is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tuner.bench.configuration import Failure
from tuner.bench.measurement import Windows
from tuner.bench.metrics import METRICS, block_count, request_count
from tuner.bench.protocol import Pruning, StopRule
from tuner.statistics.disturbance import calm_pairs
from tuner.statistics.early_stopping import is_precise, is_pruned
from tuner.statistics.session_effect import session_value


def active(rule: StopRule, members: Sequence[Windows | Failure]) -> frozenset[int]:
    """Returns the indices of the members that go on; empty if the session ends.

    `members[0]` is the reference: it goes on while another member does. A member that has ended stays ended, because
    only the blocks that it had are read.
    """
    reference, *others = members
    if isinstance(reference, Failure):
        return frozenset()
    ran = {i: member for i, member in enumerate(others, start=1) if isinstance(member, Windows)}
    going = [i for i, member in ran.items() if not is_done(rule, member, _beside(member, reference))]
    if rule.ends_together and going:
        going = list(ran)
    return frozenset((0, *going)) if going else frozenset()


def is_done(rule: StopRule, member: Windows, reference: Windows) -> bool:
    """Returns True if a member that has run beside the reference has ended."""
    timed_s = sum(window.timed_s for side in (reference, member) for window in side.windows)
    if rule.pruning is not None and _is_pruned(rule.pruning, member, reference, timed_s):
        return True
    if rule.cap_s is not None and timed_s >= rule.cap_s:
        return True
    if block_count(member.windows) < rule.min_windows:
        return False
    if min(request_count(side.windows) for side in (reference, member)) < rule.min_requests:
        return False
    if (precision := rule.precision) is None:
        return True
    pairs = calm_pairs(member, reference)
    return timed_s >= precision.from_s and is_precise(pairs, precision.window_sd, precision.cap_pairs)


def _is_pruned(pruning: Pruning, member: Windows, reference: Windows, timed_s: float) -> bool:
    """Returns True if this block holds an interim analysis and the member is far behind in it."""
    before_s = timed_s - reference.windows[-1].timed_s - member.windows[-1].timed_s
    if not any(before_s < look_s <= timed_s for look_s in pruning.looks_s):
        return False
    value = session_value(METRICS[pruning.metric], member, reference, min_requests=1)
    pairs = calm_pairs(member, reference)
    return value is not None and is_pruned(value, pruning.incumbent_gain, pairs, pruning.window_sd)


def _beside(member: Windows, reference: Windows) -> Windows:
    """Returns the reference with the blocks that the member had and no later ones."""
    last = member.windows[-1].block
    if reference.windows[-1].block <= last:
        return reference
    return replace(reference, windows=tuple(window for window in reference.windows if window.block <= last))
