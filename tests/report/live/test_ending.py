"""The end of a run: a panel that is understood at a glance on a terminal, the lines of the documents elsewhere."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.cells import cell_len

from tests.report.live.shown import HARMLESS, HOSTILE, Screen, rendered, run_through
from tests.virtual import TINY
from tuner.deploy.best import Best
from tuner.outcome.study_report import StudyReport
from tuner.report.live.ending import cost_words, ending, panel_rows, verdict_panel
from tuner.report.live.picture import Camera, picture_of_the_end, terminal_svg
from tuner.report.live.screen import Size
from tuner.report.outcome import end_lines
from tuner.report.terminal import print_lines

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


@cache
def golden(name: str = "results-0.1") -> StudyReport:
    return StudyReport.read(GOLDEN / name)


def best_of(report: StudyReport) -> Best:
    assert report.best is not None
    return report.best


def printed(report: StudyReport, stream: io.StringIO, *, is_verbose: bool | None = None) -> str:
    print_lines(ending(report, stream, is_verbose=is_verbose), stream)
    return re.sub(r"\x1b\[[\d;]*m", "", stream.getvalue())


def rows_of(report: StudyReport) -> dict[str, str]:
    assert report.result is not None
    return dict(reversed(panel_rows(report, best_of(report), report.result)))


def test_the_panel_says_what_was_found_how_sure_what_it_costs_and_what_to_do() -> None:
    report = golden()
    rows = panel_rows(report, best_of(report), report.result)  # type: ignore[arg-type]
    labels = [label for label, _ in rows if label]
    assert labels == ["found", "set", "sure", "limit", "costs", "valid", "next"]
    words = dict(rows)
    assert words["found"].startswith("use these settings: throughput ")
    assert "fresh sessions" in words["sure"]
    assert words["next"] == f"tuner apply {report.folder / 'best.yaml'}"


@pytest.mark.parametrize("name", ["results-0.1", "front-0.1"])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_panel_fits_the_terminal_and_is_read_in_five_seconds(name: str, width: int, encoding: str) -> None:
    report = golden(name)
    assert report.result is not None
    lines = rendered(verdict_panel(report, best_of(report), report.result, width), width, encoding=encoding)
    assert max(map(cell_len, lines)) <= width
    assert width < 80 or len(lines) <= 14
    assert "golden" in lines[0] or name.split("-")[0] in lines[0]


def test_on_a_terminal_the_panel_stands_before_the_table_and_off_it_are_the_lines_of_the_documents() -> None:
    report = golden()
    text = printed(report, Screen())
    assert text.index("found") < text.index("throughput (samples/s)") < text.index("next:    tuner apply")
    plain = io.StringIO()
    print_lines(end_lines(report), plain)
    assert printed(report, io.StringIO()) == plain.getvalue()
    assert "found" not in plain.getvalue().splitlines()[0]


@pytest.mark.parametrize("stream", [io.StringIO, Screen])
def test_quiet_prints_the_verdict_alone(stream: type[io.StringIO]) -> None:
    text = printed(golden(), stream(), is_verbose=False)
    assert "throughput" in text
    assert "latency_p50_ms" not in text


def test_a_study_without_a_verdict_has_no_panel() -> None:
    report = replace(golden(), result=None, best=None, metrics=None)
    assert printed(report, Screen()).startswith("no verdict yet")


def test_no_name_reaches_the_panel_as_control_characters() -> None:
    report = golden()
    best = best_of(report)
    hostile = replace(
        report,
        folder=Path(HOSTILE),
        study=replace(report.study, name=HOSTILE),
        best=replace(best, baseline=replace(best.baseline, name=HOSTILE)),
    )
    assert hostile.result is not None
    lines = rendered(verdict_panel(hostile, best_of(hostile), hostile.result, 400), 400)
    assert all(line.isprintable() for line in lines)
    assert "".join(lines).count(HARMLESS[:12]) >= 3


def test_what_becomes_worse_is_told_with_both_values_and_drift_is_not() -> None:
    report = golden()
    metrics, result, best = report.metrics, report.result, best_of(report)
    assert metrics is not None and metrics.winner is not None and result is not None  # noqa: PT018
    assert best.gain is not None, "the costs are against the strongest baseline"

    def costs(**factors: float) -> str:
        values = dict(metrics.reference.values)
        winner = {name: value * factors.get(name, 1.0) for name, value in values.items()}
        return cost_words(best, result, replace(metrics, winner=replace(metrics.reference, values=winner)))

    assert costs().startswith("nothing that was measured is more than 10 % worse")
    assert costs(cpu_ms_per_sample=1.05).startswith("nothing")
    assert costs(throughput=0.5).startswith("nothing"), "that is the objective, and not its cost"
    assert costs(latency_p50_ms=0.5).startswith("nothing"), "an advantage is no cost"
    before = metrics.reference.values["latency_p90_ms"]
    told = costs(latency_p50_ms=9.0, latency_p90_ms=3.0)
    assert told.startswith("p90 ")
    assert told.endswith("3.0 times higher")
    assert f"{before:.3g}"[:3] in told


# Pictures of it


def test_a_picture_holds_the_words_and_loads_nothing(tmp_path: Path) -> None:
    camera = Camera(size=Size(width=100, height=30))
    run_through(camera, tmp_path, space=TINY)
    assert {"preflight", "baselines", "confirm"} <= camera.screens.keys()
    svg = terminal_svg([camera.screens["confirm"]], command="tuner run virtual.yaml")
    text = "".join(ElementTree.fromstring(svg).itertext()).replace("\xa0", " ")
    assert "tuner run virtual.yaml" in text
    assert "best so far, not confirmed" in text
    assert "@font-face" not in svg
    assert re.findall(r"https?://(?!www\.w3\.org|www\.textualize\.io)", svg) == []
    assert svg == terminal_svg([camera.screens["confirm"]], command="tuner run virtual.yaml"), "the same each time"


def test_a_picture_of_the_end_has_panel_and_table_and_no_name_becomes_markup() -> None:
    report = replace(golden(), study=replace(golden().study, name=f"<script>{HOSTILE}"))
    svg = terminal_svg(picture_of_the_end(report), command=f"tuner run {HOSTILE}")
    text = "".join(ElementTree.fromstring(svg).itertext()).replace("\xa0", " ")
    assert "<script>" in text
    assert "found" in text
    assert "latency_p90_ms" in text
    assert HARMLESS[:12] in text
