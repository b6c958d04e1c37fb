"""A front in the terminal: what a person reads of it, and what a program does."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.report.test_study import TUNED
from tuner.deploy.best import BestGain, BestObjective
from tuner.deploy.front_file import Bound, FrontFile, FrontPoint
from tuner.outcome.picked import Picked
from tuner.report.front import front_json, front_lines, picked_lines
from tuner.report.terminal import print_lines


def gain(metric: str, low: float, estimate: float, high: float) -> BestGain:
    return BestGain(
        metric=metric, estimate_pct=estimate, low_pct=low, high_pct=high, confidence=0.995, sessions=6, pairs=48
    )


def point(name: str, throughput: float, latency_ms: float, *gains: BestGain, is_proven: bool = True) -> FrontPoint:
    best = replace(
        TUNED,
        verdict="tuned" if gains and is_proven else "baseline",
        reason="words",
        baselines={"THROUGHPUT": 100.0, "LATENCY": 90.0},
        gains={g.metric: g for g in gains if g.metric},
        gain=gains[0] if gains and is_proven else None,
        objectives=(
            BestObjective(metric="throughput", value=throughput, unit="samples/s", reference=100.0),
            BestObjective(metric="latency_p90_ms", value=latency_ms, unit="ms", reference=2.0),
        ),
    )
    return FrontPoint(name=name, metrics={"throughput": throughput, "latency_p90_ms": latency_ms}, best=best)


KNEE = point("trial 3", 150.0, 4.0, gain("throughput", 40.0, 50.0, 60.0), gain("latency_p90_ms", -60.0, -50.0, -20.0))
OPEN = point(
    "trial 9",
    101.0,
    1.9,
    gain("throughput", -9.0, 1.0, 12.0),
    gain("latency_p90_ms", -5.0, 5.0, 15.0),
    is_proven=False,
)
FRONT = FrontFile(
    study="front",
    verdict="tuned",
    reason="the knee of the front is trial 3",
    objectives={"throughput": "maximize", "latency_p90_ms": "minimize"},
    reference="THROUGHPUT",
    knee="trial 3",
    sessions=6,
    points=(KNEE, OPEN, point("THROUGHPUT", 100.0, 2.0)),
    removed={"trial 5": "trial 3 is better"},
)


def printed(front: FrontFile) -> str:
    stream = io.StringIO()
    print_lines(front_lines(front), stream)
    return stream.getvalue()


def test_the_knee_says_what_it_gains_and_what_it_costs_in_times_of_the_reference() -> None:
    text = printed(FRONT)
    assert "verdict: tuned, the knee of the front is trial 3" in text
    assert "throughput 1.50 times that of THROUGHPUT, interval 1.40 to 1.60: better" in text
    assert "latency_p90_ms 2.00 times that of THROUGHPUT, interval 1.25 to 2.50: worse" in text
    assert "confidence 99.50 % each" in text


def test_every_point_stands_in_the_table_marked_for_what_it_is() -> None:
    lines = printed(FRONT).splitlines()
    (knee,) = [line for line in lines if line.startswith("trial 3 *")]
    assert knee.split()[3:9] == ["150.0", "1.40", "to", "1.60", "4.000", "1.25"]
    (unproven,) = [line for line in lines if line.startswith("trial 9 ?")]
    assert "0.91 to 1.12" in unproven
    (baseline,) = [line for line in lines if line.startswith("THROUGHPUT ")]
    assert baseline.split()[1:5] == ["100.0", "-", "2.000", "-"]
    assert "  trial 5 is not on the front: trial 3 is better" in lines
    assert any("no gain is claimed" in line for line in lines)


def test_baselines_alone_are_a_front_without_words_about_gains() -> None:
    alone = replace(FRONT, verdict="baseline", sessions=0, points=FRONT.points[2:], knee="THROUGHPUT", removed={})
    text = printed(alone)
    assert "the front: one point, as the baselines were first measured" in text
    assert "?" not in text


@pytest.mark.parametrize("picked", FRONT.points, ids=lambda p: p.name)
def test_a_picked_point_says_what_it_is_and_what_comes_next(picked: FrontPoint) -> None:
    bound = Bound(metric="latency_p90_ms", is_upper=True, value=8.0)
    lines = picked_lines(Picked(front=FRONT, point=picked, bounds=[bound], path=Path("results/x/best-8.yaml")))
    assert lines[0].startswith(f"picked for latency_p90_ms<=8: {picked.name}, throughput ")
    assert lines[-1] == "next:    tuner apply results/x/best-8.yaml"
    assert f"  verdict: {'tuned' if picked is KNEE else 'baseline'}, words" in lines
    assert any("times that of" in line for line in lines) is (picked is KNEE)


def test_a_program_reads_every_point() -> None:
    content = json.loads(json.dumps(front_json(FRONT)))
    assert content["knee"] == "trial 3"
    assert [p["is_proven"] for p in content["points"]] == [True, False, False]
    assert [p["verdict"] for p in content["points"]] == ["tuned", "baseline", "baseline"]
    assert content["points"][0]["gains"]["latency_p90_ms"]["low_pct"] == -60.0
