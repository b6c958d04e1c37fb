"""Tests of how time is divided."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.bench.measurement import Costs
from tuner.evidence.session_cost import SessionCost, measured_cost, usual_cost
from tuner.planning.budget import FULL_FINAL, NO_FINAL, SMALL_FINAL, SessionTerms, StudyPlan, plan_budget
from tuner.report.words.progress import plan_lines

TEN_SECONDS = SessionCost()
EIGHT_SECONDS = SessionCost(fixed_s=0.0, turn_s=0.1)


def budget_plan(
    total_s: float | None, cost: SessionCost, *, min_window_s: float = 0.3, baselines_s: float | None = None
) -> StudyPlan:
    return plan_budget(total_s, SessionTerms(cost=cost, min_window_s=min_window_s, baselines_s=baselines_s))


# Costs


def test_the_usual_session_takes_ten_seconds_and_a_short_one_about_six() -> None:
    assert TEN_SECONDS.of(8, 0.4) == pytest.approx(10.0)
    assert TEN_SECONDS.of(6, 0.3) == pytest.approx(6.8)


def test_the_measured_cost_is_scaled_to_two_members() -> None:
    costs = Costs(start_s=1.0, compile_s=3.0, warm_up_s=3.0, timed_s=12.0)
    found = measured_cost(costs, wall_s=20.0, members=3, turns=24, window_s=0.4)
    assert found.fixed_s == pytest.approx(1.0 + 1.0 + 4.0)
    assert found.turn_s == pytest.approx(0.1)


def test_members_with_own_processes_each_take_their_start() -> None:
    costs = Costs(start_s=4.0, compile_s=1.0, warm_up_s=9.0, timed_s=7.6)
    shared, apart = (
        measured_cost(costs, wall_s=22.0, members=4, turns=12, window_s=0.4, has_own_processes=has_own_processes)
        for has_own_processes in (False, True)
    )
    assert shared.fixed_s - apart.fixed_s == pytest.approx(2.0), "of four that started two are in a session of two"


def test_the_usual_cost_of_replicas_is_about_what_was_measured() -> None:
    """Squeezenet on two busy CPUs, fresh sessions of two: 4.7 to 5.0 s beside the turns of two replicas and 6.5 of
    three, 0.24 s beside each window."""
    assert usual_cost() == usual_cost(replicas=1) == SessionCost()
    assert usual_cost(has_own_processes=True).fixed_s == pytest.approx(2.6)
    two, three = (usual_cost(replicas=n, has_own_processes=True) for n in (2, 3))
    assert (two.fixed_s, two.turn_s) == pytest.approx((4.4, 0.2))
    assert (three.fixed_s, three.turn_s) == pytest.approx((5.6, 0.2))


def test_a_cost_without_turns_is_refused() -> None:
    with pytest.raises(ValueError, match="a turn"):
        measured_cost(Costs(), wall_s=1.0, members=2, turns=0, window_s=0.4)


# The plan. The examples of the protocol were made with sessions of 6.3, 8 and 8.3 s.


def test_four_short_sessions_of_6_3_s_need_42_s() -> None:
    plan = budget_plan(42.0, SessionCost(fixed_s=1.5, turn_s=0.1))
    assert (plan.max_sessions, plan.pairs, plan.window_s) == (4, 6, 0.3)
    assert plan.overrun_s == 0.0
    assert plan.final == NO_FINAL
    assert (plan.baselines_s, plan.search_s, plan.confirm_s) == pytest.approx((4.2, 12.6, 25.2))
    shorter = budget_plan(41.0, SessionCost(fixed_s=1.5, turn_s=0.1))
    assert (shorter.pairs, shorter.overrun_s) == (4, 0.0)


def test_a_minute_with_sessions_of_8_s_is_divided_into_6_22_and_32_s() -> None:
    plan = budget_plan(60.0, EIGHT_SECONDS)
    assert (plan.max_sessions, plan.pairs, plan.window_s) == (4, 8, 0.4)
    assert (plan.baselines_s, plan.search_s, plan.final_s, plan.confirm_s) == pytest.approx((6.0, 22.0, 0.0, 32.0))
    assert plan_lines(plan) == []
    assert not plan.is_short


def test_two_minutes_hold_a_small_final_and_six_sessions_of_8_s() -> None:
    plan = budget_plan(120.0, EIGHT_SECONDS)
    assert (plan.max_sessions, plan.final) == (6, SMALL_FINAL)
    assert (plan.baselines_s, plan.search_s, plan.final_s, plan.confirm_s) == pytest.approx((12.0, 52.0, 8.0, 48.0))


def test_a_small_final_takes_about_nine_seconds() -> None:
    assert budget_plan(120.0, SessionCost(fixed_s=0.6)).final_s == pytest.approx(9.2)


def test_a_minute_with_sessions_of_10_s_has_shorter_sessions() -> None:
    plan = budget_plan(60.0, TEN_SECONDS)
    assert (plan.max_sessions, plan.pairs, plan.window_s) == (4, 6, 0.3)
    assert plan.overrun_s == 0.0
    assert plan.is_short
    assert "6 pairs of 0.3 s" in plan_lines(plan)[0]


def test_a_full_final_measures_the_baselines_beside_the_best_candidates() -> None:
    assert (SMALL_FINAL.top, SMALL_FINAL.blocks, SMALL_FINAL.has_baselines) == (3, 4, False)
    assert (FULL_FINAL.top, FULL_FINAL.blocks, FULL_FINAL.has_baselines) == (3, 4, True)


def test_five_minutes_hold_the_full_final_and_twelve_sessions() -> None:
    plan = budget_plan(300.0, TEN_SECONDS)
    assert (plan.final, plan.max_sessions, plan.pairs) == (FULL_FINAL, 12, 8)
    # 4 blocks of 3 + 3 members, 0.5 s each; 6 members started.
    assert plan.final_s == pytest.approx(24 * 0.5 + 6 * 1.0)


def test_a_plan_overruns_a_budget_too_small_for_four_short_sessions() -> None:
    plan = budget_plan(20.0, TEN_SECONDS)
    assert plan.overrun_s > 0.0
    assert plan.max_sessions == 4
    assert plan.overrun_s == pytest.approx(4 * 5.2 - 12.0)
    assert plan.search_s == pytest.approx(20.0 * 0.3)
    assert "9 s longer" in plan_lines(plan)[-1]


def test_the_final_is_smaller_if_slow_windows_would_make_it_longer_than_the_search() -> None:
    plan = budget_plan(300.0, SessionCost(fixed_s=10.0, turn_s=0.3), min_window_s=2.0)
    assert plan.window_s == 2.0
    assert plan.final != FULL_FINAL
    assert plan.search_s is not None
    assert plan.search_s >= plan.final_s
    assert plan.is_final_smaller
    assert "final is smaller" in plan_lines(plan)[-1]


def test_the_search_gains_or_loses_the_time_by_which_baselines_differ_from_the_plan() -> None:
    planned, cheap, dear = (budget_plan(300.0, TEN_SECONDS, baselines_s=s) for s in (None, 10.0, 50.0))
    assert planned.search_s is not None
    assert cheap.search_s == pytest.approx(planned.search_s + 20.0)
    assert dear.search_s == pytest.approx(planned.search_s - 20.0)


def test_a_budget_of_trials_alone_has_six_sessions_and_the_full_final() -> None:
    plan = budget_plan(None, TEN_SECONDS)
    assert (plan.max_sessions, plan.final, plan.search_s, plan.total_s) == (6, FULL_FINAL, None, None)
    assert plan.confirm_s == pytest.approx(60.0)
    assert plan.overrun_s == 0.0


budgets = st.floats(min_value=1.0, max_value=7200.0)
costs_of_sessions = st.builds(SessionCost, fixed_s=st.floats(0.0, 60.0), turn_s=st.floats(0.0, 1.0))


@given(budgets, costs_of_sessions, st.floats(0.3, 3.0))
def test_the_parts_of_a_plan_fill_the_budget_and_what_it_overruns(
    total_s: float, cost: SessionCost, window_s: float
) -> None:
    plan = budget_plan(total_s, cost, min_window_s=window_s)
    assert plan.search_s is not None
    assert min(plan.search_s, plan.final_s, plan.overrun_s) >= 0.0
    parts = plan.baselines_s + plan.search_s + plan.final_s + plan.confirm_s
    assert parts == pytest.approx(total_s + plan.overrun_s)
    assert plan.search_s + plan.final_s >= 0.3 * total_s - 1e-6
    assert plan.max_sessions in (4, 6, 9, 12)
    assert plan.window_s >= window_s
    assert plan.confirm_s <= max(0.6 * total_s, 4 * plan.session_cost_s) + 1e-6
    assert (plan.overrun_s > 0.0) == (plan.confirm_s > 0.6 * total_s + 1e-9)


@given(budgets, costs_of_sessions)
def test_a_larger_budget_never_proves_less(total_s: float, cost: SessionCost) -> None:
    smaller, larger = budget_plan(total_s, cost), budget_plan(2.0 * total_s, cost)
    assert larger.max_sessions * larger.pairs >= smaller.max_sessions * smaller.pairs
