"""Shows the answer of `tuner replay` as tables and as JSON. Must not compute results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from tuner.replay.evaluation import Evaluation, NullStudies, Replays
from tuner.statistics.distributions import upper_bound

COLUMNS = ("regret", "p90", "to 2 %", "near", "tuned", "harmed", "claimed", "true", "coverage")
"""Headings of the table; the lines below it say what each means."""


def evaluation_lines(evaluations: Sequence[Evaluation]) -> list[str | Table]:
    """Returns a table for each recorded table and noise, with a row for each strategy and budget."""
    lines: list[str | Table] = []
    for name, noise in dict.fromkeys((e.table, e.noise) for e in evaluations):
        here = [e for e in evaluations if (e.table, e.noise) == (name, noise)]
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("")
        for column in COLUMNS:
            table.add_column(column, justify="right")
        for e in here:
            table.add_row(f"{e.strategy}, {e.minutes:g} min", *_cells(e))
        lines += [f"{name}, {noise} host, {here[0].studies} studies each", table, ""]
    return [
        *lines,
        "every study maximizes throughput, without limits, in virtual time, whatever the record was of",
        "regret, p90: how much slower than the best is what is deployed, in % (median, 90th percentile)",
        "to 2 %: trials until one within 2 % of the best was measured; near: studies in which that happened, in %",
        "harmed: studies that deploy what is worse than what it replaces by more than 1 %, in %",
        "claimed, true: mean gain over the baseline in %; coverage: intervals that hold the true gain, in %",
    ]


def null_study_lines(null_studies: Sequence[NullStudies]) -> list[str]:
    """Returns a line for each set of studies in which nothing was to be gained."""
    return [
        f"null studies on {e.table}'s noise ({e.noise}), {e.minutes:g} min: {e.false_positives} of {e.studies} claim a "
        f"gain ({100.0 * e.false_positives / e.studies:.2f} %, upper 95 % bound "
        f"{100.0 * upper_bound(e.false_positives, e.studies):.2f} %); {e.confirmed} reached the confirmation"
        for e in null_studies
    ]


def replay_lines(found: Replays) -> list[str | Table]:
    """Returns the tables of all evaluations and the studies in which nothing was to be gained."""
    return [*(evaluation_lines(found.evaluations) if found.evaluations else ()), *null_study_lines(found.null_studies)]


def replay_json(found: Replays) -> dict[str, Any]:
    """Returns all evaluations as plain values for JSON."""
    return {
        "evaluations": [asdict(evaluation) for evaluation in found.evaluations],
        "null_studies": [
            {**asdict(e), "upper_95_pct": 100.0 * upper_bound(e.false_positives, e.studies)} for e in found.null_studies
        ],
    }


def _cells(e: Evaluation) -> list[str]:
    return [
        f"{e.regret_median_pct:.2f}",
        f"{e.regret_p90_pct:.2f}",
        _number(e.trials_to_near_median, ".0f"),
        f"{e.near_pct:.0f}",
        f"{e.tuned_pct:.0f}",
        f"{e.harmed_pct:.1f}",
        _number(e.claimed_pct, "+.1f"),
        _number(e.true_pct, "+.1f"),
        _number(e.coverage_pct, ".0f"),
    ]


def _number(value: float | None, spec: str) -> str:
    return "-" if value is None else format(value, spec)
