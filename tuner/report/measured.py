"""Shows the answer of `tuner measure` as lines and as JSON. Must not compute results."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.table import Table

from tuner.outcome.measured import Measured
from tuner.report.outcome import column_title
from tuner.report.terminal import Column, few_requests, metrics_table
from tuner.report.words.configuration import short_name
from tuner.report.words.gain import Gain, gain_words, metric_name
from tuner.statistics.sequential_test import Interval, gain_pct


def measured_lines(measured: Measured) -> list[str | Table]:
    """Returns a measured configuration against each baseline, and all of them side by side."""
    gain, metric = measured.gain, measured.metric
    columns = [Column(title="measured", metrics=measured.metrics)]
    columns += [Column(title=column_title(name), metrics=one) for name, one in measured.baselines.items()]
    return [
        short_name(measured.config),
        f"  {metric_name(metric)} {gain_words(metric, Gain.of(gain))} against {measured.reference}, the best baseline "
        f"(confidence {100 * gain.confidence:.0f} %, {gain.sessions} fresh sessions)",
        *(
            f"  against {name} {gain_words(metric, Gain.of(one))}"
            for name, one in measured.gains.items()
            if name != measured.reference
        ),
        "",
        metrics_table(columns, objective=metric),
        *few_requests(columns),
        "",
        f"evidence: {measured.folder / 'measure.jsonl'}",
    ]


def measured_json(measured: Measured) -> dict[str, Any]:
    """Returns a measured configuration as plain values for JSON."""
    return {
        "config": asdict(measured.config),
        "reference": measured.reference,
        "gain": _interval_json(measured.gain),
        "gains": {name: _interval_json(one) for name, one in measured.gains.items()},
        "metrics": {name: metrics.row() for name, metrics in measured.baselines.items()},
        "measured": measured.metrics.row(),
    }


def _interval_json(found: Interval) -> dict[str, Any]:
    return {
        "estimate_pct": gain_pct(found.estimate),
        "low_pct": gain_pct(found.low),
        "high_pct": gain_pct(found.high),
        "confidence": found.confidence,
        "sessions": found.sessions,
    }
