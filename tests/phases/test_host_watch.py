"""Pausing on a made-up host with a made-up clock: when, how long, what is said, and that the budget does not pay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.bench.conftest import request_of
from tests.virtual import LARGE, Listener, Meddler, Virtual, make_study
from tuner.bench.measurement import HostActivity, Session, Windows
from tuner.bench.protocol import Phase, SessionPlan
from tuner.bench.simulated.synthetic import CompileEffect, FakeClock, Noise, SyntheticBench
from tuner.phases.host_events import HostEvent
from tuner.phases.host_watch import HostWatch, NoWatch
from tuner.phases.order import run_phases
from tuner.records.session_log import SessionLine
from tuner.report.words.progress import event_lines
from tuner.study.baselines import baseline_configs

pytestmark = pytest.mark.slow

BUSY, CALM = HostActivity(other_cpu_pct=74.0), HostActivity(other_cpu_pct=2.0)
SESSION_S = 5.0


@dataclass(slots=True)
class Host:
    """A host with an activity for every second, seen by looks and by the windows of sessions that take five seconds."""

    activity: Callable[[float], HostActivity] = lambda now_s: CALM
    clock: FakeClock = field(default_factory=FakeClock)
    looks: int = 0
    heard: list[str] = field(default_factory=list)
    lines: list[SessionLine] = field(default_factory=list)
    limit_s: float = 60.0
    watch: HostWatch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = HostWatch(now=self.clock, sleep=self.clock.advance, sample_host=self.look, limit_s=self.limit_s)

    def look(self, seconds: float) -> HostActivity:
        self.looks += 1
        found = self.activity(self.clock())
        self.clock.advance(seconds)
        return replace(found, steal_pct=0.0, thermal_throttles=0)  # nothing computes

    def wait(self) -> float:
        """How long the next session has to wait."""
        begin_s = self.clock()
        self.watch.before_session(self.lines, self.hear)
        return self.clock() - begin_s

    def hear(self, event: HostEvent) -> None:
        self.heard += event_lines(event)

    def session(self, phase: Phase = "search") -> float:
        waited_s = self.wait()
        begin_s = self.clock()
        line = measured(phase)
        turns = [w for m in line.session.members if isinstance(m, Windows) for w in m.windows]
        activities = {w.turn: self.activity(begin_s + SESSION_S * w.turn / len(turns)) for w in turns}
        members = tuple(
            replace(
                member,
                windows=tuple(
                    replace(
                        w,
                        other_cpu_pct=activities[w.turn].other_cpu_pct,
                        steal_pct=activities[w.turn].steal_pct,
                        thermal_throttles=activities[w.turn].thermal_throttles,
                    )
                    for w in member.windows
                ),
            )
            for member in line.session.members
            if isinstance(member, Windows)
        )
        self.lines.append(replace(line, session=replace(line.session, members=members)))
        self.clock.advance(SESSION_S)
        return waited_s


def measured(phase: Phase) -> SessionLine:
    configs = list(baseline_configs(make_study()).values())[:2]
    session = SyntheticBench().measure(request_of(configs, SessionPlan(phase=phase, seed=1, blocks=4)))
    return SessionLine(
        phase=phase, attempt=1, index_in_phase=0, trials=(None,) * 2, assignments=(None,) * 2, session=session
    )


def busy_until(end_s: float, load: HostActivity = BUSY, *, from_s: float = 0.0) -> Callable[[float], HostActivity]:
    return lambda now_s: load if from_s <= now_s < end_s else CALM


def test_on_a_calm_host_one_look_is_all_that_watching_costs() -> None:
    host = Host()
    assert host.session("baselines") == 0.5
    assert [host.session() for _ in range(5)] == [0.0] * 5
    assert (host.looks, host.heard) == (1, [])


def test_a_busy_host_is_waited_for_and_both_ends_are_told() -> None:
    host = Host(busy_until(12.0))
    host.session("baselines")
    assert host.heard == [
        "paused: other processes use 74 % of the CPUs; waiting up to 60 s for them to calm",
        "calm again after 12 s: measuring goes on",
    ]
    assert host.clock() == pytest.approx(12.0 + 0.5 + SESSION_S, abs=0.5)


def test_a_host_that_turns_busy_during_a_session_pauses_the_study_before_the_next() -> None:
    host = Host(busy_until(30.0, from_s=8.0))
    host.session("baselines")
    assert host.session() == 0.0
    assert host.session() == pytest.approx(30.0 - 10.5, abs=1.0)
    assert host.heard[0].startswith("paused: ")
    assert host.heard[1].startswith("calm again")


def test_a_neighbour_that_is_gone_by_the_end_of_the_session_is_no_reason_to_wait() -> None:
    host = Host(busy_until(9.0, from_s=6.0))
    host.session("baselines")
    assert [host.session(), host.session()] == [0.0, 0.0]


def test_a_neighbour_that_is_gone_when_looked_for_costs_one_look_and_no_words() -> None:
    host = Host(busy_until(10.5, from_s=8.0))
    host.session("baselines")
    host.session()
    assert host.clock() == 10.5
    assert host.wait() == 0.5
    assert host.heard == []


def test_after_a_minute_measuring_goes_on_and_for_ten_minutes_there_is_no_other_pause() -> None:
    host = Host(lambda now_s: BUSY if now_s >= 8.0 else CALM)
    host.session("baselines")
    waits = [host.session() for _ in range(60)]
    assert max(waits) == pytest.approx(60.5)
    assert sum(w > 0.0 for w in waits) == 1
    assert host.heard[1] == "still busy after 60 s: measuring goes on, results are noisier"
    assert host.heard[2].startswith("warning: just now other processes used 74 % of the CPUs. What helps: ")
    assert len(host.heard) == 3, "once is enough"
    host.clock.advance(600.0)
    host.session()
    assert host.heard[3].startswith("paused: ")


def test_many_short_pauses_are_a_minute_together_at_most() -> None:
    """A neighbour that works for 25 seconds of every 35."""
    host = Host(lambda now_s: BUSY if now_s >= 8.0 and now_s % 35.0 < 25.0 else CALM)
    host.session("baselines")
    pauses_s = sum(max(0.0, host.session() - 0.5) for _ in range(60))
    assert pauses_s <= 60.0
    assert host.clock() < 600.0


def test_what_the_baselines_were_measured_under_is_no_reason_to_pause() -> None:
    permanent = HostActivity(other_cpu_pct=40.0)
    host = Host(lambda now_s: permanent, limit_s=0.0)
    host.session("baselines")
    host.watch.limit_s = 60.0
    assert [host.session() for _ in range(3)] == [0.0] * 3
    host.activity = lambda now_s: HostActivity(other_cpu_pct=81.0)
    host.session()
    assert host.session() > 0.0


@pytest.mark.parametrize(
    ("load", "why"),
    [
        (HostActivity(steal_pct=31.0), "paused: the hypervisor gives 31 % of the CPUs to other guests; waiting 10 s"),
        (HostActivity(thermal_throttles=1), "paused: the CPUs were slowed down by heat; waiting 10 s"),
    ],
    ids=["steal", "heat"],
)
def test_what_an_idle_process_cannot_see_is_given_a_rest(load: HostActivity, why: str) -> None:
    host = Host(busy_until(10.6, load, from_s=8.0))
    host.session("baselines")
    host.session()
    assert host.session() == 10.0
    assert host.heard == [why, "measuring goes on after 10 s"]
    assert host.session() == 0.0


def test_rests_too_are_a_minute_together_at_most() -> None:
    host = Host(lambda now_s: HostActivity(steal_pct=40.0) if now_s >= 4.0 else CALM)
    host.session("baselines")
    waits = [host.session() for _ in range(20)]
    assert sum(waits) == 60.0
    assert host.heard[-1].startswith("warning: just now the hypervisor gave 40 %")
    assert sum(words.startswith("warning") for words in host.heard) == 1


def test_a_short_budget_has_short_pauses_or_none() -> None:
    assert Host(lambda now_s: BUSY, limit_s=15.0).wait() == pytest.approx(15.0, abs=0.5)
    silent = Host(lambda now_s: BUSY, limit_s=0.1)
    assert (silent.wait(), silent.looks, silent.heard) == (0.0, 0, [])


def test_a_resumed_study_looks_at_the_host_and_not_at_yesterdays_windows() -> None:
    host = Host(busy_until(60.0))
    host.limit_s = 0.0
    host.lines = [replace(measured("baselines"))]
    host.clock.advance(3600.0)
    assert host.wait() == 0.5
    assert host.heard == []


def test_the_clock_of_the_study_stands_still_during_looks_and_pauses() -> None:
    host = Host(busy_until(20.0))
    host.wait()
    assert host.clock() >= 20.0
    assert host.watch.clock() == 0.0
    host.clock.advance(3.0)
    assert host.watch.clock() == 3.0


def test_an_interrupted_pause_does_not_count_either() -> None:
    host = Host(lambda now_s: BUSY)

    def interrupted(seconds: float) -> HostActivity:
        host.clock.advance(seconds)
        raise KeyboardInterrupt

    host.watch.sample_host = interrupted
    with pytest.raises(KeyboardInterrupt):
        host.wait()
    assert host.watch.clock() == 0.0


def test_without_a_host_there_is_nothing_to_wait_for(tmp_path: Path) -> None:
    assert isinstance(Virtual(folder=tmp_path).runner().watch, NoWatch)


def watched(
    folder: Path, look: Callable[[FakeClock, float], HostActivity], *, burst: bool
) -> tuple[Virtual, HostWatch]:
    """A whole study under a watch; with `burst`, the windows of its trials say that the host is busy."""
    # Without drift, which goes on during a pause: the same study sees the same noise with one and without.
    bench = SyntheticBench(effects=[Noise(0.01), CompileEffect(0.003)])
    study = Virtual(folder=folder, space=LARGE, study=make_study(minutes=3.0), bench=bench, listener=Listener())

    def disturb(plan: SessionPlan, session: Session) -> Session:
        if not burst or plan.phase != "search":
            return session
        members = tuple(
            replace(m, windows=tuple(replace(w, other_cpu_pct=74.0) for w in m.windows))
            if isinstance(m, Windows)
            else m
            for m in session.members
        )
        return replace(session, members=members)

    watch = HostWatch(
        now=study.clock, sleep=study.clock.advance, sample_host=lambda seconds: look(study.clock, seconds), limit_s=30.0
    )
    runner = study.runner(Meddler(study.bench, disturb))
    runner.clock, runner.watch = watch.clock, watch
    run_phases(runner, study.search())
    return study, watch


def test_a_pause_costs_the_search_no_trial(tmp_path: Path) -> None:
    def busy(clock: FakeClock, seconds: float) -> HostActivity:
        clock.advance(seconds)
        return BUSY

    def calm(clock: FakeClock, seconds: float) -> HostActivity:
        return CALM

    folders = [tmp_path / name for name in ("calm", "busy")]
    for folder in folders:
        folder.mkdir()
    one, _ = watched(folders[0], calm, burst=True)
    two, watch = watched(folders[1], busy, burst=True)
    assert two.clock() - watch.clock() > 30.0
    assert len(two.sessions("search")) == len(one.sessions("search")) > 3
    assert two.log().spent_s() == pytest.approx(one.log().spent_s(), rel=0.02)
    assert sum(line.startswith("paused: ") for line in two.listener.lines) == 1
