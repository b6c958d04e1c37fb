from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tuner.deploy.best import Best, BestGain, BestObjective
from tuner.deploy.best_file import load_best, write_best
from tuner.deploy.front_file import (
    Bound,
    FrontFile,
    FrontPoint,
    format_front,
    load_front,
    parse_bound,
    parse_front,
    pick,
    write_front,
)
from tuner.errors import BestFileError, InputError, NoAnswerError

GOLDEN = Path(__file__).parent / "golden" / "front-v1.yaml"
METRICS = ("throughput", "latency_p90_ms", "latency_p99_ms")


def point(best: Best, name: str, throughput: float, latency_ms: float) -> FrontPoint:
    gains = {
        metric: BestGain(
            estimate_pct=25.0, low_pct=20.0, high_pct=30.0, confidence=0.995, sessions=6, pairs=48, metric=metric
        )
        for metric in METRICS[:2]
    }
    objectives = (
        BestObjective(metric="throughput", value=throughput, unit="samples/s", reference=200.0),
        BestObjective(metric="latency_p90_ms", value=latency_ms, unit="ms", reference=8.0),
    )
    is_baseline = not name.startswith("trial")
    return FrontPoint(
        name=name,
        metrics={"throughput": throughput, "latency_p90_ms": latency_ms, "latency_p99_ms": 2 * latency_ms},
        best=replace(
            best,
            verdict="baseline" if is_baseline else "tuned",
            reason="one of the baselines" if is_baseline else "a point",
            gain=None if is_baseline else gains["throughput"],
            gains=gains,
            objectives=objectives,
        ),
    )


@pytest.fixture
def front(illustration: Best) -> FrontFile:
    return FrontFile(
        study="front",
        verdict="tuned",
        reason="the knee of the front is trial 3",
        objectives={"throughput": "maximize", "latency_p90_ms": "minimize"},
        reference="THROUGHPUT",
        knee="trial 3",
        sessions=6,
        points=(
            point(illustration, "trial 7", 300.0, 40.0),
            point(illustration, "trial 3", 250.0, 10.0),
            point(illustration, "THROUGHPUT", 200.0, 8.0),
        ),
        removed={"trial 5": "trial 3 is better"},
    )


def test_the_file_reads_back_as_it_was_written(tmp_path: Path, front: FrontFile) -> None:
    write_front(tmp_path / "front.yaml", front)
    found = load_front(tmp_path / "front.yaml")
    assert found == front
    assert found.source == tmp_path / "front.yaml"
    assert all(p.best.folder == tmp_path for p in found.points), "relative models are found beside the file"
    assert [p.name for p in tmp_path.iterdir()] == ["front.yaml"]


def test_a_front_of_the_first_version_stays_readable(front: FrontFile) -> None:
    assert GOLDEN.read_text() == format_front(front)
    assert parse_front(GOLDEN.read_text(), "front.yaml") == front


def test_every_point_is_a_best_file_that_can_be_written_and_read(tmp_path: Path, front: FrontFile) -> None:
    for each in front.points:
        write_best(tmp_path / "best.yaml", each.best)
        assert load_best(tmp_path / "best.yaml") == each.best


def test_everything_wrong_is_named_with_its_point(front: FrontFile) -> None:
    text = format_front(front).replace("knee: trial 3", "knee: 3").replace("batch_size: 1\n", "batch_size: 0\n", 1)
    with pytest.raises(BestFileError) as caught:
        parse_front(text, "front.yaml")
    assert "front.yaml: knee: 3 is not text" in str(caught.value)
    assert "front.yaml: points[0].best.batch_size: 0 is not a whole number of at least 1" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schema_version: 2\n", "has schema_version 2; this program reads up to 1"),
        ("[", "is not YAML"),
        ("", "is not a front.yaml: it holds no keys"),
    ],
)
def test_what_is_no_front_of_this_version_is_refused(text: str, message: str) -> None:
    with pytest.raises(BestFileError, match=r"front\.yaml") as caught:
        parse_front(text, "front.yaml")
    assert message in str(caught.value)


def test_a_front_that_is_not_there_says_which_command_writes_it(tmp_path: Path) -> None:
    with pytest.raises(BestFileError) as caught:
        load_front(tmp_path / "front.yaml")
    assert "objectives:" in caught.value.advice


@pytest.mark.parametrize(
    ("bounds", "name"),
    [
        (["latency_p90_ms<=8"], "THROUGHPUT"),
        (["latency_p90_ms<=39.9"], "trial 3"),
        (["latency_p90_ms<=1000"], "trial 7"),
        (["throughput>=220"], "trial 3"),
        (["latency_p99_ms<=20"], "trial 3"),
        (["latency_p90_ms<=100", "throughput>=100"], "trial 7"),
    ],
)
def test_of_the_points_that_keep_the_bounds_the_best_in_the_first_other_objective_is_picked(
    front: FrontFile, bounds: list[str], name: str
) -> None:
    assert pick(front, [parse_bound(text, METRICS) for text in bounds]).name == name


def test_where_no_point_keeps_the_bound_what_there_is_is_said(front: FrontFile) -> None:
    with pytest.raises(NoAnswerError, match="no point of the front keeps latency_p90_ms<=5") as caught:
        pick(front, [parse_bound("latency_p90_ms<=5", METRICS)])
    assert "THROUGHPUT: latency_p90_ms 8" in caught.value.advice


def test_a_bound_is_read_with_or_without_blanks() -> None:
    assert parse_bound(" latency_p90_ms <= 8.5 ", METRICS) == Bound(metric="latency_p90_ms", is_upper=True, value=8.5)
    assert parse_bound("throughput>=2e3", METRICS).slug == "throughput-at-least-2000"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("latency_p9_ms<=8", "unknown metric latency_p9_ms; did you mean latency_p9"),
        ("speed>=8", "unknown metric speed; allowed: throughput, latency_p90_ms"),
        ("latency_p90_ms=8", "is no bound"),
        ("latency_p90_ms<8", "is no bound"),
        ("latency_p90_ms<=", "is no bound"),
        ("latency_p90_ms<=1e", "is no bound"),
        ("latency_p90_ms<=1e999", "is no bound"),
        ("", "is no bound"),
    ],
)
def test_a_wrong_bound_is_the_users_mistake(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_bound(text, METRICS)
    assert message in str(caught.value)
