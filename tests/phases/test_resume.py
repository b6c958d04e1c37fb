"""Studies in virtual time that are interrupted, their files torn or deleted, and resumed by the same command."""

from __future__ import annotations

import copy
import itertools
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.virtual import (
    ARRIVING,
    LARGE,
    NULL_SPACE,
    ORDER,
    SMALL,
    TINY,
    Fuse,
    PhaseFuse,
    PowerCut,
    Virtual,
    flat,
    make_bench,
    make_study,
    numbers_of,
    parameter,
    space_of,
)
from tuner.bench.configuration import DeploymentConfig, Effective, Failure
from tuner.bench.measurement import Session
from tuner.bench.metrics import METRICS, Requirement
from tuner.bench.protocol import Progress, SessionRequest
from tuner.bench.simulated.synthetic import SyntheticBench
from tuner.search.optuna_study import UNRECORDED
from tuner.study.space import Space
from tuner.study.study import Study


@pytest.mark.parametrize("space", [TINY, LARGE])
def test_every_candidate_is_an_optuna_trial_with_its_whole_record(tmp_path: Path, space: Space) -> None:
    study = Virtual(folder=tmp_path, space=space, study=make_study(minutes=None, trials=5))
    study.run()
    trials = {trial.number: trial for trial in study.trials()}
    lines = study.sessions("race", "search")
    measured = set(numbers_of(lines))
    assert measured
    for line in lines:
        for number, assignment, config in zip(line.trials, line.assignments, line.session.configurations, strict=True):
            if number is None:
                continue
            trial = trials[number]
            assert trial.assignment == assignment
            assert trial.state == ("complete" if trial.failure is None else "fail")
            if trial.failure is not None:
                continue
            assert trial.record["config"]["properties"] == dict(config.properties)  # type: ignore[index]
            assert set(trial.record["metrics"]) == {*USUAL, "requests"}  # type: ignore[call-overload]
    assert all("same_as" in trials[n].record for n in trials.keys() - measured)


USUAL = {name for name, row in METRICS.items() if Requirement.COLD_START not in row.requires and name not in ARRIVING}
"""What every window tells, without starts."""
EIGHT = space_of(parameter("NUM_STREAMS", 2, 5, 7, 8), parameter("infer_requests", 8, 16))
RESUMED = {
    "straight": (TINY, make_study(minutes=2.0)),
    "raced": (EIGHT, make_study(minutes=4.0, sampler="race")),
    "sampled": (SMALL, make_study(minutes=None, trials=4, sampler="random")),
}
"""A race of one session, a race of two, and trials of a sampler."""


def check_resumed(study: Virtual) -> None:
    """What must hold of a record however often its study was interrupted."""
    log = study.log()
    lines = log.sessions(*ORDER)
    steps = [(line.attempt, line.phase, line.index_in_phase) for line in lines]
    assert len(set(steps)) == len(steps), "nothing is measured twice"
    for phase in ORDER:
        assert [line.index_in_phase for line in lines if line.phase == phase] == list(range(len(log.sessions(phase))))
    assert [line.phase for line in lines] == sorted((line.phase for line in lines), key=ORDER.index)
    heads = [line for line in log if line.kind in ("confirmation", "front")]
    assert len(heads) <= 1, "the number of sessions is fixed once"
    most = [line.max_sessions if line.kind == "confirmation" else line.sessions for line in heads]
    assert len(log.sessions("confirm")) <= sum(most)
    assert len(log.verdicts()) == 1
    finals = [set(numbers_of([line])) for line in log.sessions("final")]
    if study.study.objective.has_several:
        assert all(not earlier & later for earlier, later in itertools.combinations(finals, 2))
    if study.study.budget.minutes is not None:
        longest_s = max(line.session.wall_s for line in lines)
        assert log.spent_s() <= 60 * study.study.budget.minutes + longest_s
    if study.study.budget.trials is not None:
        assert len(set(numbers_of(log.sessions("race", "search")))) == study.study.budget.trials
    trials = study.trials()
    assert all(trial.state != "running" for trial in trials)
    for number in set(numbers_of(lines)):
        assert trials[number].state == "complete"
    unrecorded = {trial.number for trial in trials if trial.failure == UNRECORDED}
    assert not unrecorded & set(numbers_of(lines))
    if study.has_database:
        names = {"complete": "COMPLETE", "fail": "FAIL"}
        assert states_in(study.db_path) == [(t.number, names[t.state]) for t in trials]


def states_in(path: Path) -> list[tuple[int, str]]:
    """Number and state of every trial, as any program reads them from study.db."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT number, state FROM trials ORDER BY number").fetchall()


def tear(path: Path) -> None:
    """Half of the last line, as `kill -9` in the middle of an append leaves it."""
    data = path.read_bytes()
    begin = data.rstrip(b"\n").rfind(b"\n") + 1
    path.write_bytes(data[: (begin + len(data)) // 2])


def forget(study: Virtual) -> None:
    for file in study.folder.glob("study.db*"):
        file.unlink()


def resume_to_the_end(study: Virtual, *, calls: int, damage: Callable[[Virtual], None]) -> int:
    """Interrupts before every `calls`-th session of every run. Returns how many runs it took."""
    for runs in range(1, 100):
        try:
            study.run(Fuse(study.bench, calls))
        except PowerCut:
            damage(study)
        else:
            return runs
    raise AssertionError("no progress")


def leave(study: Virtual) -> None:
    """A clean cut."""


def check_parts(folder: Path, space: Space, plan: Study) -> None:
    """A study in parts measures what the same study does as a whole."""
    measured = []
    for name, calls in (("whole", 1000), ("parts", 2)):
        (folder / name).mkdir()
        study = Virtual(folder=folder / name, space=space, study=plan)
        resume_to_the_end(study, calls=calls, damage=leave)
        measured.append([line.session for line in study.sessions()])
    assert measured[0] == measured[1]


def tear_log(study: Virtual) -> None:
    tear(study.log_path)


@pytest.mark.parametrize(
    ("name", "damage", "calls"),
    [
        ("raced", leave, 2),
        pytest.param("straight", tear_log, 3, marks=pytest.mark.slow),
        pytest.param("sampled", tear_log, 3, marks=pytest.mark.slow),
        pytest.param("sampled", leave, 2, marks=pytest.mark.slow),
        pytest.param("straight", leave, 2, marks=pytest.mark.slow),
        pytest.param("raced", tear_log, 3, marks=pytest.mark.slow),
    ],
)
def test_a_study_interrupted_before_every_session_still_ends(
    tmp_path: Path, name: str, damage: Callable[[Virtual], None], calls: int
) -> None:
    space, plan = RESUMED[name]
    study = Virtual(folder=tmp_path, space=space, study=plan)
    assert resume_to_the_end(study, calls=calls, damage=damage) >= 4
    check_resumed(study)


@dataclass(slots=True)
class Camera:
    """A bench that keeps what `kill -9` before each session would leave on disk, files of an open database and all, and
    with it the state of the host."""

    study: Virtual
    album: Path
    hosts: list[SyntheticBench] = field(default_factory=list)

    def resolve(self, config: DeploymentConfig) -> Effective | Failure:
        return self.study.bench.resolve(config)

    def measure(self, request: SessionRequest, progress: Progress | None = None) -> Session:
        shutil.copytree(self.study.folder, self.album / str(len(self.hosts)))
        self.hosts.append(copy.deepcopy(replace(self.study.bench, sessions=[])))
        return self.study.bench.measure(request, progress)


def photographed(folder: Path, name: str, *, has_database: bool) -> tuple[Virtual, Camera]:
    space, plan = RESUMED[name]
    (folder / "whole").mkdir()
    study = Virtual(folder=folder / "whole", space=space, study=plan, has_database=has_database)
    camera = Camera(study, folder / "album")
    study.run(camera)
    return study, camera


def resume_from(camera: Camera, number: int, damage: Callable[[Virtual], None]) -> None:
    """Killed before this session of the study, damaged, and resumed to its end."""
    folder = camera.album / f"{number}-{damage.__name__}"
    shutil.copytree(camera.album / str(number), folder)
    study = replace(camera.study, folder=folder, bench=copy.deepcopy(camera.hosts[number]))
    damage(study)
    study.run()
    check_resumed(study)


@pytest.mark.slow
def test_a_kill_before_any_phase_changes_nothing_that_matters(tmp_path: Path) -> None:
    study, camera = photographed(tmp_path, "sampled", has_database=True)
    phases = study.phases()
    for phase, damage in zip(dict.fromkeys(phases), itertools.cycle((leave, tear_log, forget)), strict=False):
        resume_from(camera, phases.index(phase), damage)


@pytest.mark.slow
@pytest.mark.parametrize("name", RESUMED)
def test_a_kill_before_any_session_changes_nothing_that_matters(tmp_path: Path, name: str) -> None:
    _, camera = photographed(tmp_path, name, has_database=False)
    assert len(camera.hosts) >= 6
    for number in range(len(camera.hosts)):
        resume_from(camera, number, tear_log if number % 2 else leave)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["straight", "raced"])
def test_an_interrupted_race_measures_what_an_uninterrupted_one_measures(tmp_path: Path, name: str) -> None:
    check_parts(tmp_path, *RESUMED[name])


@pytest.mark.slow
def test_a_torn_verdict_is_written_again_without_a_session(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path)
    before = study.run()
    tear(study.log_path)
    after = study.run(Fuse(study.bench, 1))
    assert after.line == before.line
    check_resumed(study)


@pytest.mark.slow
def test_the_number_of_sessions_stays_whatever_budget_a_confirmation_is_resumed_with(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path, bench=make_bench(1, surface=flat), space=NULL_SPACE)
    with pytest.raises(PowerCut):
        study.run(PhaseFuse(study.bench, "confirm", 2))
    head = study.log().confirmation(1)
    assert head is not None
    study.study = make_study(minutes=30.0)
    study.run()
    assert study.log().confirmation(1) == head
    assert len(study.sessions("confirm")) <= head.looks[-1]


@pytest.mark.slow
def test_a_final_that_has_begun_is_not_followed_by_more_search(tmp_path: Path) -> None:
    """The time that proposing took is not on record: after a resume the search might think that it has time left."""
    study = Virtual(folder=tmp_path, space=LARGE, study=make_study(minutes=6.0, trials=6))
    with pytest.raises(PowerCut):
        study.run(PhaseFuse(study.bench, "confirm", 1))
    assert study.sessions("final")
    study.study = make_study(minutes=6.0, trials=60)
    study.run()
    assert len(numbers_of(study.sessions("search"))) == 6


def test_a_resumed_study_says_where_it_stands(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path)
    with pytest.raises(PowerCut):
        study.run(Fuse(study.bench, 3))
    assert not [line for line in study.listener.lines if line.startswith("resuming")]
    study.run()
    (line,) = [line for line in study.listener.lines if line.startswith("resuming")]
    assert line.startswith("resuming: 2 sessions on record, phase ")
    assert line.endswith(" s left")
