"""The answer of `tuner verify` as text, as JSON, and as a JUnit report for a build.

Responsible for words and files of the answer; decides nothing.
"""

from __future__ import annotations

import math
import os
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.table import Table

from tuner.bench.own_parameters import OWN_PARAMETERS
from tuner.decision.verification import LimitAnswer, VerificationCause
from tuner.deploy.document import write_whole
from tuner.errors import InputError, OutputError
from tuner.outcome.verified import VerifyReport
from tuner.report.terminal import Column, few_requests, figure, metrics_table
from tuner.report.words.gain import Gain, amount_words, gain_words, least_words, metric_name
from tuner.statistics.limits import LimitOutcome
from tuner.statistics.sequential_test import gain_pct
from tuner.statistics.verification_test import LOOKS, Answer

EXIT_CODES = {Answer.HOLDS: 0, Answer.DOES_NOT_HOLD: 1, Answer.CANNOT_TELL: 4}
"""Answer -> exit code of the command."""

NONE_LOG = 1e-9
"""Size of a gain (log-ratio) below which it is none."""

WORDS = {Answer.HOLDS: "holds", Answer.DOES_NOT_HOLD: "does not hold", Answer.CANNOT_TELL: "cannot tell"}


def verified_lines(report: VerifyReport) -> list[str | Table]:
    """Returns the answer with its reason, each limit, both sides, and what to do next."""
    columns = [Column(title=name, metrics=metrics) for name, metrics in report.metrics.items()]
    lines: list[str | Table] = [f"verify: {WORDS[report.answer]}", f"  {_configuration(report)}"]
    lines += [f"  {line}" for line in reason_lines(report)]
    lines += [f"  differs: {line}" for line in report.differences]
    if columns:
        lines += ["", metrics_table(columns, objective=report.promise.metric.name), *few_requests(columns)]
    return [*lines, "", f"next:    {next_step(report)}"]


def verified_json(report: VerifyReport) -> dict[str, Any]:
    """Returns the answer as plain values for JSON; gains are in per cent, positive is better."""
    found, gain = report.found, report.found.gain
    return {
        "answer": report.answer.value,
        "exit_code": EXIT_CODES[report.answer],
        "cause": found.cause.value,
        "best": str(report.path),
        "against": None if report.against is None else str(report.against),
        "reference": report.reference,
        "metric": report.promise.metric.name,
        "required_pct": None if report.promise.required is None else gain_pct(report.promise.required),
        "tolerance_pct": -gain_pct(-report.promise.tolerance),
        "gain": None
        if gain is None
        else {
            "answer": None if found.gain_answer is None else found.gain_answer.value,
            "estimate_pct": gain_pct(gain.estimate),
            "low_pct": gain_pct(gain.low),
            "high_pct": gain_pct(gain.high),
            "confidence": gain.confidence,
        },
        "limits": [
            {
                "limit": _limit_name(one),
                "answer": one.answer.value,
                "measured": one.check.measured,
                "confidence_bound": one.check.confidence_bound,
                "requests": one.check.requests,
            }
            for one in found.limits
        ],
        "sessions": found.sessions,
        "session_gains_pct": [gain_pct(value) for value in found.values],
        "failures": list(map(str, found.failures)),
        "invalid_sessions": len(found.invalid),
        "spent_s": round(report.verified.spent_s, 1),
        "minutes_needed": _minutes(report),
        "differences": list(report.differences),
        "metrics": {name: metrics.row() for name, metrics in report.metrics.items()},
    }


def reason_lines(report: VerifyReport) -> Iterator[str]:
    """Yields the reason of the answer, a sentence for each claim."""
    found, promise = report.found, report.promise
    for failure in dict.fromkeys(map(str, found.failures)):
        yield f"the configuration fails: {failure}"
    for invalid in dict.fromkeys(map(str, filter(None, found.invalid))):
        yield f"{report.reference} fails: {invalid}"
    if None in found.invalid:
        yield f"{found.invalid.count(None)} sessions had too few requests for {promise.metric.name}"
    gain = found.gain
    if gain is not None and promise.required is not None:
        yield (
            f"{metric_name(promise.metric.name)} {gain_words(promise.metric.name, Gain.of(gain))} against "
            f"{report.reference} ({100 * gain.confidence:.1f} % interval over all looks, {gain.sessions} sessions)"
        )
        yield f"{_promised(report)}: {_gain_words(report)}"
    elif promise.required is not None and found.cause is VerificationCause.MEASURED:
        yield f"{found.sessions} sessions in {report.verified.spent_s / 60:.1f} min; the first look is after {LOOKS[0]}"
    for one in found.limits:
        measured = "not measured" if one.check.measured is None else f"measured {figure(one.check.measured)}"
        near = one.answer is Answer.CANNOT_TELL and one.check.outcome is LimitOutcome.BROKEN
        why = ", beyond it by less than is told from a slower moment" if near else ""
        yield f"limit {_limit_name(one)}: {WORDS[one.answer]}, {measured} on {one.check.requests} requests{why}"


def next_step(report: VerifyReport) -> str:
    """Returns what to do with the answer."""
    if report.answer is Answer.HOLDS:
        return f"tuner apply {report.path}"
    if report.answer is Answer.DOES_NOT_HOLD:
        return f"tune again: tuner run STUDY.yaml --warm-start {report.path}"
    if report.found.cause is VerificationCause.INVALID:
        return "the other side cannot be measured here; tune again on this host"
    minutes = _minutes(report)
    if minutes is None:
        return "more minutes would hardly help; a calmer host may"
    return f"tuner verify {report.path} --minutes {minutes} could tell"


def check_junit(path: Path) -> None:
    """Raises InputError before anything is measured if the report cannot be written, or would replace another file."""
    if not path.parent.is_dir():
        raise InputError(f"--junit {path}: there is no folder {path.parent}")
    if path.is_dir() or (os.path.lexists(path) and not _is_report(path)):
        raise InputError(f"--junit {path}: it exists and is no JUnit report", advice="Name a new file.")


def write_junit(path: Path, report: VerifyReport) -> None:
    """Writes the answer as one suite with a case for each claim. Raises OutputError."""
    cases = list(_cases(report))
    suite = ET.Element(
        "testsuite",
        name=_plain(f"tuner verify {report.path}"),
        tests=str(len(cases)),
        failures=str(sum(answer is Answer.DOES_NOT_HOLD for _, answer, _ in cases)),
        skipped=str(sum(answer is Answer.CANNOT_TELL for _, answer, _ in cases)),
        errors="0",
        time=f"{report.verified.spent_s:.1f}",
    )
    for name, answer, words in cases:
        case = ET.SubElement(suite, "testcase", classname="tuner.verify", name=_plain(name))
        if answer is Answer.HOLDS:
            ET.SubElement(case, "system-out").text = _plain(words)
        else:
            kind = "failure" if answer is Answer.DOES_NOT_HOLD else "skipped"
            ET.SubElement(case, kind, message=_plain(words))
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    try:
        write_whole(path, f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n')
    except OutputError as error:
        error.advice = f"{error.advice} The answer was: {WORDS[report.answer]}."
        raise


def _cases(report: VerifyReport) -> Iterator[tuple[str, Answer, str]]:
    """Yields name, answer and words of each claim."""
    found, lines = report.found, "\n".join(reason_lines(report))
    is_answered = found.cause is VerificationCause.MEASURED
    if report.promise.required is not None or not is_answered:
        answer = found.gain_answer if is_answered else found.answer
        yield _promised(report), answer or Answer.CANNOT_TELL, lines
    for one in found.limits:
        yield f"limit {_limit_name(one)}", one.answer, lines
    if report.promise.required is None and not found.limits and is_answered:
        yield "limits", found.answer, lines


def _promised(report: VerifyReport) -> str:
    required = report.promise.required
    if required is None:
        return "the configuration runs"
    name = report.promise.metric.name
    least = least_words(name, required) if required > 0.0 else f"at most {amount_words(name, required)}"
    if abs(required) < NONE_LOG:
        least = "not worse"
    return f"{metric_name(name)} {least} than with {report.reference}"


def _gain_words(report: VerifyReport) -> str:
    """Returns the answer of the gain; a loss that is real and tolerated is said."""
    found, promise = report.found, report.promise
    assert found.gain_answer is not None
    words = WORDS[found.gain_answer]
    is_below = found.gain is not None and promise.required is not None and found.gain.low < promise.required
    if found.gain_answer is Answer.HOLDS and is_below:
        return f"{words}, to within {-gain_pct(-promise.tolerance):.0f} %"
    return words


def _configuration(report: VerifyReport) -> str:
    best = report.best
    words = [f"{name}={value}" for name, value in best.properties.items()]
    words += [f"{name}={getattr(best, name)}" for name in OWN_PARAMETERS if name not in ("replicas", "affinity")]
    return " ".join(words)


def _limit_name(one: LimitAnswer) -> str:
    return f"{one.check.bound.metric} {one.check.bound.kind} {one.check.bound.limit:g}"


def _minutes(report: VerifyReport) -> int | None:
    """Returns whole minutes that could answer, rounded up with a tenth to spare; None if none could."""
    needed = report.verified.minutes_needed
    return None if needed is None else math.ceil(1.1 * needed)


def _is_report(path: Path) -> bool:
    """Returns True if a file is a JUnit report, which a later one may replace."""
    try:
        return ET.parse(path).getroot().tag in ("testsuites", "testsuite")
    except (ET.ParseError, OSError, UnicodeDecodeError, ValueError):
        return False


def _plain(text: str) -> str:
    """Returns text without the characters that XML 1.0 forbids; names and messages come from files."""
    return "".join(c if c in "\t\n" or (c.isprintable() and ord(c) < 0xFFFE) or ord(c) > 0xFFFF else "?" for c in text)
