"""Shows a front as a table and as JSON, and the answer of `tuner show --pick`. Must not compute results."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.table import Table

from tuner.bench.metrics import METRICS
from tuner.deploy.best import Best, BestGain
from tuner.deploy.front_file import FrontFile, FrontPoint
from tuner.outcome.picked import Picked
from tuner.report.terminal import figure, plain
from tuner.report.words.configuration import deployed, short_name


def front_lines(front: FrontFile) -> list[str | Table]:
    """Returns the verdict, the gains and costs of the knee, and a table of all points."""
    knee = next((point for point in front.points if point.name == front.knee), None)
    lines: list[str | Table] = [f"verdict: {front.verdict}, {front.reason}"]
    lines += gain_lines(front, knee.best) if knee else []
    count = "one point" if len(front.points) == 1 else f"{len(front.points)} points"
    evidence = f"{front.sessions} fresh sessions" if front.sessions else "as the baselines were first measured"
    lines += ["", f"the front: {count}, {evidence}; beside each value how many times that of {front.reference}"]
    lines.append(front_table(front))
    if knee:
        lines.append("  * is the knee, what best.yaml deploys")
    if any(_is_unproven(point) for point in front.points):
        lines.append("  ? is not shown to be better than every baseline beside it: no gain is claimed")
    lines += [f"  {name} is not on the front: {why}" for name, why in front.removed.items()]
    if len({point.best.batch_size for point in front.points}) > 1:
        lines.append("  latency is per request: one with a batch carries so many samples")
    return lines


def gain_lines(front: FrontFile, best: Best) -> list[str]:
    """Returns a line for each objective of a point against the reference, for losses too.

    A line gives a ratio, not per cent: a latency that is three times as high would be "67 % worse".
    """
    lines = []
    for name, gain in best.gains.items():
        low, estimate, high = _times(front, name, gain)
        side = "better" if gain.low_pct > 0 else "worse" if gain.high_pct < 0 else "not shown to differ"
        lines.append(
            f"  {name} {estimate:.2f} times that of {best.baseline.name}, interval {low:.2f} to {high:.2f}: {side}"
        )
    if best.gain is not None:
        lines.append(
            f"  all intervals of the front hold together (confidence {100 * best.gain.confidence:.2f} % each), "
            f"{best.gain.sessions} fresh sessions, {best.gain.pairs} pairs"
        )
    return lines


def front_table(front: FrontFile) -> Table:
    """Returns a table with a row for each point: its values, its gains with intervals, and its configuration."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for name in front.objectives:
        unit = METRICS[name].unit if name in METRICS else ""
        table.add_column(name if name.endswith("_ms") else f"{name} ({unit})", justify="right")
        table.add_column("times", justify="right")
    table.add_column("configuration", overflow="fold")
    for point in front.points:
        mark = " *" if point.name == front.knee else " ?" if _is_unproven(point) else ""
        cells = [
            cell
            for name in front.objectives
            for cell in (figure(point.metrics.get(name)), _interval(front, name, point.best.gains.get(name)))
        ]
        table.add_row(plain(f"{point.name}{mark}"), *cells, plain(point_name(front, point)))
    return table


def point_name(front: FrontFile, point: FrontPoint) -> str:
    """Returns the short name of a point's configuration, with what differs between the points."""
    return short_name(deployed(point.best), among=[deployed(other.best) for other in front.points])


def picked_lines(picked: Picked) -> list[str]:
    """Returns the picked point, its gains, and the command that deploys it."""
    point, path = picked.point, picked.path
    values = ", ".join(f"{v.metric} {figure(v.value)} {v.unit}" for v in point.best.objectives)
    lines = [
        f"picked for {' and '.join(map(str, picked.bounds))}: {point.name}, {values}",
        f"  {point_name(picked.front, point)}",
    ]
    lines.append(f"  verdict: {point.best.verdict}, {point.best.reason}")
    lines += gain_lines(picked.front, point.best) if point.best.gain else []
    return [*lines, "", f"written: {path}", f"next:    tuner apply {path}"]


def picked_json(picked: Picked) -> dict[str, Any]:
    """Returns the picked point and the file it was written to."""
    return {**point_json(picked.point), "written": str(picked.path)}


def front_json(front: FrontFile) -> dict[str, Any]:
    """Returns a front as plain values for JSON."""
    return {
        "objectives": dict(front.objectives),
        "reference": front.reference,
        "knee": front.knee,
        "sessions": front.sessions,
        "points": [point_json(point) for point in front.points],
        "left": dict(front.removed),
    }


def point_json(point: FrontPoint) -> dict[str, Any]:
    """Returns one point of a front as plain values for JSON."""
    best = point.best
    return {
        "name": point.name,
        "verdict": best.verdict,
        "reason": best.reason,
        "metrics": dict(point.metrics),
        "gains": {name: asdict(gain) for name, gain in best.gains.items()},
        "is_proven": best.gain is not None,
        "properties": dict(best.properties),
        "batch_size": best.batch_size,
        "infer_requests": best.infer_requests,
        "api": best.api,
    }


def _is_unproven(point: FrontPoint) -> bool:
    return point.best.gain is None and not point.is_baseline


def _interval(front: FrontFile, name: str, gain: BestGain | None) -> str:
    if gain is None:
        return "-"
    low, _, high = _times(front, name, gain)
    return f"{low:.2f} to {high:.2f}"


def _times(front: FrontFile, name: str, gain: BestGain) -> tuple[float, float, float]:
    """Returns low end, estimate and high end of a metric's ratio to the reference; a latency's gain is its inverse."""
    gains = [1.0 + pct / 100.0 for pct in (gain.low_pct, gain.estimate_pct, gain.high_pct)]
    ratios = gains if front.objectives[name] == "maximize" else [1.0 / g for g in reversed(gains)]
    return ratios[0], ratios[1], ratios[2]
