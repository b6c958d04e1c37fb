"""The answer of `tuner verify`: words, JSON and JUnit, for every answer."""

from __future__ import annotations

import io
import json
import math
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from tests.phases.test_verification import promise, verify
from tuner.decision.verification import Promise
from tuner.deploy.best import Best, BestBaseline, BestGain, BestInput, BestModel, BestObjective
from tuner.errors import InputError, OutputError
from tuner.outcome.verified import VerifyReport
from tuner.phases.verification import Verified
from tuner.report.terminal import print_lines
from tuner.report.verified import EXIT_CODES, check_junit, verified_json, verified_lines, write_junit
from tuner.statistics.verification_test import Answer
from tuner.study.study import Limit

BEST = Best(
    study="quickstart",
    verdict="tuned",
    device="CPU",
    model=BestModel(path="builtin:mlp", sha256="0" * 64),
    properties={"NUM_STREAMS": 4},
    inputs={"x": BestInput(shape=(1, 64), batch_axis=0)},
    batch_size=1,
    infer_requests=4,
    api="async",
    effective={"NUM_STREAMS": "4"},
    objective=BestObjective(metric="throughput", value=1200.0, unit="samples/s"),
    baseline=BestBaseline(name="THROUGHPUT", value=1000.0, properties={}),
    baselines={"THROUGHPUT": 1000.0},
    gain=BestGain(estimate_pct=23.0, low_pct=20.0, high_pct=26.0, confidence=0.96, sessions=6, pairs=48),
)


def report(done: Verified, given: Promise, path: str = "results/quickstart/best.yaml") -> VerifyReport:
    return VerifyReport(
        path=Path(path),
        against=None,
        best=BEST,
        reference="THROUGHPUT",
        promise=given,
        differences=("tuned with OpenVINO 2025.4 (here 2026.4.1)",),
        verified=done,
    )


def said(found: VerifyReport) -> str:
    out = io.StringIO()
    print_lines(verified_lines(found), out)
    return out.getvalue()


def reports(folder: Path) -> dict[Answer, VerifyReport]:
    limit = Limit(metric="latency_p90_ms", max=6.0)
    holds, short = promise(math.log(1.2), limit), promise()
    return {
        Answer.HOLDS: report(verify(folder / "1", holds), holds),
        Answer.DOES_NOT_HOLD: report(verify(folder / "2", short, gain=1.0), short),
        Answer.CANNOT_TELL: report(verify(folder / "3", short, minutes=0.1), short),
    }


def test_every_answer_has_its_words_its_next_step_and_its_exit_code(tmp_path: Path) -> None:
    words = {answer: said(found) for answer, found in reports(tmp_path).items()}
    assert words[Answer.HOLDS].startswith("verify: holds\n")
    assert "limit latency_p90_ms max 6: holds, measured " in words[Answer.HOLDS]
    assert "throughput at least 20 % higher than with THROUGHPUT: holds" in words[Answer.HOLDS]
    assert "differs: tuned with OpenVINO 2025.4" in words[Answer.HOLDS]
    assert "--warm-start results/quickstart/best.yaml" in words[Answer.DOES_NOT_HOLD]
    assert "the first look is after 4" in words[Answer.CANNOT_TELL]
    assert "--minutes 1 could tell" in words[Answer.CANNOT_TELL]
    assert EXIT_CODES == {Answer.HOLDS: 0, Answer.DOES_NOT_HOLD: 1, Answer.CANNOT_TELL: 4}


def test_the_json_has_the_interval_the_limits_and_the_minutes_that_could_tell(tmp_path: Path) -> None:
    found = {answer: json.loads(json.dumps(verified_json(one))) for answer, one in reports(tmp_path).items()}
    held = found[Answer.HOLDS]
    assert held["exit_code"] == 0
    assert held["gain"]["low_pct"] < held["gain"]["estimate_pct"] < held["gain"]["high_pct"]
    assert held["required_pct"] == pytest.approx(20.0)
    assert held["tolerance_pct"] == pytest.approx(5.0)
    assert held["limits"][0]["answer"] == "holds"
    assert len(held["session_gains_pct"]) == held["sessions"]
    assert found[Answer.DOES_NOT_HOLD]["answer"] == "does_not_hold"
    assert found[Answer.CANNOT_TELL]["minutes_needed"] == 1
    assert found[Answer.CANNOT_TELL]["gain"] is None


def test_the_junit_report_has_a_case_for_each_claim(tmp_path: Path) -> None:
    for answer, found in reports(tmp_path).items():
        path = tmp_path / "report.xml"
        check_junit(path)
        write_junit(path, found)
        (suite,) = ET.parse(path).getroot()
        cases = list(suite)
        assert int(suite.attrib["tests"]) == len(cases) == found.promise.claims
        failed, skipped = suite.findall("*/failure"), suite.findall("*/skipped")
        assert (len(failed), len(skipped)) == {
            Answer.HOLDS: (0, 0),
            Answer.DOES_NOT_HOLD: (1, 0),
            Answer.CANNOT_TELL: (0, 1),
        }[answer]
        assert (int(suite.attrib["failures"]), int(suite.attrib["skipped"])) == (len(failed), len(skipped))


def test_hostile_names_stay_text_in_the_junit_report(tmp_path: Path) -> None:
    short = promise()
    done = verify(tmp_path / "1", short, minutes=0.1)
    name = 'a<b>"&\x00\x1b]]>.yaml'
    found = replace(report(done, short, name), reference="<x>\x07\ud800")
    write_junit(tmp_path / "report.xml", found)
    (suite,) = ET.parse(tmp_path / "report.xml").getroot()
    assert suite.attrib["name"] == 'tuner verify a<b>"&??]]>.yaml'
    assert "<x>??" in suite[0].attrib["name"]


def test_a_report_replaces_a_report_and_nothing_else(tmp_path: Path) -> None:
    other = tmp_path / "model.xml"
    other.write_text("<net/>")
    with pytest.raises(InputError, match="no JUnit report"):
        check_junit(other)
    with pytest.raises(InputError, match="no folder"):
        check_junit(tmp_path / "missing/report.xml")
    with pytest.raises(InputError, match="no JUnit report"):
        check_junit(tmp_path)
    other.write_text("<testsuites/>")
    check_junit(other)


def test_an_answer_that_cannot_be_written_is_still_said(tmp_path: Path) -> None:
    short = promise()
    found = report(verify(tmp_path / "1", short, gain=1.0), short)
    with pytest.raises(OutputError) as error:
        write_junit(tmp_path / "missing/report.xml", found)
    assert "does not hold" in error.value.advice
