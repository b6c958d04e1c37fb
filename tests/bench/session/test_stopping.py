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


def pruning(*, incumbent_gain: float = 0.0, among_members: bool = True) -> Pruning:
    return Pruning(
        metric="throughput",
        incumbent_gain=incumbent_gain,
        incumbent_sd=0.0,
        window_sd=0.02,
        among_members=among_members,
    )


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


def test_a_member_far_behind_is_pruned_after_its_first_window() -> None:
    rule = StopRule(min_windows=99, pruning=pruning())
    assert active(rule, [member(1), member(1, speed=0.5), member(1)]) == {0, 2}
    assert active(rule, [member(1), member(1, speed=0.97)]) == {0, 1}, "0.02 and the difference of two compiles"


def test_what_is_far_behind_the_incumbent_is_pruned_though_it_equals_the_reference() -> None:
    both = [member(2), member(2)]
    assert active(StopRule(min_windows=99, pruning=pruning()), both) == {0, 1}
    assert active(StopRule(min_windows=99, pruning=pruning(incumbent_gain=0.5)), both) == frozenset()


def test_what_is_far_behind_another_member_is_pruned_unless_that_may_break_a_limit() -> None:
    members = [member(1), member(1), member(1, speed=2.0)]
    assert active(StopRule(min_windows=99, pruning=pruning()), members) == {0, 2}
    assert active(StopRule(min_windows=99, pruning=pruning(among_members=False)), members) == {0, 1, 2}


def test_a_member_that_has_ended_stays_ended_while_the_reference_goes_on() -> None:
    rule = StopRule(min_windows=99)
    for blocks in range(2, 9):
        assert active(rule, [member(blocks), member(1), member(blocks)]) == {0, 2}


def test_the_best_prunes_others_also_after_it_has_ended() -> None:
    rule = StopRule(min_windows=99, pruning=pruning())
    assert active(rule, [member(3), member(2, speed=2.0), member(3)]) == frozenset()


@pytest.mark.parametrize(("blocks", "is_going"), [(1, True), (3, True), (4, False), (9, False)])
def test_a_precise_member_ends(blocks: int, is_going: bool) -> None:
    rule = StopRule(precision=Precision(cap_pairs=99, window_sd=0.04))
    assert (1 in active(rule, [member(blocks), member(blocks)])) == is_going, "0.04 / sqrt(4) is precise"


def test_precision_waits_for_requests() -> None:
    sharp = Precision(cap_pairs=99, window_sd=0.001)
    assert active(StopRule(precision=sharp), [member(1), member(1)]) == frozenset()
    assert active(StopRule(precision=sharp, min_requests=50), [member(4), member(4)]) == {0, 1}
