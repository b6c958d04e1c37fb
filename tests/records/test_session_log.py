"""sessions.jsonl: what is written is read back, what is torn is dropped, what cannot be written leaves no trace."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuner.bench.configuration import DeploymentConfig, Effective, Failure, FailureKind
from tuner.bench.measurement import Costs, Session, Window, Windows
from tuner.bench.protocol import Phase
from tuner.errors import OutputError, RecordError
from tuner.records.confirmation_plan import ConfirmationLine, FrontLine
from tuner.records.session_log import (
    HeaderLine,
    Line,
    Log,
    Reason,
    SessionLine,
    VerdictLine,
    open_log,
    read_log,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "sessions-v1.jsonl"

# Lines of every kind

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
finite = st.floats(allow_nan=False, allow_infinity=False)
seconds = st.floats(0.0, 1e6)
values = st.one_of(texts, st.integers(-(2**63), 2**63 - 1), finite, st.booleans(), st.sampled_from([1, True, 1.0, "1"]))
configs = st.builds(
    DeploymentConfig,
    device=texts,
    properties=st.dictionaries(texts, values, max_size=3),
    batch_size=st.integers(1, 64),
    infer_requests=st.none() | st.integers(1, 64),
    api=st.sampled_from(["async", "sync", "by_requests"]),
    variant=texts,
)
windows = st.builds(
    Window,
    block=st.integers(0, 99),
    turn=st.integers(0, 99),
    started_s=seconds,
    duration_s=seconds,
    samples=st.integers(0, 10**6),
    latency_counts=st.dictionaries(st.integers(-2000, 3000), st.integers(1, 10**6), max_size=3),
    latency_sum_ms=seconds,
    steal_pct=seconds,
    other_cpu_pct=seconds,
    pressure_pct=st.none() | seconds,
    frequency_mhz=st.none() | seconds,
    thermal_throttles=st.integers(0, 99),
    quota_throttles=st.integers(0, 99),
)
effectives = st.builds(
    Effective,
    properties=st.dictionaries(texts, texts, max_size=3),
    batch_size=st.integers(1, 64),
    infer_requests=st.integers(1, 64),
    api=st.sampled_from(["async", "sync"]),
)
members = st.one_of(
    st.builds(Failure, kind=st.sampled_from(FailureKind), message=texts),
    st.builds(
        Windows,
        effective=effectives,
        windows=st.lists(windows, max_size=2).map(tuple),
        compile_s=seconds,
        is_steady=st.booleans(),
    ),
)


@st.composite
def session_lines(draw: st.DrawFn) -> SessionLine:
    size = draw(st.integers(1, 3))
    points = st.none() | st.dictionaries(texts, st.none() | values, max_size=3)

    def many(strategy: st.SearchStrategy[object]) -> tuple[object, ...]:
        return tuple(draw(st.lists(strategy, min_size=size, max_size=size)))

    return SessionLine(
        phase=draw(st.sampled_from(get_args(Phase))),
        attempt=draw(st.integers(1, 9)),
        index_in_phase=draw(st.integers(0, 99)),
        trials=many(st.none() | st.integers(0, 999)),  # type: ignore[arg-type]
        assignments=many(points),  # type: ignore[arg-type]
        session=Session(
            configurations=many(configs),  # type: ignore[arg-type]
            members=many(members),  # type: ignore[arg-type]
            started_unix_s=draw(seconds),
            wall_s=draw(seconds),
            costs=draw(st.builds(Costs, start_s=seconds, timed_s=seconds)),
            process=draw(texts),
        ),
    )


confirmations = st.builds(
    ConfirmationLine,
    attempt=st.integers(1, 9),
    winner=configs,
    reference=texts,
    max_sessions=st.sampled_from([4, 6, 9, 12]),
    alpha=st.floats(1e-6, 0.1),
    pairs=st.integers(1, 99),
    window_s=seconds,
)
verdicts = st.builds(
    VerdictLine,
    attempt=st.integers(1, 9),
    verdict=st.sampled_from(["tuned", "baseline"]),
    reason=st.sampled_from(Reason),
    detail=texts,
    minutes=st.none() | seconds,
    trials=st.none() | st.integers(1, 999),
)


fronts = st.builds(
    FrontLine,
    attempt=st.integers(1, 9),
    members=st.lists(configs, min_size=2, max_size=2).map(tuple),
    names=st.tuples(texts, texts),
    reference=texts,
    sessions=st.integers(1, 12),
    alpha=st.floats(1e-6, 0.1),
    pairs=st.integers(1, 99),
    window_s=seconds,
)


@given(confirmations | fronts)
def test_both_kinds_of_lines_are_plans_of_a_confirmation(plan: ConfirmationLine | FrontLine) -> None:
    assert (plan.attempt, plan.alpha) == (plan.attempt, plan.alpha)
    assert plan.is_front == isinstance(plan, FrontLine) == bool(plan.names)
    assert len(plan.members) == (len(plan.names) or 1)
    assert list(plan.looks) == sorted(plan.looks)
    assert len(plan.looks) == 1 or not plan.is_front


def exactly(value: object) -> str:
    """Every value with its type: `==` takes 1 for True and for 1.0."""
    return repr(value)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.one_of(session_lines(), confirmations, fronts, verdicts), max_size=3))
def test_every_line_is_read_back_as_it_was_written(tmp_path: Path, lines: list[Line]) -> None:
    path = tmp_path / "sessions.jsonl"
    path.unlink(missing_ok=True)
    log = open_log(path)
    for line in lines:
        log.append(line)
    found = read_log(path)
    assert exactly(found.lines) == exactly([HeaderLine(), *lines])
    assert path.read_bytes().count(b"\n") == 1 + len(lines)


def make_line(step: int = 0, *, name: str = "X", message: str = "boom") -> SessionLine:
    config = DeploymentConfig(device="CPU", properties={name: 1})
    session = Session(
        configurations=(config,),
        members=(Failure(kind=FailureKind.CRASH, message=message),),
        started_unix_s=1.0,
        wall_s=2.5,
        costs=Costs(),
        process="p",
    )
    return SessionLine(
        phase="search", attempt=1, index_in_phase=step, trials=(step,), assignments=({name: 1},), session=session
    )


@pytest.mark.parametrize("value", [1, True, "1", 1.0, "true", False, 0, "", 0.1, 10**18])
def test_values_that_look_alike_stay_apart(tmp_path: Path, value: str | int | float | bool) -> None:
    log = open_log(tmp_path / "log")
    line = make_line()
    config = replace(line.session.configurations[0], properties={"X": value})
    log.append(
        replace(
            line, assignments=({"X": value, "UNSET": None},), session=replace(line.session, configurations=(config,))
        )
    )
    (found,) = read_log(log.path).sessions("search")
    assert found.session.configurations[0] == config
    assert found.assignments[0] is not None
    assert exactly(found.assignments[0]["X"]) == exactly(value)
    assert found.assignments[0]["UNSET"] is None


# What a log knows


def test_sessions_are_found_by_phase_and_attempt_and_their_time_is_summed(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log")
    for attempt, phase in ((1, "search"), (1, "final"), (2, "search"), (2, "confirm")):
        log.append(replace(make_line(), attempt=attempt, phase=phase))  # type: ignore[arg-type]
    assert len(log.sessions("search")) == 2
    assert len(log.sessions("search", "final", attempt=1)) == 2
    assert log.sessions("baselines") == []
    assert log.spent_s() == 10.0


def test_every_attempt_with_a_confirmation_counts_one_winner(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log")
    plan = ConfirmationLine(
        attempt=1,
        winner=DeploymentConfig(device="CPU"),
        reference="default",
        max_sessions=4,
        alpha=0.02,
        pairs=8,
        window_s=0.4,
    )
    for attempt in (1, 3):
        log.append(replace(plan, attempt=attempt))
    assert [log.winners_before(attempt) for attempt in (1, 2, 3, 4)] == [0, 1, 1, 2]
    assert log.confirmation(2) is None
    assert log.confirmation(3) == replace(plan, attempt=3)


# Torn, damaged, newer


def test_reading_a_missing_file_gives_an_empty_log_and_makes_no_file(tmp_path: Path) -> None:
    assert read_log(tmp_path / "log").lines == []
    assert not (tmp_path / "log").exists()
    assert open_log(tmp_path / "log").lines == [HeaderLine()]


@pytest.mark.parametrize("kept", [1, 20, -2, -1])
def test_a_torn_last_line_is_dropped_and_overwritten(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "log"
    log = open_log(path)
    log.append(make_line(0))
    whole = path.read_bytes()
    log.append(make_line(1, message="long " * 200))
    path.write_bytes(whole + path.read_bytes()[len(whole) :][:kept])
    torn = open_log(path)
    assert torn.dropped_torn_line
    assert torn.lines == log.lines[:2]
    torn.append(make_line(2))
    again = open_log(path)
    assert not again.dropped_torn_line, "nothing of a torn line stays behind a shorter one"
    assert again.lines == [*log.lines[:2], make_line(2)]


def test_a_torn_header_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b'{"kind":"hea')
    assert open_log(path).lines == [HeaderLine()]
    assert read_log(path).lines == [HeaderLine()]
    assert not read_log(path).dropped_torn_line


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: b"garbage\n",
        lambda line: line[:40] + b"\n",
        lambda line: b"\n",
        lambda line: line.replace(b'"session"', b'"sesssion"', 1),
        lambda line: line.replace(b'"step":1', b'"step":"one"', 1),
        lambda line: b"\xff" + line,
        lambda line: b"\0" * len(line) + b"\n",
    ],
)
def test_a_damaged_line_in_the_middle_is_refused_with_its_number(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "log"
    log = open_log(path)
    for step in range(3):
        log.append(make_line(step))
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = damage(lines[2])
    path.write_bytes(b"".join(lines))
    with pytest.raises(RecordError, match=r"log:3: damaged") as error:
        open_log(path)
    assert "--fresh" in error.value.advice
    assert path.read_bytes() == b"".join(lines), "it is left as it is"


def test_a_file_of_a_newer_tuner_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "log"
    header = b'{"kind":"header","schema_version":2}\n{"kind":"novelty"}\n'
    path.write_bytes(header)
    with pytest.raises(RecordError, match="newer tuner") as error:
        open_log(path)
    assert "update" in error.value.advice
    assert path.read_bytes() == header


def test_a_file_that_cannot_be_read_is_the_environments_fault(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    with pytest.raises(OutputError, match="cannot read"):
        open_log(tmp_path / "log")


# Writing that fails


def failing(after: int, code: int) -> Callable[[int, bytes], int]:
    """An os.write that takes a few bytes and then has no room for more."""
    left, write = [after], os.write

    def half(fd: int, data: bytes) -> int:
        if left[0] <= 0:
            raise OSError(code, os.strerror(code))
        written = write(fd, data[: left[0]])
        left[0] -= written
        return written

    return half


@pytest.mark.parametrize("after", [0, 1, 100])
@pytest.mark.parametrize(("code", "advice"), [(errno.ENOSPC, "free some space"), (errno.EACCES, "--results")])
def test_a_failed_write_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int, code: int, advice: str
) -> None:
    path = tmp_path / "log"
    log = open_log(path)
    log.append(make_line(0))
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("tuner.records.session_log.os.write", failing(after, code))
        with pytest.raises(OutputError, match="cannot write") as error:
            log.append(make_line(1))
    assert advice in error.value.advice
    assert path.read_bytes() == before
    assert log.lines == [HeaderLine(), make_line(0)]
    log.append(make_line(2))
    assert read_log(path).lines == [HeaderLine(), make_line(0), make_line(2)]


def test_a_line_written_in_pieces_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    log = open_log(tmp_path / "log")
    with monkeypatch.context() as patch:
        patch.setattr("tuner.records.session_log.os.write", lambda fd, data: write(fd, data[:7]))
        log.append(make_line(0))
    assert read_log(log.path).lines == log.lines


def test_a_failed_sync_takes_the_line_back(tmp_path: Path) -> None:
    def fail(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    open_log(tmp_path / "log")
    log = open_log(tmp_path / "log", sync=fail)
    with pytest.raises(OutputError):
        log.append(make_line(0))
    assert read_log(log.path).lines == [HeaderLine()]


def test_a_line_is_synced_before_append_returns(tmp_path: Path) -> None:
    path, synced = tmp_path / "log", list[bytes]()
    open_log(path, sync=lambda fd: synced.append(path.read_bytes())).append(make_line(0))
    assert [text.count(b"\n") for text in synced] == [1, 2]
    assert synced[-1] == path.read_bytes()


def test_a_log_is_synced_to_the_disk_unless_a_caller_says_otherwise(tmp_path: Path) -> None:
    assert open_log(tmp_path / "log").sync is os.fsync


# Old files


def test_a_log_of_version_1_stays_readable() -> None:
    """Written by this program's first version; a change of the format needs a new number and this file still read."""
    log = read_log(GOLDEN)
    assert not log.dropped_torn_line
    assert [line.kind for line in log.lines[:2]] == ["header", "session"]
    assert [(line.verdict, line.reason) for line in log.verdicts()] == [("tuned", "")]
    assert len(log.sessions("baselines")) == 1
    failures = [m for line in log.sessions("race") for m in line.session.members if isinstance(m, Failure)]
    assert [str(failure) for failure in failures] == ["crash: boom"]
    head = log.confirmation(1)
    assert head is not None
    assert (head.looks[-1], head.reference, head.members[0].properties) == (4, "THROUGHPUT", {"NUM_STREAMS": 8})
    first = log.sessions("confirm")[0].session.members[0]
    assert isinstance(first, Windows)
    assert sum(first.windows[0].latency_counts.values()) > 0
    assert all(isinstance(bucket, int) for bucket in first.windows[0].latency_counts)


def is_within(old: Any, new: Any) -> bool:
    """Whether everything old is still there; new fields may have come."""
    if isinstance(old, dict):
        return all(name in new and is_within(value, new[name]) for name, value in old.items())
    if isinstance(old, list):
        return len(old) == len(new) and all(map(is_within, old, new))
    return bool(old == new)


def test_a_log_of_version_1_is_written_today_with_all_its_content(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    for line in read_log(GOLDEN):
        log.append(line)
    old = [json.loads(line) for line in GOLDEN.read_text().splitlines()]
    assert is_within(old, [json.loads(line) for line in log.path.read_text().splitlines()])
