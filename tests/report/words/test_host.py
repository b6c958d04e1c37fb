"""Tests of the lines about what the host did to a study."""

from __future__ import annotations

import pytest

from tests.statistics.test_disturbance import side
from tuner.bench.measurement import HostActivity
from tuner.report.words.host import disturbed_words, warning
from tuner.statistics.disturbance import count_disturbed


def test_disturbed_windows_are_counted_only_where_there_are_any() -> None:
    windows = side([100] * 6, busy=[1, 2]).windows
    words = disturbed_words(count_disturbed(windows), len(windows))
    assert words.startswith("disturbed by the host: 2 of 6 windows; their pairs do not count")
    assert "where they are most of a session they count" in disturbed_words(4, 6)
    assert disturbed_words(0, 6) == ""


def test_an_ordinary_host_is_not_warned_about() -> None:
    assert warning(HostActivity(other_cpu_pct=3.0, steal_pct=1.0, pressure_pct=50.0), when="now") == ""


@pytest.mark.parametrize(
    ("load", "cause", "remedy"),
    [
        (HostActivity(other_cpu_pct=33.3), "other processes used 33 % of the CPUs", "taskset -c, a cpuset"),
        (HostActivity(steal_pct=7.1), "the hypervisor gave 7 % of the CPUs to other guests", "a quieter hour"),
        (HostActivity(thermal_throttles=4), "heat slowed the CPUs down (4 x)", "cool the host"),
    ],
    ids=["other", "steal", "heat"],
)
def test_a_warning_says_what_happened_and_what_to_do(load: HostActivity, cause: str, remedy: str) -> None:
    words = warning(load, when="while the baselines were measured")
    assert words.startswith(f"warning: while the baselines were measured {cause}. What helps: ")
    assert remedy in words
    assert words.endswith("a longer budget, which averages over more")
    assert "\n" not in words


def test_what_was_known_is_not_warned_about_again_unless_it_became_much_worse() -> None:
    known = HostActivity(other_cpu_pct=20.0, steal_pct=0.5)
    assert warning(HostActivity(other_cpu_pct=39.0, steal_pct=1.9), when="now", beyond=known) == ""
    assert "other processes used 45 %" in warning(HostActivity(other_cpu_pct=45.0), when="now", beyond=known)
    assert "other guests" in warning(HostActivity(steal_pct=3.0), when="now", beyond=known)
