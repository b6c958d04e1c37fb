"""What a user is told of a model before anything is measured."""

from __future__ import annotations

from dataclasses import replace

from tuner.bench.model_behaviour import StateKept, TimeDependsOnData
from tuner.report.words.progress import event_lines

STATE = StateKept(variables=("k.0", "v.0", "k.1", "v.1"), steps=64, is_stated=False, timed_steps=64, step_s=0.01)


def test_a_state_is_told_with_its_variables_its_steps_and_the_key_that_sets_them() -> None:
    (line,) = event_lines(STATE)
    assert "(4 variables: k.0, v.0, k.1, ...)" in line
    assert "empties its state after every 64 inferences" in line
    assert line.endswith("write `load: {steps: N}` if a conversation has not 64 steps")
    (line,) = event_lines(replace(STATE, variables=("k.0", "v.0", "k.1"), is_stated=True))
    assert "(3 variables: k.0, v.0, k.1)" in line
    assert line.endswith("as the study says")


def test_steps_that_make_every_window_long_are_warned_about_with_fewer() -> None:
    _, line = event_lines(replace(STATE, timed_steps=9, step_s=0.3))
    assert line.startswith("warning: 64 steps take about 19 s")
    assert line.endswith("`load: {steps: 4}`")
    _, line = event_lines(replace(STATE, timed_steps=1, step_s=5.0))
    assert line.endswith("`load: {steps: 1}`")


def test_a_time_that_depends_on_the_data_is_told_with_both_times() -> None:
    (line,) = event_lines(TimeDependsOnData(fastest_s=0.0123, slowest_s=0.0456))
    assert "12.3 ms on one random input, 45.6 ms on another" in line
    assert "`range`" in line
