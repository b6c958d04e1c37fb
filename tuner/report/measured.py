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
    """Returns what was measured against each baseline, and all of them side by side."""
    metric = measured.metric
    columns = [Column(title="measured", metrics=measured.metrics)] if measured.metrics is not None else []
    columns += [Column(title=column_title(name), metrics=one) for name, one in measured.baselines.items()]
    return [
        *measured_verdict(measured),
        "",
        metrics_table(columns, objective=metric),
        *few_requests(columns),
        "",
        f"evidence: {measured.folder / 'measure.jsonl'}",
    ]


def measured_verdict(measured: Measured) -> list[str]:
    """Returns the gains over the baselines; without a configuration, how the baselines differ."""
    metric = measured.metric
    others = {name: one for name, one in measured.gains.items() if name != measured.reference}
    if measured.config is None:
        lines = [f"the strongest baseline is {measured.reference}; {metric_name(metric)} beside it"]
        return lines + [f"  {name} {gain_words(metric, Gain.of(one))}" for name, one in others.items()]
    lines = [short_name(measured.config)]
    if (gain := measured.gain) is not None:
        lines.append(
            f"  {metric_name(metric)} {gain_words(metric, Gain.of(gain))} against {measured.reference}, "
            f"the best baseline (confidence {100 * gain.confidence:.0f} %, {gain.sessions} fresh sessions)"
        )
    return lines + [f"  against {name} {gain_words(metric, Gain.of(one))}" for name, one in others.items()]


def measured_json(measured: Measured) -> dict[str, Any]:
    """Returns a measured configuration as plain values for JSON."""
    return {
        "config": None if measured.config is None else asdict(measured.config),
        "reference": measured.reference,
        "gain": None if measured.gain is None else _interval_json(measured.gain),
        "gains": {name: _interval_json(one) for name, one in measured.gains.items()},
        "metrics": {name: metrics.row() for name, metrics in measured.baselines.items()},
        "measured": None if measured.metrics is None else measured.metrics.row(),
    }


def _interval_json(found: Interval) -> dict[str, Any]:
    return {
        "estimate_pct": gain_pct(found.estimate),
        "low_pct": gain_pct(found.low),
        "high_pct": gain_pct(found.high),
        "confidence": found.confidence,
        "sessions": found.sessions,
    }
