"""Which members of a session go on: a pure function of a rule and of the windows so far."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.bench.conftest import window
from tuner.bench.configuration import Effective, Failure, FailureKind
from tuner.bench.measurement import Windows
from tuner.bench.protocol import Precision, Pruning, StopRule
from tuner.bench.session.stopping import active

BAD = Failure(kind=FailureKind.CRASH, message="boom")
EFFECTIVE = Effective(properties={}, batch_size=1, infer_requests=1)


def member(blocks: int, *, requests: int = 10, speed: float = 1.0) -> Windows:
    """Blocks of windows of 1 s / `speed`, each with so many requests."""
    windows = tuple(window([1.0] * requests, duration_s=1.0 / speed, block=block) for block in range(blocks))
    return Windows(effective=EFFECTIVE, windows=windows, compile_s=0.0)


def pruning(*looks_s: float, incumbent_gain: float = 0.0) -> Pruning:
    return Pruning(metric="throughput", looks_s=looks_s, incumbent_gain=incumbent_gain, window_sd=0.02)


NEVER = StopRule(min_windows=99)


def test_all_go_on_until_they_have_their_windows() -> None:
    rule = StopRule(min_windows=3)
    assert active(rule, [member(2)] * 3) == {0, 1, 2}
    assert active(rule, [member(3)] * 3) == frozenset()


def test_a_reference_goes_on_with_no_other_member_and_none_goes_on_without_a_reference() -> None:
    assert active(NEVER, [member(2), member(2), BAD]) == {0, 1}
    assert active(NEVER, [member(2), BAD, BAD]) == frozenset()
    assert active(NEVER, [BAD, member(2), member(2)]) == frozenset()


def test_requests_are_counted_on_both_sides() -> None:
    rule = StopRule(min_requests=30)
    few, many = member(3, requests=9), member(3, requests=10)
    assert active(rule, [many, few]) == {0, 1}
    assert active(rule, [few, many]) == {0, 1}
    assert active(rule, [many, many, few]) == {0, 2}
    assert active(replace(rule, cap_s=6.0), [few, few]) == frozenset(), "the cap ends what has too few"


def test_members_that_end_together_wait_for_the_last() -> None:
    rule = StopRule(min_requests=30, ends_together=True)
    few, many = member(3, requests=9), member(3)
    assert active(rule, [many, many, few, BAD]) == {0, 1, 2}
    assert active(rule, [many, many, many, BAD]) == frozenset()


def test_a_member_far_behind_is_pruned_at_a_look_and_only_then() -> None:
    rule = StopRule(min_windows=99, pruning=pruning(4.5))
    assert active(rule, [member(1), member(1, speed=0.5)]) == {0, 1}
    assert active(rule, [member(2), member(2, speed=0.5), member(2)]) == {0, 2}
    assert active(rule, [member(3), member(3, speed=0.5)]) == {0, 1}, "the look was in an earlier block"


def test_what_is_far_behind_the_incumbent_is_pruned_though_it_equals_the_reference() -> None:
    both = [member(2), member(2)]
    assert active(StopRule(min_windows=99, pruning=pruning(4.0)), both) == {0, 1}
    assert active(StopRule(min_windows=99, pruning=pruning(4.0, incumbent_gain=0.5)), both) == frozenset()


def test_a_member_that_has_ended_stays_ended_while_the_reference_goes_on() -> None:
    rule = StopRule(min_windows=99, pruning=pruning(4.0))
    for blocks in range(2, 9):
        assert active(rule, [member(blocks), member(2, speed=0.5), member(blocks)]) == {0, 2}


@pytest.mark.parametrize(("blocks", "is_going"), [(1, True), (3, True), (4, False), (9, False)])
def test_a_precise_member_ends(blocks: int, is_going: bool) -> None:
    rule = StopRule(precision=Precision(from_s=3.0, cap_pairs=99, window_sd=0.04))
    assert (1 in active(rule, [member(blocks), member(blocks)])) == is_going, "0.04 / sqrt(4) is precise"


def test_precision_waits_for_its_time_and_for_requests() -> None:
    sharp = Precision(from_s=6.5, cap_pairs=99, window_sd=0.001)
    assert active(StopRule(precision=sharp), [member(3), member(3)]) == {0, 1}
    assert active(StopRule(precision=sharp), [member(4), member(4)]) == frozenset()
    assert active(StopRule(precision=sharp, min_requests=50), [member(4), member(4)]) == {0, 1}
