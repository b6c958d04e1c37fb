"""What `tuner measure` shows where there are several numbers of callers."""

from __future__ import annotations

from pathlib import Path

from tuner.evidence.candidates import MetricValues
from tuner.outcome.measured import Measured
from tuner.report.measured import measured_json, measured_lines

VALUES = MetricValues(values={"latency_p99_ms": 63.3}, requests=4000)
SINGLE = Measured(
    config=None,
    metric="latency_p99_ms",
    reference="THROUGHPUT",
    gains={},
    metrics=None,
    baselines={"THROUGHPUT": VALUES},
    folder=Path("results/x"),
)
SEVERAL = Measured(
    config=None,
    metric="latency_p99_ms",
    reference="THROUGHPUT",
    gains={},
    metrics=None,
    baselines={"THROUGHPUT": VALUES},
    folder=Path("results/x"),
    at_callers={1: {"measured": 6.812, "THROUGHPUT": 7.7}, 4: {"measured": 66.8, "THROUGHPUT": 63.3}},
)


def test_each_number_of_callers_has_its_line() -> None:
    lines = measured_lines(SEVERAL)
    at = lines.index("latency_p99_ms by callers; the table has the worst of them")
    assert lines[at + 1 : at + 3] == [
        "  1 caller: measured 6.812, THROUGHPUT 7.7",
        "  4 callers: measured 66.8, THROUGHPUT 63.3",
    ]
    assert measured_json(SEVERAL)["at_callers"]["4"] == {"measured": 66.8, "THROUGHPUT": 63.3}


def test_without_several_numbers_nothing_is_said_of_callers() -> None:
    assert not [line for line in measured_lines(SINGLE) if isinstance(line, str) and "callers" in line]
    assert "at_callers" not in measured_json(SINGLE)
