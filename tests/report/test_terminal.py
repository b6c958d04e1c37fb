"""What a person reads: figures, the status line, and tables on and off a terminal."""

from __future__ import annotations

import io
import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.live.shown import HARMLESS, HOSTILE, Screen
from tuner.bench.configuration import DeploymentConfig
from tuner.bench.metrics import METRICS
from tuner.evidence.candidates import MetricValues
from tuner.phases.progress import Measuring, Status
from tuner.report.terminal import (
    Column,
    few_requests,
    figure,
    metrics_table,
    print_lines,
)
from tuner.report.words.progress import percent
from tuner.report.words.status import status_line

START = Status(phase="baselines", remaining_s=None)
MIDDLE = Status(
    phase="search",
    remaining_s=125.9,
    reference="THROUGHPUT",
    incumbent=DeploymentConfig(device="CPU", properties={"NUM_STREAMS": 2}, batch_size=4),
    incumbent_gain=math.log(1.258),
    trials=7,
    duplicates=2,
    failures=1,
    noise=0.034,
    measuring=Measuring(configurations=(DeploymentConfig(device="CPU", properties={"NUM_STREAMS": 8}),)),
    differing=frozenset({"NUM_STREAMS", "batch_size"}),
)


def printed(*lines: object) -> list[str]:
    stream = io.StringIO()
    print_lines(list(lines), stream)  # type: ignore[arg-type]
    return stream.getvalue().splitlines()


# Figures


@pytest.mark.parametrize(("gain", "text"), [(1.258, "+25.8 %"), (1.0, "+0.0 %"), (0.8, "-20.0 %"), (3.0, "+200.0 %")])
def test_a_log_ratio_is_shown_in_per_cent_with_its_sign(gain: float, text: str) -> None:
    assert percent(math.log(gain)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (265.314, "265.3"),
        (4.4, "4.400"),
        (0.0123456, "0.01235"),
        (123456.7, "123457"),
        (-2.5, "-2.500"),
        (0.0, "0"),
        (math.inf, "inf"),
        (math.nan, "nan"),
        (None, "-"),
    ],
)
def test_a_figure_has_four_digits_and_no_exponent(value: float | None, text: str) -> None:
    assert figure(value) == text


@given(st.floats(min_value=1e-9, max_value=1e12))
def test_a_figure_is_the_value_to_four_digits(value: float) -> None:
    text = figure(value)
    assert set(text) <= set("0123456789.")
    assert float(text) == pytest.approx(value, rel=5.1e-4)


# The status line


def test_at_the_start_only_the_phase_is_known() -> None:
    assert status_line(START) == "baselines"


def test_the_status_says_everything_that_is_known() -> None:
    assert status_line(MIDDLE) == (
        "search | 2:05 left | best so far 26 % higher: 2 streams, batch 4 | "
        "7 trials, 2 repeats, 1 failures | noise 3 % | 8 streams, batch 1"
    )


def test_an_incumbent_without_a_gain_is_named_all_the_same() -> None:
    assert "best so far: 2 streams" in status_line(replace(MIDDLE, incumbent_gain=None))


@pytest.mark.parametrize(
    ("remaining_s", "words"),
    [(0.0, "0:00 left"), (59.9, "0:59 left"), (3600.0, "60:00 left"), (-65.0, "1:05 over the budget")],
)
def test_what_is_left_is_in_minutes_and_seconds(remaining_s: float, words: str) -> None:
    assert status_line(replace(START, remaining_s=remaining_s)) == f"baselines | {words}"


# Tables


def column(title: str, requests: int = 0, **values: float) -> Column:
    return Column(title=title, metrics=MetricValues(values=values, requests=requests))


TUNED = column("tuned", throughput=265.31, latency_p99_ms=4.4)
THROUGHPUT = column("THROUGHPUT", throughput=210.94, latency_p99_ms=5.0)


def test_the_objective_comes_first_and_every_other_metric_follows() -> None:
    table = metrics_table([column("tuned", 700, **dict.fromkeys(METRICS, 1.0))], objective="latency_p99_ms")
    rows = [line.split()[0] for line in printed(table)[1:]]
    assert rows == ["latency_p99_ms", *(name for name in METRICS if name != "latency_p99_ms"), "requests"]


def test_what_no_configuration_measured_has_no_row_but_the_objective_has() -> None:
    columns = [column("tuned", throughput=2.0), column("default", latency_p50_ms=1.0)]
    rows = [line.split() for line in printed(metrics_table(columns, objective="peak_memory_mb"))[1:]]
    assert rows == [
        ["peak_memory_mb", "-", "-"],
        ["throughput", "(samples/s)", "2.000", "-"],
        ["latency_p50_ms", "-", "1.000"],
    ]


def test_a_percentile_of_too_few_requests_is_marked_and_the_mark_explained() -> None:
    columns = [
        column("tuned", 700, latency_p99_ms=2.0, latency_p999_ms=3.0, latency_max_ms=4.0),
        column("default", 661, latency_p99_ms=2.5, latency_p999_ms=3.5, latency_max_ms=4.5),
    ]
    table = printed(metrics_table(columns, objective="latency_p99_ms"))
    assert [line.split()[1:] for line in table[1:]] == [
        ["2.000", "~2.500"],
        ["~3.000", "~3.500"],
        ["4.000", "4.500"],
        ["700", "661"],
    ]
    assert few_requests(columns) == [
        "  ~ too few requests for a claim: latency_p99_ms needs 662, latency_p999_ms needs 6636"
    ]
    assert few_requests([column("tuned", throughput=1.0, latency_p99_ms=1.0)]) == []


def test_what_is_deployed_has_a_star_and_what_was_not_measured_a_dash() -> None:
    deployed = replace(column("tuned", throughput=265.31, latency_mean_ms=3.0), is_deployed=True)
    header, first, second, *_ = printed(metrics_table([deployed, THROUGHPUT], objective="throughput"))
    assert header.split() == ["tuned", "*", "THROUGHPUT"]
    assert first.split() == ["throughput", "(samples/s)", "265.3", "210.9"]
    assert [line.split() for line in (second, *_) if "mean" in line] == [["latency_mean_ms", "3.000", "-"]]


def test_a_table_keeps_its_columns_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    columns = [replace(TUNED, title=f"baseline-{i}") for i in range(7)]
    header = printed(metrics_table(columns, objective="throughput"))[0]
    assert header.split() == [one.title for one in columns]


def on_a_terminal(*lines: object, monkeypatch: pytest.MonkeyPatch, columns: int = 60) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    stream = Screen()
    print_lines(list(lines), stream)  # type: ignore[arg-type]
    return re.sub(r"\x1b\[[\d;]*m", "", stream.getvalue()).splitlines()


def test_a_table_that_is_wider_than_a_terminal_is_printed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = [replace(TUNED, title=f"baseline-{i}") for i in range(7)]
    lines = on_a_terminal(metrics_table(columns, objective="throughput"), monkeypatch=monkeypatch)
    assert max(map(len, lines)) <= 60
    headers = [line.split() for line in lines if "baseline-" in line]
    assert len(headers) > 1
    assert [title for header in headers for title in header] == [one.title for one in columns]
    assert sum(line.startswith("throughput (samples/s)") for line in lines) == len(headers)


def test_a_note_is_wrapped_between_words_and_a_command_is_left_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    note, command = "  a note of " + "many words " * 8, "next:    tuner apply " + "x" * 80
    lines = on_a_terminal(note, command, monkeypatch=monkeypatch)
    assert lines[-1] == command
    assert all(len(line) <= 60 for line in lines[:-1])
    assert all(line.startswith("    ") for line in lines[1:-1])
    assert "".join(lines[:-1]).split() == note.split()


def test_names_from_files_and_devices_reach_no_terminal_as_control_characters() -> None:
    for stream in (io.StringIO(), Screen()):
        table = metrics_table([replace(THROUGHPUT, title=HOSTILE)], objective="throughput")
        print_lines([HOSTILE, f"  {HOSTILE}", table], stream)
        text = re.sub(r"\x1b\[[\d;]*m", "", stream.getvalue())
        assert all(line.isprintable() for line in text.splitlines())
        assert text.count(HARMLESS[:10]) == 3


def test_lines_are_printed_as_they_are() -> None:
    lines = ["", "limit [/] latency_p99_ms max 50", "x" * 500]
    assert printed(*lines) == lines
