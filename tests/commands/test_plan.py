"""What `tuner run --plan` says before and after the baselines, without measuring."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.virtual import Virtual, make_study
from tuner.bench.configuration import Conditions
from tuner.commands.plan import plan_events
from tuner.phases.runner import SessionRunner
from tuner.report.words.opening import wanted_words
from tuner.report.words.progress import event_lines
from tuner.statistics.power import smallest_provable_gain_pct
from tuner.statistics.sequential_test import gain_log
from tuner.study.setup import KnownNoise

pytestmark = pytest.mark.slow


def plan_lines(runner: SessionRunner) -> list[str]:
    return [line for event in plan_events(runner) for line in event_lines(event)]


def test_before_the_baselines_the_plan_rests_on_the_usual_noise(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path)
    lines = plan_lines(study.runner())
    assert lines[0] == "baselines: default; LATENCY; THROUGHPUT"
    gain = smallest_provable_gain_pct(0.015, 4, min_gain_log=gain_log(1.0))
    assert f"provable with the usual noise (1.5 %): a gain of {gain:.1f} % or more" in lines
    assert study.sessions() == []


def test_what_an_earlier_study_of_today_found_takes_the_place_of_the_usual_noise(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path, known_noise=KnownNoise(session_sd=0.06, df=8))
    (line,) = (line for line in plan_lines(study.runner()) if line.startswith("provable"))
    gain = smallest_provable_gain_pct(0.06, 4, min_gain_log=gain_log(1.0))
    assert (
        line == f"provable with the noise that an earlier study of today found (6.0 %): a gain of {gain:.1f} % or more"
    )


def test_under_a_quota_the_plan_has_the_longer_windows(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path, study=make_study(minutes=10.0))
    limited = replace(study, cpu_quota=1.0)
    plans = [next(x for x in plan_lines(s.runner()) if x.startswith("plan")) for s in (study, limited)]
    assert "confirmation 120 s (at most 12 sessions)" in plans[0]
    assert "confirmation 235 s (at most 12 sessions)" in plans[1]


def test_the_processes_of_replicas_take_their_time_in_the_plan(tmp_path: Path) -> None:
    study = make_study(minutes=10.0)
    replicas = replace(study, conditions=Conditions(replicas=2))
    virtual = Virtual(folder=tmp_path, study=replicas)
    plan = next(line for line in plan_lines(virtual.runner()) if line.startswith("plan"))
    assert "confirmation 168 s (at most 12 sessions)" in plan
    assert (study.has_own_processes, replicas.has_own_processes) == (False, True)
    assert replace(study, conditions=Conditions(memory_bytes=1 << 30)).has_own_processes
    assert make_study(metric="peak_memory_mb").has_own_processes


def test_after_the_baselines_the_plan_is_that_of_the_record(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path)
    study.run()
    assert plan_lines(study.runner())[-1].startswith("finished before: ")
    larger = replace(study, study=make_study(minutes=5.0))
    assert any("sessions of a configuration against itself differ by" in line for line in plan_lines(larger.runner()))


@pytest.mark.parametrize(
    ("callers", "words"),
    [
        ((), "load: one caller that waits for each answer (`load: {callers: N}` states more)"),
        ((4,), "load: 4 callers that wait for their answers"),
        ((1, 2, 4), "load: 1, 2 and 4 callers that wait for their answers, the worst of which counts"),
    ],
)
def test_the_plan_of_a_latency_says_for_which_callers_it_is(
    tmp_path: Path, callers: tuple[int, ...], words: str
) -> None:
    study = replace(make_study(metric="latency_p99_ms"), callers=callers)
    assert plan_lines(Virtual(folder=tmp_path, study=study).runner())[0] == words
    assert words.removeprefix("load: ") in wanted_words(study)


def test_the_plan_of_a_throughput_says_nothing_of_callers(tmp_path: Path) -> None:
    assert not [line for line in plan_lines(Virtual(folder=tmp_path).runner()) if "caller" in line]
