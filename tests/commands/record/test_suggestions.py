"""What earlier studies suggest to a run, what of it is in the results folder, and what a run leaves to later ones."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import Tuner
from tests.records.past.test_distance import MINE, other
from tests.records.past.test_study_record import past
from tests.virtual import LARGE, TINY, Virtual, by_streams, calm, make_study
from tuner.bench.value import Value
from tuner.commands.record.keeping import keep_study
from tuner.commands.record.suggestions import FILE, SUGGESTED, suggested
from tuner.outcome.past_study import past_study
from tuner.phases.progress import Event
from tuner.records.identity import check_identity
from tuner.records.past.events import RecordKept, RecordNotKept, RecordUnread, Suggested
from tuner.records.past.past_study import PastConfiguration, PastStudy
from tuner.records.past.study_record import StudyRecord
from tuner.records.session_log import open_log
from tuner.report.words.progress import event_lines
from tuner.study.setup import StudySetup
from tuner.study.space import Space

Seeds = Callable[..., list[dict[str, Value]]]
SEED: dict[str, Value] = {"NUM_STREAMS": 1, "infer_requests": 8}
SAID: list[Event] = []


def found(number: int, *points: dict[str, Value], **fields: object) -> PastStudy:
    best = tuple(PastConfiguration(settings=point, gain_pct=10.0, is_proved=True) for point in points)
    return replace(past(number), best=best, **fields)  # type: ignore[arg-type]


def streams(number: int, requests: int = 16) -> dict[str, Value]:
    return {"NUM_STREAMS": number, "infer_requests": requests}


@pytest.fixture
def record(record_of_its_own: Path) -> StudyRecord:
    return StudyRecord(folder=record_of_its_own)


@pytest.fixture
def seeds(tmp_path: Path) -> Seeds:
    """Returns the seeds of a run in a results folder, and keeps what was said of them."""
    SAID.clear()

    def seeds_of(space: Space = TINY, *, has_record: bool = True, may_write: bool = True) -> list[dict[str, Value]]:
        setup = StudySetup(study=make_study(), space=space, seeds=[SEED])
        log = open_log(tmp_path / "sessions.jsonl", sync=lambda fd: None)
        made = suggested(setup, log, MINE, SAID.append, folder=tmp_path, has_record=has_record, may_write=may_write)
        return [dict(point) for point in made.seeds]

    return seeds_of


def test_the_nearest_studies_take_turns_and_no_point_is_there_twice(record: StudyRecord, seeds: Seeds) -> None:
    record.keep(found(1, streams(8), streams(4), streams(4, 8), about=MINE))
    record.keep(found(2, streams(8), streams(1), about=replace(MINE, cpu_model="Xeon")))
    record.keep(found(3, streams(1), about=replace(MINE, device="GPU")))
    assert seeds() == [streams(8), SEED, streams(4), streams(1)]
    (event,) = SAID
    assert isinstance(event, Suggested)
    assert len(event.sources) == SUGGESTED
    assert event_lines(event) == [
        "tried first, as suggestions that are measured like any other: 2 of quickstart (the same model and host, "
        "2026-11-28), 1 of quickstart (the same model on another host, 2026-11-28); `--no-record` leaves out what "
        "earlier studies found"
    ]


def test_a_point_of_another_host_is_scaled_and_moved_into_the_space(record: StudyRecord, seeds: Seeds) -> None:
    settings: dict[str, Value] = {"NUM_STREAMS": 64, "infer_requests": 128, "GONE": "x", "batch_size": 4}
    record.keep(found(1, settings, about=replace(other("angle.onnx"), cpus_allowed=64)))
    assert seeds() == [streams(8), SEED]


def test_without_a_record_and_without_anything_near_the_seeds_are_those_of_the_space(
    record: StudyRecord, seeds: Seeds, tmp_path: Path
) -> None:
    assert seeds() == [SEED]
    record.keep(found(1, streams(8)))
    assert seeds(has_record=False) == [SEED]
    record.clear()
    record.keep(found(1))
    assert seeds() == [SEED], "a study in which nothing was better"
    assert SAID == []
    assert not (tmp_path / FILE).exists()


def test_a_study_that_goes_on_is_suggested_what_it_was_at_its_beginning(
    record: StudyRecord, seeds: Seeds, tmp_path: Path
) -> None:
    record.keep(found(1, streams(8)))
    at_first = seeds()
    assert at_first == [streams(8), SEED]
    record.keep(found(2, streams(4), ended_unix_s=1.9e9))
    assert seeds()[:3] == [streams(4), SEED, streams(8)], "nothing was measured yet"
    Virtual(folder=tmp_path, study=make_study(minutes=0.5)).run()
    record.clear()
    begun = (tmp_path / FILE).read_bytes()
    for has_record in (True, False):
        assert seeds(has_record=has_record) == [streams(4), SEED, streams(8)]
    assert (tmp_path / FILE).read_bytes() == begun
    for content in (b"garbage", b"[]", b'{"suggestions": [{"point": [1]}]}', b"\xff", b"[" * 100_000):
        (tmp_path / FILE).write_bytes(content)
        assert seeds() == [SEED]


def test_a_plan_writes_nothing(record: StudyRecord, seeds: Seeds, tmp_path: Path) -> None:
    record.keep(found(1, streams(8)))
    assert seeds(may_write=False) == [streams(8), SEED]
    assert not (tmp_path / FILE).exists()


def test_garbage_in_the_record_is_one_line_and_the_rest_is_used(record: StudyRecord, seeds: Seeds) -> None:
    record.keep(found(1, streams(8)))
    for number in (2, 3):
        (record.folder / f"{number:016x}.json").write_text("garbage")
    assert seeds() == [streams(8), SEED]
    unread = next(event for event in SAID if isinstance(event, RecordUnread))
    (line,) = event_lines(unread)
    assert line.startswith(f"warning: 2 files in {record.folder} cannot be read and suggest nothing")


def test_a_record_that_is_no_folder_suggests_nothing_and_keeps_nothing(
    record: StudyRecord, seeds: Seeds, tmp_path: Path
) -> None:
    record.folder.parent.mkdir(parents=True)
    record.folder.write_text("a file")
    assert seeds() == [SEED]
    (line,) = event_lines(SAID[0])
    assert "cannot be read and suggests nothing" in line
    kept = finished(tmp_path)
    assert isinstance(kept, RecordNotKept)
    (line,) = event_lines(kept)
    assert line.startswith(f"warning: this study is complete, but not on record for later ones: {record.folder}: ")


def finished(folder: Path, minutes: float = 3.0, space: Space = LARGE) -> RecordKept | RecordNotKept:
    virtual = Virtual(folder=folder, space=space, study=make_study(minutes=minutes))
    check_identity(folder, {"model": "a"}, {})
    result = virtual.run()
    return keep_study(virtual.state(), result, MINE, folder)


def test_a_finished_study_is_kept_once_and_a_larger_budget_replaces_it(record: StudyRecord, tmp_path: Path) -> None:
    assert finished(tmp_path) == RecordKept(folder=record.folder)
    (first,) = record.read().studies
    assert first.about == MINE
    assert 1 <= len(first.best) <= 3
    assert first.best[0].is_proved
    assert [one.is_proved for one in first.best[1:]] == [False] * (len(first.best) - 1)
    assert len({json.dumps(dict(one.settings)) for one in first.best}) == len(first.best)
    assert all(one.gain_pct > 0 for one in first.best)
    before = (record.folder / f"{first.key}.json").read_bytes()
    finished(tmp_path)
    assert (record.folder / f"{first.key}.json").read_bytes() == before, "nothing new was measured"
    finished(tmp_path, minutes=6.0)
    (second,) = record.read().studies
    assert second.key == first.key
    assert second.ended_unix_s >= first.ended_unix_s


def test_where_nothing_was_better_nothing_is_suggested(tmp_path: Path) -> None:
    slower = calm(by_streams(s1=50, s4=60, s8=70))
    virtual = Virtual(folder=tmp_path, bench=slower, study=make_study(minutes=2.0))
    result = virtual.run()
    assert not result.is_tuned
    assert virtual.state().candidates, "they were measured"
    assert past_study(virtual.state(), result, MINE, "0" * 16).best == ()


def test_a_full_disk_leaves_the_study_and_the_record_as_they_are(
    record: StudyRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record.keep(past())

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    virtual = Virtual(folder=tmp_path, study=make_study(minutes=0.5))
    check_identity(tmp_path, {"model": "a"}, {})
    result = virtual.run()
    monkeypatch.setattr(os, "fsync", full)
    kept = keep_study(virtual.state(), result, MINE, tmp_path)
    assert kept == RecordNotKept(folder=record.folder, cause="No space left on device")
    assert record.read().studies == (past(),)
    assert len(list(record.folder.iterdir())) == 1


def test_a_user_without_a_home_is_told_how_to_have_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuner.commands.record.keeping.study_record", lambda: None)
    kept = finished(tmp_path, minutes=0.5, space=TINY)
    assert "TUNER_RECORD may name another folder" in event_lines(kept)[0]


def test_a_search_measures_what_is_suggested_first(record: StudyRecord, seeds: Seeds, tmp_path: Path) -> None:
    point: dict[str, Value] = {
        "NUM_STREAMS": 8,
        "INFERENCE_NUM_THREADS": 8,
        "ENABLE_CPU_PINNING": False,
        "infer_requests": 16,
        "batch_size": 4,
    }
    record.keep(found(1, point))
    virtual = Virtual(folder=tmp_path, space=LARGE, study=make_study(minutes=2.0), seeds=seeds(LARGE)[:1])
    virtual.run()
    asked = [p for line in virtual.sessions("search", "race") for p in line.assignments if p is not None]
    assert asked[0] == point
    assert asked.count(point) == len([line for line in virtual.sessions("search", "race") if point in line.assignments])


@pytest.mark.openvino
def test_the_second_study_of_a_model_is_suggested_what_the_first_one_found(
    tuner_here: Tuner, tmp_path: Path, short_windows: None, record: StudyRecord
) -> None:
    study = tmp_path / "mlp.yaml"
    study.write_text(
        "{schema_version: 1, model: builtin:mlp, device: CPU, objective: {maximize: throughput}, "
        "budget: {minutes: 0.1}, space: {PERFORMANCE_HINT: {choices: [THROUGHPUT, LATENCY]}, "
        "batch_size: {choices: [1, 2, 4, 8]}, infer_requests: {choices: [1, 2, 4, 8]}}}\n"
    )
    run = ("run", study, "--results", tmp_path / "results")
    without = tuner_here(*run, "--no-record")
    assert without.code == 0, without.err
    assert not record.folder.exists()
    first = tuner_here(*run, "--fresh", "--verbose")
    assert first.code == 0, first.err
    assert f"on record for later studies: {record.folder}" in "".join(first.err.split("\n"))
    (kept,) = record.read().studies
    assert kept.about.model.operations > 5
    assert kept.about.model.weight_bytes > 10_000
    record.keep(replace(kept, best=(replace(past().best[0], settings={"batch_size": 8, "infer_requests": 4}),)))
    second = tuner_here(*run, "--fresh")
    assert second.code == 0, second.err
    assert "1 of mlp (the same model and host" in " ".join(second.err.split())
    points = [one["point"] for one in json.loads((tmp_path / "results/mlp" / FILE).read_text())["suggestions"]]
    assert points == [{"PERFORMANCE_HINT": "THROUGHPUT", "batch_size": 8, "infer_requests": 4}]
    listed = tuner_here("record", "list")
    assert "builtin:mlp" in listed.out
    assert json.loads(tuner_here("record", "list", "--json").out)["studies"][0]["name"] == "mlp"
    cleared = tuner_here("record", "clear")
    assert cleared.out.startswith("1 study is removed from ")
    assert record.read().studies == ()
