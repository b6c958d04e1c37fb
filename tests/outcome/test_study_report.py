"""A study read back from its folder alone: at every moment of its life, and when its files are damaged."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.outcome.test_best_config import HOST, best_of
from tests.virtual import ARRIVING, Meddler, PhaseFuse, PowerCut, Virtual, crash, make_study, streams
from tuner.bench.measurement import Session, Windows
from tuner.bench.metrics import METRICS, Requirement
from tuner.bench.protocol import Phase, SessionPlan
from tuner.deploy.best_file import write_best
from tuner.errors import InputError, NoAnswerError, RecordError
from tuner.evidence.candidates import ranked
from tuner.outcome.metrics_table import final_metrics
from tuner.outcome.study_report import StudyReport, read_finished
from tuner.records.folder import write_text
from tuner.records.identity import check_identity
from tuner.report.outcome import end_lines
from tuner.report.study import study_lines
from tuner.report.study_json import study_json
from tuner.study.study import Budget

USUAL = {name for name, row in METRICS.items() if Requirement.COLD_START not in row.requires and name not in ARRIVING}
"""What every window tells, without starts."""
pytestmark = pytest.mark.slow

TEXT = """\
schema_version: 1
name: another-name
model: builtin:mlp
device: CPU
objective: {maximize: throughput, subject_to: {latency_p90_ms: {max: 100}}}
baselines: {today: {INFERENCE_NUM_THREADS: 7}}
space:
  NUM_STREAMS: {choices: [1, 4, 8]}
  infer_requests: {choices: [8, 16]}
budget: {minutes: 6}
"""


def virtual(folder: Path) -> Virtual:
    """A folder as `tuner run` leaves it before the first session."""
    from tuner.study.file.loader import load_study

    write_text(folder / "study.yaml", TEXT)
    check_identity(folder, {}, asdict(HOST))
    return Virtual(folder=folder, study=load_study(folder / "study.yaml"))


def test_before_the_first_session_there_is_a_study_and_nothing_else(tmp_path: Path) -> None:
    virtual(tmp_path)
    found = StudyReport.read(tmp_path)
    assert (found.study.name, found.study.objective.metric) == (tmp_path.name, "throughput")
    assert found.environment["cpu_model"] == "Made-up"
    assert (found.reference, found.result, found.best) == (None, None, None)
    assert (found.baselines, found.candidates, found.failures, found.spent_s) == ({}, [], [], 0.0)
    assert not (tmp_path / "sessions.jsonl").exists(), "looking leaves no trace"


@pytest.mark.parametrize("phase", ["race", "final", "confirm"])
def test_in_the_middle_of_a_study_what_is_known_so_far_is_shown(tmp_path: Path, phase: Phase) -> None:
    study = virtual(tmp_path)
    with pytest.raises(PowerCut):
        study.run(PhaseFuse(study.bench, phase, 1))
    before = study.log_path.read_bytes()
    found = StudyReport.read(tmp_path)
    assert study.log_path.read_bytes() == before
    assert found.reference is not None
    assert found.reference.name in found.baselines
    assert set(found.baselines) == {"default", "LATENCY", "THROUGHPUT", "today"}
    assert all(set(metrics.values) == USUAL for metrics in found.baselines.values())
    assert len(found.candidates) == (0 if phase == "race" else 6)
    assert found.spent_s == pytest.approx(study.log().spent_s())
    assert found.result is None


def test_a_finished_study_shows_candidates_best_first_the_failures_and_the_verdict(tmp_path: Path) -> None:
    study = virtual(tmp_path)
    study.bench.failure_of = lambda c: crash("boom") if streams(c) == 1 else None
    result = study.run()
    best = best_of(study, result)
    found = StudyReport.read(tmp_path)
    assert found.candidates == ranked(study.state().candidates.values())
    ranks = [c.rank for c in found.candidates]
    assert ranks == sorted(ranks, reverse=True)
    assert [str(c.failure) for c in found.failures] == ["crash: boom"] * 2
    assert found.result == result
    assert found.best == best
    assert found.reference is not None
    assert found.reference.ranking == study.reference().ranking
    assert found.reference.noise == study.reference().noise
    fixed = study.log().calibration()
    assert fixed is not None
    assert found.provable_gain_pct == fixed.provable_gain_pct > 0.0
    assert any(f"a gain of {fixed.provable_gain_pct:.1f} % was provable" in str(line) for line in study_lines(found))


def test_a_study_that_searches_on_says_that_its_verdict_is_not_the_last_word(tmp_path: Path) -> None:
    study = virtual(tmp_path)
    study.run()
    assert not StudyReport.read(tmp_path).is_going_on
    study.study = replace(study.study, budget=Budget(minutes=12.0))
    with pytest.raises(PowerCut):
        study.run(PhaseFuse(study.bench, "confirm", 2))
    assert StudyReport.read(tmp_path).is_going_on


def test_windows_that_the_host_disturbed_are_counted_where_the_noise_is_shown(tmp_path: Path) -> None:
    def disturb(plan: SessionPlan, session: Session) -> Session:
        """The first window of every member of the baselines' session."""
        if plan.phase != "baselines":
            return session
        members = tuple(
            replace(m, windows=(replace(m.windows[0], other_cpu_pct=50.0), *m.windows[1:]))
            for m in session.members
            if isinstance(m, Windows)
        )
        return replace(session, members=members)

    study = virtual(tmp_path)
    with pytest.raises(PowerCut):
        study.run(Meddler(PhaseFuse(study.bench, "race", 1), disturb))  # type: ignore[arg-type]
    found = StudyReport.read(tmp_path)
    lines = [str(line) for line in study_lines(found)]
    (noise,) = [i for i, line in enumerate(lines) if line.startswith("noise: ")]
    assert lines[noise + 1].startswith("disturbed by the host: 4 of 48 windows; ")
    assert study_json(found)["disturbed_windows"] == 4
    assert not any("disturbed" in line for line in map(str, study_lines(replace(found, disturbed=0))))


def test_where_every_baseline_failed_nothing_is_measured_yet(tmp_path: Path) -> None:
    study = virtual(tmp_path)
    study.bench.failure_of = lambda c: crash()
    with pytest.raises(NoAnswerError):
        study.run()
    found = StudyReport.read(tmp_path)
    assert found.reference is None
    assert found.spent_s > 0.0


def test_a_torn_last_line_does_not_keep_anybody_from_looking(tmp_path: Path) -> None:
    study = virtual(tmp_path)
    study.run()
    data = study.log_path.read_bytes()
    study.log_path.write_bytes(data[:-10])
    assert StudyReport.read(tmp_path).result is None
    assert study.log_path.read_bytes() == data[:-10]


def test_the_folder_above_a_study_is_told_which_one_it_holds(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    virtual(tmp_path / "mine")
    with pytest.raises(InputError) as raised:
        StudyReport.read(tmp_path)
    assert raised.value.advice == f"name one of {tmp_path / 'mine'}"


def test_a_folder_without_a_study_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no study") as error:
        StudyReport.read(tmp_path)
    assert "results/" in error.value.advice


@pytest.mark.parametrize("name", ["sessions.jsonl", "environment.json"])
def test_damaged_files_are_named(tmp_path: Path, name: str) -> None:
    study = virtual(tmp_path)
    study.run()
    (tmp_path / name).write_text("garbage\n")
    with pytest.raises(RecordError, match=name):
        StudyReport.read(tmp_path)


def test_a_budget_on_the_command_line_is_not_a_different_study(tmp_path: Path) -> None:
    """study.yaml has six minutes; the run had two, and its verdict came from there."""
    study = virtual(tmp_path)
    study.study = make_study(minutes=2.0, limits=study.study.objective.limits, baselines=study.study.baselines)
    result = study.run()
    assert StudyReport.read(tmp_path).result == result


def test_a_finished_study_says_the_same_without_its_device(tmp_path: Path) -> None:
    study = Virtual(folder=tmp_path)
    result = study.run()
    best = best_of(study, result)
    (tmp_path / "study.yaml").write_text(study.study.text)
    check_identity(tmp_path, {}, {"cpu_quota": None})
    (tmp_path / "best.yaml").unlink()
    assert read_finished(study.study, tmp_path) is None, "its best.yaml is still to be written"
    write_best(tmp_path / "best.yaml", best)
    found = read_finished(study.study, tmp_path)
    assert found is not None
    assert found.result == result
    assert found.best == best
    assert found.metrics == final_metrics(study.state(), result)
    for other in (make_study(minutes=3.0), replace(study.study, text="another file")):
        assert read_finished(other, tmp_path) is None


def test_what_is_read_from_the_folder_is_what_the_run_had(tmp_path: Path) -> None:
    study = virtual(tmp_path)
    best_of(study, study.run())
    read, had = StudyReport.read(tmp_path), StudyReport.of(tmp_path, study.state())
    assert replace(read, study=had.study, state=had.state) == had
    assert [str(line) for line in end_lines(read)[:4]] == [str(line) for line in end_lines(had)[:4]]
    assert study_json(read) == {**study_json(had), "study": tmp_path.name}
