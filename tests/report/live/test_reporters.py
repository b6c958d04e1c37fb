"""What a run prints while it goes on: a screen on a terminal, a few lines off it, everything, or nothing."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path

import pytest

from tests.report.live.shown import HARMLESS, HOSTILE, Screen, run_through
from tests.virtual import LARGE, make_study
from tuner.bench.configuration import DeploymentConfig
from tuner.phases.progress import DeploymentNote, Measuring, SpaceTooLarge, Status
from tuner.records.locks import WaitingForHolder
from tuner.report.live import reporters
from tuner.report.live.reporters import LINE, Dashboard, Everything, Lines, Quiet, reporter
from tuner.report.live.screen import Size
from tuner.report.words.status import status_line

ERASE_LINE, HIDE_CURSOR, SHOW_CURSOR, CLEAR = "\x1b[2K", "\x1b[?25l", "\x1b[?25h", "\x1b[2J"
START = Status(phase="baselines", remaining_s=None)
MIDDLE = Status(
    phase="search",
    remaining_s=125.9,
    reference="THROUGHPUT",
    incumbent=DeploymentConfig(device="CPU", properties={"NUM_STREAMS": 2}, batch_size=4),
    incumbent_gain=math.log(1.258),
    trials=7,
    noise=0.034,
    measuring=Measuring(configurations=(DeploymentConfig(device="CPU", properties={"NUM_STREAMS": 8}),)),
    differing=frozenset({"NUM_STREAMS", "batch_size"}),
)
WAITING = WaitingForHolder(holder="process 12, results/a")


@pytest.fixture(autouse=True)
def xterm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)


# Which one


@pytest.mark.parametrize(("is_verbose", "kind"), [(None, Lines), (True, Everything), (False, Quiet)])
def test_off_a_terminal_there_are_lines(is_verbose: bool | None, kind: type) -> None:
    assert type(reporter(io.StringIO(), is_verbose=is_verbose)) is kind


@pytest.mark.parametrize(("is_verbose", "kind"), [(None, Dashboard), (True, Dashboard), (False, Quiet)])
def test_on_a_terminal_there_is_a_screen(is_verbose: bool | None, kind: type) -> None:
    assert type(reporter(Screen(), is_verbose=is_verbose)) is kind


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_a_terminal_that_cannot_move_its_cursor_has_lines(term: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", term)
    assert type(reporter(Screen())) is Lines


# Off a terminal


def test_a_phase_has_one_line_however_often_it_is_shown() -> None:
    stream = io.StringIO()
    with reporter(stream) as lines:
        for status in (START, START, replace(START, phase="calibration"), MIDDLE, replace(MIDDLE, trials=8)):
            lines.show(status)
        lines.show(replace(MIDDLE, phase="writing"))
    first, second = stream.getvalue().splitlines()
    assert first.startswith("baselines ")
    assert second.startswith("search     2:05 left  8 streams, batch 1")


@pytest.mark.slow
def test_a_whole_study_prints_a_line_for_each_phase_and_each_new_best(tmp_path: Path) -> None:
    stream = io.StringIO()
    with reporter(stream) as lines:
        run_through(lines, tmp_path, space=LARGE)
    printed = stream.getvalue().splitlines()
    assert [line.split()[0] for line in printed if not line.startswith("new best")] == [
        "preflight",
        "baselines",
        "search",
        "final",
        "confirm",
    ]
    best = [line for line in printed if line.startswith("new best")]
    assert best
    assert all(" left  +" in line and ", not confirmed: " in line for line in best)
    assert len(set(best)) == len(best)
    assert max(map(len, printed)) <= LINE == 120


@pytest.mark.slow
def test_a_study_of_several_objectives_has_no_new_best(tmp_path: Path) -> None:
    stream = io.StringIO()
    with reporter(stream) as lines:
        run_through(lines, tmp_path, space=LARGE, study=make_study(others=["latency_p90_ms"]))
    assert "new best" not in stream.getvalue()


def test_a_notice_is_wrapped_and_details_are_left_to_the_log() -> None:
    stream = io.StringIO()
    with reporter(stream) as lines:
        lines.tell(DeploymentNote(text="warning: " + "word " * 100))
        lines.tell(WAITING)
        lines.tell(SpaceTooLarge(sampler="race"))
    *wrapped, last = stream.getvalue().splitlines()
    assert " ".join(wrapped).split() == ["warning:", *["word"] * 100]
    assert max(map(len, wrapped)) <= LINE
    assert last == "waiting for process 12, results/a"


def test_quiet_prints_only_what_is_awaited() -> None:
    stream = io.StringIO()
    with reporter(stream, is_verbose=False) as quiet:
        quiet.tell(DeploymentNote(text="anything"))
        quiet.show(MIDDLE)
        quiet.tell(WAITING)
    assert stream.getvalue() == "waiting for process 12, results/a\n"


def test_verbose_prints_every_event_and_every_status_once() -> None:
    stream = io.StringIO()
    with reporter(stream, is_verbose=True) as everything:
        everything.tell(DeploymentNote(text="word " * 100))
        for status in (START, START, MIDDLE):
            everything.show(status)
    assert stream.getvalue().splitlines() == ["word " * 100, "baselines", status_line(MIDDLE)]


@pytest.mark.parametrize("is_verbose", [None, True, False])
@pytest.mark.parametrize("stream", [io.StringIO, Screen])
def test_no_name_reaches_a_stream_as_control_characters(
    is_verbose: bool | None, stream: type[io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporters, "DRAW_EVERY_S", 0.0)
    out = stream()
    with reporter(out, is_verbose=is_verbose) as shown:
        shown.tell(DeploymentNote(text=HOSTILE))
        shown.tell(WaitingForHolder(holder=HOSTILE))
        shown.show(replace(START, measuring=Measuring(baselines=(HOSTILE,))))
    text = out.getvalue()
    assert HARMLESS[:10] in text
    assert "\x1b[2Jgone" not in text
    assert not set("\x9b\u202e\u200f\x07") & set(text)
    assert "gone\r" not in text


# On a terminal


def dashboard(stream: io.StringIO, **given: object) -> Dashboard:
    return Dashboard(stream, **given)  # type: ignore[arg-type]


def test_the_screen_changes_in_place_and_is_gone_at_the_end() -> None:
    stream = Screen()
    with dashboard(stream) as shown:
        shown.show(START)
        assert "baselines" in stream.getvalue()
        shown.show(MIDDLE)
        before = len(stream.getvalue())
        assert "2:05 left" in stream.getvalue()
    rest = stream.getvalue()[before:]
    assert ERASE_LINE in rest
    assert "left" not in rest.split(ERASE_LINE)[-1]


def test_what_a_user_has_to_know_stays_and_what_is_over_does_not() -> None:
    stream = Screen()
    with dashboard(stream) as shown:
        shown.tell(DeploymentNote(text="warning: outputs change"))
        shown.tell(DeploymentNote(text="warning: outputs change"))
        shown.tell(WAITING)
        shown.show(MIDDLE)
    assert stream.getvalue().split(ERASE_LINE)[-1].count("warning: outputs change") == 1
    assert "waiting" not in stream.getvalue().split(ERASE_LINE)[-1]


def test_verbose_prints_events_above_the_screen_where_they_stay() -> None:
    stream = Screen()
    with dashboard(stream, is_verbose=True) as shown:
        shown.show(START)
        shown.tell(DeploymentNote(text="a [bold]note[/bold] [/]"))
        shown.show(MIDDLE)
    assert "a [bold]note[/bold] [/]" in stream.getvalue()


def test_nothing_is_drawn_unless_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that redraws would disturb a window that is being timed."""
    monkeypatch.setattr("threading.Thread.start", lambda thread: pytest.fail(f"{thread} was started"))
    with dashboard(Screen()) as shown:
        shown.show(MIDDLE)


def test_a_status_of_the_same_session_is_drawn_after_a_while_only() -> None:
    now = [100.0]
    stream = Screen()
    with dashboard(stream, clock=lambda: now[0]) as shown:
        shown.show(MIDDLE)
        drawn = len(stream.getvalue())
        shown.show(replace(MIDDLE, remaining_s=125.0))
        assert len(stream.getvalue()) == drawn
        now[0] += reporters.DRAW_EVERY_S
        shown.show(replace(MIDDLE, remaining_s=60.0))
        assert "1:00 left" in stream.getvalue()[drawn:]
        drawn = len(stream.getvalue())
        shown.show(replace(MIDDLE, phase="final"))
        assert len(stream.getvalue()) > drawn, "another phase is drawn at once"


def test_another_size_clears_the_terminal_and_draws_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [Size(width=80, height=24)]
    monkeypatch.setattr(Dashboard, "_measured_size", lambda _: sizes[-1])
    stream = Screen()
    with dashboard(stream) as shown:
        shown.show(START)
        assert CLEAR not in stream.getvalue()
        sizes.append(Size(width=60, height=20))
        shown.show(MIDDLE)
        assert stream.getvalue().count(CLEAR) == 1
        assert "2:05 left" in stream.getvalue().split(CLEAR)[1]
        shown.show(START)
        assert stream.getvalue().count(CLEAR) == 1


def test_no_color_has_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    coloured, plain = Screen(), Screen()
    with dashboard(coloured) as shown:
        shown.show(MIDDLE)
    monkeypatch.setenv("NO_COLOR", "1")
    with dashboard(plain) as shown:
        shown.show(MIDDLE)
    assert "\x1b[1;36m" in coloured.getvalue()
    assert ";3" not in plain.getvalue().replace("\x1b[?25", "")
    assert "2:05 left" in plain.getvalue()


def test_an_interrupted_run_leaves_the_cursor_visible() -> None:
    stream = Screen()

    def interrupted() -> None:
        with dashboard(stream) as shown:
            shown.show(MIDDLE)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert stream.getvalue().rfind(SHOW_CURSOR) > stream.getvalue().rfind(HIDE_CURSOR) >= 0
